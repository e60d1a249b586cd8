"""Test-set quality of `HANClassifier` as it comes, on the named data sets, beside the baselines: `make quality`.

Writes `results/quality.json` and the table in the README. Settings are the defaults; only the random state differs
between seeds. The split is fixed, and nothing is chosen on its test part.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
from environment import describe, store

from han import HANClassifier, load_dataset
from han.evaluation import Evaluation, baselines, evaluate


def main() -> None:
    """Fit on each data set with several seeds, and store the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    results: dict[str, Any] = {"command": "make quality", **describe(), "seeds": list(seeds), "data": {}}
    results["spread"] = f"mean ± standard deviation over {len(seeds)} seeds"
    for name in ("imdb", "bbc-news"):
        dataset = load_dataset(name)
        rows: dict[str, list[dict[str, float]]] = {}
        for method, baseline in baselines().items():
            baseline.fit(dataset.X_train, dataset.y_train)
            rows[method] = [_measures(evaluate(baseline, dataset.X_test, dataset.y_test))]
        rows["han"] = []
        for seed in seeds:
            classifier = HANClassifier(random_state=seed, verbose=0).fit(dataset.X_train, dataset.y_train)
            rows["han"].append(_measures(evaluate(classifier, dataset.X_test, dataset.y_test)))
            print(name, seed, rows["han"][-1], file=sys.stderr, flush=True)
        results["data"][name] = rows
    store("quality", results, table(results))


def _measures(evaluation: Evaluation) -> dict[str, float]:
    return {
        name: round(value, 5)
        for name, value in asdict(evaluation).items()
        if name in ("accuracy", "macro_f1", "log_loss")
    }


def table(results: dict[str, Any]) -> list[str]:
    """Return the results as lines of a Markdown table: means, and the standard deviation over seeds."""
    lines = ["| data | method | accuracy | macro F1 | log loss |", "|---|---|---|---|---|"]
    for name, rows in results["data"].items():
        for method, runs in rows.items():
            cells = []
            for measure in ("accuracy", "macro_f1", "log_loss"):
                values = [run[measure] for run in runs]
                spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
                cells.append(f"{np.mean(values):.4f}{spread}")
            lines.append(f"| {name} | {method} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
