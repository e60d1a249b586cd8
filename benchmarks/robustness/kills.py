"""Processes killed while they save a classifier or train with checkpoints: `make bench NAME=kills`.

After each kill, what is on the disk is read. A model counts as lost if there is none where there had been one, and as
unreadable if `load` rejects it or it is neither of the two that were being written. A training that was killed is gone
on with, killed again, and so on until it ends; then its weights are compared with those of one that nobody killed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting import describe, store
from han import HANClassifier
from han.training.checkpoint import Checkpoint, has_checkpoint

HAN = str(Path(sys.executable).with_name("han"))
# Saves two classifiers to one folder in turn, for ever, once it has said that it begins.
SAVING = """
import sys
from han import HANClassifier
first, second = (HANClassifier.load(path) for path in sys.argv[1:3])
print("begun", flush=True)
while True:
    first.save(sys.argv[3])
    second.save(sys.argv[3])
"""
TRAINING = ["--units", "8", "--embedding-dim", "32", "--epochs", "12", "--batch-size", "16", "--patience", "none"]


def main() -> None:
    """Kill, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as executor:
        kinds: list[Callable[[Path, int, random.Random], dict[str, Any]]] = [kill_saves, kill_trainings]
        parts = [
            executor.submit(kind, Path(folder), arguments.kills, random.Random(arguments.seed))  # noqa: S311
            for kind in kinds
        ]
        results = dict(zip(("save", "train"), (part.result() for part in parts), strict=True))
    names = {"save": "`save`, replacing another classifier", "train": "`han train`, resumed with `--resume`"}
    lines = ["| killed by SIGKILL | kills | while files were written | lost | unreadable | afterwards |"]
    lines.append("|---|---|---|---|---|---|")
    for name, result in results.items():
        lines.append(
            f"| {names[name]} | {result['kills']} | {result['writing']} | {result['lost']} | {result['unreadable']} "
            f"| {result['afterwards']} |"
        )
    setting = {"setting": f"seed {arguments.seed}", "spread": "one run"}
    store("kills", {"command": "make bench NAME=kills", **describe("h5py"), **setting, **results}, lines)


def documents(count: int) -> tuple[list[str], list[str]]:
    """Return documents that are no two alike, of two classes."""
    kinds = [
        ("good", "A fine film, the {}th of its kind. I liked it."),
        ("bad", "A dull film, the {}th. I left early."),
    ]
    made = [(text.format(number), label) for number in range(count // 2) for label, text in kinds]
    texts, labels = zip(*made, strict=True)
    return list(texts), list(labels)


def being_written(folder: Path) -> bool:
    """Tell whether a replacement of something in a folder was begun and not ended."""
    return any(path.name.startswith(".") and ".saving-" in path.name for path in folder.iterdir())


def kill_saves(base: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Kill processes that save, and return what was left."""
    folder = base / "saves"
    texts, labels = documents(200)
    probabilities = {}
    for seed in (1, 2):
        classifier = HANClassifier(epochs=1, random_state=seed, verbose=0).fit(texts, labels)
        classifier.save(folder / f"model{seed}")
        probabilities[seed] = classifier.predict_proba(texts[:2])
    HANClassifier.load(folder / "model1").save(folder / "model")
    writing = lost = unreadable = 0
    for kill in range(kills):
        command = [sys.executable, "-c", SAVING, *(str(folder / name) for name in ("model1", "model2", "model"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("the process that saves has ended by itself")
            time.sleep(rng.uniform(0, 2))
            process.kill()
        writing += being_written(folder)
        try:
            loaded = HANClassifier.load(folder / "model")
            expected = probabilities[loaded.describe()["parameters"]["random_state"]]
            unreadable += not np.array_equal(loaded.predict_proba(texts[:2]), expected)
        except FileNotFoundError:
            lost += 1
        except ValueError as error:
            print(f"kill {kill}: {error}", file=sys.stderr)
            unreadable += 1
    HANClassifier.load(folder / "model").save(folder / "model")  # which clears up
    left = len(list(folder.iterdir())) - 3
    afterwards = "nothing left over after the next save" if not left else f"{left} LEFT OVER"
    return {"kills": kills, "writing": writing, "lost": lost, "unreadable": unreadable, "afterwards": afterwards}


def kill_trainings(base: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Kill processes that train, and return what was left and whether trainings that end come to the same weights."""
    folder = base / "trainings"
    folder.mkdir()
    texts, labels = documents(600)
    lines = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    (folder / "films.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    command = [HAN, "train", "films.csv", *TRAINING, "--checkpoint-steps", "5", "--quiet"]
    subprocess.run([*command, "--output", "whole"], cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    whole = HANClassifier.load(folder / "whole")
    done = writing = lost = unreadable = ended = same = 0
    while done < kills:
        name = f"model{ended}"
        model, checkpoint = folder / name, folder / f"{name}.checkpoint"
        had_one = has_checkpoint(checkpoint)
        begun = [*command, "--output", name, "--resume"]
        with subprocess.Popen(begun, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:  # noqa: S603
            _wait(process, checkpoint, rng, at_once=done % 10 == 0)
            killed = process.poll() is None
            process.kill()
            errors = process.stderr.read().decode() if process.stderr else ""
        if not killed and process.returncode:
            raise RuntimeError(errors)
        done += killed
        writing += killed and (being_written(folder) or (checkpoint.is_dir() and being_written(checkpoint)))
        # The saved classifier takes the checkpoint's place.
        lost += had_one and not has_checkpoint(checkpoint) and not model.exists()
        try:
            if has_checkpoint(checkpoint):
                Checkpoint.open(checkpoint, None, {}, 0)
            elif model.exists():
                found = HANClassifier.load(model)
                pairs = zip(found.model_.get_weights(), whole.model_.get_weights(), strict=True)
                same += found.history_ == whole.history_ and all(np.array_equal(*pair) for pair in pairs)
                ended += 1
        except ValueError as error:
            print(f"kill {done}: {error}", file=sys.stderr)
            unreadable += 1
    finished = f"{same} of {ended} finished training runs are bit-for-bit identical to an uninterrupted one"
    return {"kills": done, "writing": writing, "lost": lost, "unreadable": unreadable, "afterwards": finished}


def _wait(process: subprocess.Popen[bytes], checkpoint: Path, rng: random.Random, *, at_once: bool) -> None:
    """Wait for a random moment after the next checkpoint, or `at_once` after the start, or for the process's end."""
    before = _written(checkpoint)
    while not at_once and process.poll() is None and _written(checkpoint) == before:
        time.sleep(0.01)
    deadline = time.monotonic() + rng.uniform(0, 8 if at_once else 3)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def _written(checkpoint: Path) -> int:
    """Return when a checkpoint was last written, in nanoseconds; 0 if there is none."""
    state = checkpoint / "checkpoint" / "state.json"
    try:
        return state.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    main()
