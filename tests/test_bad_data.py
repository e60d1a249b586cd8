"""End-to-end tests of docs/bad_data.md; test_datasets.py tests the content of files."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from han import HANClassifier
from han.cli import cli
from han.exceptions import InvalidValueError, TrainingWarning

QUICK = {"embedding_dim": 8, "units": 4, "epochs": 1, "validation_fraction": 0.2, "random_state": 0, "verbose": 0}
GOOD, BAD = "A good film. I liked it.", "A bad film. I left."
LONG = "It was long. " * 100_000
ODD = ["", " \r\n ", "film " * 3000, "good\0film\0\0.", "a\rgood\r\nfilm\u2028here\n", "\0" * 100, LONG]


@pytest.fixture(scope="module")
def fitted():
    """A classifier trained on a hundred documents of one class and very few of others."""
    X = [*(f"{GOOD} {number}" for number in range(100)), BAD, *ODD, *ODD, "The only one of its kind."]
    y = ["good"] * 100 + ["bad"] + ["odd"] * (2 * len(ODD)) + ["single"]
    with pytest.warns(UserWarning, match="2 of 116 documents have more than max_sentences=512 sentences"):
        return HANClassifier(**QUICK).fit(X, y)


def test_empty_long_and_odd_documents_and_rare_classes_are_supported(fitted):
    assert dict(zip(fitted.classes_, fitted.class_count_, strict=True)) == {
        "good": 100, "bad": 1, "odd": 2 * len(ODD), "single": 1,
    }  # fmt: skip
    with pytest.warns(UserWarning, match="1 of 9 documents have more than max_sentences=512"):
        probabilities = fitted.predict_proba([*ODD, GOOD, BAD])
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities[0], probabilities[1])
    assert np.isfinite(fitted.history_["val_loss"]).all()


def test_all_kinds_of_line_breaks_give_the_same_probabilities(fitted):
    lines = ["A good film", "with an end", "", "I liked it"]
    for stop in ("", "."):
        texts = [line_break.join(line + stop for line in lines) for line_break in ("\n", "\r\n", "\r", "\u2028")]
        probabilities = fitted.predict_proba(texts)
        np.testing.assert_allclose(probabilities, probabilities[:1].repeat(4, axis=0), atol=1e-6)
        for text, explanation in zip(texts, fitted.explain(texts), strict=True):
            frame = explanation.to_frame()
            assert [text[start:end] for start, end in zip(frame["start"], frame["end"], strict=True)] == [
                *frame["word"]
            ]


def test_duplicates_with_different_labels_cause_a_warning():
    X, y = [GOOD, BAD, GOOD, BAD] * 5, ["good", "bad", "good", "good"] * 5
    classifier = HANClassifier(**QUICK)
    with pytest.warns(TrainingWarning, match=r"^10 documents .* trained on as they are.*labelled \['bad', 'good'\]"):
        classifier.fit(X, y)
    assert classifier.class_count_.tolist() == [5, 15]


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ([["a"], ["b"], ["a", "b"], ["b"]], r"\[\['a'\], \['a', 'b'\]\]"),
        (np.array([[1, 0], [0, 1], [1, 1], [0, 1]]), r"\[\[0\], \[0, 1\]\]"),
        ([3, 4, 5, 4], r"\[3, 5\]"),
    ],
)
def test_the_warning_shows_labels_of_any_format(y, labels):
    with pytest.raises(TrainingWarning, match=f"^2 documents .*'{GOOD}', labelled {labels}$"):  # warnings are errors
        HANClassifier(**QUICK).fit([GOOD, BAD, GOOD, BAD], y)


def test_duplicates_with_zero_weight_cause_no_warning():
    classifier = HANClassifier(**QUICK).fit([GOOD, BAD] * 8, ["a", "b"] * 7 + ["b", "a"], [1] * 14 + [0, 0])
    assert classifier.n_samples_fit_ == 16


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_documents_without_any_words_are_rejected(method):
    classifier = HANClassifier(**QUICK)
    more = {"classes": ["a", "b"]} if method == "partial_fit" else {}
    with pytest.raises(InvalidValueError, match="X must contain documents with words, got 3 documents without words"):
        getattr(classifier, method)(["", " \n", "\t"], ["a", "b", "a"], **more)
    assert not hasattr(classifier, "model_")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None, "b"], "1 labels are missing, the first at 1"),
        (pd.Series([1, 2, np.nan]), "1 labels are missing, the first at 2"),
        ([["a"], None, ["b"]], "document 1 has None"),
        (pd.DataFrame({"a": [1, 0, 1], "b": [0, np.nan, 1]}), "document 1 has .*nan"),
    ],
)
def test_missing_labels_are_rejected(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        HANClassifier(**QUICK).fit([GOOD, BAD, "Another."], y)


def test_ten_thousand_classes_are_supported():
    labels = np.arange(10_000).astype(str)
    X = [f"the name is {label}" for label in labels]
    classifier = HANClassifier(**{**QUICK, "batch_size": 2500, "monitor": "macro_f1"})
    classifier.fit(X, labels, validation_data=(X[:200], labels[:200]))
    assert len(classifier.classes_) == 10_000
    assert set(classifier.predict(X[:10])) <= set(labels)


def test_invalid_files_are_rejected_before_training(tmp_path):
    rows = [{"text": f"{GOOD} {number}", "label": "ab"[number % 2]} for number in range(20)]
    content = "\n".join(map(json.dumps, rows)).encode() + b'\n{"text": "not closed, "label": "a"}\n'
    (tmp_path / "file.jsonl").write_bytes(content)
    result = CliRunner().invoke(cli, ["train", str(tmp_path / "file.jsonl"), "--output", str(tmp_path / "model")])
    assert result.exit_code != 0
    assert "file.jsonl" in result.output
    assert "line 21 is not JSON" in result.output
    assert not (tmp_path / "model").exists()
