"""Tables as other programs write them; pandas, openpyxl and pyarrow are the reference."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from han.exceptions import InvalidTypeError, InvalidValueError
from han.tables.table import TableOptions, format_named, joined_text, open_table

TEXTS = [
    "plain",
    "with, comma; semicolon",
    'He said "no", twice.',
    "two\nlines",
    "two\r\nlines",
    "",
    "ünï 我 \u2028 x",
    "'s",
]
FRAME = pd.DataFrame({"text": TEXTS, "label": ["a", "b"] * 4, "n": range(8)})


def read(content, name="in.csv", **options):
    """Return the rows, and the table when they are read."""
    table = open_table(io.BytesIO(content), name, TableOptions(**options))
    return [row for chunk in table.chunks() for row in chunk.rows], table


def cells(frame):
    return frame.astype(str).to_dict("records")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_pandas_writes_is_read_without_options(delimiter, encoding, quoting, line_end):
    content = FRAME.to_csv(index=False, sep=delimiter, quoting=quoting, lineterminator=line_end).encode(encoding)
    rows, table = read(content)
    assert rows == cells(FRAME)
    assert table.dialect.delimiter == delimiter
    # Said where it is not what the name promises.
    assert any(f"the delimiter {delimiter!r}" in note for note in table.notes) == (delimiter != ",")
    assert any("the encoding UTF-16" in note for note in table.notes) == (encoding == "utf-16")


# What random cells are made of.
PIECES = [*"aé我", "word", *" ,;|\t'\"\n\\\u2028", ", ", '""', "\r\n", "0.5"]


def test_random_tables_of_pandas_are_read_or_refused_but_never_changed(rng):
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


def test_no_row_of_a_tsv_is_swallowed_by_quotes():
    rows = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(60)]
    rows[10]["text"] = '"Begins with a quote'
    rows[40]["text"] = 'ends with one"'
    rows[50]["text"] = '"A title"'
    content = "text\tlabel\n" + "".join(f"{row['text']}\t{row['label']}\n" for row in rows)
    assert len(pd.read_csv(io.StringIO(content), sep="\t")) < 60  # what is to be avoided
    assert read(content.encode(), "in.tsv")[0] == rows
    assert read(content.encode(), "in.tsv", quoting="none")[0] == rows


def test_no_row_of_a_csv_is_swallowed_in_silence():
    content = b'text,label\n"Begins with a quote,a\nbetween,b\nends with one",a\nlast,b\n'
    message = r"^in\.csv: line 2 opens a quote that is only closed on line 4, though each .* 2 fields; .*--quoting"
    with pytest.raises(InvalidValueError, match=message):
        read(content)
    assert [row["text"] for row in read(content, quoting="none")[0]] == [
        '"Begins with a quote', "between", 'ends with one"', "last",
    ]  # fmt: skip
    assert len(read(content, quoting="minimal")[0]) == 2
    # Where other rows show that quotes are more than text, it is said.
    rows, table = read(content + b'"a, ""b""",b\n')
    assert len(rows) == 3
    assert "quotes join 2 lines to the row above (the row on line 2 may be several)" in table.notes[0]


def test_one_column_of_texts_over_several_lines_is_said():
    rows, table = read(b'text\n"one\ntwo"\nthree\n')
    assert rows == [{"text": "one\ntwo"}, {"text": "three"}]
    assert table.notes == [
        "in.csv: quotes join 1 line to the row above; to read each line as a row, use --quoting none"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"text;label\nHello, world, all;a\nBye, you;b\n", [["Hello, world, all", "a"], ["Bye, you", "b"]]),
        (b"text,label\n1;2;3,a\n4;5;6,b\n", [["1;2;3", "a"], ["4;5;6", "b"]]),
        (b'text,label\n"a;b\nc;d",a\nx,b\n', [["a;b\nc;d", "a"], ["x", "b"]]),
        (b"sep=;\r\ntext;label\r\nx;a\r\n", [["x", "a"]]),
        (b"text|label\nx, y|a\n", [["x, y", "a"]]),
        (b"text\nOne, two.\nThree, four, five.\nSix.\n", [["One, two."], ["Three, four, five."], ["Six."]]),
        (b"text\nno delimiter at all\n", [["no delimiter at all"]]),
    ],
)
def test_the_delimiter_is_the_one_that_fits(content, expected):
    assert [[*row.values()] for row in read(content)[0]] == expected


def test_a_delimiter_in_doubt_is_said():
    rows, table = read(b"a,b;c\n1,2;3\n")
    assert rows == [{"a": "1", "b;c": "2;3"}]
    assert table.notes == ["in.csv: assumed the delimiter ',' (but ';' would do too); see --delimiter"]
    assert read(b"a,b;c\n1,2;3\n", delimiter=";")[0] == [{"a,b": "1,2", "c": "3"}]
    assert read(b"a\tb\n1\t2\n", "in.csv", delimiter="\\t")[0] == [{"a": "1", "b": "2"}]


def test_a_quote_in_an_unquoted_cell_behind_a_backslash():
    content = b'text\tq\\"q\ngood film\t1\n'
    assert read(content)[1].names == ["text", 'q"q']
    assert read(content, "in.tsv")[1].names == ["text", 'q\\"q']


def test_quotes_behind_backslashes():
    content = b'text,label\n"He said \\"no, really\\", twice.",a\nplain,b\n'
    rows, table = read(content)
    assert rows == [{"text": 'He said "no, really", twice.', "label": "a"}, {"text": "plain", "label": "b"}]
    assert table.notes == ["in.csv: assumed that backslashes escape quotes; see --quoting"]
    written = FRAME.to_csv(index=False, escapechar="\\", doublequote=False).encode()
    assert read(written)[0] == cells(FRAME)
    assert read(b'text,label\n"a folder C:\\new\\",a\n')[0][0]["text"] == "a folder C:\\new\\"


def test_quotes_that_are_text_in_a_csv():
    rows, table = read(b'text,label\n"Great" film,a\n5" disk,b\n')
    assert [row["text"] for row in rows] == ['"Great" film', '5" disk']
    assert table.notes == ["in.csv: assumed that quotes are text; see --quoting"]


def test_columns_without_names_are_named_as_pandas_names_them():
    content = b"v1,v2,,,\nham,Hello,,,\nspam,Win,,,\n"
    rows, _ = read(content)
    assert [*rows[0]] == [*pd.read_csv(io.BytesIO(content)).columns]
    assert rows[1] == {"v1": "spam", "v2": "Win", "Unnamed: 2": "", "Unnamed: 3": "", "Unnamed: 4": ""}


def test_without_a_header_columns_are_numbered():
    rows, table = read(b"a good film,pos\na bad film,neg\n", header=False)
    assert rows == [{"0": "a good film", "1": "pos"}, {"0": "a bad film", "1": "neg"}]
    assert table.repeated_headers == []


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda content: pa.compress(content, "zstd", asbytes=True)),
    ],
)
def test_compressed_files(ending, compress, rng):
    assert format_named(f"x.csv{ending}") == "csv"
    content = b"text,label\n" + b"a,b\n" * 100_000
    assert len(read(compress(content), f"in.csv{ending}")[0]) == 100_000
    assert len(read(compress(content), "in.csv")[0]) == 100_000  # known by how it begins
    frame = io.BytesIO()
    FRAME.to_parquet(frame)
    assert [row["text"] for row in read(compress(frame.getvalue()), f"in.parquet{ending}")[0]] == TEXTS
    with pytest.raises(InvalidValueError, match=rf"^in\.csv\{ending} is a damaged or truncated \{ending} file"):
        read(compress(rng.bytes(300_000))[:-200_000], f"in.csv{ending}", encoding="latin-1")


def test_compressed_files_of_several_members():
    content = gzip.compress(b"text,label\na,b\n") + gzip.compress(b"c,d\n")
    assert len(read(content, "in.csv.gz")[0]) == 2


@pytest.mark.parametrize("orient", ["records", "split", "columns", "index", "table"])
def test_json_of_pandas(orient):
    content = FRAME.to_json(orient=orient).encode()
    rows, table = read(content, "in.json")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["n"] for row in rows] == [*range(8)]
    assert table.unit == "row"


def test_json_lists_in_objects_and_json_lines_by_another_name():
    expected = [{"text": "a"}, {"text": "b"}]
    assert read(b'{"version": 1, "data": [{"text": "a"}, {"text": "b"}]}', "in.json")[0] == expected
    assert read(b'{"text": "a"}\n{"text": "b"}\n', "in.json")[0] == expected
    assert read(b'[{"text": "a"},\n {"text": "b"}]', "in.jsonl")[0] == expected
    with pytest.raises(InvalidValueError, match=r"^in\.json must hold a list of objects"):
        read(b'{"text": "a"}', "in.json")
    with pytest.raises(InvalidValueError, match=r"^in\.json is not JSON: Expecting .* line 1"):
        read(b'[{"text": "a"}', "in.json")
    with pytest.raises(InvalidValueError, match=r"^in\.json: row 2 must hold a JSON object, got 7"):
        read(b'[{"text": "a"}, 7]', "in.json")


def test_excel(tmp_path):
    # As Excel writes a carriage return.
    written = [text.replace("\r", "_x000D_") for text in TEXTS]
    frame = FRAME.assign(text=written, when=pd.Timestamp("2024-03-01"))
    with pd.ExcelWriter(tmp_path / "in.xlsx") as writer:
        pd.DataFrame().to_excel(writer, sheet_name="nothing", index=False)
        frame.to_excel(writer, sheet_name="reviews", index=False)
        frame.head(1).to_excel(writer, sheet_name="more", index=False)
    rows, table = read((tmp_path / "in.xlsx").read_bytes(), "in.xlsx")
    assert rows == cells(FRAME.assign(when="2024-03-01T00:00:00"))
    assert table.unit == "row"
    assert table.notes == ["in.xlsx: read the sheet 'reviews', one of 3"]
    chunk = next(open_table(io.BytesIO((tmp_path / "in.xlsx").read_bytes()), "in.xlsx").chunks())
    assert chunk.numbers == [*range(2, 10)]  # as Excel numbers them
    assert read((tmp_path / "in.xlsx").read_bytes(), "in.csv")[0] == rows  # known by how it begins


def test_excel_needs_an_extra(tmp_path, monkeypatch):
    FRAME.head(1).to_excel(tmp_path / "in.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[xlsx\]'"):
        read((tmp_path / "in.xlsx").read_bytes(), "in.xlsx")


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
        ("in.csv", b"a,a\n1,2\n", r"^in\.csv: the header names the column 'a' twice"),
    ],
)
def test_what_is_no_table_is_refused(name, content, message):
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
def test_bad_rows_are_named_or_skipped_and_counted(name, content, bad, message):
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
def test_line_breaks_in_cells_stay(end):
    rows = [{"a": "x\ry", "b": "1"}, {"a": "x\r\ny", "b": "2"}, {"a": "x\ny", "b": "3"}]
    content = f"a,b{end}" + "".join(f'"{row["a"]}",{row["b"]}{end}' for row in rows)
    assert read(content.encode())[0] == rows


def test_a_lone_carriage_return_is_text_where_lines_end_otherwise():
    assert read(b"a,b\nx\ry,1\n")[0] == [{"a": "x\ry", "b": "1"}]
    assert read(b"a\tb\nx\ry\t1\n", "in.tsv")[0] == [{"a": "x\ry", "b": "1"}]


def test_an_empty_line_in_one_column_is_an_empty_cell():
    assert [row["text"] for row in read(b"text\na\n\n\nb\n\n\n")[0]] == ["a", "", "", "b"]
    assert [row["text"] for row in read(b"text,label\na,1\n\nb,2\n")[0]] == ["a", "b"]


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_nothing_is_no_rows(name):
    assert read(b"", name)[0] == []
    assert read(b"text,label\n", "in.csv")[0] == []


def test_repeated_headers_are_said():
    content = FRAME.to_csv(index=False)
    rows, table = read((content + "\ufeff" + content).encode())
    assert len(rows) == 17
    assert table.repeated_headers == [12]
    assert "in.csv: the header is repeated 1 time, first on line 12" in table.notes


def test_chunks_end_at_rows_and_at_sizes(monkeypatch):
    content = b"text,label\n" + b"aaaa,b\n" * 10
    monkeypatch.setattr("han.tables.table.CHUNK_ROWS", 4)
    assert [len(chunk) for chunk in open_table(io.BytesIO(content), "in.csv").chunks()] == [4, 4, 2]
    monkeypatch.setattr("han.tables.table.CHUNK_SIZE", 9)
    assert [len(chunk) for chunk in open_table(io.BytesIO(content), "in.csv").chunks()] == [2] * 5


@pytest.mark.parametrize(
    ("name", "first", "second", "third"),
    [
        ("in.csv", b"text,label\na,1\n", b'"b\nc",2\nd,3\n"e', b'\nf",4\n'),
        ("in.tsv", b"text\tlabel\na\t1\n", b"b\t2\nd\t3\ne", b"\t4\n"),
        ("in.jsonl", b'{"text": 1}\n{"text": 2}\n', b'{"text": 3}\n{"tex', b't": 4}'),
    ],
)
def test_a_pipe_hands_on_what_has_come_when_it_pauses(name, first, second, third):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(first)
        found = [next(chunks := open_table(stream, name).chunks())]
        pipe.write(second)
        found.append(next(chunks))
        pipe.write(third)
        pipe.close()
        found += chunks
    whole = open_table(io.BytesIO(first + second + third), name)
    assert [row for chunk in found for row in chunk.rows] == [row for chunk in whole.chunks() for row in chunk.rows]
    assert len(found) == 3


def test_parquet_from_a_pipe_and_its_batches():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    buffer = io.BytesIO()
    FRAME.to_parquet(buffer)
    table = open_table(Pipe(buffer.getvalue()), "in.parquet")
    (chunk,) = table.chunks()
    assert chunk.batch.schema.equals(table.schema)
    assert chunk.column("n") == [*range(8)]
    assert chunk.numbers == [*range(1, 9)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"input_format": "xml"}, InvalidValueError, "input_format must be one of csv, .* got 'xml'"),
        ({"quoting": 3}, InvalidValueError, "quoting must be one of minimal, none, backslash, or None, got 3"),
        ({"delimiter": "::"}, InvalidValueError, "delimiter must be one character.* got '::'"),
        ({"delimiter": '"'}, InvalidValueError, "delimiter must be one character"),
        ({"encoding": "utf-7b"}, InvalidValueError, "encoding must be a text encoding.* got 'utf-7b'"),
        ({"encoding": "base64"}, InvalidValueError, "encoding must be a text encoding.* got 'base64'"),
        ({"header": None}, InvalidTypeError, "header must be a bool, got None"),
        ({"skip_bad_rows": 1}, InvalidTypeError, "skip_bad_rows must be a bool, got 1"),
    ],
)
def test_options_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        TableOptions(**options)


def test_several_texts_are_joined_by_a_blank_line():
    assert joined_text(["title", "body"]) == "title\n\nbody"
    assert joined_text(["", "body", None, float("nan")]) == "body"
    assert joined_text([None, ""]) is None
    assert joined_text([["split", "already"]]) == ["split", "already"]
    with pytest.raises(InvalidTypeError, match="that are joined must hold str, got 7"):
        joined_text(["title", 7])


@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_a_damaged_row_does_not_make_the_quotes_of_the_others_text(name):
    delimiter = "," if name == "in.csv" else "\t"
    lines = [f'"text {n}"{delimiter}"{"ab"[n % 2]}"\n' for n in range(20)]
    content = "".join([f'"text"{delimiter}"label"\n', *lines[:10], f'"open{delimiter}a\n', *lines[10:]]).encode()
    with pytest.raises(InvalidValueError, match="line 12 "):
        read(content, name)
    rows, table = read(content, name, skip_bad_rows=True)
    assert [row["text"] for row in rows] == [f"text {n}" for n in range(20)]
    assert table.skipped == [12]


def test_small_row_groups_are_read_together(tmp_path):
    table = pa.table({"text": [f"document {number}" for number in range(5000)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=3)
    with (tmp_path / "in.parquet").open("rb") as stream:
        chunks = [*open_table(stream, "in.parquet", TableOptions()).chunks()]
    assert [len(chunk) for chunk in chunks] == [4095, 905]
    assert [number for chunk in chunks for number in chunk.numbers] == [*range(1, 5001)]
    assert [text for chunk in chunks for text in chunk.column("text")] == table["text"].to_pylist()
