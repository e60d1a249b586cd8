"""Rows of JSON Lines, and of JSON files that hold a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from han.exceptions import InvalidValueError
from han.json_text import parsed_row
from han.validation import shown

Row = dict[str, Any]


class NumberedRow(NamedTuple):
    """A row, its number and its size in characters; or the number of a bad row and what is wrong with it."""

    number: int
    row: Row
    size: int = 0
    problem: str = ""


def read_json_lines(lines: Iterable[str | None]) -> Iterator[NumberedRow | None]:
    """Read the rows of JSON Lines, except empty lines; None, for a pause, is handed on."""
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
    """Read the rows of a JSON file: a list of objects, an object that holds one, or what `DataFrame.to_json` writes.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    try:
        rows = _rows(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidValueError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidValueError("is not JSON of a table: it is nested too deeply") from error
    return (_checked(number, row, 0) for number, row in enumerate(rows, start=1))


def begins_with_json_line(text: str) -> bool:
    """Tell whether a text is JSON Lines, as many files are that are called .json."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _checked(number: int, row: Any, size: int) -> NumberedRow:
    if isinstance(row, dict):
        return NumberedRow(number, row, size)
    return NumberedRow(number, {}, problem=f"must hold a JSON object, got {shown(row)}")


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
