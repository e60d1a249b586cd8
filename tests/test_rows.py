from __future__ import annotations

import io

import pandas as pd
import pytest

from han import rows
from han.rows import RowWriter, read_rows, replacing

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
        ("csv", b"a,b\n1,2\n1,2,3\n", "line 3"),
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
    with pytest.raises(ValueError, match="fields not in fieldnames: 'b'"):
        written("csv", [[{"a": 1}], [{"a": 1, "b": 2}]])
    empty_first = [[{"a": 1, "note": None}], [{"a": 2, "note": "late"}]]
    assert flat(read_rows(io.BytesIO(written("parquet", empty_first)), "parquet")) == flat(empty_first)


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with replacing(path) as stream:
        stream.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_has_changed_when_writing_fails(error, tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def write_half():
        with replacing(path) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
