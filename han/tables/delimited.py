"""A parser of CSV and TSV that recovers from bad rows.

Unlike the `csv` module it accepts lone carriage returns, has no process-wide limit on the size of cells, and resumes on
the next line after a quote that is never closed. `han.tables.sniffing` detects the delimiter and the quoting.
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
    """The format of a CSV or TSV file.

    Attributes
    ----------
    delimiter : str
        The character between cells.
    quoting : {"minimal", "none", "backslash"}
        "minimal": cells may be enclosed in double quotes, and a quote in such a cell is doubled. "none": quotes are
        ordinary characters, and each line is a row. "backslash": like "minimal", but quotes, delimiters and backslashes
        are escaped by a backslash.
    """

    delimiter: str = ","
    quoting: str = "minimal"


@dataclass
class QuoteCounts:
    """Counts of cells by their use of quotes.

    Attributes
    ----------
    quoted : int
        Cells enclosed in quotes.
    doubled : int
        Quoted cells that contain a doubled quote.
    needless : int
        Quoted cells that need no quotes.
    bare : int
        Cells that contain a quote but are not enclosed in quotes.
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
        The line on which the row starts, from 1.
    fields : list of str
        The cells. Empty for an empty line, incomplete for a bad row.
    lines : list of str
        The lines of the row, in formats that have lines. A bad row has only its first line.
    problem : str
        Why a row is bad; "" for a good row.
    """

    number: int
    fields: list[str]
    lines: list[str]
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether this is an empty line."""
        return not self.fields and not self.problem


class _QuoteError(Exception):
    pass


class _RowParser:
    """Split the lines of a row into cells."""

    def __init__(self, dialect: Dialect, counts: QuoteCounts) -> None:
        delimiter = re.escape(dialect.delimiter)
        self._dialect, self._counts = dialect, counts
        self._quote = re.compile(r'\\.|"' if dialect.quoting == "backslash" else '""|"', re.DOTALL)
        self._escape_or_delimiter = re.compile(rf"\\.|{delimiter}")
        self._escape = re.compile(rf'\\(["\\{delimiter}])')
        self._needs_quotes = re.compile(rf'["\r\n{delimiter}]')
        self.start()

    def start(self) -> None:
        """Begin a row."""
        self.fields: list[str] = []
        self._open_cell: list[str] | None = None  # the lines so far of a quoted cell

    def feed(self, line: str) -> bool:
        """Parse the next line of the row; return whether the row is complete."""
        delimiter = self._dialect.delimiter
        body = line.rstrip("\r\n")
        position = 0
        while True:
            if self._open_cell is None:
                if not body.startswith('"', position):
                    end = self._end_of_cell(body, position)
                    cell = body[position:] if end < 0 else body[position:end]
                    self._counts.bare += self._has_bare_quote(cell)
                    self.fields.append(self._unescape(cell))
                    if end < 0:
                        return True
                    position = end + len(delimiter)
                    continue
                self._open_cell, position = [], position + 1
            close = self._closing_quote(line, position)
            if close < 0:
                self._open_cell.append(line[position:])
                return False
            end = close + 1
            if end < len(body) and not body.startswith(delimiter, end):
                raise _QuoteError("has text after the closing quote of a cell")
            self._close_cell(line[position:close])
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

    def _close_cell(self, last_part: str) -> None:
        raw = "".join([*(self._open_cell or []), last_part])
        cell = self._unescape(raw) if self._dialect.quoting == "backslash" else raw.replace('""', '"')
        self._counts.quoted += 1
        self._counts.doubled += '""' in raw
        self._counts.needless += bool(raw) and not self._needs_quotes.search(raw)
        self.fields.append(cell)
        self._open_cell = None

    def _unescape(self, cell: str) -> str:
        if self._dialect.quoting != "backslash" or "\\" not in cell:
            return cell
        return self._escape.sub(r"\1", cell)


def read_records(
    lines: Iterable[str | None],
    dialect: Dialect,
    *,
    start: int = 1,
    is_certain: bool = True,
    counts: QuoteCounts | None = None,
) -> Iterator[Record | None]:
    """Parse rows. A row is bad if its quotes are malformed or its length differs from that of the first row.

    Parameters
    ----------
    lines : iterable of str or None
        None marks a pause in the input and is passed through.
    dialect : Dialect
    start : int, default 1
        The number of the first line.
    is_certain : bool, default True
        Whether the quoting of the dialect is certain. If not, rows that are ambiguous (see `is_ambiguous`) are bad.
    counts : QuoteCounts, optional
        Updated in place.
    """
    row = _RowParser(dialect, QuoteCounts() if counts is None else counts)
    source = iter(lines)
    pending: deque[str] = deque()  # lines after the first one of a bad row, which are parsed again
    number = start
    width = 0
    while True:
        line = pending.popleft() if pending else next(source, "")
        if line is None:
            yield None
            continue
        if not line:
            return
        row_lines = [line]
        problem = ""
        if not line.strip("\r\n"):
            yield Record(number, [], row_lines)
            number += 1
            continue
        if dialect.quoting == "none" or ('"' not in line and dialect.quoting == "minimal"):
            fields = line.rstrip("\r\n").split(dialect.delimiter)
        else:
            row.start()
            fields = row.fields
            try:
                while not row.feed(row_lines[-1]):
                    while (line := pending.popleft() if pending else next(source, "")) is None:
                        yield None
                    if not line:
                        raise _QuoteError("opens a quote that is not closed")
                    row_lines.append(line)
            except _QuoteError as error:
                problem = str(error)
        width = width or len(fields)
        if not problem and len(fields) != width:
            problem = f"has {len(fields)} field{'s' * (len(fields) != 1)}, expected {width} as in the first row"
        if not problem and not is_certain and is_ambiguous(row_lines, dialect.delimiter, width):
            end = number + len(row_lines) - 1
            problem = f"opens a quote that is only closed on line {end}, though each of these lines has {width} fields"
        if problem:
            pending.extendleft(reversed(row_lines[1:]))
            row_lines = row_lines[:1]
        yield Record(number, fields, row_lines, problem)
        number += len(row_lines)


def is_ambiguous(lines: list[str], delimiter: str, width: int) -> bool:
    """Return whether each line of a quoted row would be a complete row if quotes were ordinary characters.

    A delimiter followed by a space is considered punctuation.
    """
    return (
        len(lines) > 1
        and width > 1
        and all(line.count(delimiter) == width - 1 for line in lines)
        and not any(f"{delimiter} " in line for line in lines)
    )
