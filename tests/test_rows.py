from __future__ import annotations

import io

import pandas as pd
import pytest

from han import rows
from han.rows import RowWriter, read_rows

ROWS = [
    {"id": 1, "text": 'He said "no", twice.\nTwo lines.', "tags": ["a", "b"]},
    {"id": 2, "text": "Ünïcode 我 \u2028 end", "tags": []},
    {"id": 3, "text": "", "tags": ["c"]},
]


def written(form, chunks):
    stream = io.BytesIO()
    writer = RowWriter(stream, form)
    for chunk in chunks:
        writer.write(chunk)
    writer.close()
    return stream.getvalue()


def flat(chunks):
    return [row for chunk in chunks for row in chunk]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_what_is_written_is_read_back(form, monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_ROWS", 2)
    content = written(form, [ROWS[:1], ROWS[1:]])
    chunks = list(read_rows(io.BytesIO(content), form))
    assert [len(chunk) for chunk in chunks] == [2, 1]
    expected = [{name: str(value) for name, value in row.items()} for row in ROWS] if form in ("csv", "tsv") else ROWS
    assert flat(chunks) == expected


def test_pandas_reads_what_is_written(tmp_path):
    plain = [{"id": row["id"], "text": row["text"]} for row in ROWS]
    for form, read in (("csv", pd.read_csv), ("jsonl", lambda path: pd.read_json(path, lines=True)),
                       ("parquet", pd.read_parquet)):  # fmt: skip
        (tmp_path / "file").write_bytes(written(form, [plain]))
        assert read(tmp_path / "file").fillna("").to_dict("records") == plain


def test_cells_of_csv_are_what_is_written_there():
    stream = io.BytesIO(b"text,label\nN/A,01\n1e5,\nnull,True\n")
    assert flat(read_rows(stream, "csv")) == [
        {"text": "N/A", "label": "01"},
        {"text": "1e5", "label": ""},
        {"text": "null", "label": "True"},
    ]


def test_json_lines_may_differ_in_their_columns_and_be_blank(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_BYTES", 12)
    stream = io.BytesIO(b'{"a": 1}\n\n{"b": [2]}\r\n{"a": null}')
    chunks = list(read_rows(stream, "jsonl"))
    assert flat(chunks) == [{"a": 1}, {"b": [2]}, {"a": None}]
    assert len(chunks) == 2
    assert written("jsonl", chunks) == b'{"a": 1}\n{"b": [2]}\n{"a": null}\n'


def test_what_is_not_utf_8_is_replaced():
    assert flat(read_rows(io.BytesIO(b"text\ncaf\xe9\n"), "csv")) == [{"text": "caf\ufffd"}]
    assert flat(read_rows(io.BytesIO(b'{"text": "caf\xe9"}\n'), "jsonl")) == [{"text": "caf\ufffd"}]


def test_nothing_is_no_rows():
    for form in ("csv", "jsonl"):
        assert flat(read_rows(io.BytesIO(b""), form)) == []
    assert flat(read_rows(io.BytesIO(b"text,label\n"), "csv")) == []


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("jsonl", b'{"a": 1}\n\n{"a": \n', "line 3 is not JSON"),
        ("jsonl", b'{"a": 1}\n[1, 2]\n', "line 2 must hold a JSON object, got '\\[1, 2\\]'"),
        ("csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, and the header 2"),
        ("csv", b"text\nHello, world\n", "line 2 has 2 fields, and the header 1"),
        ("tsv", b"a\tb\n1\n", "line 2 has 1 fields, and the header 2"),
        ("csv", b"a,a\n1,2\n", "the header names the column 'a' twice"),
        ("csv", b'a,b\n"1,2\n', "line 2: unexpected end of data"),
        ("parquet", b"a,b\n1,2\n", "[Pp]arquet"),
    ],
)
def test_broken_rows_are_named(form, content, message):
    with pytest.raises(ValueError, match=message):
        flat(read_rows(io.BytesIO(content), form))


def test_parquet_from_a_pipe():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    assert flat(read_rows(Pipe(written("parquet", [ROWS])), "parquet")) == ROWS


def test_columns_of_tables_are_those_of_the_first_chunk():
    for form in ("csv", "parquet"):
        with pytest.raises(ValueError, match=r"columns must be those of .*\['a'\], got 'b' further down"):
            written(form, [[{"a": 1}], [{"a": 1, "b": 2}]])
        first = [[{"a": "1"}, {"a": "2", "b": "3"}], [{"b": "4"}]]
        rows = flat(read_rows(io.BytesIO(written(form, first)), form))
        missing = "" if form == "csv" else None
        assert rows == [{"a": "1", "b": missing}, {"a": "2", "b": "3"}, {"a": missing, "b": "4"}]


def test_types_of_parquet_are_those_of_the_first_chunk():
    empty_first = [[{"a": 1, "note": None, "tags": []}], [{"a": 2, "note": "late", "tags": ["x"]}]]
    assert flat(read_rows(io.BytesIO(written("parquet", empty_first)), "parquet")) == flat(empty_first)
    with pytest.raises(ValueError, match="truncated"):
        written("parquet", [[{"a": 1}], [{"a": 2.5}]])


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_lines_end_only_where_rows_do(form):
    rows = [{"a": "x\ry", "b": "1"}, {"a": "x\r\ny", "b": "2"}, {"a": "x\ny", "b": "3"}]
    assert flat(read_rows(io.BytesIO(written(form, [rows])), form)) == rows


def test_half_of_a_surrogate_pair_does_no_harm():
    rows = flat(read_rows(io.BytesIO(rb'{"text": "cut \ud83d"}'), "jsonl"))
    assert rows == [{"text": "cut \ud83d"}]
    assert written("jsonl", [rows]) == rb'{"text": "cut \ud83d"}' + b"\n"
    assert written("csv", [rows]) == b"text\ncut ?\n"
    listed = [rows[0] | {"classes": ["\ud83d", "b"], "weight": 1.5}]
    parquet = io.BytesIO(written("parquet", [listed]))
    assert flat(read_rows(parquet, "parquet")) == [{"text": "cut ?", "classes": ["?", "b"], "weight": 1.5}]


def test_a_byte_order_mark_is_no_text():
    assert flat(read_rows(io.BytesIO(b'\xef\xbb\xbf{"a": 1}\n'), "jsonl")) == [{"a": 1}]
    assert flat(read_rows(io.BytesIO(b"\xef\xbb\xbfa\r\n1\r\n"), "csv")) == [{"a": "1"}]
