from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest

from han.tables.json_text import JsonObject, csv_cells, json_line, parse_row, to_json

LINE = '{"a":1e5, "b" : 1.0,"c":12345678901234567890,"a":NaN, "d":[1, 2.50], "e":"\\u00e9\\/", "f\\"":{"x": -0.0}}'


def test_an_object_keeps_its_text():
    assert json_line(parse_row(LINE), frozenset(), {}) == LINE
    added = json_line(parse_row(f"  {LINE} \r\n"), frozenset(), {"p": "good", "q": 0.5})
    assert added == LINE[:-1] + ', "p": "good", "q": 0.5}'
    assert json_line(parse_row("{}"), frozenset(), {"p": 1}) == '{"p": 1}'
    assert json_line(parse_row('{"a": 1}'), frozenset({"a"}), {}) == "{}"


def test_the_remaining_members_of_an_object_keep_their_text():
    text = json_line(parse_row(LINE), frozenset({"a", 'f"'}), {"p": None})
    assert text == '{"b": 1.0, "c": 12345678901234567890, "d": [1, 2.50], "e": "\\u00e9\\/", "p": null}'


def test_an_object_on_several_lines_becomes_one_line():
    text = json_line(parse_row('{\n "a": [1,\r\n 2],\n "b": "x\\ny"\n}'), frozenset(), {})
    assert "\n" not in text
    assert "\r" not in text
    assert json.loads(text) == {"a": [1, 2], "b": "x\ny"}


def test_cells_keep_the_spelling_of_numbers():
    row = parse_row('{"a": 1e5, "b": null, "c": true, "d": "x\\n", "e": {"f": [1.0]}, "a": 1.50}')
    assert csv_cells(row) == {"a": "1.50", "b": "", "c": "True", "d": "x\n", "e": '{"f": [1.0]}'}


def test_values_of_types_that_json_lacks():
    values = {
        "bytes": b"\xff\x00", "date": datetime.date(2024, 2, 3), "decimal": Decimal("1E+3"), "nan": float("nan"),
        "infinite": [float("inf")], "map": [("k", 1)], "time": datetime.time(1, 2), "took": datetime.timedelta(hours=1),
        "when": datetime.datetime(2024, 2, 3, 4, tzinfo=datetime.UTC),
    }  # fmt: skip
    assert json.loads(to_json(values)) == {
        "bytes": "/wA=", "date": "2024-02-03", "decimal": "1000", "nan": None, "infinite": [None], "map": [["k", 1]],
        "time": "01:02:00", "took": "P0DT1H0M0S", "when": "2024-02-03T04:00:00+00:00",
    }  # fmt: skip
    assert csv_cells({"a": float("inf"), "b": float("nan"), "c": 1.5}) == {"a": "inf", "b": "", "c": "1.5"}


def test_other_values_have_no_text():
    assert not isinstance(parse_row("[1]"), JsonObject)
    with pytest.raises(ValueError, match="Expecting"):
        parse_row("{")
