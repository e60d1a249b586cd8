"""Rows of CSV and TSV files: their cells, and what is wrong with those that cannot be read.

The `csv` module takes a lone carriage return for an error or for the end of a row, limits cells by a setting of the
whole process, and cannot go on behind a row that cannot be read.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

QUOTINGS = ("minimal", "none", "backslash")


@dataclass(frozen=True)
class Dialect:
    """How the cells of a table of text are written.

    Attributes
    ----------
    delimiter : str
        One character.
    quoting : {"minimal", "none", "backslash"}
        "minimal": a cell may stand in double quotes, and those inside it are doubled. "none": a quote is text, and
        each line is a row. "backslash": as "minimal", but a backslash before a quote, a backslash or a delimiter makes
        it text.
    """

    delimiter: str = ","
    quoting: str = "minimal"


@dataclass
class QuoteCounts:
    """What the quotes of some rows look like, by which to tell whether they are more than text.

    Attributes
    ----------
    quoted, doubled, needless : int
        Cells in quotes; of these, those with a doubled quote in them, and those that needed no quotes.
    bare : int
        Cells that are not in quotes and have some in them.
    """

    quoted: int = 0
    doubled: int = 0
    needless: int = 0
    bare: int = 0


class Record(NamedTuple):
    """A row of a file.

    Attributes
    ----------
    number : int
        The line on which it starts, from 1.
    fields : list of str
        None for an empty line.
    lines : list of str
        Those it stands on, in formats that have lines.
    problem : str
        Why the line that it starts on cannot be read; "" if it can. The next record starts on the next line.
    """

    number: int
    fields: list[str]
    lines: list[str]
    problem: str = ""


class _BadQuote(Exception):  # noqa: N818 - not an error of the program
    pass


class _RowParser:
    """Splits the lines of one row after the other into cells."""

    def __init__(self, dialect: Dialect, counts: QuoteCounts) -> None:
        delimiter = re.escape(dialect.delimiter)
        self._dialect, self._counts = dialect, counts
        self._quote = re.compile(r'\\.|"' if dialect.quoting == "backslash" else '""|"', re.DOTALL)
        self._escape_or_delimiter = re.compile(rf"\\.|{delimiter}")
        self._escape = re.compile(rf'\\(["\\{delimiter}])')
        self._need = re.compile(rf'["\r\n{delimiter}]')
        self.start()

    def start(self) -> None:
        """Begin a row."""
        self.fields: list[str] = []
        self._open: list[str] | None = None  # the parts so far of a cell in quotes that are not closed

    def feed(self, line: str) -> bool:
        """Add a line; the result tells whether the row ends with it."""
        delimiter = self._dialect.delimiter
        body = line.rstrip("\r\n")
        position = 0
        while True:
            if self._open is None:
                if not body.startswith('"', position):
                    end = self._end_of_cell(body, position)
                    cell = body[position:] if end < 0 else body[position:end]
                    self._counts.bare += '"' in cell
                    self.fields.append(self._unescaped(cell))
                    if end < 0:
                        return True
                    position = end + len(delimiter)
                    continue
                self._open, position = [], position + 1
            close = self._closing_quote(line, position)
            if close < 0:
                self._open.append(line[position:])
                return False
            self._close(line[position:close])
            position = close + 1
            if position >= len(body):
                return True
            if not body.startswith(delimiter, position):
                raise _BadQuote("has text behind the closing quote of a cell")
            position += len(delimiter)

    def _end_of_cell(self, body: str, position: int) -> int:
        if self._dialect.quoting == "minimal":
            return body.find(self._dialect.delimiter, position)
        found = self._escape_or_delimiter.finditer(body, position)
        return next((match.start() for match in found if match[0] == self._dialect.delimiter), -1)

    def _closing_quote(self, line: str, position: int) -> int:
        return next((match.start() for match in self._quote.finditer(line, position) if match[0] == '"'), -1)

    def _close(self, last: str) -> None:
        raw = "".join([*(self._open or []), last])
        cell = self._unescaped(raw) if self._dialect.quoting == "backslash" else raw.replace('""', '"')
        self._counts.quoted += 1
        self._counts.doubled += '""' in raw
        self._counts.needless += bool(raw) and not self._need.search(raw)
        self.fields.append(cell)
        self._open = None

    def _unescaped(self, cell: str) -> str:
        if self._dialect.quoting != "backslash" or "\\" not in cell:
            return cell
        return self._escape.sub(r"\1", cell)


def read_records(
    lines: Iterable[str | None],
    dialect: Dialect,
    *,
    start: int = 1,
    sure: bool = True,
    counts: QuoteCounts | None = None,
) -> Iterator[Record | None]:
    """Read the rows of a table; the first one says how many cells each has.

    Parameters
    ----------
    lines : iterable of str or None
        None, for a pause, is handed on.
    dialect : Dialect
    start : int, default 1
        The number of the first line.
    sure : bool, default True
        Whether it is known that quotes are more than text. If not, a row of several lines, each of which would be a
        row if they were text, has a problem: it can be read in two ways.
    counts : QuoteCounts, optional
        Is added to.
    """
    row = _RowParser(dialect, QuoteCounts() if counts is None else counts)
    source = iter(lines)
    again: deque[str] = deque()  # the lines behind the first one of a row that could not be read
    number = start
    width = 0
    while True:
        line = again.popleft() if again else next(source, "")
        if line is None:
            yield None
            continue
        if not line:
            return
        taken = [line]
        problem = ""
        if not line.strip("\r\n"):
            yield Record(number, [], taken)
            number += 1
            continue
        if dialect.quoting == "none" or ('"' not in line and dialect.quoting == "minimal"):
            fields = line.rstrip("\r\n").split(dialect.delimiter)
        else:
            row.start()
            fields = row.fields
            try:
                while not row.feed(taken[-1]):
                    while (line := again.popleft() if again else next(source, "")) is None:
                        yield None
                    if not line:
                        raise _BadQuote("opens a quote that is not closed")
                    taken.append(line)
            except _BadQuote as error:
                problem = str(error)
        width = width or len(fields)
        if not problem and len(fields) != width:
            problem = f"has {len(fields)} field{'s' * (len(fields) != 1)}, expected {width} as in the first row"
        if not problem and not sure and reads_two_ways(taken, dialect.delimiter, width):
            end = number + len(taken) - 1
            problem = f"opens a quote that is only closed on line {end}, though each of these lines has {width} fields"
        if problem:
            again.extendleft(reversed(taken[1:]))
            taken = taken[:1]
        yield Record(number, fields, taken, problem)
        number += len(taken)


def reads_two_ways(lines: list[str], delimiter: str, width: int) -> bool:
    """Tell whether lines that were read as one row would be a row each if quotes were text.

    A delimiter before a space is one of the text.
    """
    return (
        len(lines) > 1
        and width > 1
        and all(line.count(delimiter) == width - 1 for line in lines)
        and not any(f"{delimiter} " in line for line in lines)
    )
