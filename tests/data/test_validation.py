from __future__ import annotations

from collections import deque
from decimal import Decimal
from enum import Enum
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from han.data.validation import check_class_weight, check_labels, check_sample_weight, check_target, check_texts
from han.text.splitting import DocumentSplitter

TEXTS = ["One text.", "", "Ein dritter."]


class Sign(str, Enum):  # noqa: UP042 as users write it
    PLUS = "+"
    MINUS = "-"


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
        pd.DataFrame({"text": TEXTS}),
        np.array(TEXTS)[:, None],
        pa.chunked_array([TEXTS]),
        pa.table({"text": TEXTS}),
        deque(TEXTS),
        dict(enumerate(TEXTS)).values(),
    ],
    ids=lambda texts: f"{type(texts).__name__}-{getattr(texts, 'dtype', '')}",
)
def test_texts_may_be_given_in_any_container(texts):
    assert check_texts(texts) == TEXTS


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("a bare string", TypeError, "X must be .* got a single str"),
        (b"bytes", TypeError, "got a single bytes"),
        (None, TypeError, "got NoneType"),
        (3, TypeError, "got int"),
        ({"a": 1}, TypeError, "got dict"),
        (pd.DataFrame({"text": TEXTS, "more": TEXTS}), TypeError, "got a DataFrame with 2 columns; pass the column"),
        ((text for text in TEXTS), TypeError, "got generator, which can be read only once; pass a list"),
        (np.ma.masked_array(TEXTS, [0, 1, 0]), ValueError, r"document 1 is missing \(None\)"),
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
def test_invalid_texts_are_rejected(texts, error, message):
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
        (pd.DataFrame({"label": ["b", "a", "b"]}), ["b", "a", "b"]),
        (pd.Series(pd.Categorical([2.0, 1.0, 2.0], [3.0, 2.0, 1.0]), index=[7, 7, 1]), [2.0, 1.0, 2.0]),
        (dict(enumerate("bab")).values(), ["b", "a", "b"]),
        (["b\0", "b", "b\0"], ["b\0", "b", "b\0"]),
        ([2**63, 2**63 + 1, 1], [2**63, 2**63 + 1, 1]),
        ([2**53 + 1, 2**53, 1.0], [2**53 + 1, 2**53, 1]),
        ([-1, 2**63, 2**63 + 1], [-1, 2**63, 2**63 + 1]),
        ([1, 2.0, 1], [1.0, 2.0, 1.0]),
        (np.array([2, 1, 2], np.longdouble), [2.0, 1.0, 2.0]),
        ([Sign.MINUS, Sign.PLUS, Sign.MINUS], ["-", "+", "-"]),
    ],
)
def test_labels_may_be_given_in_any_container(labels, expected):
    checked = check_labels(labels, 3)
    assert checked.tolist() == expected
    assert {type(label) for label in checked.tolist()} == {type(label) for label in expected}


@pytest.mark.parametrize(
    "labels",
    [
        np.array([1.0, 0.0]), np.array([1, 0], np.float32), np.array([1, 0], np.float16), np.array([1, 0], np.uint8),
        np.array([2**63 + 1, 2**63], np.uint64), np.array([1, 0], ">i4"), np.array([True, False]), np.array(["b", "a"]),
        pd.Series([1.0, 0.0]), pd.Series([1, 0], dtype="int8"),
    ],
    ids=lambda labels: str(labels.dtype),
)  # fmt: skip
def test_classes_have_the_same_type_as_in_scikit_learn(labels):
    expected = LogisticRegression().fit([[0.0], [1.0]], labels).classes_
    found = np.unique(check_labels(labels, 2))
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


def test_one_long_string_does_not_inflate_the_array():
    labels = ["a" * 20_000, *"b" * 50]
    assert check_labels(np.array(labels), 51).dtype == object
    assert check_labels(np.array(labels[1:]), 50).dtype == "<U1"


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, TypeError, "y must contain one string, int or bool for each document, got NoneType"),
        ("aab", TypeError, "got str"),
        (pd.DataFrame({"x": ["a", "b", "a"], "y": 0}), TypeError, "got a DataFrame with 2 columns; pass the column"),
        (iter(["a", "b", "a"]), TypeError, "got list_iterator, which can be read only once"),
        (np.ma.masked_array([1, 2, 1], [0, 0, 1]), ValueError, "1 labels are missing, the first at 2"),
        (pd.Series([True, pd.NA, False], dtype="boolean"), ValueError, "1 labels are missing, the first at 1"),
        ([b"a", b"b", b"a"], TypeError, "got bytes"),
        (pd.date_range("2020", periods=3), TypeError, "got datetime64"),
        (np.array([1, 2, 1], "m8[D]"), TypeError, "got timedelta64"),
        ([Decimal(1), Decimal(2), Decimal(1)], TypeError, "got Decimal"),
        ([Fraction(1), Fraction(2), Fraction(1)], TypeError, "got Fraction"),
        (np.array([1j, 2j, 1j]), TypeError, "got complex128"),
        ([True, 1, False], TypeError, "all of one kind, got bool and int"),
        ([10**400, 1, 1], ValueError, "got a number of more than 1023 bits"),
        ({"a", "b", "c"}, TypeError, "got set"),
        (["a", "b"], ValueError, "X and y must have the same length, got 3 documents and 2 labels"),
        (["a", None, "b"], ValueError, "1 labels are missing, the first at 1"),
        ([1.0, np.nan, 2.0], ValueError, "1 labels are missing, the first at 1"),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), ValueError, "missing, the first at 1"),
        ([0.5, 1.5, 1.0], ValueError, "got 0.5: continuous numbers are not classes"),
        ([1.0, np.inf, 2.0], ValueError, "got inf: continuous"),
        (["a", 1, "b"], TypeError, "all of one kind, got int and str"),
        ([("a",), ("b",), ("a",)], TypeError, "got tuple"),
        (np.ones((3, 2)), ValueError, r"got an array of shape \(3, 2\)"),
    ],
)
def test_invalid_labels_are_rejected(labels, error, message):
    with pytest.raises(error, match=message):
        check_labels(labels, 3)


def test_sample_weights_are_float32_and_one_by_default():
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
        ([0.0, 0.0], "only zeros"),
    ],
)
def test_invalid_sample_weights_are_rejected(weights, message):
    with pytest.raises(ValueError, match=f"sample_weight must contain .*{message}"):
        check_sample_weight(weights, 2)


@pytest.mark.parametrize("weights", ["balanced", {"a": 3.0}, {"a": 0.5, "c": 2}, None])
def test_class_weights_of_single_and_multi_label_targets_agree(weights):
    classes, targets = np.array(["a", "b", "c"]), np.array([0, 1, 1, 2, 1, 0, 1, 1])
    single = check_class_weight(weights, classes, targets)
    np.testing.assert_allclose(check_class_weight(weights, classes, np.eye(3, dtype=np.float32)[targets]), single)
    names = dict(enumerate([3.0, 1.0, 1.0])) if weights == {"a": 3.0} else None
    if weights == "balanced" or names:
        expected = compute_sample_weight(names or weights, targets)
        np.testing.assert_allclose(single, expected)


def test_multi_label_documents_have_the_mean_weight_of_their_classes():
    targets = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], np.float32)
    assert check_class_weight({"b": 5}, np.array(["a", "b"]), targets).tolist() == [1.0, 3.0, 1.0, 1.0]
    # Four labels, three of the first class and one of the second.
    np.testing.assert_allclose(
        check_class_weight("balanced", np.array(["a", "b"]), targets), [2 / 3, (2 / 3 + 2) / 2, 1, 2 / 3]
    )
    with pytest.raises(ValueError, match=r"class_weight must name classes of y, \['a', 'b'\], got 'c'"):
        check_class_weight({"c": 5}, np.array(["a", "b"]), targets)


def test_targets_may_be_large_numbers():
    classes = np.array([2**53, 2**53 + 1, 2**63], np.uint64)
    assert check_target(2**53 + 1, classes, 2).tolist() == [1, 1]
    assert check_target([2**63, 2**53], classes, 2).tolist() == [2, 0]


def test_documents_may_be_lists_of_sentences_or_of_words():
    X = ["One. Two.", ["One.", "Two."], [["One", "."], ["Two", "."]], ("One. Two.",), []]
    texts = check_texts(X)
    assert texts == ["One. Two.", "One.\nTwo.", "One .\nTwo .", "One. Two.", ""]
    assert [DocumentSplitter()(text) for text in texts] == [[["One", "."], ["Two", "."]]] * 3 + [
        [["One", ".", "Two", "."]],
        [],
    ]
    assert check_texts(pd.Series(X)) == texts
    # As pandas reads lists from Parquet files.
    cells = [np.array(["One.", "Two."], object), np.array([np.array(["One", "."]), np.array(["Two", "."])], object)]
    found = check_texts(pd.Series(cells))
    assert found == texts[1:3]
    assert [DocumentSplitter()(text) for text in found] == [[["One", "."], ["Two", "."]]] * 2
    assert X[1] == ["One.", "Two."]
    with pytest.raises(TypeError, match=r"document 1 is a list .* it contains 3 of type int"):
        check_texts(["a", ["b", 3]])
    with pytest.raises(TypeError, match=r"document 0 is a list .* it contains None of type NoneType"):
        check_texts([[["a", None]]])
