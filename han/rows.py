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

import pandas as pd

Row = dict[str, Any]

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
SEPARATORS = {"csv": ",", "tsv": "\t"}
# A chunk ends when it has so many rows, or a line of JSON ends beyond so many bytes.
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
        try:
            chunks = pd.read_csv(
                stream, sep=SEPARATORS[form], dtype=str, keep_default_na=False, chunksize=CHUNK_ROWS,
                encoding_errors="replace",
            )  # fmt: skip
            for frame in filter(len, chunks):
                yield [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        except pd.errors.EmptyDataError:
            return


def _read_jsonl(stream: BinaryIO) -> Iterator[list[Row]]:
    rows: list[Row] = []
    size = 0
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8", "replace"))
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} must hold a JSON object, got {str(row)[:60]!r}")
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
    """Writes rows; the first chunk says which columns there are.

    Parameters
    ----------
    stream : binary file
    form : {"csv", "tsv", "jsonl", "parquet"}
    """

    def __init__(self, stream: BinaryIO, form: str) -> None:
        self.stream = stream
        self.form = form
        self._text = None if form == "parquet" else io.TextIOWrapper(stream, "utf-8", newline="")
        self._table: Any = None

    def write(self, rows: list[Row]) -> None:
        """Write a chunk; it is handed on to the stream at once.

        Raises
        ------
        ValueError
            If a row has a column that the first chunk has not, and the format does not allow that.
        """
        if self._text is None:
            self._write_parquet(rows)
            return
        if self.form == "jsonl":
            self._text.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        else:
            if self._table is None:
                names = list(dict.fromkeys(name for row in rows for name in row))
                separator = SEPARATORS[self.form]
                self._table = csv.DictWriter(self._text, names, delimiter=separator, lineterminator="\n")
                self._table.writeheader()
            self._table.writerows(rows)
        self._text.flush()

    def _write_parquet(self, rows: list[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        if self._table is None:
            fields = [
                # A column that is empty so far may hold anything later; text is the likeliest.
                field.with_type(pa.string()) if pa.types.is_null(field.type) else field
                for field in pa.Table.from_pylist(rows).schema
            ]
            self._table = pyarrow.parquet.ParquetWriter(self.stream, pa.schema(fields))
        self._table.write_table(pa.Table.from_pylist(rows, self._table.schema))

    def close(self) -> None:
        """Write what is left to write; the stream stays open."""
        if self._text is not None:
            self._text.detach()
        elif self._table is not None:
            self._table.close()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write that gets its name when all is written; if that fails, nothing has changed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    stream = part.open("xb")
    try:
        with stream:
            yield stream
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
