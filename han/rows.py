"""Rows of files of any size, a chunk after the other: CSV, TSV, JSON Lines and Parquet, in and out."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError

Row = dict[str, Any]

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
SEPARATORS = {"csv": ",", "tsv": "\t"}
# Longer than any document that fits into memory; `csv` takes 131,072 characters for a mistake.
FIELD_LIMIT = 2**31 - 1
# A chunk ends when it has so many rows, or a row ends beyond so many bytes.
CHUNK_ROWS, CHUNK_BYTES = 4096, 16_000_000


def read_rows(stream: BinaryIO, form: str) -> Iterator[list[Row]]:
    """Read rows in chunks.

    Cells of CSV and TSV are strings as they are written there; empty ones too. What is not UTF-8 is replaced.

    Parameters
    ----------
    stream : binary file
        For Parquet one that can be sought in, or else it is read into memory.
    form : {"csv", "tsv", "jsonl", "parquet"}

    Raises
    ------
    ValueError
        If a row is not of this format, with the line where one can be named.
    """
    if form == "jsonl":
        yield from _read_jsonl(stream)
    elif form == "parquet":
        yield from _read_parquet(stream)
    else:
        yield from _read_table(stream, SEPARATORS[form])


def _read_table(stream: BinaryIO, separator: str) -> Iterator[list[Row]]:
    text = io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="")
    csv.field_size_limit(FIELD_LIMIT)
    lines = csv.reader(text, delimiter=separator, strict=True)
    try:
        names = next(lines, [])
        repeated = [name for index, name in enumerate(names) if name in names[:index]]
        if repeated:
            raise InvalidValueError(f"the header names the column {repeated[0]!r} twice")
        rows: list[Row] = []
        size = 0
        for fields in lines:
            if not fields:  # an empty line
                continue
            if len(fields) != len(names):
                raise InvalidValueError(f"line {lines.line_num} has {len(fields)} fields, and the header {len(names)}")
            rows.append(dict(zip(names, fields, strict=True)))
            size += sum(map(len, fields))
            if len(rows) == CHUNK_ROWS or size > CHUNK_BYTES:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows
    except csv.Error as error:
        raise InvalidValueError(f"line {lines.line_num}: {error}") from error
    finally:
        if not stream.closed:
            text.detach()  # or it would be closed with this


def _read_jsonl(stream: BinaryIO) -> Iterator[list[Row]]:
    rows: list[Row] = []
    size = 0
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8", "replace"))
        except json.JSONDecodeError as error:
            raise InvalidValueError(f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InvalidValueError(f"line {number} must hold a JSON object, got {str(row)[:60]!r}")
        rows.append(row)
        size += len(line)
        if len(rows) == CHUNK_ROWS or size > CHUNK_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _read_parquet(stream: BinaryIO) -> Iterator[list[Row]]:
    import pyarrow.parquet

    if not stream.seekable():
        stream = io.BytesIO(stream.read())
    for batch in pyarrow.parquet.ParquetFile(stream).iter_batches(batch_size=CHUNK_ROWS):
        yield batch.to_pylist()


class RowWriter:
    """Writes rows; the first chunk says which columns there are, and in Parquet of which type.

    Parameters
    ----------
    stream : binary file
    form : {"csv", "tsv", "jsonl", "parquet"}
    """

    def __init__(self, stream: BinaryIO, form: str) -> None:
        self.stream = stream
        self.form = form
        self.names: list[str] = []
        # Half of a surrogate pair, which UTF-8 has not, is written as JSON has it, or else replaced.
        errors = "backslashreplace" if form == "jsonl" else "replace"
        self._text = None if form == "parquet" else io.TextIOWrapper(stream, "utf-8", errors, newline="")
        self._table: Any = None

    def write(self, rows: list[Row]) -> None:
        """Write a chunk; it is handed on to the stream at once.

        Raises
        ------
        ValueError
            If a row has a column that the first chunk has not, or in Parquet a value of another type; JSON Lines may.
        """
        if self._text is not None and self.form == "jsonl":
            self._text.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
            self._text.flush()
            return
        if not self.names:
            self.names = list(dict.fromkeys(name for row in rows for name in row))
        new = [name for row in rows for name in row if name not in self.names]
        if new:
            raise InvalidValueError(
                f"columns must be those of the first rows, {self.names}, got {new[0]!r} further down"
            )
        if self._text is None:
            self._write_parquet(rows)
        else:
            self._write_table(rows, self._text)

    def _write_table(self, rows: list[Row], text: io.TextIOWrapper) -> None:
        separator = SEPARATORS[self.form]
        plain, quoted = (
            csv.writer(text, delimiter=separator, lineterminator="\n", quoting=quoting)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        if self._table is None:
            self._table = plain
            plain.writerow(self.names)
        for row in rows:
            fields = [row.get(name, "") for name in self.names]
            # To `csv` a carriage return alone is no reason to quote, to those who read it it ends the line.
            odd = any(isinstance(field, str) and "\r" in field for field in fields)
            (quoted if odd else plain).writerow(fields)
        text.flush()

    def _write_parquet(self, rows: list[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        table = pa.Table.from_pylist([{name: row.get(name) for name in self.names} for row in rows])
        if self._table is None:
            # A column that is empty so far may hold anything later; text is the likeliest.
            text = {pa.null(): pa.string(), pa.list_(pa.null()): pa.list_(pa.string())}
            fields = [field.with_type(text.get(field.type, field.type)) for field in table.schema]
            self._table = pyarrow.parquet.ParquetWriter(self.stream, pa.schema(fields))
        self._table.write_table(table.cast(self._table.schema))

    def close(self) -> None:
        """Write what is left to write; the stream stays open."""
        if self._text is not None:
            self._text.detach()
            return
        if self._table is None:
            import pyarrow as pa
            import pyarrow.parquet

            self._table = pyarrow.parquet.ParquetWriter(self.stream, pa.schema([]))
        self._table.close()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write that gets its name when all is written; if that fails, nothing has changed.

    What is no file, such as a pipe, is written to as it is.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    stream = part.open("xb")
    try:
        with stream:
            yield stream
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
