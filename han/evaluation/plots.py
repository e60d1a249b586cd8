"""Figures: training curve, confusion matrix, reliability diagram, and faithfulness of explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from han.data.validation import Labels
from han.explain.html import VISIBLE
from han.training.calibration import Reliability

if TYPE_CHECKING:
    from han.faithfulness import Faithfulness

# Okabe and Ito's palette for colour-blind readers (https://jfly.uni-koeln.de/color/), with markers for print.
STYLES = [("#0072b2", "o"), ("#e69f00", "s"), ("#009e73", "^"), ("#cc79a7", "D"), ("#d55e00", "v"), ("#777777", "x")]


def training_curve(history: dict[str, list[float]], monitor: str = "loss") -> Figure:
    """Plot loss and accuracy by epoch; a ring marks the epoch whose weights were kept, the best by `monitor`."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, measure in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for name, label in ((measure, "training"), (f"val_{measure}", "validation")):
            if name in history:
                epochs = np.arange(1, len(history[name]) + 1)
                axes.plot(epochs, history[name], marker="o", label=label)
        if "val_loss" in history:
            monitored = np.array(history[f"val_{monitor}"])
            best = int(np.argmin(monitored) if monitor == "loss" else np.argmax(monitored))
            kept = history[f"val_{measure}"][best]
            axes.plot(best + 1, kept, "o", markersize=13, fillstyle="none", color="black", label="kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def confusion_figure(confusion: npt.NDArray[np.int64], classes: Labels) -> Figure:
    """Plot a confusion matrix [true, predicted]: colours are fractions of the true class, numbers are documents."""
    size = min(max(3.6, 0.55 * len(classes) + 2.2), 40.0)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    fractions = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="fraction of the true class")
    ticks = np.arange(len(classes))
    names = [str(label).translate(VISIBLE) for label in classes]
    axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= 30:  # with more classes, the numbers would not be readable
        for (row, column), count in np.ndenumerate(confusion):
            colour = "white" if fractions[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    return figure


def reliability_figure(reliability: Reliability) -> Figure:
    """Plot the accuracy of predictions by their probability; a perfectly calibrated classifier is on the diagonal."""
    figure = Figure(figsize=(4.4, 5.2), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    edges = np.linspace(0, 1, len(reliability.counts) + 1)
    middles, width = (edges[:-1] + edges[1:]) / 2, 0.9 / len(reliability.counts)
    axes.plot([0, 1], [0, 1], color="#777777", linestyle="--", label="perfectly calibrated")
    filled = reliability.counts > 0
    axes.bar(middles[filled], reliability.accuracy[filled], width, color=STYLES[0][0], alpha=0.35)
    axes.plot(
        reliability.confidence[filled],
        reliability.accuracy[filled],
        marker=STYLES[0][1],
        color=STYLES[0][0],
        label="observed",
    )
    axes.set_title(f"expected calibration error {reliability.error:.3f}", fontsize=10)
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)
    counts.bar(middles, reliability.counts, width, color="#777777")
    counts.set_ylabel("documents")
    counts.set_xlabel("probability of the predicted class")
    counts.set_xlim(0, 1)
    return figure


def threshold_figure(targets: npt.NDArray[np.generic], probabilities: npt.NDArray[np.float64]) -> Figure:
    """Plot precision, recall and F1 of all decisions by the threshold above which a label is predicted."""
    thresholds = np.linspace(0.01, 0.99, 99)
    true = targets.astype(bool)
    predicted = [probabilities >= threshold for threshold in thresholds]
    both = np.array([(true & part).sum() for part in predicted])
    precision = both / np.maximum([part.sum() for part in predicted], 1)
    recall = both / max(true.sum(), 1)
    curves = {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / np.maximum(precision + recall, 1e-12),
    }
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, curve), (color, _) in zip(curves.items(), STYLES, strict=False):
        axes.plot(thresholds, curve, color=color, label=name)
    axes.set_xlabel("threshold of every class")
    axes.set_ylabel("of all decisions")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def faithfulness_figure(faithfulness: Faithfulness) -> Figure:
    """Plot comprehensiveness and sufficiency by the fraction of words, and the mean decision-flip fractions."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    *curves, bars = figure.subplots(1, 3)
    summary = faithfulness.summary()
    styles = {method: STYLES[index % len(STYLES)] for index, method in enumerate(summary.index)}
    names = {method: method.replace("_", " ") for method in summary.index}
    for axes, measure, better in zip(curves, ("comprehensiveness", "sufficiency"), ("higher", "lower"), strict=True):
        for method, curve in faithfulness.curves.groupby("method", sort=False):
            color, marker = styles[method]
            axes.plot(curve["fraction"], curve[measure], color=color, marker=marker, label=names[method])
        axes.set_title(f"{measure} ({better} is better)", fontsize=10)
        axes.set_xlabel("fraction of words " + ("deleted" if measure == "comprehensiveness" else "kept"))
        axes.set_ylabel("decrease of the probability")
        axes.grid(alpha=0.3)
    figure.legend(*curves[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names), frameon=False)
    value = summary["flip_fraction"]
    low, high = value - summary["flip_fraction_low"], summary["flip_fraction_high"] - value
    colors = [styles[method][0] for method in summary.index]
    bars.barh([names[method] for method in summary.index], value, xerr=[low, high], color=colors, capsize=3)
    bars.invert_yaxis()
    bars.set_title("decision-flip fraction (lower is better)", fontsize=10)
    bars.set_xlabel("fraction deleted until the class changes")
    bars.set_xlim(0, 1)
    bars.spines[["top", "right"]].set_visible(False)
    return figure
