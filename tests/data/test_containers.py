from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from han.data.containers import check_column, to_array

CELLS = ["a", ["b", "c"], "d"]


class Column(Sequence):
    """A sequence that is not a list, like a column of a Hugging Face data set."""

    def __init__(self, cells):
        self.cells = cells

    def __len__(self):
        return len(self.cells)

    def __getitem__(self, index):
        return self.cells[index]


@pytest.mark.parametrize(
    "values",
    [
        CELLS,
        tuple(CELLS),
        deque(CELLS),
        Column(CELLS),
        dict(enumerate(CELLS)).values(),
        pd.Series(CELLS, index=[5, 5, 1]),
        pd.DataFrame({"text": CELLS}),
        pd.DataFrame({"text": CELLS}).to_numpy(),
    ],
    ids=lambda values: type(values).__name__,
)
def test_elements_of_any_ordered_container_are_kept(values):
    column = check_column(values, "X must be a column", "text")
    assert column.shape == (3,)
    assert column.tolist() == CELLS
    assert type(column[1]) is list


@pytest.mark.parametrize(
    "values",
    [pa.array(["a", "b"]), pa.chunked_array([["a"], ["b"]]), pa.table({"x": ["a", "b"]}), {"a": 0, "b": 1}.keys()],
    ids=lambda values: type(values).__name__,
)
def test_columns_of_other_libraries_are_accepted(values):
    assert check_column(values, "X must be a column", "text").tolist() == ["a", "b"]


def test_lists_in_pyarrow_arrays_become_arrays():
    cells = to_array(pa.array([["a"], ["b", "c"], []]))
    assert [to_array(cell).tolist() for cell in cells] == [["a"], ["b", "c"], []]


def test_masked_elements_become_none_without_changing_the_array():
    values = np.ma.masked_array([1, 2, 3], [0, 1, 0])
    assert to_array(values).tolist() == [1, None, 3]
    assert values.data.tolist() == [1, 2, 3]
    assert to_array(np.ma.masked_array([1, 2])).dtype == np.array([1, 2]).dtype


@pytest.mark.parametrize("value", ["ab", b"ab", bytearray(b"ab"), {"a"}, {"a": 1}, None, 3, np.float64(3), pd.NA])
def test_other_values_are_not_ordered_containers(value):
    assert to_array(value) is None


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ((cell for cell in CELLS), TypeError, "got generator, which can be read only once; pass a list"),
        (map(str, CELLS), TypeError, "got map, which can be read only once; pass a list"),
        ({"a", "b"}, TypeError, "got set, which has no order; pass a list"),
        ({"a": 1}, TypeError, r"got dict; pass its values\(\)"),
        (
            pa.table({"x": ["a"], "y": ["b"]}),
            TypeError,
            "got a DataFrame with 2 columns; pass the column",
        ),
        (np.array([["a", "b"]]), ValueError, r"got an array of shape \(1, 2\)"),
        (np.array("a"), TypeError, "got ndarray"),
    ],
)
def test_other_values_are_rejected_as_columns_with_advice(values, error, message):
    with pytest.raises(error, match=f"X must be a column, {message}"):
        check_column(values, "X must be a column", "text")
