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
    """A column as that of a Hugging Face data set: a sequence that is no list."""

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
def test_cells_stay_what_they_are_in_any_ordered_container(values):
    column = check_column(values, "X must be a column", "text")
    assert column.shape == (3,)
    assert column.tolist() == CELLS
    assert type(column[1]) is list


@pytest.mark.parametrize(
    "values",
    [pa.array(["a", "b"]), pa.chunked_array([["a"], ["b"]]), pa.table({"x": ["a", "b"]}), {"a": 0, "b": 1}.keys()],
    ids=lambda values: type(values).__name__,
)
def test_columns_of_other_libraries(values):
    assert check_column(values, "X must be a column", "text").tolist() == ["a", "b"]


def test_lists_in_cells_of_pyarrow_are_arrays():
    cells = to_array(pa.array([["a"], ["b", "c"], []]))
    assert [to_array(cell).tolist() for cell in cells] == [["a"], ["b", "c"], []]


def test_masked_elements_are_missing_and_the_array_is_not_changed():
    values = np.ma.masked_array([1, 2, 3], [0, 1, 0])
    assert to_array(values).tolist() == [1, None, 3]
    assert values.data.tolist() == [1, 2, 3]
    assert to_array(np.ma.masked_array([1, 2])).dtype == np.array([1, 2]).dtype


@pytest.mark.parametrize("value", ["ab", b"ab", bytearray(b"ab"), {"a"}, {"a": 1}, None, 3, np.float64(3), pd.NA])
def test_what_is_no_ordered_container(value):
    assert to_array(value) is None


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ((part for part in CELLS), TypeError, "got generator, which can be read only once; pass a list"),
        (map(str, CELLS), TypeError, "got map, which can be read only once; pass a list"),
        ({"a", "b"}, TypeError, "got set, which has no order; pass a list"),
        ({"a": 1}, TypeError, r"got dict; pass its values\(\)"),
        (pa.table({"x": ["a"], "y": ["b"]}), TypeError, "got a DataFrame with 2 columns; pass the column that holds"),
        (np.array([["a", "b"]]), ValueError, r"got an array of shape \(1, 2\)"),
        (np.array("a"), TypeError, "got ndarray"),
    ],
)
def test_what_is_no_column_is_refused_with_what_to_do(values, error, message):
    with pytest.raises(error, match=f"X must be a column, {message}"):
        check_column(values, "X must be a column", "text")
