"""Rows of JSON Lines, and of JSON files that hold a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from han.data.validation import short_repr
from han.exceptions import InvalidValueError
from han.tables.json_text import parsed_row

Row = dict[str, Any]


class NumberedRow(NamedTuple):
    """A row with its number and its size in characters; `problem` says what is wrong with a bad row."""

    number: int
    row: Row
    size: int = 0
    problem: str = ""


def read_json_lines(lines: Iterable[str | None]) -> Iterator[NumberedRow | None]:
    """Parse JSON Lines, skipping empty lines; None marks a pause and is passed through."""
    number = 0
    for line in lines:
        if line is None:
            yield None
            continue
        number += 1
        if not line.strip():
            continue
        try:
            row = parsed_row(line)
        except (ValueError, RecursionError) as error:
            yield NumberedRow(number, {}, problem=f"is not JSON: {error}")
        else:
            yield _checked(number, row, len(line))


def read_json(text: str) -> Iterator[NumberedRow]:
    """Parse a JSON file: a list of objects, an object with one such list, or the output of `DataFrame.to_json`.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    try:
        rows = _rows(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidValueError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidValueError("is not JSON of a table: it is nested too deeply") from error
    return (_checked(number, row, 0) for number, row in enumerate(rows, start=1))


def begins_with_json_line(text: str) -> bool:
    """Return whether a text is JSON Lines, as are many files with the suffix .json."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _checked(number: int, row: Any, size: int) -> NumberedRow:
    if isinstance(row, dict):
        return NumberedRow(number, row, size)
    return NumberedRow(number, {}, problem=f"must hold a JSON object, got {short_repr(row)}")


def _rows(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        data, columns = value.get("data"), value.get("columns")
        if isinstance(data, list) and isinstance(columns, list):  # orient="split"
            return [dict(zip(columns, row, strict=True)) for row in data]
        lists = [held for held in value.values() if isinstance(held, list) and held]
        if len(lists) == 1 and all(isinstance(row, dict) for row in lists[0]):
            return lists[0]
        tables = [held for held in value.values() if isinstance(held, dict)]
        if tables and len(tables) == len(value) and all(tables[0].keys() == table.keys() for table in tables):
            if all(key.isdigit() for key in tables[0]):  # orient="columns"
                return [{name: column[key] for name, column in value.items()} for key in tables[0]]
            if all(key.isdigit() for key in value):  # orient="index"
                return tables
    raise InvalidValueError("must hold a list of objects, one a row")
