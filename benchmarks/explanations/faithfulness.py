"""How faithful explanations are, and what they cost, on IMDB: `make bench NAME=explanations`.

The classifier has the settings that it comes with; the documents are from the test part. Writes
`results/explanations.json`, `results/faithfulness.png` and the table in `docs/faithfulness.md`.
"""

from __future__ import annotations

import argparse
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.reporting import RESULTS, describe, store
from benchmarks.speed.contender import seconds
from han import HANClassifier, load_dataset
from han.evaluation.plots import faithfulness_figure
from han.faithfulness import MEASURES, faithfulness

SEED = 0


def main() -> None:
    """Train, measure, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--model", help="a saved classifier of the same seed, instead of training one")
    arguments = parser.parse_args()
    documents = arguments.documents
    dataset = load_dataset("imdb")
    if arguments.model:
        classifier = HANClassifier.load(arguments.model)
    else:
        classifier = HANClassifier(random_state=SEED, verbose=0).fit(dataset.X_train, dataset.y_train)
    chosen = np.random.default_rng(SEED).permutation(len(dataset.X_test))[:documents]
    texts = [dataset.X_test[index] for index in chosen]

    ratios = []
    for _ in range(6):  # the first of these compiles
        predicting = seconds(partial(classifier.predict, texts))
        ratios.append(seconds(partial(classifier.explain, texts)) / predicting)
    measured = faithfulness(classifier, texts, random_state=SEED)
    summary = measured.summary()
    results: dict[str, Any] = {
        "command": "make bench NAME=explanations",
        **describe(),
        "setting": f"IMDB, {len(texts):,} test documents, seed {SEED}",
        "documents": len(texts),
        "spread": "mean (95 % confidence interval over documents)",
        "summary": summary.round(4).to_dict("index"),
        "curves": measured.curves.round(4).to_dict("records"),
        "times_predicting": {"median": round(median(ratios[1:]), 2), "all": np.round(ratios[1:], 2).tolist()},
    }
    faithfulness_figure(measured).savefig(RESULTS / "faithfulness.png", dpi=110)
    store("explanations", results, table(results))


def table(results: dict[str, Any]) -> list[str]:
    """Return the measures as Markdown, and what an explanation costs."""
    lines = [
        "| words ranked by | comprehensiveness (high) | sufficiency (low) | decision-flip fraction (low) | "
        "three top words agree (high) |",
        "|---|---|---|---|---|",
    ]
    for method, row in results["summary"].items():
        cells = [f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})" for name in MEASURES]
        lines.append(f"| {method.replace('_', ' ')} | {' | '.join(cells)} |")
    ratio = results["times_predicting"]
    cost = f"{ratio['median']} ({min(ratio['all'])} to {max(ratio['all'])})"
    return [
        *lines,
        "",
        f"Explaining {results['documents']:,} documents by contributions took {cost} times as long as predicting them.",
        "",
        "![The three measures of each method](../benchmarks/results/faithfulness.png)",
    ]


if __name__ == "__main__":
    main()
