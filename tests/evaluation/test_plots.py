from __future__ import annotations

import numpy as np
from PIL import Image

from han.evaluation.plots import confusion_figure, reliability_figure, training_curve
from han.training.calibration import reliability

HISTORY = {
    "loss": [0.9, 0.5, 0.3],
    "accuracy": [0.6, 0.8, 0.9],
    "val_loss": [0.8, 0.6, 0.7],
    "val_accuracy": [0.6, 0.7, 0.8],
}


def test_training_curve_shows_both_measures_and_the_kept_epoch(tmp_path):
    figure = training_curve(HISTORY)
    loss, accuracy = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert lines["training"] == [[1, 0.9], [2, 0.5], [3, 0.3]]
    assert lines["kept"] == [[2, 0.6]]
    assert [line.get_xydata().tolist() for line in accuracy.lines][-1] == [[2, 0.7]]
    figure.savefig(tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size[0] > 500


def test_training_curve_marks_the_best_epoch_of_the_monitored_metric():
    loss, _ = training_curve(HISTORY, "accuracy").axes
    assert [line.get_xydata().tolist() for line in loss.lines][-1] == [[3, 0.7]]


def test_training_curve_without_validation():
    loss, _ = training_curve({"loss": [0.9], "accuracy": [0.6]}).axes
    assert [line.get_label() for line in loss.lines] == ["training"]


def test_confusion_matrix_is_labelled_and_counted():
    figure = confusion_figure(np.array([[8, 2], [0, 5]]), np.array([True, False]))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["True", "False"]
    assert [text.get_text() for text in axes.texts] == ["8", "2", "0", "5"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0.0, 1.0]])


def test_class_names_are_not_formulas(tmp_path):
    figure = confusion_figure(np.eye(2, dtype=int), np.array(["$5-$10", "a$%$"]))
    figure.savefig(tmp_path / "confusion.png")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["$5-$10", "a$%$"]


def test_class_names_with_unprintable_characters_are_drawn(tmp_path):
    figure = confusion_figure(np.eye(2, dtype=int), np.array(["\ud800x", "a\x80b"]))
    figure.savefig(tmp_path / "confusion.png")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["\ufffdx", "a\ufffdb"]


def test_many_classes_are_drawn_without_numbers():
    figure = confusion_figure(np.eye(40, dtype=int), np.arange(40))
    assert not figure.axes[0].texts


def test_reliability_shows_accuracy_over_confidence_and_the_error():
    figure = reliability_figure(reliability([[0.9, 0.1]] * 8 + [[0.55, 0.45]] * 2, [0] * 6 + [1] * 3 + [0], bins=10))
    axes, counts = figure.axes
    observed = next(line for line in axes.lines if line.get_label() == "observed")
    np.testing.assert_allclose(observed.get_xydata(), [[0.55, 0.5], [0.9, 0.75]])
    assert "0.130" in axes.get_title()
    assert [bar.get_height() for bar in counts.patches] == [0, 0, 0, 0, 0, 2, 0, 0, 8, 0]
