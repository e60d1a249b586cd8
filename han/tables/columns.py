"""Column names of tables, and documents made of several text columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from han.exceptions import InvalidTypeError, InvalidValueError, short_repr


def column_names(cells: Iterable[str]) -> list[str]:
    """Return the column names in a header row; unnamed columns get pandas' names, such as "Unnamed: 2".

    Raises
    ------
    ValueError
        If a name occurs twice.
    """
    names = [name if name.strip() else f"Unnamed: {index}" for index, name in enumerate(cells)]
    repeated = [name for index, name in enumerate(names) if name in names[:index]]
    if repeated:
        raise InvalidValueError(f"the header contains the column {short_repr(repeated[0])} twice")
    return names


def check_columns(table: str, names: Iterable[str], required: Iterable[str], argument: str, hint: str = "") -> None:
    """Raise a ValueError if a required column is missing.

    Parameters
    ----------
    table : str
        The name of the table, for the error message.
    names : iterable of str
        The columns of the table.
    required : iterable of str
    argument : str
        The argument, and command-line option, that names the required columns.
    hint : str, optional
        Appended to the error message.
    """
    names = [*names]
    missing = next((name for name in required if name not in names), None)
    if missing is None:
        return
    by_lowercase = {name.strip().lower(): name for name in names}
    close = get_close_matches(missing.strip().lower(), by_lowercase, n=1)
    suggestion = f", did you mean {short_repr(by_lowercase[close[0]])}?" if close else ";"
    listed = ", ".join(map(short_repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise InvalidValueError(
        f"{argument} must be a column of {table}, got {short_repr(missing)}{suggestion} its columns are {listed}; "
        f"to choose another, use --{argument}{hint}"
    )


def join_texts(cells: Sequence[Any]) -> Any:
    """Join the text cells of a row with blank lines.

    Missing and empty cells are skipped; if all are missing, the result is None. A single cell is returned unchanged.

    Raises
    ------
    TypeError
        If there are several cells and one is not a str.
    """
    if len(cells) == 1:
        return cells[0]
    texts = [cell for cell in cells if not is_missing(cell)]
    invalid = next((cell for cell in texts if not isinstance(cell, str)), None)
    if invalid is not None:
        raise InvalidTypeError(f"text columns can only be joined if they contain str, got {short_repr(invalid)}")
    return "\n\n".join(texts) if texts else None


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty, null or NaN."""
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and value != value)
