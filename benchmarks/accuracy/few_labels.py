"""Test accuracy after few labelled documents, beside TF-IDF + logistic regression: `make bench NAME=few_labels`.

A repeat is a seed, which draws the documents from the training part, in the proportions of the classes, and seeds the
network. Tested on the test part of `benchmarks.accuracy.corpora`. A run is appended to `results/few_labels.jsonl` when
it ends and is not repeated. The table in `docs/results.md` is drawn from that file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from benchmarks.accuracy.contenders import EMBEDDINGS, Contender, halves
from benchmarks.accuracy.corpora import Split, available, splits
from benchmarks.reporting import RESULTS, describe, store
from han import HANClassifier
from han.data.splits import stratified_split
from han.evaluation.measures import baselines

FILE = RESULTS / "few_labels.jsonl"
DATA = ("imdb", "bbc-news", "20newsgroups")
SIZES = (100, 300, 1000, 3000)
SEEDS = 5
TFIDF = "TF-IDF + logistic regression"
# Counted up when runs have to be repeated.
REVISION = 2
METHODS: dict[str, Callable[[int], Contender]] = {
    TFIDF: lambda _seed: baselines()[TFIDF],
    "han": lambda seed: HANClassifier(embeddings=EMBEDDINGS, random_state=seed, verbose=0),
}
# After 1,000 documents, of other samples and splits: the training benchmark of model2vec's repository.
PUBLISHED = {
    "model2vec, published": {"imdb": 0.856, "bbc-news": 0.972, "20newsgroups": 0.579},
    "SetFit, published": {"imdb": 0.860, "bbc-news": 0.966, "20newsgroups": 0.613},
    "BGE-base + logistic regression, published": {"imdb": 0.923, "bbc-news": 0.975, "20newsgroups": 0.674},
}


def main() -> None:
    """Run what has not been run, and draw the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    names = [name for name in arguments.data if name in available()]
    for name in names:
        (split,) = splits(name)
        for seed in range(arguments.seeds):
            for size in [size for size in arguments.sizes if size < len(split.X_train)]:
                for method in arguments.methods:
                    run_once(name, split, size, seed, method)
    draw([run for run in stored() if run["revision"] == REVISION])


def run_once(name: str, split: Split, size: int, seed: int, method: str) -> None:
    """Fit and test, unless that has been done."""
    head = {"data": name, "size": size, "seed": seed, "method": method, "revision": REVISION}
    if any(head.items() <= run.items() for run in stored()):
        return
    rng = np.random.default_rng(seed)
    _, chosen = stratified_split(split.y_train, size / len(split.y_train), rng)
    contender = METHODS[method](seed)
    started = time.monotonic()
    contender.fit([split.X_train[index] for index in chosen], split.y_train[chosen])
    run = {**head, "documents": len(chosen), "seconds": round(time.monotonic() - started, 1)}
    run["accuracy"] = accuracy_score(split.y_test, contender.predict(split.X_test))
    if isinstance(contender, HANClassifier) and contender.model_.evidence is not None:
        network, ngrams = halves(contender, split.X_test)
        for half, predicted in (("network", network), ("ngrams", ngrams)):
            run[f"accuracy_{half}"] = accuracy_score(split.y_test, contender.classes_[predicted])
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**run, **describe()}) + "\n")
    print(name, size, seed, method, run["accuracy"], f"{run['seconds']:.0f} s", file=sys.stderr, flush=True)


def stored() -> list[dict[str, Any]]:
    """Return all runs so far."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return [json.loads(line) for line in lines]


def draw(runs: list[dict[str, Any]]) -> None:
    """Draw the table."""
    lines = [f"| | documents | {' | '.join(DATA)} | median time to fit |", f"|---|---|{'---|' * len(DATA)}---|"]
    for size in SIZES:
        for method in METHODS:
            own = [run for run in runs if run["size"] == size and run["method"] == method]
            if own:
                cells = [cell([run["accuracy"] for run in own if run["data"] == name]) for name in DATA]
                seconds = median(run["seconds"] for run in own)
                lines.append(f"| {method} | {size:,} | {' | '.join(cells)} | {seconds:.0f} s |")
                if method != TFIDF:
                    cells = [cell([run["accuracy_network"] for run in own if run["data"] == name and
                                   "accuracy_network" in run]) for name in DATA]  # fmt: skip
                    lines.append(f"| {method}, the network alone | {size:,} | {' | '.join(cells)} | |")
        if size == 1000:
            for method, figures in PUBLISHED.items():
                lines.append(f"| {method} | 1,000 | {' | '.join(f'{figures[name]:.3f}' for name in DATA)} | |")
    counts = Counter((run["size"], run["method"], run["data"]) for run in runs).values()
    samples = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    spread = f"mean ± standard deviation of {samples} samples"
    store(
        "few_labels",
        {"command": "make bench NAME=few_labels", **describe(), "spread": spread, "runs": FILE.name},
        lines,
    )


def cell(values: list[float]) -> str:
    """Return the mean and the standard deviation of values."""
    if not values:
        return ""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


if __name__ == "__main__":
    main()
