"""Writing of tables chunk by chunk, in CSV, TSV or JSON Lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from han.exceptions import InvalidValueError
from han.tables.json_text import csv_cells, json_line

if TYPE_CHECKING:
    from han.tables.table import Chunk


@dataclass(frozen=True)
class Columns:
    """The columns of an output table.

    Attributes
    ----------
    kept : list of str
        Columns copied from the input, in order. Rows of JSON Lines may have further columns.
    dropped : frozenset of str
        Columns of the input that are left out.
    added : list of str
        New columns, which come last.
    """

    kept: list[str]
    dropped: frozenset[str]
    added: list[str]


class RowWriter(Protocol):
    """Write chunks of a table together with new columns."""

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column, immediately if the format allows it."""

    def close(self) -> None:
        """Write what is pending; the stream stays open."""

    def discard(self) -> None:
        """Discard what is pending."""


def added_rows(added: Mapping[str, Sequence[Any]], count: int) -> list[dict[str, Any]]:
    """Return new columns as a list of rows."""
    return [{name: values[index] for name, values in added.items()} for index in range(count)]


class JsonLinesWriter:
    """Write JSON Lines; values read from JSON keep their original text.

    Parameters
    ----------
    stream : binary file
    columns : Columns
    """

    def __init__(self, stream: BinaryIO, columns: Columns) -> None:
        self._stream, self._columns = stream, columns

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column."""
        for row, new in zip(chunk.rows, added_rows(added, len(chunk)), strict=True):
            line = json_line(row, self._columns.dropped, new) + "\n"
            # UTF-8 cannot encode half of a surrogate pair; JSON can escape it.
            self._stream.write(line.encode("utf-8", "backslashreplace"))
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: everything has been written."""

    discard = close


class DelimitedWriter:
    """Write CSV or TSV in UTF-8, with a header.

    Parameters
    ----------
    stream : binary file
    columns : Columns
    delimiter : str
    quoted : bool, default True
        Whether cells that need quotes are quoted. If not, they must not contain delimiters or line breaks.
    """

    def __init__(self, stream: BinaryIO, columns: Columns, delimiter: str, quoted: bool = True) -> None:
        self._stream, self._columns = stream, columns
        self._names = [*columns.kept, *columns.added]
        self._text = io.StringIO(newline="")
        self._delimiter = delimiter
        self._quoted = quoted or len(self._names) == 1  # otherwise an empty cell would be an empty line
        self._minimal, self._all = (
            csv.writer(self._text, delimiter=delimiter, lineterminator="\n", quoting=quoting)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        self._add_row(self._names)  # the header

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column.

        Raises
        ------
        InvalidValueError
            If a row has a column that is not in the header, in which case no row of the chunk is written; or, without
            quotes, if a cell contains a delimiter or a line break.
        """
        known = {*self._columns.kept, *self._columns.dropped}
        rows = chunk.rows
        for number, row in zip(chunk.numbers, rows, strict=True):
            if not row.keys() <= known:
                unknown = next(name for name in row if name not in known)
                raise InvalidValueError(
                    f"line {number} has the column {unknown!r}, which is not in the first rows, {[*known]}; "
                    "write jsonl to keep such columns"
                )
        for row, new in zip(rows, added_rows(added, len(chunk)), strict=True):
            cells = {**csv_cells(row), **csv_cells(new)}
            self._add_row([cells.get(name, "") for name in self._names])
        self._flush()

    def _add_row(self, fields: Sequence[str]) -> None:
        if self._quoted:
            # The `csv` module does not quote a lone carriage return, but reads it as the end of a row.
            has_return = any("\r" in field for field in fields)
            (self._all if has_return else self._minimal).writerow(fields)
            return
        for name, field in zip(self._names, fields, strict=True):
            if any(character in field for character in (self._delimiter, "\r", "\n")):
                raise InvalidValueError(
                    f"column {name!r} has a cell that contains a delimiter or a line break, which is not possible in a "
                    "table without quotes; write csv, jsonl or parquet instead"
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
        """Do nothing: the rows have been written."""
