"""How faithful explanations are, what they cost, and whether they pass sanity checks: `make bench NAME=explanations`.

On a data set of sentiment (IMDB), one of topics (BBC News) and one of several topics (Reuters-21578, if it is here),
with the classifiers whose accuracy is measured, and test documents. A run, of one data set and one seed, is appended to
`results/explanations.jsonl` when it ends, and is not repeated. The tables in `docs/faithfulness.md` and
`results/faithfulness.png` are drawn from that file.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from statistics import mean, median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy.contenders import EMBEDDINGS, HAN, MAIN
from benchmarks.accuracy.corpora import REUTERS, SHARED, Split, reuters, splits
from benchmarks.accuracy.fitted import fitted
from benchmarks.accuracy.multilabel import han as of_topics
from benchmarks.explanations.sanity import permuted, planted, randomised
from benchmarks.reporting import RESULTS, describe, store
from benchmarks.speed.contender import seconds
from han import HANClassifier
from han.evaluation.plots import faithfulness_figure
from han.faithfulness import MEASURES, Faithfulness, faithfulness

FILE = RESULTS / "explanations.jsonl"
COMMAND = "make bench NAME=explanations"
TITLES = {"imdb": "IMDB, sentiment", "bbc-news": "BBC News, topics", "reuters": "Reuters-21578, several topics"}
SEEDS = 3
# Test documents at most, in total and for the shortcut, and documents to learn the shortcut from.
DOCUMENTS, SHORTCUT_DOCUMENTS, SHORTCUT_TRAINING = 1000, 200, 2000
# Counted up when runs have to be repeated.
REVISION = 2


def main() -> None:
    """Run what has not been run, and draw the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    for seed in range(arguments.seeds):
        for name in arguments.data:
            head = {"data": name, "seed": seed, "revision": REVISION}
            is_there = name != "reuters" or (SHARED / REUTERS).is_file()
            if is_there and not any(head.items() <= run.items() for run in stored()):
                run = {**head, **measure(name, seed), **describe()}
                with FILE.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
                print(name, seed, file=sys.stderr, flush=True)
    runs = [run for run in stored() if run["revision"] == REVISION]
    if any(run["data"] == "imdb" for run in runs):  # the figure is of IMDB
        draw(runs)


def stored() -> list[dict[str, Any]]:
    """Return all runs so far."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return [json.loads(line) for line in lines]


def trained(name: str, seed: int) -> tuple[HANClassifier, Split]:
    """Return a classifier, and the documents of its data set."""
    if name == "reuters":
        split = reuters()
        return fitted(name, of_topics(random_state=seed), split), split
    (split,) = splits(name)
    return fitted(name, MAIN[HAN](seed), split), split


def measure(name: str, seed: int) -> dict[str, Any]:
    """Measure explanations of test documents."""
    classifier, split = trained(name, seed)
    rng = np.random.default_rng(seed)
    texts = [split.X_test[index] for index in rng.permutation(len(split.X_test))[:DOCUMENTS]]
    ratios = []
    for _ in range(6):  # the first of these compiles
        predicting = seconds(partial(classifier.predict, texts))
        ratios.append(seconds(partial(classifier.explain, texts)) / predicting)
    measured = faithfulness(classifier, texts, random_state=seed)
    corpus = classifier.reader().encode(texts)
    corpus = corpus.take(np.flatnonzero(corpus.word_counts))
    changes = permuted(classifier, corpus, seed)
    sanity = {
        "correlation_with_random_weights": mean(randomised(classifier, corpus, seed)),
        "change_by_permuted_attention": float(changes.mean()),
    }
    if name == "imdb":
        chosen = rng.permutation(len(split.X_train))[:SHORTCUT_TRAINING]
        training = [split.X_train[index] for index in chosen], split.y_train[chosen]
        sanity["shortcut_first"] = planted(*training, texts[:SHORTCUT_DOCUMENTS], seed, embeddings=EMBEDDINGS)
    return {
        "documents": len(texts),
        "means": measured.per_document.groupby("method", sort=False)[list(MEASURES)].mean().round(4).to_dict("index"),
        "curves": measured.curves.round(4).to_dict("records"),
        "times_predicting": [round(ratio, 2) for ratio in ratios[1:]],
        **{name: round(value, 3) for name, value in sanity.items()},
    }


def draw(runs: list[dict[str, Any]]) -> None:
    """Draw the figure and the tables."""
    figure = faithfulness_figure(of_seeds([run for run in runs if run["data"] == "imdb"]))
    figure.savefig(RESULTS / "faithfulness.png", dpi=110)
    seeds = len({run["seed"] for run in runs})
    spread_of = f"means of {seeds} seeds (lowest to highest)" if seeds > 1 else "one seed"
    results = {"command": COMMAND, **describe(), "spread": spread_of, "runs": FILE.name}
    lines = []
    for name, title in TITLES.items():
        own = [run for run in runs if run["data"] == name]
        if own:
            lines += [*table(title, own), "", *sanity_lines(own), ""]
    store("explanations", results, [*lines, "![The measures of each method](../benchmarks/results/faithfulness.png)"])


def of_seeds(runs: list[dict[str, Any]]) -> Faithfulness:
    """Return the measures of several seeds as those of several documents."""
    rows = [{"method": method, **row} for run in runs for method, row in run["means"].items()]
    curves = pd.concat([pd.DataFrame(run["curves"]) for run in runs])
    curves = curves.groupby(["method", "fraction"], sort=False).mean().reset_index()
    return Faithfulness(pd.DataFrame(rows), curves)


def table(title: str, runs: list[dict[str, Any]]) -> list[str]:
    """Return the measures on one data set as Markdown."""
    lines = [
        f"**{title}** ({runs[0]['documents']:,} test documents)",
        "",
        "| words ranked by | comprehensiveness (high) | sufficiency (low) | decision-flip fraction (low) | "
        "three top words agree (high) |",
        "|---|---|---|---|---|",
    ]
    for method in runs[0]["means"]:
        cells = [spread([run["means"][method][name] for run in runs]) for name in MEASURES]
        lines.append(f"| {method.replace('_', ' ')} | {' | '.join(cells)} |")
    return lines


def sanity_lines(runs: list[dict[str, Any]]) -> list[str]:
    """Return what explanations cost, and the sanity checks, as Markdown."""
    costs = [median(run["times_predicting"]) for run in runs]

    def over(name: str) -> str:
        return spread([run[name] for run in runs])

    lines = [
        f"- Explaining by contributions took {spread(costs, 2)} times as long as predicting.",
        f"- Rank correlation with the contributions of a network of random weights: "
        f"{over('correlation_with_random_weights')}.",
        f"- When attention is permuted, the probability that changes most does so by "
        f"{over('change_by_permuted_attention')}.",
    ]
    if "shortcut_first" in runs[0]:
        lines.append(f"- A planted shortcut is the highest-scoring word in {over('shortcut_first')} of the documents.")
    return lines


def spread(values: list[float], digits: int = 3) -> str:
    """Return the mean of values with the lowest and the highest."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
