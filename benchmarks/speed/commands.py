"""How long commands take that read no documents: `make bench NAME=commands`.

Each is a whole process, started as a shell starts it: mistakes that are refused, `han info`, `han --help`. They take
turns, and each is measured against a Python that imports nothing, in the same round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.reporting import describe, store

HAN = Path(sys.executable).with_name("han")
COLUMNS = ["--text", "review", "--label", "stars"]
COMMANDS = {
    "a misspelt command": ["trian", "reviews.csv"],
    "a misspelt option": ["train", "reviews.csv", *COLUMNS, "--epoch", "3"],
    "a wrong type": ["train", "reviews.csv", *COLUMNS, "--epochs", "many"],
    "a wrong choice": ["train", "reviews.csv", *COLUMNS, "--cell", "rnn"],
    "a missing file": ["train", "revews.csv", *COLUMNS],
    "a missing column": ["train", "reviews.csv", "--text", "reveiw", "--label", "stars"],
    "a missing column to evaluate on": ["evaluate", "model", "reviews.csv", "--text", "reveiw", "--label", "stars"],
    "a missing classifier": ["predict", "modl", "reviews.csv", "--text", "review"],
    "`han --help`": ["--help"],
    "`han train --help-all`": ["train", "--help-all"],
    "`han info model`": ["info", "model"],
}
REFUSED = 2


def main() -> None:
    """Measure, and write the table in `docs/speed.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        turns = [_turn(Path(folder)) for _ in range(rounds)]
    results: dict[str, Any] = {
        "command": "make bench NAME=commands",
        **describe(),
        "spread": f"median (lowest to highest) of {rounds} interleaved rounds",
        "seconds": {name: _summary([turn[name] for turn in turns]) for name in turns[0]},
        "relative": {name: _summary([turn[name] / turn["Python"] for turn in turns]) for name in turns[0]},
    }
    store("commands", results, _table(results))


def _prepare(folder: Path) -> None:
    from han import HANClassifier

    (folder / "reviews.csv").write_text("review,stars\nA good film.,5\nA bad film.,1\n")
    classifier = HANClassifier(units=4, embedding_dim=8, epochs=1, random_state=0, verbose=0)
    classifier.fit(["A good film.", "A bad film."] * 20, [5, 1] * 20).save(folder / "model")


def _turn(folder: Path) -> dict[str, float]:
    """Return the seconds that each command takes, and those of a Python that does nothing."""
    seconds = {"Python": _seconds([sys.executable, "-c", ""], folder)}
    for name, arguments in COMMANDS.items():
        seconds[name] = _seconds([HAN, *arguments], folder, 0 if name.startswith("`") else REFUSED)
    return seconds


def _seconds(command: list[Any], folder: Path, expected: int = 0) -> float:
    started = time.perf_counter()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    elapsed = time.perf_counter() - started
    assert result.returncode == expected, result.stderr
    return elapsed


def _summary(values: list[float]) -> list[float]:
    return [round(value, 3) for value in (median(values), min(values), max(values))]


def _table(results: dict[str, Any]) -> list[str]:
    lines = ["| | seconds | relative to a Python that does nothing |", "|---|---|---|"]
    for name, (middle, low, high) in results["seconds"].items():
        ratio, least, most = results["relative"][name]
        lines.append(f"| {name} | {middle:.2f} ({low:.2f} to {high:.2f}) | {ratio:.1f} ({least:.1f} to {most:.1f}) |")
    return lines


if __name__ == "__main__":
    main()
