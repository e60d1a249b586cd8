"""What a process holds after each of many fits and loads: `make bench NAME=memory_growth`.

Each row is a process of its own. `--han FOLDER` measures the `han` of another checkout, for comparisons:
`git worktree add ../before COMMIT`, then `make bench NAME=memory_growth ARGS="--han ../before --label before"`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

from benchmarks.reporting import RESULTS, ROOT, describe, store

DOCUMENTS = 60
KINDS = {
    "fits": "fits, each on different documents with a different vocabulary",
    "loads": "loads of one classifier, each followed by a prediction",
    "widths": "fits, each with different `units`",
}
# Runs after which the memory is reported.
AFTER = (1, 10, 30, 100)


def main() -> None:
    """Measure each kind in a process of its own, and store the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="fits or loads of each kind")
    parser.add_argument("--han", default=str(ROOT), help="folder of another checkout")
    parser.add_argument("--label", default="after", help="name of the measurement in the results")
    parser.add_argument("--kind", choices=KINDS, help="measure this one in this process, and print it")
    arguments = parser.parse_args()
    if arguments.kind:
        run(arguments.kind, arguments.count)
        return
    path = RESULTS / "memory_growth.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"measured": {}}
    measured = {kind: in_process(kind, arguments.count, arguments.han) for kind in KINDS}
    stored = {
        "command": "make bench NAME=memory_growth",
        **describe(),
        "setting": f"{DOCUMENTS} documents",
        "spread": "one run",
        "measured": {**stored["measured"], arguments.label: measured},
    }
    store("memory_growth", stored, table(stored))


def in_process(kind: str, count: int, folder: str) -> list[float]:
    """Return the MB that a process holds after each fit or load."""
    command = [sys.executable, __file__, "--kind", kind, "--count", str(count)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(ROOT)])}
    lines = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
    return [float(line) for line in lines.split()]


def run(kind: str, count: int) -> None:
    """Fit or load, and print after each time how many MB the process holds."""
    from han import HANClassifier

    def fit(seed: int, words: int = 400, **settings: Any) -> HANClassifier:
        rng = np.random.default_rng(seed)
        documents = [
            ". ".join(" ".join(f"w{word}" for word in rng.integers(words, size=rng.integers(3, 12))) for _ in range(4))
            for _ in range(DOCUMENTS)
        ]
        settings = {"epochs": 2, "batch_size": 16, "random_state": seed, "verbose": 0, **settings}
        return HANClassifier(**settings).fit(documents, [0, 1] * (DOCUMENTS // 2))

    with tempfile.TemporaryDirectory() as folder:
        if kind == "loads":
            fit(0).save(f"{folder}/model")
        works: dict[str, Callable[[int], Any]] = {
            "fits": lambda number: fit(number, words=300 + 3 * number),
            "loads": lambda _: HANClassifier.load(f"{folder}/model").predict(["w1 w2 w3. w4 w5."]),
            "widths": lambda number: fit(0, units=8 + number),
        }
        for number in range(count):
            works[kind](number)
            print(f"{psutil.Process().memory_info().rss / 2**20:.1f}", flush=True)


def table(stored: dict[str, Any]) -> list[str]:
    """Return the results in Markdown."""
    lines = [
        f"| resident memory in MB | {' | '.join(f'after {number}' for number in AFTER)} | from the 10th to the last |",
        f"|---|{'---|' * len(AFTER)}---|",
    ]
    for label, kinds in stored["measured"].items():
        for kind, sizes in kinds.items():
            cells = [f"{sizes[number - 1]:,.0f}" if number <= len(sizes) else "" for number in AFTER]
            growth = f"{sizes[-1] - sizes[9]:+,.0f}" if len(sizes) > 9 else ""
            lines.append(f"| {label}: {KINDS[kind]} | {' | '.join(cells)} | {growth} |")
    return lines


if __name__ == "__main__":
    main()
