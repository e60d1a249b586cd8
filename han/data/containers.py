"""Convert the containers that users pass (lists, arrays, Series, data frames) to NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.exceptions import InvalidTypeError, InvalidValueError


def to_pandas(values: Any) -> Any:
    """Convert a Series or data frame of polars, pyarrow or Hugging Face `datasets` to pandas; return others as is."""
    return values.to_pandas() if hasattr(values, "to_pandas") and not isinstance(values, type) else values


def to_array(values: Any) -> npt.NDArray[Any] | None:
    """Return the elements of an ordered container as an array, or None for anything else.

    Parameters
    ----------
    values : any
        Ordered containers are sequences (including `deque`), the keys and values of a dict, Series and data frames of
        pandas, polars and pyarrow, and array-likes of NumPy, but not strings, sets and iterators.

    Returns
    -------
    ndarray [elements, ...] or None
        Elements of sequences are not converted. Masked elements are None. A data frame of one column is converted to
        that column.
    """
    if isinstance(values, str | bytes | bytearray):
        return None
    values = to_pandas(values)
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if isinstance(values, np.ma.MaskedArray):
        array = values.data
        if np.ma.is_masked(values):
            array = array.astype(object)
            array[values.mask] = None
    elif hasattr(values, "__array__"):
        array = np.asarray(values)
    elif isinstance(values, Sequence | KeysView | ValuesView):
        array = np.fromiter(values, object, len(values))
    else:
        return None
    return array if array.ndim else None


def check_column(values: Any, expected: str, content: str) -> npt.NDArray[Any]:
    """Return the elements of a column; a matrix or data frame with a single column is also accepted.

    Parameters
    ----------
    values : any
    expected : str
        Start of error messages, which says what is expected.
    content : str
        Content of the column, for error messages.

    Returns
    -------
    ndarray [elements]

    Raises
    ------
    TypeError
        If `values` is not an ordered container, or is a data frame with several columns.
    ValueError
        If it is a matrix of several columns.
    """
    values = to_pandas(values)
    if isinstance(values, pd.DataFrame) and values.shape[1] != 1:
        raise InvalidTypeError(
            f"{expected}, got a DataFrame with {values.shape[1]} columns; pass the column that contains the {content}"
        )
    array = to_array(values)
    if array is None:
        advice = ""
        if isinstance(values, Iterator):
            advice = ", which can be read only once; pass a list"
        elif isinstance(values, Mapping):
            advice = "; pass its values()"
        elif isinstance(values, Set):
            advice = ", which has no order; pass a list"
        raise InvalidTypeError(f"{expected}, got {type(values).__name__}{advice}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InvalidValueError(f"{expected}, got an array of shape {array.shape}")
    return array
