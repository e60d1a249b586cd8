"""Columns of tables: their names, and how text columns make up a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from han.data.validation import short_repr
from han.exceptions import InvalidTypeError, InvalidValueError


def column_names(cells: Iterable[str]) -> list[str]:
    """Return the names in a header; unnamed columns get the names that pandas gives them."""
    names = [name if name.strip() else f"Unnamed: {index}" for index, name in enumerate(cells)]
    repeated = [name for index, name in enumerate(names) if name in names[:index]]
    if repeated:
        raise InvalidValueError(f"the header names the column {short_repr(repeated[0])} twice")
    return names


def check_columns(where: str, names: Iterable[str], wanted: Iterable[str], argument: str, hint: str = "") -> None:
    """Raise a ValueError if a wanted column is missing.

    Parameters
    ----------
    where : str
        The name of the table.
    names, wanted : iterable of str
    argument : str
        The argument, and option, that names the wanted columns.
    hint : str, optional
        The end of the message.
    """
    names = [*names]
    missing = next((name for name in wanted if name not in names), None)
    if missing is None:
        return
    alike = {name.strip().lower(): name for name in names}
    near = get_close_matches(missing.strip().lower(), alike, n=1)
    meant = f", did you mean {short_repr(alike[near[0]])}?" if near else ";"
    some = ", ".join(map(short_repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise InvalidValueError(
        f"{argument} must be a column of {where}, got {short_repr(missing)}{meant} its columns are {some}; "
        f"to choose another, use --{argument}{hint}"
    )


def joined_text(values: Sequence[Any]) -> Any:
    """Join the cells of the text columns of a row by blank lines.

    Missing and empty cells are left out; if all are, the result is None. A single cell is returned as it is.

    Raises
    ------
    TypeError
        If one of several cells is not a str.
    """
    if len(values) == 1:
        return values[0]
    texts = [value for value in values if not is_missing(value)]
    odd = next((value for value in texts if not isinstance(value, str)), None)
    if odd is not None:
        raise InvalidTypeError(f"text columns that are joined must hold str, got {short_repr(odd)}")
    return "\n\n".join(texts) if texts else None


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty, null or not a number."""
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and value != value)
