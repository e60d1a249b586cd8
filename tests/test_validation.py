from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from han.backend import keras
from han.text import DocumentSplitter
from han.validation import check_callbacks, check_labels, check_sample_weight, check_texts

TEXTS = ["One text.", "", "Ein dritter."]


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS, dtype=object, index=[9, 9, 1]),
        pd.Series(TEXTS, dtype="string"),
        pd.Series(TEXTS, dtype="string[pyarrow]"),
        pd.Series(TEXTS, dtype="category"),
        pd.Index(TEXTS),
    ],
    ids=lambda texts: f"{type(texts).__name__}-{getattr(texts, 'dtype', '')}",
)
def test_texts_in_any_container(texts):
    assert check_texts(texts) == TEXTS


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("a bare string", TypeError, "X must be .* got a single str"),
        (b"bytes", TypeError, "got a single bytes"),
        (None, TypeError, "got NoneType"),
        (3, TypeError, "got int"),
        ({"a": 1}, TypeError, "got dict"),
        (pd.DataFrame({"text": TEXTS}), TypeError, "got a DataFrame; pass the column"),
        (np.array([TEXTS]), ValueError, r"got an array of shape \(1, 3\)"),
        ([], ValueError, "got no documents"),
        (pd.Series([], dtype=object), ValueError, "got no documents"),
        (["a", None], ValueError, r"document 1 is missing \(None\)"),
        (pd.Series(["a", np.nan]), ValueError, r"document 1 is missing \(nan\)"),
        (pd.Series(["a", pd.NA], dtype="string"), ValueError, "document 1 is missing"),
        (["a", 3], TypeError, "document 1 is of type int: 3"),
        (np.array([1.0, 2.0]), TypeError, "document 0 is of type float64"),
        ([b"a"], TypeError, "document 0 is of type bytes"),
        ([{"a", "b"}], TypeError, "document 0 is of type set"),
    ],
)
def test_what_is_not_texts_is_refused(texts, error, message):
    with pytest.raises(error, match=message):
        check_texts(texts)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ["b", "a", "b"]),
        ((2, 1, 2), [2, 1, 2]),
        ([True, False, True], [True, False, True]),
        (np.array([2.0, 1.0, 2.0]), [2.0, 1.0, 2.0]),
        ([2.0, 1.0, 2.0], [2.0, 1.0, 2.0]),
        ([2**70, 1, 2**70], [2**70, 1, 2**70]),
        (np.array(["b", "a", "b"], dtype=np.dtypes.StringDType()), ["b", "a", "b"]),
        (np.array([["b"], ["a"], ["b"]]), ["b", "a", "b"]),
        (pd.Series(["b", "a", "b"], dtype="category"), ["b", "a", "b"]),
        (pd.Series([2, 1, 2], dtype="Int64"), [2, 1, 2]),
        (pd.Series(["b", "a", "b"], dtype="string[pyarrow]"), ["b", "a", "b"]),
        (pd.Series([True, False, True], dtype=object), [True, False, True]),
        (pa.array(["b", "a", "b"]), ["b", "a", "b"]),
    ],
)
def test_labels_in_any_container(labels, expected):
    checked = check_labels(labels, 3)
    assert checked.tolist() == expected
    assert type(checked.tolist()[0]) is type(expected[0])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, TypeError, "y must hold one string, int or bool for each document, got NoneType"),
        ("aab", TypeError, "got str"),
        (pd.DataFrame({"label": ["a", "b", "a"]}), TypeError, "got a DataFrame; pass the column"),
        ({"a", "b", "c"}, TypeError, "got set"),
        (["a", "b"], ValueError, "X and y must have the same length, got 3 documents and 2 labels"),
        (["a", None, "b"], ValueError, "1 labels are missing, the first at 1"),
        ([1.0, np.nan, 2.0], ValueError, "1 labels are missing, the first at 1"),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), ValueError, "missing, the first at 1"),
        ([0.5, 1.5, 1.0], ValueError, "got 0.5: continuous numbers are no classes"),
        ([1.0, np.inf, 2.0], ValueError, "got inf: continuous"),
        (["a", 1, "b"], TypeError, "all of one kind, got int and str"),
        ([("a",), ("b",), ("a",)], TypeError, "got tuple"),
        (np.ones((3, 2)), ValueError, r"got an array of shape \(3, 2\)"),
    ],
)
def test_what_is_not_labels_is_refused(labels, error, message):
    with pytest.raises(error, match=message):
        check_labels(labels, 3)


def test_sample_weight():
    assert check_sample_weight(None, 2).tolist() == [1.0, 1.0]
    assert check_sample_weight([0, 2], 2).dtype == np.float32


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"got an array of shape \(1,\)"),
        ([1.0, -1.0], "got -1.0"),
        ([1.0, np.inf], "got inf"),
        ([np.nan, 1.0], "got nan"),
        (["a", "b"], r"got \['a', 'b'\]"),
        (["1", "2"], r"got \['1', '2'\]"),
        ([1j, 2j], "got"),
        ([0.0, 0.0], "a weight of zero for all"),
    ],
)
def test_bad_sample_weight_is_refused(weights, message):
    with pytest.raises(ValueError, match=f"sample_weight must hold .*{message}"):
        check_sample_weight(weights, 2)


def test_callbacks():
    callback = keras.callbacks.Callback()
    assert check_callbacks(None) == []
    assert check_callbacks((callback,)) == [callback]


@pytest.mark.parametrize(
    "callbacks", [keras.callbacks.Callback(), [print], ["early stopping"], [keras.callbacks.Callback]]
)
def test_bad_callbacks_are_refused(callbacks):
    with pytest.raises(TypeError, match=r"callbacks must be a list of keras\.callbacks\.Callback, got"):
        check_callbacks(callbacks)


def test_documents_may_be_lists_of_sentences_or_of_words():
    X = ["One. Two.", ["One.", "Two."], [["One", "."], ["Two", "."]], ("One. Two.",), []]
    texts = check_texts(X)
    assert texts == ["One. Two.", "One.\nTwo.", "One .\nTwo .", "One. Two.", ""]
    assert [DocumentSplitter()(text) for text in texts] == [[["One", "."], ["Two", "."]]] * 3 + [
        [["One", ".", "Two", "."]],
        [],
    ]
    assert check_texts(pd.Series(X)) == texts
    assert X[1] == ["One.", "Two."]
    with pytest.raises(TypeError, match=r"document 1 is a list .* 3 of type int"):
        check_texts(["a", ["b", 3]])
    with pytest.raises(TypeError, match=r"document 0 is a list .* None of type NoneType"):
        check_texts([[["a", None]]])
