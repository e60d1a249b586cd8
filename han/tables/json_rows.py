"""Tables in JSON Lines and JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from han.exceptions import InvalidValueError, short_repr
from han.tables.json_text import parse_row

Row = dict[str, Any]


class NumberedRow(NamedTuple):
    """A row with its number and its size in characters; `problem` is the reason why a row is bad, otherwise ""."""

    number: int
    row: Row
    size: int = 0
    problem: str = ""


def read_json_lines(lines: Iterable[str | None]) -> Iterator[NumberedRow | None]:
    """Parse JSON Lines, skipping empty lines; None marks a pause in the input and is passed through."""
    number = 0
    for line in lines:
        if line is None:
            yield None
            continue
        number += 1
        if not line.strip():
            continue
        try:
            row = parse_row(line)
        except (ValueError, RecursionError) as error:
            yield NumberedRow(number, {}, problem=f"is not JSON: {error}")
        else:
            yield _numbered_row(number, row, len(line))


def read_json(text: str) -> Iterator[NumberedRow]:
    """Parse a JSON file: a list of objects, an object that contains one such list, or the output of pandas' `to_json`.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    try:
        rows = _find_rows(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidValueError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidValueError("is not a table in JSON: it is nested too deeply") from error
    return (_numbered_row(number, row, 0) for number, row in enumerate(rows, start=1))


def is_json_lines(text: str) -> bool:
    """Return whether a text is JSON Lines, as in many files with the suffix .json."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _numbered_row(number: int, row: Any, size: int) -> NumberedRow:
    if isinstance(row, dict):
        return NumberedRow(number, row, size)
    return NumberedRow(number, {}, problem=f"must be a JSON object, got {short_repr(row)}")


def _find_rows(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        data, columns = value.get("data"), value.get("columns")
        if isinstance(data, list) and isinstance(columns, list):  # orient="split"
            return [dict(zip(columns, row, strict=True)) for row in data]
        lists = [member for member in value.values() if isinstance(member, list) and member]
        if len(lists) == 1 and all(isinstance(row, dict) for row in lists[0]):
            return lists[0]
        tables = [member for member in value.values() if isinstance(member, dict)]
        if tables and len(tables) == len(value) and all(tables[0].keys() == table.keys() for table in tables):
            if all(key.isdigit() for key in tables[0]):  # orient="columns"
                return [{name: column[key] for name, column in value.items()} for key in tables[0]]
            if all(key.isdigit() for key in value):  # orient="index"
                return tables
    raise InvalidValueError("must contain a list of objects, one for each row")
