"""Saved classifiers that are damaged in thousands of ways, and the outcome of `load`: `make bench NAME=corruptions`.

A file of the folder has bits flipped, is cut, has two stretches swapped or is deleted. A third of the damage is left as
it is; of a third, the manifest is made anew, as somebody would who means harm; and a third is done within the archive
of the network, whose checksums are made anew too. Processes of their own load the folders, so that it is seen if one
crashes or hangs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import tempfile
import time
import zipfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting import describe, store
from han import HANClassifier
from han.exceptions import HANError
from han.files.atomic import MANIFEST, write_manifest
from han.saving.layout import FORMAT_VERSION

LIMIT = 10.0  # seconds that a `load` may take
KINDS = ("manifest unchanged", "manifest rewritten", "inside the archive, with new checksums")
WAYS = ("flip", "cut", "swap", "delete")
TEXTS = ["A fine film. I liked it.", "A dull film. I slept."]


def main() -> None:
    """Damage, load, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corruptions", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments.corruptions, random.Random(arguments.seed))  # noqa: S311
    head = "| damage | classifiers | rejected with an error of `han` | the same classifier | other weights "
    lines = [head + "| other errors | crashes | over 10 s |", "|---|---|---|---|---|---|---|---|"]
    for kind, counts in results["kinds"].items():
        names = ("refused", "same", "other", "error", "crash", "hang")
        lines.append(
            f"| {kind} | {sum(counts.values()):,} | " + " | ".join(f"{counts.get(n, 0):,}" for n in names) + " |"
        )
    lines.append(f"\nThe slowest took {results['slowest_seconds']:.1f} s.")
    setting = {"setting": f"seed {arguments.seed}; flips, cuts, swaps and deletions in turn", "spread": "one run"}
    store("corruptions", {"command": "make bench NAME=corruptions", **describe("h5py"), **setting, **results}, lines)


def measure(folder: Path, corruptions: int, rng: random.Random) -> dict[str, Any]:
    """Return how many damaged classifiers came to which end."""
    whole = folder / "whole"
    HANClassifier(embedding_dim=8, units=4, epochs=2, random_state=0, verbose=0).fit(
        [*TEXTS, "Fine. I liked it.", "Dull. I slept."] * 5, ["good", "bad"] * 10
    ).save(whole)
    kinds: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    errors: list[str] = []
    slowest = 0.0
    loader = Loader(whole)
    for number in range(corruptions):
        damaged = folder / "damaged"
        shutil.copytree(whole, damaged)
        kind, way = KINDS[number % len(KINDS)], WAYS[number // len(KINDS) % len(WAYS)]
        damage(damaged, kind, way, rng)
        started = time.monotonic()
        outcome, message = loader.load(damaged)
        slowest = max(slowest, time.monotonic() - started)
        kinds[kind][outcome] += 1
        if outcome in ("error", "crash", "hang"):
            errors.append(f"{kind}, {way}: {outcome} {message}")
            print(errors[-1])
        shutil.rmtree(damaged)
    loader.close()
    counts = {kind: dict(counted) for kind, counted in kinds.items()}
    return {"corruptions": corruptions, "kinds": counts, "slowest_seconds": round(slowest, 2), "errors": errors}


def damage(folder: Path, kind: str, way: str, rng: random.Random) -> None:
    """Damage a file of a saved classifier, or of the archive in it."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "README.md")
    if kind == KINDS[2]:
        archive = folder / "model.keras"
        with zipfile.ZipFile(archive) as opened:
            contents = {name: opened.read(name) for name in opened.namelist()}
        name = rng.choice(sorted(contents))
        changed = change(contents.pop(name), way, rng)
        with zipfile.ZipFile(archive, "w") as opened:
            for member, content in [*contents.items(), *([] if changed is None else [(name, changed)])]:
                opened.writestr(member, content)
    else:
        path = folder / rng.choice([name for name in names if kind == KINDS[0] or name != MANIFEST])
        changed = change(path.read_bytes(), way, rng)
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)
    if kind != KINDS[0]:
        (folder / MANIFEST).unlink()
        write_manifest(folder, FORMAT_VERSION)


def change(content: bytes, way: str, rng: random.Random) -> bytes | None:
    """Return damaged content, never equal to what it was; None for a file that is deleted."""
    if way == "delete":
        return None
    while True:
        changed = bytearray(content)
        if way == "flip":
            for _ in range(rng.choice([1, 1, 2, 16])):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        elif way == "cut":
            del changed[rng.randrange(len(changed)) :]
        else:
            length = rng.randrange(1, max(len(changed) // 4, 2))
            one, other = (rng.randrange(len(changed) - length) for _ in range(2))
            changed[one : one + length], changed[other : other + length] = (
                changed[other : other + length],
                changed[one : one + length],
            )
        if changed != content:
            return bytes(changed)


class Loader:
    """A process that loads classifiers, started anew when it crashes or hangs."""

    def __init__(self, whole: Path) -> None:
        self.whole = whole
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=load_all, args=(other, self.whole), daemon=True)
        self.process.start()
        other.close()
        self.pipe.recv()

    def load(self, folder: Path) -> tuple[str, str]:
        """Return how it ended, and a message."""
        self.pipe.send(folder)
        try:
            if self.pipe.poll(LIMIT):
                answer: tuple[str, str] = self.pipe.recv()
                return answer
            outcome = "hang"
        except EOFError:
            outcome = "crash"
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self._start()
        return outcome, f"exit code {code}"

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


def load_all(pipe: Connection, whole: Path) -> None:
    """Load each folder that is named, and answer with what came of it."""
    expected = HANClassifier.load(whole).predict_proba(TEXTS)
    pipe.send("ready")
    while True:
        folder = pipe.recv()
        try:
            found = HANClassifier.load(folder).predict_proba(TEXTS)
            right = bool(np.isfinite(found).all()) and found.shape[0] == len(TEXTS)
            same = np.array_equal(found, expected)
            pipe.send(("same" if same else "other" if right else "error", json.dumps(found.tolist())))
        except HANError as error:
            pipe.send(("refused", str(error)))
        except BaseException as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
