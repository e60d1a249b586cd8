from __future__ import annotations

from collections import deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import MultiLabelBinarizer

from han.data.labels import LabelEncoder
from han.exceptions import UnknownClassWarning

MATRIX = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 1]])
SETS = [["oil", "gas"], [], ["tin", "gas"], ["oil", "tin", "gas"]]


@pytest.mark.parametrize(
    ("labels", "classes", "multi_label"),
    [
        (["b", "a", "b", "c"], ["a", "b", "c"], False),
        (np.array([3, 1, 1, 3]), [1, 3], False),
        (pd.Series([True, False, True, True]), [False, True], False),
        (MATRIX, [0, 1, 2], True),
        (MATRIX.astype(bool), [0, 1, 2], True),
        (MATRIX.astype(float), [0, 1, 2], True),
        (MATRIX.tolist(), [0, 1, 2], True),
        (sparse.csr_matrix(MATRIX), [0, 1, 2], True),
        (pd.DataFrame(MATRIX, columns=["x", "y", "z"]), ["x", "y", "z"], True),
        (SETS, ["gas", "oil", "tin"], True),
        (pd.Series(SETS), ["gas", "oil", "tin"], True),
        ([*map(set, SETS)], ["gas", "oil", "tin"], True),
        ([*map(tuple, SETS)], ["gas", "oil", "tin"], True),
        ([[7], [7, 9], [9], []], [7, 9], True),
        (pd.Series([*map(np.array, SETS)]), ["gas", "oil", "tin"], True),
        (pa.array(SETS), ["gas", "oil", "tin"], True),
        (pa.array([[7], [7, 9], [9], []]), [7, 9], True),
        ([*map(deque, SETS)], ["gas", "oil", "tin"], True),
        (pd.DataFrame({"tags": SETS}), ["gas", "oil", "tin"], True),
        (pd.Series([*MATRIX]), [0, 1, 2], True),
        (pa.table(dict(zip("xyz", MATRIX.T, strict=True))), ["x", "y", "z"], True),
        (pd.DataFrame(MATRIX, columns=[2.0, 1.0, 3.0]), [2.0, 1.0, 3.0], True),
        (pd.DataFrame({"y": [2.0, 1.0, 1.0, 2.0]}).to_numpy().ravel(), [1.0, 2.0], False),
        ([2**63, 2**63 + 1, 2**63, 1], [1, 2**63, 2**63 + 1], False),
    ],
)
def test_labels_are_decoded_in_their_original_format(labels, classes, multi_label):
    encoder = LabelEncoder.learn(labels, 4)
    assert (encoder.classes.tolist(), encoder.multi_label) == (classes, multi_label)
    targets = encoder.encode(labels, 4)
    returned = encoder.decode(targets > 0 if multi_label else targets)
    assert sparse.issparse(returned) == sparse.issparse(labels)
    np.testing.assert_array_equal(encoder.encode(returned, 4), targets)
    if not multi_label:
        assert returned.tolist() == list(np.ravel(np.array(labels, object)))


def test_column_vectors_cause_the_warning_of_scikit_learn():
    column = np.array([[3], [1], [1], [3]])
    encoder = LabelEncoder.learn(column, 4)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        assert encoder.encode(column, 4).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("collection", [list, tuple, set, frozenset])
def test_collections_are_encoded_like_scikit_learns_multi_label_binarizer(collection):
    labels = [collection(labels_) for labels_ in SETS]
    encoder = LabelEncoder.learn(labels, 4)
    expected = MultiLabelBinarizer()
    np.testing.assert_array_equal(encoder.encode(labels, 4), expected.fit_transform(labels))
    assert encoder.classes.tolist() == expected.classes_.tolist()
    returned = encoder.decode(encoder.encode(labels, 4) > 0)
    assert {type(labels_) for labels_ in returned} == {collection}
    assert [set(labels_) for labels_ in returned] == [set(labels_) for labels_ in SETS]


def test_columns_of_a_data_frame_are_matched_by_name():
    frame = pd.DataFrame(MATRIX, columns=["x", "y", "z"])
    encoder = LabelEncoder.learn(frame, 4)
    np.testing.assert_array_equal(encoder.encode(frame[["z", "x", "y"]], 4), MATRIX)
    np.testing.assert_array_equal(encoder.encode(frame[["z", "x"]], 4), MATRIX * [1, 0, 1])
    with pytest.raises(ValueError, match=r"y must contain only known classes, .*got \['w'\]"):
        encoder.encode(frame.assign(w=0), 4)
    # Numbers other than those of training are positions of columns.
    numbered = LabelEncoder.learn(MATRIX, 4)
    np.testing.assert_array_equal(numbered.encode(pd.DataFrame(MATRIX, columns=[1, 2, 3]), 4), MATRIX)


@pytest.mark.parametrize(
    "classes", [{"b", "a", "c"}, {"b": 0, "a": 0, "c": 0}.keys(), deque("cab"), pd.Index([*"cab"])]
)
def test_classes_may_be_given_in_any_container(classes):
    assert LabelEncoder.from_classes(classes, ["a", "b"], 2).classes.tolist() == ["a", "b", "c"]


def test_classes_of_columns_cannot_be_a_set():
    with pytest.raises(TypeError, match="classes must name the columns of y in their order, got a set"):
        LabelEncoder.from_classes({"a", "b", "c"}, MATRIX, 4)


@pytest.mark.parametrize(
    ("training", "test", "classes", "targets", "message"),
    [
        ([*"abab"], [*"acbd"], [*"abcd"], [0, 2, 1, 3], r"2 of 4 .*, \['c', 'd'\]: they count as wrong"),
        ([1, 2, 1, 2], [1.0, 3.0, 2.0, 3.0], [1, 2, 3.0], [0, 2, 1, 2], r"2 of 4 .*\[3.0\]"),
        ([1, 2, 1, 2], [*"abab"], [1, 2, "a", "b"], [2, 3, 2, 3], r"4 of 4 .*\['a', 'b'\]"),
        ([True, False] * 2, [True, "x", False, "x"], [False, True, "x"], [1, 2, 0, 2], r"2 of 4 .*\['x'\]"),
        (SETS, [["oil"], ["x"], ["x", "gas"], []], ["gas", "oil", "tin", "x"],
         [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0]], r"2 of 4 .*\['x'\]"),
        (pd.DataFrame(MATRIX, columns=[*"abc"]), pd.DataFrame([[1, 0], [1, 1], [0, 0], [0, 1]], columns=[*"dc"]),
         [*"abcd"], [[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 0]], r"2 of 4 .*\['d'\]"),
    ],
)  # fmt: skip
def test_unknown_classes_of_test_documents_follow_the_known_ones(training, test, classes, targets, message):
    with pytest.warns(UnknownClassWarning, match=message):
        encoder, found = LabelEncoder.learn(training, 4).encode_test(test, 4)
    assert encoder.classes.tolist() == classes
    assert found.tolist() == targets


def test_a_test_data_frame_may_have_additional_columns():
    encoder = LabelEncoder.learn(MATRIX, 4)
    frame = pd.DataFrame(MATRIX, columns=[0, 1, 2]).assign(other=[0, 1, 1, 0])
    with pytest.warns(UnknownClassWarning, match=r"2 of 4 .*\['other'\]"):
        extended, targets = encoder.encode_test(frame, 4)
    assert extended.classes.tolist() == [0, 1, 2, "other"]
    assert targets.tolist() == frame.to_numpy().tolist()
    with pytest.raises(ValueError, match=r"y must contain only known classes, .*got \['other'\]"):
        encoder.encode(frame, 4)


def test_test_documents_of_known_classes_cause_no_warning():
    for labels in ([*"abab"], MATRIX, SETS, pd.DataFrame(MATRIX, columns=[*"abc"])):
        encoder = LabelEncoder.learn(labels, 4)
        same, targets = encoder.encode_test(labels, 4)
        assert same is encoder
        np.testing.assert_array_equal(targets, encoder.encode(labels, 4))


def test_columns_of_a_matrix_may_have_different_types():
    frame = pd.DataFrame({"x": MATRIX[:, 0].astype(bool), "y": MATRIX[:, 1]}).assign(z=pd.array(MATRIX[:, 2], "Int64"))
    np.testing.assert_array_equal(LabelEncoder.learn(frame, 4).encode(frame, 4), MATRIX)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (pd.DataFrame(MATRIX, columns=["x", "y", "x"]), ValueError, "the columns of y must have different names"),
        (pd.DataFrame(MATRIX, columns=[("x", 1), ("x", 2), ("y", 1)]), TypeError, "the columns of y must contain"),
        (["a", "a", "a", "a"], ValueError, "at least two classes, got one class, 'a'"),
        ([[], [], [], []], ValueError, "at least two classes, got none"),
        ([["a"], ["a"], [], []], ValueError, "at least two classes, got one class, 'a'"),
        (MATRIX * 2, ValueError, "y must contain a 0 or 1 for each document and class, but document 0 has .*2"),
        (np.array([[1, 0], [0, np.nan], [1, 1], [0, 1]]), ValueError, "document 1 has .*nan"),
        (MATRIX[:2], ValueError, "got 4 documents and 2 rows"),
        (np.full((4, 2), np.nan), ValueError, "a 0 or 1 .*, but document 0 has .*nan"),
        (SETS[:3], ValueError, "got 4 documents and 3 collections"),
        ([["a"], "b", ["c"], []], TypeError, "document 1 has 'b'"),
        ([["a"], [None], ["c"], []], TypeError, "document 1 has the label None"),
        ([["a"], [1], ["c"], []], TypeError, "all of one kind, got int and str"),
        (np.zeros((4, 2, 2)), ValueError, r"got an array of shape \(4, 2, 2\)"),
        (sparse.coo_array([0, 1, 1, 0]), ValueError, "y must contain a 0 or 1 for each document and class, got"),
        (np.ma.masked_array(MATRIX, MATRIX == 0), ValueError, "a 0 or 1 .*, but document 0 has None"),
        (pd.DataFrame(MATRIX, columns=[0.5, 1.0, 2.0]), ValueError, "the columns of y must contain .*got 0.5"),
        ([["a"], [b"b"], ["c"], []], TypeError, "document 1 has the label b'b'"),
        (pa.array([["a"], None, ["c"], []]), TypeError, "document 1 has None"),
        (None, TypeError, "y must contain one string, int or bool for each document, got NoneType"),
        ("abab", TypeError, "y must contain one string, int or bool for each document, got str"),
    ],
)
def test_invalid_labels_are_rejected(labels, error, message):
    with pytest.raises(error, match=message):
        LabelEncoder.learn(labels, 4)


@pytest.mark.parametrize(
    ("encoder", "labels", "message"),
    [
        (LabelEncoder(np.array(["a", "b"])), ["a", "c"], r"y must contain only known classes, .*got \['c'\]"),
        (LabelEncoder(np.array(["a", "b"])), ["a", 1], r"y must contain only known classes, .*got \[1\]"),
        (
            LabelEncoder(np.array(["a", "b"]), "list"),
            [["a"], ["c"]],
            r"y must contain only known classes, .*got \['c'\]",
        ),
        (LabelEncoder(np.arange(3), "indicator"), [[0, 1], [1, 0]], "a column for each of 3 classes, got 2"),
        (
            LabelEncoder(np.arange(3), "indicator"),
            ["a", "b"],
            "y must contain a 0 or 1 for each document and class, got",
        ),
        (
            LabelEncoder(np.array(["a", "b"]), "set"),
            ["a", "b"],
            "y must contain a collection of labels for each document",
        ),
    ],
)
def test_labels_that_do_not_match_the_training_labels_are_rejected(encoder, labels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        encoder.encode(labels, 2)
