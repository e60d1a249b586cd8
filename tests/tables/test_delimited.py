from __future__ import annotations

import csv
import io

import pytest

from han.tables.delimited import Dialect, QuoteCounts, is_ambiguous, read_records


def parse(text, **dialect):
    return [record for record in read_records(io.StringIO(text, newline=""), Dialect(**dialect)) if not record.is_empty]


@pytest.mark.parametrize(
    ("quoting", "written"),
    [
        ("minimal", {"quoting": csv.QUOTE_MINIMAL}),
        ("minimal", {"quoting": csv.QUOTE_ALL}),
        ("backslash", {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"}),
        ("backslash", {"quoting": csv.QUOTE_MINIMAL, "doublequote": False, "escapechar": "\\"}),
    ],
)
def test_rows_of_the_csv_module_are_parsed(quoting, written, rng):
    pieces = ["a", "", " ", ",", '"', '""', "\n", "\r\n", "\\", '\\"', "x,y", "我"]
    rows = [["".join(rng.choice(pieces, 4)) + "." for _ in range(3)] for _ in range(300)]
    stream = io.StringIO(newline="")
    csv.writer(stream, **written).writerows(rows)
    records = parse(stream.getvalue(), quoting=quoting)
    assert [record.fields for record in records] == rows
    assert not any(record.problem for record in records)
    lines = stream.getvalue().splitlines(keepends=True)
    assert [lines[record.number - 1] for record in records] == [record.lines[0] for record in records]


def test_parsing_resumes_on_the_line_after_a_bad_row():
    records = parse('a,b\n"c,d\n"e"f,g\nh,"i"\n"j,k\n')
    assert [(record.number, record.problem) for record in records] == [
        (1, ""),
        (2, "has text after the closing quote of a cell"),
        (3, "has text after the closing quote of a cell"),
        (4, ""),
        (5, "opens a quote that is not closed"),
    ]


def test_pauses_are_passed_through():
    lines = ["a,b\n", None, '"c\n', None, 'd",e\n']
    records = [*read_records(lines, Dialect())]
    assert [record and record.fields for record in records] == [["a", "b"], None, None, ["c\nd", "e"]]


def test_quotes_are_counted():
    counts = QuoteCounts()
    text = 'a,"b"\n"c, d",e "f"\n"g ""h""","i\nj"\n'
    assert len([*read_records(io.StringIO(text), Dialect(), counts=counts)]) == 3
    assert counts == QuoteCounts(quoted=4, doubled=1, needless=1, bare=1)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['"a,b\n', 'c",d\n'], True),
        (['"a\n', 'c",d\n'], False),
        (['"a, b\n', 'c",d\n'], False),  # punctuation
        (["a,d\n"], False),
    ],
)
def test_ambiguous_rows(lines, expected):
    assert is_ambiguous(lines, ",", 2) is expected
    records = [*read_records(["x,y\n", *lines], Dialect(), is_certain=False)]
    assert ("only closed on line 3" in records[1].problem) is expected
