"""Tables written a chunk at a time, as CSV, TSV or JSON Lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from han.exceptions import InvalidValueError
from han.tables.json_text import cells, object_text

if TYPE_CHECKING:
    from han.tables.table import Chunk

DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class Columns:
    """The columns of a table that is written.

    Attributes
    ----------
    kept : list of str
        Those of the input, in order. JSON Lines may have others too.
    dropped : frozenset of str
        Those of the input that are left out.
    added : list of str
        New ones, which stand last.
    """

    kept: list[str]
    dropped: frozenset[str]
    added: list[str]


class RowWriter(Protocol):
    """Writes chunks of a table together with new columns."""

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column; they reach the stream at once if they can."""

    def close(self) -> None:
        """Write what is left to write; the stream stays open."""

    def discard(self) -> None:
        """Let go of what is left to write."""


def rows_added(added: Mapping[str, Sequence[Any]], count: int) -> list[dict[str, Any]]:
    """Return new columns as rows."""
    return [{name: values[index] for name, values in added.items()} for index in range(count)]


class JsonLinesWriter:
    """Writes JSON Lines; objects that were read from JSON keep the text of their values.

    Parameters
    ----------
    stream : binary file
    columns : Columns
    """

    def __init__(self, stream: BinaryIO, columns: Columns) -> None:
        self._stream, self._columns = stream, columns

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column."""
        for row, new in zip(chunk.rows, rows_added(added, len(chunk)), strict=True):
            line = object_text(row, self._columns.dropped, new) + "\n"
            # UTF-8 cannot hold half of a surrogate pair; JSON can, as an escape.
            self._stream.write(line.encode("utf-8", "backslashreplace"))
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: all is written."""

    discard = close


class DelimitedWriter:
    """Writes CSV or TSV in UTF-8, with a header.

    Parameters
    ----------
    stream : binary file
    columns : Columns
    delimiter : str
    quoted : bool, default True
        Whether cells are quoted where they have to be. Without that, they must not hold delimiters or line breaks.
    """

    def __init__(self, stream: BinaryIO, columns: Columns, delimiter: str, quoted: bool = True) -> None:
        self._stream, self._columns = stream, columns
        self._names = [*columns.kept, *columns.added]
        self._text = io.StringIO(newline="")
        self._delimiter = delimiter
        self._quoted = quoted or len(self._names) == 1  # where an empty cell would be an empty line
        self._minimal, self._all = (
            csv.writer(self._text, delimiter=delimiter, lineterminator="\n", quoting=quoting)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        self._add(self._names)  # the header

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column.

        Raises
        ------
        InvalidValueError
            If a row has a column that is not in the header, and nothing of the chunk is written; or, without quotes, if
            a cell holds a delimiter or a line break.
        """
        known = {*self._columns.kept, *self._columns.dropped}
        rows = chunk.rows
        for number, row in zip(chunk.numbers, rows, strict=True):
            if not row.keys() <= known:
                unknown = next(name for name in row if name not in known)
                raise InvalidValueError(
                    f"line {number} has the column {unknown!r}, which the first rows do not have, {[*known]}; "
                    "jsonl output can have it"
                )
        for row, new in zip(rows, rows_added(added, len(chunk)), strict=True):
            found = {**cells(row), **cells(new)}
            self._add([found.get(name, "") for name in self._names])
        self._flush()

    def _add(self, fields: Sequence[str]) -> None:
        if self._quoted:
            # `csv` does not quote a lone carriage return, but its readers take one for the end of a row.
            has_return = any("\r" in field for field in fields)
            (self._all if has_return else self._minimal).writerow(fields)
            return
        for name, field in zip(self._names, fields, strict=True):
            if any(character in field for character in (self._delimiter, "\r", "\n")):
                raise InvalidValueError(
                    f"column {name!r} has a cell with a delimiter or a line break in it, which a table without quotes "
                    "cannot hold; write csv, jsonl or parquet instead"
                )
        self._text.write(self._delimiter.join(fields) + "\n")

    def _flush(self) -> None:
        self._stream.write(self._text.getvalue().encode("utf-8", "replace"))
        self._stream.flush()
        self._text.seek(0)
        self._text.truncate()

    def close(self) -> None:
        """Write the header if there were no rows."""
        self._flush()

    def discard(self) -> None:
        """Do nothing: the rows are written."""
