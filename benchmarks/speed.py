"""Words a second in `HANClassifier.fit` and `predict` on IMDB: `make bench`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from environment import describe, store

from han import HANClassifier, load_dataset
from han.text import DocumentSplitter


def main() -> None:
    """Fit and predict several times, print and store the median rates and their spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="fits and predictions, after one of each to warm up")
    parser.add_argument("--documents", type=int, help="training documents, of all")
    arguments = parser.parse_args()

    dataset = load_dataset("imdb")
    order = np.random.default_rng(0).permutation(len(dataset.X_train))[: arguments.documents]
    texts, labels = [dataset.X_train[index] for index in order], dataset.y_train[order]
    splitter = DocumentSplitter()
    train_words, test_words = _words(texts, splitter), _words(dataset.X_test, splitter)

    rates: dict[str, list[float]] = {"fit": [], "predict": []}
    for round_ in range(arguments.rounds + 1):
        classifier = HANClassifier(
            embedding_dim=100, units=50, epochs=1, validation_fraction=0, random_state=round_, verbose=0
        )
        fit_seconds = _seconds(partial(classifier.fit, texts, labels))
        predict_seconds = _seconds(partial(classifier.predict, dataset.X_test))
        fit_rate, predict_rate = train_words / fit_seconds, test_words / predict_seconds
        print(f"round {round_}: fit {fit_rate:,.0f} words/s, predict {predict_rate:,.0f} words/s", file=sys.stderr)
        if round_:  # the first round also traces and compiles
            rates["fit"].append(fit_rate)
            rates["predict"].append(predict_rate)

    results: dict[str, Any] = {
        "command": "make bench",
        **describe(),
        "setting": "IMDB, text in, one epoch or labels out; embedding 100, units 50",
        "batch_size": HANClassifier().batch_size,
        "spread": f"{arguments.rounds} rounds in one warmed-up process",
        "words_per_second": {
            name: {"median": round(float(np.median(values))), "min": round(min(values)), "max": round(max(values))}
            for name, values in rates.items()
        },
    }
    print(json.dumps(results, indent=1))
    if arguments.documents is None:
        lines = ["| | words a second, median | lowest | highest |", "|---|---|---|---|"]
        for name, rate in results["words_per_second"].items():
            lines.append(f"| `{name}` | {rate['median']:,} | {rate['min']:,} | {rate['max']:,} |")
        store("speed", results, lines)


def _words(texts: list[str], splitter: DocumentSplitter) -> int:
    return sum(len(words) for text in texts for words in splitter(text))


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
