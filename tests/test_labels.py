from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import MultiLabelBinarizer

from han.labels import LabelForm

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
    ],
)
def test_labels_come_back_in_their_form(labels, classes, multi_label):
    form = LabelForm.learn(labels, 4)
    assert (form.classes.tolist(), form.multi_label) == (classes, multi_label)
    targets = form.encode(labels, 4)
    returned = form.decode(targets > 0 if multi_label else targets)
    assert sparse.issparse(returned) == sparse.issparse(labels)
    np.testing.assert_array_equal(form.encode(returned, 4), targets)
    if not multi_label:
        assert returned.tolist() == np.ravel(labels).tolist()


def test_a_column_of_labels_is_taken_with_the_warning_that_scikit_learn_gives():
    column = np.array([[3], [1], [1], [3]])
    form = LabelForm.learn(column, 4)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        assert form.encode(column, 4).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("collection", [list, tuple, set, frozenset])
def test_collections_are_binarised_as_scikit_learn_does(collection):
    labels = [collection(labels_) for labels_ in SETS]
    form = LabelForm.learn(labels, 4)
    expected = MultiLabelBinarizer()
    np.testing.assert_array_equal(form.encode(labels, 4), expected.fit_transform(labels))
    assert form.classes.tolist() == expected.classes_.tolist()
    returned = form.decode(form.encode(labels, 4) > 0)
    assert {type(labels_) for labels_ in returned} == {collection}
    assert [set(labels_) for labels_ in returned] == [set(labels_) for labels_ in SETS]


def test_columns_of_a_matrix_may_have_different_types():
    frame = pd.DataFrame({"x": MATRIX[:, 0].astype(bool), "y": MATRIX[:, 1]}).assign(z=pd.array(MATRIX[:, 2], "Int64"))
    np.testing.assert_array_equal(LabelForm.learn(frame, 4).encode(frame, 4), MATRIX)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (pd.DataFrame(MATRIX, columns=["x", "y", "x"]), ValueError, "the columns of y must have different names"),
        (pd.DataFrame(MATRIX, columns=[("x", 1), ("x", 2), ("y", 1)]), TypeError, "the columns of y must hold"),
        (["a", "a", "a", "a"], ValueError, "at least two classes, got one class, 'a'"),
        ([[], [], [], []], ValueError, "at least two classes, got none"),
        ([["a"], ["a"], [], []], ValueError, "at least two classes, got one class, 'a'"),
        (MATRIX * 2, ValueError, "y must hold a 0 or 1 for each document and class, but document 0 has .*2"),
        (np.array([[1, 0], [0, np.nan], [1, 1], [0, 1]]), ValueError, "document 1 has .*nan"),
        (MATRIX[:2], ValueError, "got 4 documents and 2 rows"),
        (np.full((4, 2), np.nan), ValueError, "a 0 or 1 .*, but document 0 has .*nan"),
        (SETS[:3], ValueError, "got 4 documents and 3 collections"),
        ([["a"], "b", ["c"], []], TypeError, "document 1 has 'b'"),
        ([["a"], [None], ["c"], []], TypeError, "document 1 has None in it"),
        ([["a"], [1], ["c"], []], TypeError, "all of one kind, got int and str"),
        (np.zeros((4, 2, 2)), ValueError, r"got an array of shape \(4, 2, 2\)"),
        (None, TypeError, "y must hold one string, int or bool for each document, got NoneType"),
        ("abab", TypeError, "y must hold one string, int or bool for each document, got str"),
    ],
)
def test_what_is_no_labels_is_refused(labels, error, message):
    with pytest.raises(error, match=message):
        LabelForm.learn(labels, 4)


@pytest.mark.parametrize(
    ("form", "labels", "message"),
    [
        (LabelForm(np.array(["a", "b"])), ["a", "c"], r"y must hold known classes, .*got \['c'\]"),
        (LabelForm(np.array(["a", "b"]), "list"), [["a"], ["c"]], r"y must hold known classes, .*got \['c'\]"),
        (LabelForm(np.arange(3), "indicator"), [[0, 1], [1, 0]], "a column for each of 3 classes, got 2"),
        (LabelForm(np.arange(3), "indicator"), ["a", "b"], "y must hold a 0 or 1 for each document and class, got"),
        (LabelForm(np.array(["a", "b"]), "set"), ["a", "b"], "y must hold a collection of labels for each document"),
    ],
)
def test_other_labels_than_those_of_training_are_refused(form, labels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        form.encode(labels, 2)
