from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from han.exceptions import InvalidValueError
from han.tables.json_text import parse_row
from han.tables.table import Chunk
from han.tables.writers import Columns, DelimitedWriter, JsonLinesWriter

CELLS = ["", " x ", 'He said "no"', "a,b", "a\tb", "a\nb", "a\rb", "a\r\nb", "N/A", "01", "Ünï 我 \u2028", '"']


def chunk(rows):
    return Chunk([*rows[0]], [*range(2, 2 + len(rows))], rows)


def delimited(rows, *, names=("a", "b"), dropped=(), delimiter=",", quoted=True):
    stream = io.BytesIO()
    kept = [name for name in names if name not in dropped]
    writer = DelimitedWriter(stream, Columns(kept, frozenset(dropped), ["p"]), delimiter, quoted)
    for part in rows:
        writer.write(chunk(part), {"p": ["x"] * len(part)})
    writer.close()
    return stream.getvalue().decode()


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_cells_are_read_back_as_they_were(delimiter):
    rows = [{"a": cell, "b": other} for cell in CELLS for other in CELLS]
    text = delimited([rows[:50], rows[50:]], delimiter=delimiter)
    found = pd.read_csv(io.StringIO(text, newline=""), sep=delimiter, dtype=str, keep_default_na=False)
    assert found[["a", "b"]].to_dict("records") == rows
    header, *others = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert header == ["a", "b", "p"]
    assert [dict(zip("ab", cells, strict=False)) for cells in others] == rows


def test_a_table_without_rows_has_a_header():
    assert delimited([]) == "a,b,p\n"


def test_dropped_and_missing_columns():
    assert delimited([[{"a": "1", "b": "2"}, {"b": "3"}]], dropped=["a"]) == "b,p\n2,x\n3,x\n"
    assert delimited([[{"b": "3"}]]) == "a,b,p\n,3,x\n"


def test_an_unknown_column_is_rejected_with_its_line():
    stream = io.BytesIO()
    writer = DelimitedWriter(stream, Columns(["a"], frozenset(), ["p"]), ",")
    writer.write(chunk([{"a": "1"}]), {"p": ["x"]})
    with pytest.raises(InvalidValueError, match=r"line 3 has the column 'b', which is not in the first rows"):
        writer.write(chunk([{"a": "2"}, {"a": "3", "b": "4"}]), {"p": ["x", "x"]})
    assert stream.getvalue() == b"a,p\n1,x\n"


def test_without_quoting_cells_that_need_quotes_are_rejected():
    assert delimited([[{"a": '"x', "b": 'y"'}]], delimiter="\t", quoted=False) == 'a\tb\tp\n"x\ty"\tx\n'
    for cell in ("a\tb", "a\nb", "a\rb"):
        with pytest.raises(InvalidValueError, match="column 'b' has a cell that contains a delimiter or a line break"):
            delimited([[{"a": "", "b": cell}]], delimiter="\t", quoted=False)


def test_an_empty_cell_of_a_single_column_is_not_an_empty_line():
    assert delimited([[{"a": ""}]], names=["a"]).splitlines() == ["a,p", ",x"]
    stream = io.BytesIO()
    writer = DelimitedWriter(stream, Columns([], frozenset({"a"}), ["p"]), "\t", quoted=False)
    writer.write(chunk([{"a": "1"}]), {"p": [""]})
    assert stream.getvalue() == b'p\n""\n'


def test_half_of_a_surrogate_pair_is_an_escape_in_json_and_a_question_mark_elsewhere():
    row = {"a": "cut \ud83d"}
    stream = io.BytesIO()
    JsonLinesWriter(stream, Columns(["a"], frozenset(), ["p"])).write(chunk([row]), {"p": ["\ud83d"]})
    assert stream.getvalue() == rb'{"a": "cut \ud83d", "p": "\ud83d"}' + b"\n"
    assert delimited([[row]], names=["a"]) == "a,p\ncut ?,x\n"


def test_each_chunk_reaches_the_stream_at_once(tmp_path):
    columns = Columns(["a"], frozenset(), ["p"])
    for writer_of in (JsonLinesWriter, lambda stream, columns: DelimitedWriter(stream, columns, ",")):
        with (tmp_path / "file").open("wb") as stream:
            writer_of(stream, columns).write(chunk([parse_row('{"a": 1.0}')]), {"p": ["x"]})
            assert "1.0" in (tmp_path / "file").read_text()
