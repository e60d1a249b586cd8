"""Tables as other programs write them; pandas, openpyxl and pyarrow are the reference."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from han.exceptions import InvalidValueError
from han.tables.table import open_table
from tests.tables.reading import FRAME, cells, read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_pandas_writes_is_read_without_options(delimiter, encoding, quoting, line_end):
    content = FRAME.to_csv(index=False, sep=delimiter, quoting=quoting, lineterminator=line_end).encode(encoding)
    rows, table = read(content)
    assert rows == cells(FRAME)
    assert table.dialect.delimiter == delimiter
    # A note says so unless the suffix indicates it.
    assert any(f"the delimiter {delimiter!r}" in note for note in table.notes) == (delimiter != ",")
    assert any("the encoding UTF-16" in note for note in table.notes) == (encoding == "utf-16")


# The pieces of random cells.
PIECES = [*"aé我", "word", *" ,;|\t'\"\n\\\u2028", ", ", '""', "\r\n", "0.5"]


def test_random_tables_of_pandas_are_read_correctly_or_rejected(rng):
    refused = 0
    for _ in range(400):
        pieces = rng.choice(PIECES, rng.integers(2, len(PIECES)), replace=False)
        shape = rng.integers(1, 20), rng.integers(1, 4)
        texts = [["".join(rng.choice(pieces, rng.integers(7))) for _ in range(shape[1])] for _ in range(shape[0])]
        frame = pd.DataFrame(texts, columns=["text", "label", "x"][: shape[1]])
        delimiter, quoting = rng.choice([*",;\t|"]), rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        content = frame.to_csv(index=False, sep=delimiter, quoting=int(quoting)).encode()
        try:
            rows, _ = read(content, "in.tsv" if delimiter == "\t" else "in.csv")
        except InvalidValueError:
            refused += 1
        else:
            assert rows == cells(frame), content
    assert refused < 20


def test_without_a_header_columns_are_numbered():
    rows, table = read(b"a good film,pos\na bad film,neg\n", header=False)
    assert rows == [{"0": "a good film", "1": "pos"}, {"0": "a bad film", "1": "neg"}]
    assert table.repeated_headers == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "in.xls",
            b"\xd0\xcf\x11\xe0 and more",
            r"^in\.xls is a workbook in the old format \.xls; save it as \.xlsx or \.csv",
        ),
        ("in.xlsx", b"PK\x03\x04 and more", r"^in\.xlsx is not an Excel workbook"),
        ("in.parquet", b"a,b\n1,2\n", r"^in\.parquet is not a Parquet file"),
        ("in.doc", b"a,b\n1,2\n", r"^in\.doc must end in one of \.csv, .*--input-format"),
        ("in.csv", b'"a,b\n1,"2"\n', r"^in\.csv: line 1 has text after the closing quote"),
        ("in.csv", b"a,a\n1,2\n", r"^in\.csv: the header contains the column 'a' twice"),
    ],
)
def test_files_that_are_not_tables_are_rejected(name, content, message):
    with pytest.raises(InvalidValueError, match=message):
        read(content, name)


@pytest.mark.parametrize(
    ("name", "content", "bad", "message"),
    [
        ("in.csv", b"a,b\n1,2\n3,4,5\n6\n7,8\n", [3, 4], "line 3 has 3 fields, expected 2 as in the first row"),
        ("in.tsv", b"a\tb\n1\t2\n3\n7\t8\n", [3], "line 3 has 1 field, expected 2"),
        ("in.csv", b'a,b\n1,"2"\n"3,4\n7,8\n', [3], "line 3 opens a quote that is not closed; to change"),
        ("in.csv", b'a,b\n1,"2,2,2"\n"3"4,5\n7,",,"\n', [3], "line 3 has text after the closing quote"),
        ("in.jsonl", b'{"a": 1}\n\n{"a": \n[1]\n{"a": 7}\n', [3, 4], "line 3 is not JSON"),
        ("in.jsonl", b'{"a": 1}\n' + b"[" * 100_000 + b'\n{"a": 7}\n', [2], "line 2 is not JSON"),
    ],
)
def test_bad_rows_raise_an_error_or_are_skipped(name, content, bad, message):
    with pytest.raises(InvalidValueError, match=f"^{name}: {message}.*; to skip such rows, use --skip-bad-rows"):
        read(content, name)
    rows, table = read(content, name, skip_bad_rows=True)
    assert [str(row["a"]) for row in rows] == ["1", "7"]
    assert table.skipped == bad
    where = ", ".join(map(str, bad))
    assert f"skipped {len(bad)} bad row{'s' * (len(bad) > 1)}, on line {where}; the first" in table.notes[-1]


def test_rows_are_numbered_by_the_line_they_start_on():
    table = open_table(io.BytesIO(b'text,label\r\n\r\n"a\r\nb",1\r\nc,2\r\n'), "in.csv")
    (chunk,) = table.chunks()
    assert chunk.numbers == [3, 5]
    assert chunk.column("label") == ["1", "2"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_breaks_in_cells_are_kept(end):
    rows = [{"a": "x\ry", "b": "1"}, {"a": "x\r\ny", "b": "2"}, {"a": "x\ny", "b": "3"}]
    content = f"a,b{end}" + "".join(f'"{row["a"]}",{row["b"]}{end}' for row in rows)
    assert read(content.encode())[0] == rows


def test_a_lone_carriage_return_is_part_of_a_cell_if_lines_end_in_newlines():
    assert read(b"a,b\nx\ry,1\n")[0] == [{"a": "x\ry", "b": "1"}]
    assert read(b"a\tb\nx\ry\t1\n", "in.tsv")[0] == [{"a": "x\ry", "b": "1"}]


def test_an_empty_line_in_one_column_is_an_empty_cell():
    assert [row["text"] for row in read(b"text\na\n\n\nb\n\n\n")[0]] == ["a", "", "", "b"]
    assert [row["text"] for row in read(b"text,label\na,1\n\nb,2\n")[0]] == ["a", "b"]


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_an_empty_file_has_no_rows(name):
    assert read(b"", name)[0] == []
    assert read(b"text,label\n", "in.csv")[0] == []


def test_a_note_counts_repeated_headers():
    content = FRAME.to_csv(index=False)
    rows, table = read((content + "\ufeff" + content).encode())
    assert len(rows) == 17
    assert table.repeated_headers == [12]
    assert "in.csv: the header is repeated 1 time, first on line 12" in table.notes


def test_chunks_end_at_a_number_of_rows_or_a_size(monkeypatch):
    content = b"text,label\n" + b"aaaa,b\n" * 10
    monkeypatch.setattr("han.tables.table.CHUNK_ROWS", 4)
    assert [len(chunk) for chunk in open_table(io.BytesIO(content), "in.csv").chunks()] == [4, 4, 2]
    monkeypatch.setattr("han.tables.table.CHUNK_SIZE", 9)
    assert [len(chunk) for chunk in open_table(io.BytesIO(content), "in.csv").chunks()] == [2] * 5
