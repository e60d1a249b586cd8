"""Generated tables, given to `han predict`: `make bench NAME=tables`.

Each table must come out with its rows in order, its other columns as pandas or pyarrow read them from the input, and
the classifier's own predictions; or the command must reject it with a one-line error. `table_makers` writes the tables.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting import describe, store
from benchmarks.robustness.table_makers import MAKERS, Made
from han import HANClassifier
from han.cli import main as han

LIMIT = 10.0  # seconds that a command may take


def main() -> None:
    """Write tables, predict, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first table, to see a fault again")
    arguments = parser.parse_args()
    results = {form: measure(form, arguments) for form in MAKERS}
    lines = [
        "| `han predict` of | tables | right | rejected with a one-line error | wrong | other errors | over 10 s |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for form, found in results.items():
        numbers = " | ".join(f"{found['ends'].get(end, 0):,}" for end in ("right", "refused", "wrong", "error", "slow"))
        lines.append(f"| {form} | {found['tables']:,} | {numbers} |")
    setting = {"setting": f"seed {arguments.seed}", "spread": "one run"}
    head = {"command": "make bench NAME=tables", **describe("pandas", "pyarrow"), **setting}
    store("tables", {**head, **results}, lines)


def measure(form: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how many tables of a format came to which end."""
    ends: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    faults: list[str] = []
    count = arguments.tables // len(MAKERS)
    with tempfile.TemporaryDirectory() as name:
        classifier = trained()
        classifier.save(Path(name) / "model")
        # One classifier serves all commands: loading takes longer than what is tested here.
        load = HANClassifier.load
        HANClassifier.load = functools.cache(load)  # type: ignore[method-assign, assignment]
        for number in range(arguments.first, arguments.first + count):
            rng = np.random.default_rng([arguments.seed, [*MAKERS].index(form), number])
            folder = Path(name) / str(number)
            folder.mkdir()
            made = MAKERS[form](rng, folder)
            started = time.monotonic()
            end, message = outcome(made, form, Path(name) / "model", classifier, rng)
            ends[end] += 1
            seconds = time.monotonic() - started
            if seconds > LIMIT:
                ends["slow"] += 1
                print(f"slow {form} {number}, {made.shown[:200]}: {seconds:.1f} s", flush=True)
            if end == "refused":
                refusals[" ".join(message.split(": ", 2)[-1].split()[:4])] += 1
                print(f"refused {form} {number}, {made.shown[:200]}: {message.strip()[:300]}", flush=True)
            elif end != "right":
                faults.append(f"{form} {number}, {made.shown}: {message[:400]}")
                print(end, faults[-1], flush=True)
        HANClassifier.load = load  # type: ignore[method-assign]
    print(form, count, dict(ends), dict(refusals), flush=True)
    return {"tables": count, "ends": dict(ends), "refusals": dict(refusals), "faults": faults}


def trained() -> HANClassifier:
    """Return a small classifier."""
    texts = ["A good film. I liked it.", "A bad film. I left.", "the dull", "don't 3.5 naïve"] * 10
    return HANClassifier(embedding_dim=4, units=2, epochs=2, random_state=0, verbose=0).fit(texts, [*"abca"] * 10)


def outcome(made: Made, form: str, model: Path, classifier: HANClassifier, rng: np.random.Generator) -> tuple[str, str]:
    """Return how predicting a file ended, and what was said or is wrong."""
    output = made.path.with_name(f"out.{form}")
    drop = rng.random() < 0.2
    options = ["--drop-text"] if drop else []
    command = ["predict", str(model), str(made.path), "--text", made.text, "--output", str(output), "--quiet"]
    try:
        code, said = run([*command, *options, *made.arguments])
        if code == 2 and said.startswith("han: ") and not output.exists():
            return ("refused", said) if "Traceback" not in said else ("error", said)
        if code:
            return "error", said
        texts, predictions, fault = made.difference(output, drop)
        if not fault and len(texts) != len(predictions):
            fault = f"{len(predictions)} predictions for {len(texts)} documents"
        if not fault and texts and [*map(str, predictions)] != classifier.predict(texts).tolist():
            fault = "other predictions"
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"
    return ("wrong", fault) if fault else ("right", "")


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command of `han` in this process; return its exit code and what it wrote to standard error."""
    said = io.StringIO()
    before = sys.argv
    sys.argv = ["han", *arguments]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            han()
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    finally:
        sys.argv = before
    return 0, said.getvalue()


if __name__ == "__main__":
    main()
