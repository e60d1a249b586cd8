"""Multi-label classification of Reuters-21578, beside one-vs-rest linear models: `make bench NAME=multilabel`.

A fifth of the training part of the ModApte split is tested on, as everywhere in this project. Every method's thresholds
are tuned on what it was trained on: the linear models' by cross-validation in five folds, the network's on the tenth of
the documents that it holds out. Runs are kept in `results/multilabel.jsonl` and not done again. Settings were chosen on
a development split of the other four fifths (`--development`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks.accuracy.contenders import EMBEDDINGS
from benchmarks.accuracy.corpora import REUTERS, SHARED, Split, divided, reuters
from benchmarks.accuracy.fitted import folder
from benchmarks.reporting import RESULTS, describe, store
from han import HANClassifier
from han.data.labels import LabelEncoder
from han.evaluation.measures import baselines
from han.training.calibration import fit_thresholds

Floats = npt.NDArray[np.float64]
# Takes the name of the part, its documents, the labels' encoder and a seed.
Measured = Callable[[str, Split, LabelEncoder, int], tuple[Floats, Floats]]
FILE = RESULTS / "multilabel.jsonl"
SEEDS = 3
# Counted up when a method comes to do something else.
REVISION = 2


def linear(one_threshold: bool) -> Measured:
    """Return what returns probabilities of the test part and thresholds, of TF-IDF and logistic regression.

    One threshold for all classes, with the highest micro-F1; or one for each, with the highest F1 of the class.
    """

    def run(_part: str, split: Split, form: LabelEncoder, _seed: int) -> tuple[Floats, Floats]:
        targets = form.encode(split.y_train, len(split.X_train))
        model = baselines(multi_label=True)["TF-IDF + logistic regression"]
        folds = KFold(5, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a fold has no document of some topic
            held_out = cross_val_predict(model, split.X_train, targets, cv=folds, method="predict_proba")
        shape = (-1, 1) if one_threshold else held_out.shape
        thresholds = fit_thresholds(held_out.reshape(shape), targets.reshape(shape))
        return model.fit(split.X_train, targets).predict_proba(split.X_test), thresholds

    return run


def han(**settings: Any) -> HANClassifier:
    """Return a `HANClassifier` with spaCy's vectors, and other settings as they come."""
    return HANClassifier(embeddings=EMBEDDINGS, calibrate=True, tune_thresholds=True, verbose=0, **settings)


def network(**settings: Any) -> Measured:
    """Return what does as `linear` for `han`."""

    def run(part: str, split: Split, form: LabelEncoder, seed: int) -> tuple[Floats, Floats]:
        classifier = han(random_state=seed, **settings)
        classifier.fit(split.X_train, form.decode(form.encode(split.y_train, len(split.X_train)) > 0))
        if part == "test":
            classifier.save(folder("reuters", classifier))  # its explanations are measured, too
        return classifier.predict_proba(split.X_test).astype(float), classifier.thresholds_

    return run


METHODS: dict[str, Measured] = {
    "TF-IDF + logistic regression, one threshold": linear(one_threshold=True),
    "TF-IDF + logistic regression, one of each class": linear(one_threshold=False),
    "HN-ATT": network(ngram_evidence=False),
    "HN-ATT and n-grams (han)": network(),
}
# Names of methods in the table, where they differ from those of the stored runs.
SHOWN = {
    "TF-IDF + logistic regression, one of each class": "TF-IDF + logistic regression, one threshold per class",
}
WITHOUT_SEED = tuple(method for method in METHODS if method.startswith("TF-IDF"))


def main() -> None:
    """Run what has not been run, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--development", action="store_true", help="measure on the development split")
    arguments = parser.parse_args()
    if not (SHARED / REUTERS).is_file():
        sys.exit(f"{REUTERS} is not here; HAN_DATA names the folder that holds it")
    part = "development" if arguments.development else "test"
    split = divided(reuters(), 123) if arguments.development else reuters()
    form = LabelEncoder.learn([*split.y_train, *split.y_test], len(split.y_train) + len(split.y_test))
    for seed in range(arguments.seeds):
        for method in arguments.methods:
            done = {(run["part"], run["method"], run["seed"], run["revision"]) for run in stored()}
            if (part, method, seed, REVISION) in done or (seed and method in WITHOUT_SEED):
                continue
            started = time.monotonic()
            probabilities, thresholds = METHODS[method](part, split, form, seed)
            run = {
                "part": part, "method": method, "seed": seed, "revision": REVISION,
                "seconds": round(time.monotonic() - started, 1),
                **measures(form.encode(split.y_test, len(split.X_test)), probabilities, thresholds),
                **describe("scikit-learn"),
            }  # fmt: skip
            with FILE.open("a", encoding="utf-8") as file:
                file.write(json.dumps(run) + "\n")
            print(part, method, seed, run["micro_f1"], run["macro_f1"], f"{run['seconds']:.0f} s", flush=True)
    write()


def measures(targets: npt.NDArray[Any], probabilities: Floats, thresholds: Floats) -> dict[str, float]:
    """Return F1 with the tuned thresholds and with 0.5."""
    result = {}
    for suffix, predicted in (("", probabilities >= thresholds), ("_at_a_half", probabilities >= 0.5)):
        for average in ("micro", "macro"):
            score = f1_score(targets, predicted, average=average, zero_division=0)
            result[f"{average}_f1{suffix}"] = round(float(score), 5)
    return result


def stored() -> list[dict[str, Any]]:
    """Return all runs so far."""
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()] if FILE.exists() else []


def write() -> None:
    """Write the table to the README, and the means to `results/multilabel.json`."""
    runs = pd.DataFrame([run for run in stored() if run["part"] == "test" and run["revision"] == REVISION])
    if runs.empty:
        return
    columns = ["micro_f1", "macro_f1", "micro_f1_at_a_half", "seconds"]
    lines = ["| Reuters-21578, 90 topics | micro-F1 | macro-F1 | micro-F1, thresholds of 0.5 |", "|---" * 4 + "|"]
    records = []
    for method in [method for method in METHODS if method in set(runs["method"])]:
        values = runs[runs["method"] == method][columns]
        cells = [
            f"{values[name].mean():.4f}" + (f" ± {values[name].std():.4f}" if len(values) > 1 else "")
            for name in columns[:-1]
        ]
        lines.append(f"| {SHOWN.get(method, method)} | {' | '.join(cells)} |")
        records.append({"method": method, "runs": len(values), **values.mean().round(5).to_dict()})
    head = {"command": "make bench NAME=multilabel", **describe("scikit-learn"), "date": runs["date"].max()}
    store("multilabel", {**head, "spread": f"mean ± standard deviation over {SEEDS} seeds", "methods": records}, lines)


if __name__ == "__main__":
    main()
