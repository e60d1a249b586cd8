"""Conversion of table values to JSON and CSV, and JSON objects that remember their original text."""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonObject(dict[str, Any]):
    """A JSON object with its original text, which preserves the spelling of numbers and repeated keys.

    Attributes
    ----------
    text : str
    """

    def __init__(self, value: Mapping[str, Any], text: str) -> None:
        super().__init__(value)
        self.text = text

    def members(self) -> Iterator[tuple[str, str]]:
        """Yield each key with the original text of its value."""
        position = _skip_space(self.text, 1)
        while self.text[position] != "}":
            name, position = _DECODER.raw_decode(self.text, position)
            start = _skip_space(self.text, _skip_space(self.text, position) + 1)  # after the colon
            _, end = _DECODER.raw_decode(self.text, start)
            yield name, self.text[start:end]
            position = _skip_space(self.text, end)
            if self.text[position] == ",":
                position = _skip_space(self.text, position + 1)


def parse_row(text: str) -> Any:
    """Parse JSON; an object is returned as a `JsonObject`.

    Raises
    ------
    ValueError
        If the text is not JSON.
    RecursionError
        If the value is nested too deeply.
    """
    value = _DECODER.decode(text)
    return JsonObject(value, text.strip()) if isinstance(value, dict) else value


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def json_line(row: Mapping[str, Any], dropped: frozenset[str], added: Mapping[str, Any]) -> str:
    """Return a row as a JSON object on one line, without the columns in `dropped` and with those in `added`."""
    if not isinstance(row, JsonObject):
        return to_json({name: value for name, value in row.items() if name not in dropped} | dict(added))
    if dropped.isdisjoint(row):
        kept = row.text[1:-1].strip()
    else:
        kept = ", ".join(f"{to_json(name)}: {text}" for name, text in row.members() if name not in dropped)
    # JSON allows line breaks between tokens, not within strings.
    kept = kept.replace("\r", " ").replace("\n", " ")
    new = to_json(added)[1:-1]
    return f"{{{kept}{', ' if kept and new else ''}{new}}}"


def csv_cells(row: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the values of a row as cells of CSV; the numbers of a `JsonObject` keep their spelling."""
    if not isinstance(row, JsonObject):
        return {name: _csv_cell(value) for name, value in row.items()}
    return {
        name: _csv_cell(row[name]) if row[name] is None or isinstance(row[name], str | bool) else text
        for name, text in row.members()
    }


def _csv_cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    value = _json_value(value)
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def to_json(value: Any) -> str:
    """Return any table value as JSON: bytes in base64, dates in ISO 8601, NaN and infinity as null."""
    return json.dumps(_json_value(value), ensure_ascii=False)


def _json_value(value: Any) -> Any:
    """Convert a value to types that JSON has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.timedelta):
        import pandas as pd  # not at the top: it takes longer than reading most tables

        return pd.Timedelta(value).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
