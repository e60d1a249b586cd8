"""Values of tables as JSON and CSV write them, and JSON objects that keep the text they were read from."""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonObject(dict[str, Any]):
    """A JSON object with its text, in which numbers and repeated keys stand as they were written.

    Attributes
    ----------
    text : str
    """

    def __init__(self, value: Mapping[str, Any], text: str) -> None:
        super().__init__(value)
        self.text = text

    def members(self) -> Iterator[tuple[str, str]]:
        """Yield each key with the text of its value."""
        position = _after_space(self.text, 1)
        while self.text[position] != "}":
            name, position = _DECODER.raw_decode(self.text, position)
            start = _after_space(self.text, _after_space(self.text, position) + 1)  # after the colon
            _, end = _DECODER.raw_decode(self.text, start)
            yield name, self.text[start:end]
            position = _after_space(self.text, end)
            if self.text[position] == ",":
                position = _after_space(self.text, position + 1)


def parsed_row(text: str) -> Any:
    """Return the value of a JSON text, an object with its text.

    Raises
    ------
    ValueError
        If it is not JSON.
    RecursionError
        If it is nested too deeply.
    """
    value = _DECODER.decode(text)
    return JsonObject(value, text.strip()) if isinstance(value, dict) else value


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def object_text(row: Mapping[str, Any], dropped: frozenset[str], added: Mapping[str, Any]) -> str:
    """Return a row as a JSON object in one line, without the columns in `dropped` and with those in `added`."""
    if not isinstance(row, JsonObject):
        return to_json({name: value for name, value in row.items() if name not in dropped} | dict(added))
    if dropped.isdisjoint(row):
        kept = row.text[1:-1].strip()
    else:
        kept = ", ".join(f"{to_json(name)}: {text}" for name, text in row.members() if name not in dropped)
    # Line breaks cannot stand in a JSON string, only between its tokens.
    kept = kept.replace("\r", " ").replace("\n", " ")
    new = to_json(added)[1:-1]
    return f"{{{kept}{', ' if kept and new else ''}{new}}}"


def cells(row: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a row's values as they stand in a cell of CSV; numbers of JSON as they are written there."""
    if not isinstance(row, JsonObject):
        return {name: value if isinstance(value, str) else _cell(value) for name, value in row.items()}
    return {
        name: row[name] if isinstance(row[name], str) else _cell(row[name]) if _is_plain(row[name]) else text
        for name, text in row.members()
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _cell(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    value = _plain(value)
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def to_json(value: Any) -> str:
    """Return any value of a table as JSON: bytes in base64, dates in ISO 8601, NaN and infinity as null."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return a value made of what JSON has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.timedelta):
        return pd.Timedelta(value).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
