"""Tables of documents as they come: CSV, TSV, JSON Lines, JSON, Excel and Parquet, read a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet

from han.rows import CHUNK_ROWS, Row, numbered_rows

FORMATS = ("csv", "tsv", "jsonl", "json", "xlsx", "parquet")


@dataclass(frozen=True)
class TableOptions:
    """How to read a table; None means that the name and the contents of the file decide.

    Attributes
    ----------
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}, optional
    delimiter : str, optional
        Of CSV and TSV.
    encoding : str, optional
    header : bool, default True
        Whether the first row names the columns; otherwise they are named "0", "1" and so on.
    quoting : {"minimal", "none", "backslash"}, optional
        What a double quote means in CSV and TSV.
    skip_bad_rows : bool, default False
        Skip rows that cannot be read, and count them, instead of raising an error at the first one.
    """

    input_format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    quoting: str | None = None
    skip_bad_rows: bool = False


@dataclass(frozen=True)
class Dialect:
    """How a table of text was read, which is how one like it is written; not for Parquet.

    Attributes
    ----------
    delimiter : str
    quoting : {"minimal", "none", "backslash"}
    """

    delimiter: str = ","
    quoting: str = "minimal"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, in order.

    Attributes
    ----------
    names : list of str
        The columns: of JSON Lines, those that these rows have.
    numbers : list of int
        Where each row starts: its line, or its row in formats without lines, from 1.
    batch : pyarrow.RecordBatch, optional
        Of Parquet: the rows as they are in the file. `rows` and `column` are made from it.
    """

    names: list[str]
    numbers: list[int]
    held: list[Row] = field(repr=False)
    batch: pa.RecordBatch | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def rows(self) -> list[Row]:
        """The rows; of CSV, TSV and Excel every cell is a str, and an empty one is ""."""
        return self.held if self.batch is None else self.batch.to_pylist()

    def column(self, name: str) -> list[Any]:
        """Return the values of one column; of a JSON row without it, None."""
        return [row.get(name) for row in self.held] if self.batch is None else self.batch[name].to_pylist()


class Table:
    """A table that is being read. Made by `open_table`.

    Attributes
    ----------
    name : str
        For messages.
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}
    unit : {"line", "row"}
        What the numbers of rows count.
    dialect : Dialect
    schema : pyarrow.Schema, optional
        Of Parquet.
    notes : list of str
        What was assumed, replaced or left out, a sentence each, to be shown to the user. Those about the whole file
        are complete when `chunks` is exhausted.
    skipped : list of int
        The numbers of the bad rows that were skipped.
    """

    def __init__(self, stream: BinaryIO, name: str, options: TableOptions) -> None:
        self.stream, self.name, self.options = stream, name, options
        self.input_format = options.input_format or name.rsplit(".", 1)[-1]
        self.unit = "row" if self.input_format == "parquet" else "line"
        self.dialect = Dialect("\t" if self.input_format == "tsv" else ",")
        self.schema: pa.Schema | None = None
        self.notes: list[str] = []
        self.skipped: list[int] = []
        if self.input_format == "parquet":
            self._parquet = pyarrow.parquet.ParquetFile(stream)
            self.schema = self._parquet.schema_arrow

    def chunks(self) -> Iterator[Chunk]:
        """Read the rows; a chunk ends at a few thousand rows, or earlier where a pipe pauses."""
        if self.schema is not None:
            start = 1
            for batch in self._parquet.iter_batches(CHUNK_ROWS):
                yield Chunk(batch.schema.names, [*range(start, start + len(batch))], [], batch)
                start += len(batch)
            return
        rows = [*numbered_rows(self.stream, self.input_format)]
        yield Chunk([*rows[0][1]], [number for number, _ in rows], [row for _, row in rows])


def open_table(stream: BinaryIO, name: str, options: TableOptions | None = None) -> Table:
    """Open a table; nothing but its beginning is read before `Table.chunks`.

    Parameters
    ----------
    stream : binary file
        A file or a pipe; whoever opened it closes it.
    name : str
        Its path, or what messages call it. Its ending tells the format, if `options` do not.
    options : TableOptions, optional

    Raises
    ------
    ValueError
        If the format is not known, or the file is not of it. The message begins with the name. `chunks` raises it for
        rows that cannot be read, with the line.
    """
    return Table(stream, name, options or TableOptions())


def format_named(name: str) -> str | None:
    """Return the format that the ending of a file's name tells, also before `.gz` and the like; None for no table."""
    suffix = name.rsplit(".", 1)[-1].lower()
    return suffix if suffix in FORMATS else None


def joined_text(values: list[Any]) -> Any:
    """Return the document in the cells of the text columns of a row: several are joined by a blank line.

    Missing and empty cells are left out; if all are missing, the result is None.
    """
    if len(values) == 1:
        return values[0]
    texts = [value for value in values if value]
    return "\n\n".join(texts) if texts else None
