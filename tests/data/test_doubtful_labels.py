from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from han import HANClassifier
from han.data.doubtful_labels import warn_of_doubtful_classes, warn_of_one_hot
from han.data.labels import LabelEncoder
from han.exceptions import TrainingWarning


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["pos", "pos ", "neg"], "'pos' and 'pos '"),
        (["pos", "neg", "\tpos\r"], r"'\\tpos\\r' and 'pos'"),
        (["pos", "pos\u200b", "neg"], r"'pos' and 'pos\\u200b'"),
        (["\ufeffpos", "pos", "neg"], r"'pos' and '\\ufeffpos'"),
        (["New York", "New\xa0York", "x"], r"'New York' and 'New\\xa0York'"),
        (["caf\xe9", "cafe\u0301", "x"], r"'cafe\\u0301' and 'caf\\xe9'"),
        (["a\0", "a", "x"], r"'a' and 'a\\x00'"),
    ],
)
def test_classes_that_look_the_same_cause_a_warning(labels, shown):
    with pytest.warns(TrainingWarning, match=f"y has classes that look the same, {shown}: they are treated as"):
        warn_of_doubtful_classes(LabelEncoder.learn(labels, 3))


@pytest.mark.parametrize(
    "label",
    ["['a', 'b']", "[]", '["a"]', "['a' 'b']", "[0 1]", "[1.0, 0.0]", "('a', 'b')", "{'a'}", "frozenset({'a'})"],
)
def test_lists_converted_to_strings_cause_a_warning(label):
    with pytest.warns(TrainingWarning, match="y has 1 classes that look like lists converted to strings, for example"):
        warn_of_doubtful_classes(LabelEncoder(np.array([label, "plain"])))


def test_lists_saved_to_a_csv_file_cause_a_warning(tmp_path):
    pd.DataFrame({"tags": [["a", "b"], ["a"], np.array(["b", "c"])]}).to_csv(tmp_path / "tags.csv", index=False)
    labels = pd.read_csv(tmp_path / "tags.csv")["tags"]
    with pytest.warns(TrainingWarning, match="y has 3 classes that look like lists"):
        warn_of_doubtful_classes(LabelEncoder.learn(labels, 3))


@pytest.mark.parametrize(
    "classes",
    [["pos", "Pos", "post", "p os"], ["[spam]", "(other)", "a, b", "[a] b"], ["", "x"], [1, 2], [True, False]],
)
def test_ordinary_classes_cause_no_warning(classes):
    warn_of_doubtful_classes(LabelEncoder(np.array(classes)))


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (np.eye(3, dtype=int), r"y\.argmax\(axis=1\)"),
        (pd.get_dummies(["a", "b", "c"]), r"y\.argmax\(axis=1\)"),
        ([["a"], ["b"], ["c"]], r"\[label for \(label,\) in y\]"),
    ],
)
def test_multi_label_targets_with_exactly_one_class_cause_a_warning(labels, advice):
    encoder = LabelEncoder.learn(labels, 3)
    with pytest.warns(TrainingWarning, match=f"each of the 3 documents has exactly one of the 3 classes.*{advice}"):
        warn_of_one_hot(encoder, encoder.encode(labels, 3))


@pytest.mark.parametrize("labels", [[[1, 0], [1, 1], [0, 1]], [["a"], ["b"], []], ["a", "b", "b"]])
def test_other_numbers_of_classes_cause_no_warning(labels):
    encoder = LabelEncoder.learn(labels, 3)
    warn_of_one_hot(encoder, encoder.encode(labels, 3))


@pytest.mark.parametrize(
    ("method", "y", "message"),
    [
        ("fit", np.eye(2, dtype=int)[[0, 1] * 4], "has exactly one of the 2 classes"),
        ("fit", ["pos", "pos "] * 4, "look the same"),
        ("fit", ["['a']", "['b']"] * 4, "look like lists"),
        ("partial_fit", ["pos", "pos "] * 4, "look the same"),
    ],
)
def test_warnings_are_issued_before_training(method, y, message):
    classifier = HANClassifier(verbose=0)
    more = {"classes": ["pos", "pos "]} if method == "partial_fit" else {}
    with pytest.raises(TrainingWarning, match=message):  # warnings are errors
        getattr(classifier, method)(["A film.", "Another."] * 4, y, **more)
    assert not hasattr(classifier, "model_")
