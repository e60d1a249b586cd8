from __future__ import annotations

import io

import pandas as pd
import pytest

from han.exceptions import InvalidValueError
from tests.tables.reading import FRAME, cells, read


def test_no_row_of_a_tsv_is_swallowed_by_quotes():
    rows = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(60)]
    rows[10]["text"] = '"Begins with a quote'
    rows[40]["text"] = 'ends with one"'
    rows[50]["text"] = '"A title"'
    content = "text\tlabel\n" + "".join(f"{row['text']}\t{row['label']}\n" for row in rows)
    assert len(pd.read_csv(io.StringIO(content), sep="\t")) < 60  # the error to avoid
    assert read(content.encode(), "in.tsv")[0] == rows
    assert read(content.encode(), "in.tsv", quoting="none")[0] == rows


def test_no_row_of_a_csv_is_swallowed_silently():
    content = b'text,label\n"Begins with a quote,a\nbetween,b\nends with one",a\nlast,b\n'
    message = r"^in\.csv: line 2 opens a quote that is only closed on line 4, though each .* 2 fields; .*--quoting"
    with pytest.raises(InvalidValueError, match=message):
        read(content)
    assert [row["text"] for row in read(content, quoting="none")[0]] == [
        '"Begins with a quote', "between", 'ends with one"', "last",
    ]  # fmt: skip
    assert len(read(content, quoting="minimal")[0]) == 2
    # If other rows show that cells are quoted, the rows are merged with a note.
    rows, table = read(content + b'"a, ""b""",b\n')
    assert len(rows) == 3
    assert "quotes join 2 lines to the row above (the row on line 2 may be several)" in table.notes[0]


def test_a_note_counts_lines_joined_by_quotes():
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


def test_a_note_names_delimiters_that_fit_equally_well():
    rows, table = read(b"a,b;c\n1,2;3\n")
    assert rows == [{"a": "1", "b;c": "2;3"}]
    assert table.notes == ["in.csv: assumed the delimiter ',' (but ';' would fit too); see --delimiter"]
    assert read(b"a,b;c\n1,2;3\n", delimiter=";")[0] == [{"a,b": "1,2", "c": "3"}]
    assert read(b"a\tb\n1\t2\n", "in.csv", delimiter="\\t")[0] == [{"a": "1", "b": "2"}]


def test_an_escaped_quote_in_an_unquoted_cell():
    content = b'text\tq\\"q\ngood film\t1\n'
    assert read(content)[1].names == ["text", 'q"q']
    assert read(content, "in.tsv")[1].names == ["text", 'q\\"q']


def test_quotes_escaped_by_backslashes():
    content = b'text,label\n"He said \\"no, really\\", twice.",a\nplain,b\n'
    rows, table = read(content)
    assert rows == [{"text": 'He said "no, really", twice.', "label": "a"}, {"text": "plain", "label": "b"}]
    assert table.notes == ["in.csv: assumed that backslashes escape quotes; see --quoting"]
    written = FRAME.to_csv(index=False, escapechar="\\", doublequote=False).encode()
    assert read(written)[0] == cells(FRAME)
    assert read(b'text,label\n"a folder C:\\new\\",a\n')[0][0]["text"] == "a folder C:\\new\\"


def test_quotes_within_cells_of_a_csv_are_ordinary_characters():
    rows, table = read(b'text,label\n"Great" film,a\n5" disk,b\n')
    assert [row["text"] for row in rows] == ['"Great" film', '5" disk']
    assert table.notes == ["in.csv: assumed that quotes are ordinary characters; see --quoting"]


@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_a_damaged_row_does_not_change_the_quoting_of_the_others(name):
    delimiter = "," if name == "in.csv" else "\t"
    lines = [f'"text {n}"{delimiter}"{"ab"[n % 2]}"\n' for n in range(20)]
    content = "".join([f'"text"{delimiter}"label"\n', *lines[:10], f'"open{delimiter}a\n', *lines[10:]]).encode()
    with pytest.raises(InvalidValueError, match="line 12 "):
        read(content, name)
    rows, table = read(content, name, skip_bad_rows=True)
    assert [row["text"] for row in rows] == [f"text {n}" for n in range(20)]
    assert table.skipped == [12]
