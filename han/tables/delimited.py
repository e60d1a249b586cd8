"""A parser of CSV and TSV that recovers from bad rows.

The `csv` module rejects lone carriage returns, limits the size of cells for the whole process, and cannot resume on the
line after a quote that is never closed.
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
        "minimal": cells may be enclosed in double quotes, and a quote in such a cell is doubled. "none": quotes are
        text, and each line is a row. "backslash": as "minimal", but a backslash escapes quotes, delimiters and
        backslashes.
    """

    delimiter: str = ","
    quoting: str = "minimal"


@dataclass
class QuoteCounts:
    """How quotes are used in some rows.

    Attributes
    ----------
    quoted, doubled, needless : int
        Cells enclosed in quotes; those of them that contain a doubled quote, and those that need not be quoted.
    bare : int
        Cells that contain quotes without being enclosed in them.
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
        Empty for an empty line, incomplete for a bad row.
    lines : list of str
        The lines of the row, in formats that have lines.
    problem : str
        What is wrong with a bad row; "" for a good one. A bad row ends with the line on which it starts.
    """

    number: int
    fields: list[str]
    lines: list[str]
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether this is an empty line."""
        return not self.fields and not self.problem


class _BadQuote(Exception):  # noqa: N818 - not an error of the program
    pass


class _RowParser:
    """Splits the lines of a row into cells."""

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
        self._open: list[str] | None = None  # the text so far of a quoted cell

    def feed(self, line: str) -> bool:
        """Parse the next line of the row; return whether the row is complete."""
        delimiter = self._dialect.delimiter
        body = line.rstrip("\r\n")
        position = 0
        while True:
            if self._open is None:
                if not body.startswith('"', position):
                    end = self._end_of_cell(body, position)
                    cell = body[position:] if end < 0 else body[position:end]
                    self._counts.bare += self._has_bare_quote(cell)
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
            end = close + 1
            if end < len(body) and not body.startswith(delimiter, end):
                raise _BadQuote("has text after the closing quote of a cell")
            self._close(line[position:close])
            if end >= len(body):
                return True
            position = end + len(delimiter)

    def _has_bare_quote(self, cell: str) -> bool:
        if self._dialect.quoting == "backslash":
            cell = re.sub(r"\\.", "", cell)
        return '"' in cell

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
    """Parse rows, which must all have as many cells as the first one.

    Parameters
    ----------
    lines : iterable of str or None
        None marks a pause of the input and is passed through.
    dialect : Dialect
    start : int, default 1
        The number of the first line.
    sure : bool, default True
        Whether the dialect's quoting is certain. If not, rows that `reads_two_ways` are bad.
    counts : QuoteCounts, optional
        Updated in place.
    """
    row = _RowParser(dialect, QuoteCounts() if counts is None else counts)
    source = iter(lines)
    again: deque[str] = deque()  # lines to parse again, after a bad row
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
    """Return whether each line of a quoted row would be a row of its own if quotes were text.

    A delimiter followed by a space is taken for punctuation.
    """
    return (
        len(lines) > 1
        and width > 1
        and all(line.count(delimiter) == width - 1 for line in lines)
        and not any(f"{delimiter} " in line for line in lines)
    )
