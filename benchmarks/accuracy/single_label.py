"""Test accuracy beside honest baselines, and what each setting is worth: `make bench NAME=accuracy`.

Every run is appended to `results/accuracy.jsonl` when it ends, and is not done again: stop and go on as you like. A run
is known by its data, its repeat, its method and the method's settings; change a default (or, for what no setting shows,
`REVISION`) and it is run anew. Then the tables and the figure are drawn from the file.

A repeat is a seed; for the ten published folds of movie-polarity-2000 it is the fold and the seed, and variants of the
network are run on the first three. Methods that no setting was searched for are fitted on the whole training part; the
network holds out a tenth of it for itself. The ablation is measured on development splits, a fifth of the training
parts, where defaults were chosen too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import f1_score, log_loss

from benchmarks.accuracy.contenders import (
    ABLATION,
    EVIDENCE,
    HAN,
    MAIN,
    MINOR,
    NETWORK,
    PLAIN,
    PLAIN_NETWORK,
    TABLE,
    VARIANTS,
    WITHOUT_SEED,
    Contender,
    halves,
)
from benchmarks.accuracy.corpora import FOLDED, FOLDS, NAMES, Split, available, development, splits
from benchmarks.accuracy.fitted import digest, folder
from benchmarks.reporting import MEASUREMENTS, RESULTS, describe, fill, source, store
from han.training.calibration import reliability

FILE = RESULTS / "accuracy.jsonl"
SEEDS = 3
# The rows of the README's table.
SUMMARY = ("TF-IDF + logistic regression", "NB-SVM", "fastText", NETWORK, EVIDENCE, HAN)
# What `measure` finds only of some methods, and `draw` needs.
MEASURED = ["log_loss", "calibration_error", "calibration_error_before", "accuracy_network", "accuracy_evidence"]
SMALL = ("bbc-news", "amazon-multidomain")
# Names of methods in the tables, where they differ from those of the stored runs.
SHOWN = {"as they come": PLAIN}
# What the ablation is measured on; settings of `plain` only on the first, which can be fitted some sixty times.
ABLATED = ("amazon-multidomain", "movie-polarity-2000", "20newsgroups")


def main() -> None:
    """Run what has not been run, and draw what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--methods", nargs="+", choices=[*MAIN, *ABLATION], default=[*MAIN, *ABLATION])
    parser.add_argument("--repeats", type=int, help="this many at most")
    parser.add_argument("--draw", action="store_true", help="only draw the tables and the figure")
    arguments = parser.parse_args()
    if not arguments.draw:
        for part, contenders, names in (("test", MAIN, NAMES), ("development", ABLATION, ABLATED)):
            for name in [name for name in names if name in available() and name in arguments.data]:
                run_all(part, name, {key: make for key, make in contenders.items() if key in arguments.methods},
                        arguments.repeats)  # fmt: skip
    draw()


def run_all(part: str, name: str, contenders: dict[str, Any], limit: int | None) -> None:
    """Run the contenders on one data set, the first repeat of all before the second of any."""
    parts = splits(name)
    if part == "development":
        parts = [development(split) for split in parts]
    done = {key(_renamed(run, digest(MAIN[PLAIN](0)))) for run in stored()}
    for repeat in range(min(FOLDS, limit or FOLDS)):
        for method, make in contenders.items():
            if repeat >= planned(name, method, part):
                continue
            split = parts[repeat] if len(parts) > 1 else parts[0]
            contender = make(repeat)
            head = {
                "part": part, "data": name, "repeat": repeat, "method": method, "settings": digest(contender),
            }  # fmt: skip
            if key(head) not in done:
                run = {**head, **measure(contender, split), **describe("scikit-learn", "gensim", "floret")}
                with FILE.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
                if (part, method) == ("test", HAN):
                    contender.save(folder(name, contender))  # its explanations are measured, too
                print(name, repeat, method, run["accuracy"], f"{run['seconds']:.0f} s", file=sys.stderr, flush=True)


def _renamed(run: dict[str, Any], plain: str) -> dict[str, Any]:
    """Return a run under the name that its settings have now: `PLAIN` was `HAN` once."""
    return {**run, "method": PLAIN} if (run["method"], run["settings"]) == (HAN, plain) else run


def planned(name: str, method: str, part: str = "test") -> int:
    """Return the number of repeats of a method on a data set."""
    if part == "development":
        return SEEDS if name == ABLATED[0] or method.startswith(HAN) else 0
    if method in MINOR and name not in SMALL:
        return 0
    if name == FOLDED:
        return SEEDS if method in VARIANTS else FOLDS
    return 1 if method in WITHOUT_SEED else SEEDS


def stored() -> list[dict[str, Any]]:
    """Return all runs so far."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return [json.loads(line) for line in lines]


def key(run: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a run is known by."""
    return tuple(run[name] for name in ("part", "data", "repeat", "method", "settings"))


def measure(contender: Contender, split: Split) -> dict[str, Any]:
    """Fit and test."""
    started = time.monotonic()
    contender.fit(split.X_train, split.y_train)
    seconds = time.monotonic() - started
    result: dict[str, Any] = {"seconds": round(seconds, 1)}
    targets = np.searchsorted(contender.classes_, split.y_test)
    if not hasattr(contender, "predict_proba"):
        predicted = contender.predict(split.X_test)
    else:
        probabilities = np.asarray(contender.predict_proba(split.X_test), np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)  # which float32 rounds
        predicted = contender.classes_[probabilities.argmax(axis=1)]
        result["log_loss"] = log_loss(targets, probabilities, labels=np.arange(len(contender.classes_)))
        result["calibration_error"] = reliability(probabilities, targets).error
    if hasattr(contender, "temperature_"):
        # What the probabilities were before they were divided by the temperature.
        raised = probabilities**contender.temperature_
        before = reliability(raised / raised.sum(axis=1, keepdims=True), targets).error
        result |= {"calibration_error_before": before, "epochs": len(contender.history_["loss"])}
        result["embedding_coverage"] = contender.embedding_coverage_
        if contender.model_.evidence is not None:
            network, evidence = halves(contender, split.X_test)
            result |= {
                "accuracy_network": np.mean(network == targets),
                "accuracy_evidence": np.mean(evidence == targets),
            }
    result["accuracy"] = np.mean(predicted == split.y_test)
    result["macro_f1"] = f1_score(split.y_test, predicted, average="macro")
    return {name: value and round(float(value), 5) for name, value in result.items()}


def draw() -> None:
    """Write the tables and the figure from the stored runs, of the methods' settings as they are now."""
    methods = {**MAIN, **ABLATION}
    current = {method: digest(make(0)) for method, make in methods.items()}
    runs = [_renamed(run, current[PLAIN]) for run in stored()]
    runs = [run for run in runs if current.get(run["method"]) == run["settings"]]
    frame = pd.DataFrame(runs)
    # Of methods that have not been run yet nothing is known.
    frame = frame.reindex(columns=frame.columns.union(MEASURED, sort=False))
    test = frame[frame["part"] == "test"]
    for whole, method, column in (
        (HAN, NETWORK, "accuracy_network"),
        (HAN, EVIDENCE, "accuracy_evidence"),
        (PLAIN, PLAIN_NETWORK, "accuracy_network"),
    ):
        both = test[test["method"] == whole]
        half = both[["data", "repeat", column]].rename(columns={column: "accuracy"}).assign(method=method)
        test = pd.concat([test, half], ignore_index=True)
    names = [name for name in NAMES if name in set(test["data"])]
    lines = [*accuracies(test, TABLE, names), *comparison(test, names)]
    lines += ["", f"| calibration error, log loss | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for label, method, measured in (
        ("TF-IDF + logistic regression, error", "TF-IDF + logistic regression", "calibration_error"),
        (f"{HAN}, error before temperature scaling", HAN, "calibration_error_before"),
        (f"{HAN}, error after temperature scaling", HAN, "calibration_error"),
        ("TF-IDF + logistic regression, log loss", "TF-IDF + logistic regression", "log_loss"),
        (f"{HAN}, log loss", HAN, "log_loss"),
    ):
        lines.append(f"| {label} | {' | '.join(_cell(test, method, name, measured, '.3f') for name in names)} |")
    lines += ["", "![Accuracy of each method on each data set](../benchmarks/results/accuracy.png)"]
    figure(test, names).savefig(RESULTS / "accuracy.png", dpi=110)
    head = {
        "command": "make bench NAME=accuracy",
        **describe("scikit-learn", "gensim", "floret"),
        # Of the runs, not of the drawing.
        "machine": " and ".join(sorted(set(frame["machine"]))),
        "date": " to ".join(sorted({frame["date"].min(), frame["date"].max()})),
        "spread": f"mean ± standard deviation over {SEEDS} seeds; for {FOLDED}, over folds",
    }
    summary = test.groupby(["data", "method"], sort=False)[["accuracy", "macro_f1", "log_loss", "seconds"]]
    results = {**head, "test": _records(summary.agg(["mean", "std", "count"]))}
    store("accuracy", results, lines)
    fill("accuracy-summary", [*accuracies(test, SUMMARY, names), "", f"{source(results)}; {results['spread']}."])
    ablated = frame[frame["part"] == "development"]
    if len(ablated):
        store_ablation(head, ablated)


def accuracies(runs: pd.DataFrame, methods: Sequence[str], names: list[str]) -> list[str]:
    """Return a table of the accuracy of each method on each data set."""
    lines = [f"| test accuracy | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for method in [method for method in methods if method in set(runs["method"])]:
        cells = [_cell(runs, method, name, "accuracy", ".3f") for name in names]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def comparison(runs: pd.DataFrame, names: list[str]) -> list[str]:
    """Return a table of how much more accurate the plain network is than its variants, on the same seeds and folds."""
    accuracy: Any = runs.pivot_table(index=["data", "repeat"], columns="method", values="accuracy")
    lines = [f"| {PLAIN_NETWORK} minus variant | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for method in [method for method in VARIANTS if method in accuracy]:
        cells = []
        for name in names:
            lead = (accuracy.loc[name, PLAIN_NETWORK] - accuracy.loc[name, method]).dropna()
            spread = f" ± {lead.std():.3f}" if len(lead) > 1 else ""
            cells.append(f"{lead.mean():+.3f}{spread}" if len(lead) else "")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return ["", *lines] if len(lines) > 2 else []


def store_ablation(head: dict[str, Any], runs: pd.DataFrame) -> None:
    """Write `docs/measurements/ablation.md`: what each setting is worth on the development splits."""
    names = [name for name in ABLATED if name in set(runs["data"])]
    lines = ["# What each setting is worth", "", "Accuracy and log loss on development splits, a fifth of the training",
             "parts; one setting changed at a time.", "",
             f"| setting | {' | '.join(f'{name}, accuracy | log loss' for name in names)} |",
             "|---" * (2 * len(names) + 1) + "|"]  # fmt: skip
    for method in [method for method in ABLATION if method in set(runs["method"])]:
        measured = itertools.product(names, ("accuracy", "log_loss"))
        cells = [_cell(runs, method, name, value, ".4f", "development") for name, value in measured]
        prefix = "plain, " if method not in SHOWN and not method.startswith(HAN) else ""
        lines.append(f"| {prefix}{SHOWN.get(method, method)} | {' | '.join(cells)} |")
    lines += ["", f"{source(head)}; mean ± standard deviation over {SEEDS} seeds."]
    (MEASUREMENTS / "ablation.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def figure(runs: pd.DataFrame, names: list[str]) -> Figure:
    """Draw accuracies, a panel for each data set; a line as wide as two standard deviations."""
    figure = Figure(figsize=(2.6 * len(names) + 2.4, 4.2), layout="constrained")
    methods = [method for method in TABLE if method in set(runs["method"]) and method != "majority class"]
    for axes, name in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        for row, method in enumerate(methods):
            values = runs[(runs["data"] == name) & (runs["method"] == method)]["accuracy"]
            if len(values):
                color = "#d55e00" if method == HAN else "#0072b2" if "HN-" in method else "#777777"
                spread = values.std() if len(values) > 1 else 0.0
                axes.errorbar(values.mean(), row, xerr=spread, marker="o", color=color, capsize=2)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("test accuracy")
        axes.grid(axis="x", alpha=0.3)
    figure.axes[0].invert_yaxis()
    return figure


def _cell(runs: pd.DataFrame, method: str, name: str, measure: str, form: str, part: str = "test") -> str:
    """Return mean and spread; where runs are still to come, also how many there are."""
    values = runs[(runs["method"] == method) & (runs["data"] == name)][measure].dropna()
    if not len(values):
        return ""
    runs_planned = planned(name, method, part)
    spread = f" ± {values.std():{form}}" if len(values) > 1 else ""
    return f"{values.mean():{form}}{spread}" + (
        f" ({len(values)} of {runs_planned} runs)" if len(values) < runs_planned else ""
    )


def _records(summary: pd.DataFrame) -> list[dict[str, Any]]:
    summary.columns = pd.Index(["_".join(column) for column in summary.columns])
    records: list[dict[str, Any]] = json.loads(summary.reset_index().round(5).to_json(orient="records"))
    return records


if __name__ == "__main__":
    main()
