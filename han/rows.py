"""Rows of files of any size, a chunk after the other: CSV, TSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError

Row = dict[str, Any]

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
SEPARATORS = {"csv": ",", "tsv": "\t"}
# Longer than any document that fits into memory; `csv` takes 131,072 characters for a mistake.
FIELD_LIMIT = 2**31 - 1
# What Python's "surrogateescape" makes of bytes that are not UTF-8.
ESCAPED = re.compile("[\udc80-\udcff]")
# A chunk ends when it has so many rows, or a row ends beyond so many bytes.
CHUNK_ROWS, CHUNK_BYTES = 4096, 16_000_000


def read_rows(stream: BinaryIO, form: str) -> Iterator[list[Row]]:
    """Read rows in chunks; the parameters and errors are those of `numbered_rows`. What is not UTF-8 is replaced."""
    rows: list[Row] = []
    size = 0
    for _, row, row_size in _read(stream, form, replace=True):
        rows.append(row)
        size += row_size
        if len(rows) == CHUNK_ROWS or size > CHUNK_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def numbered_rows(stream: BinaryIO, form: str) -> Iterator[tuple[int, Row]]:
    """Read rows, each with the number of the line on which it starts, or in Parquet with its own number, from 1 on.

    Cells of CSV and TSV are strings as they are written there; empty ones too.

    Parameters
    ----------
    stream : binary file
        For Parquet one that can be sought in, or else it is read into memory.
    form : {"csv", "tsv", "jsonl", "parquet"}

    Raises
    ------
    ValueError
        If a row is not of this format or not in UTF-8, with the line on which it starts, where one can be named.
    """
    return ((number, row) for number, row, _ in _read(stream, form, replace=False))


def _read(stream: BinaryIO, form: str, *, replace: bool) -> Iterator[tuple[int, Row, int]]:
    """Read rows, each with its number and its size: in characters, in JSON Lines in bytes, of Parquet it is not known.

    What is not UTF-8 is replaced, or else refused.
    """
    if form == "jsonl":
        return _read_jsonl(stream, replace)
    if form == "parquet":
        return _read_parquet(stream)
    return _read_table(stream, SEPARATORS[form], replace)


def _read_table(stream: BinaryIO, separator: str, replace: bool) -> Iterator[tuple[int, Row, int]]:
    text = io.TextIOWrapper(stream, "utf-8-sig", "replace" if replace else "surrogateescape", newline="")
    csv.field_size_limit(FIELD_LIMIT)
    lines = csv.reader(text if replace else _in_utf_8(text), delimiter=separator, strict=True)
    start = 1
    try:
        names = next(lines, [])
        repeated = [name for index, name in enumerate(names) if name in names[:index]]
        if repeated:
            raise InvalidValueError(f"the header names the column {repeated[0]!r} twice")
        start = lines.line_num + 1
        for fields in lines:
            if fields:  # or the line is empty
                if len(fields) != len(names):
                    raise InvalidValueError(f"line {start} has {len(fields)} fields, and the header {len(names)}")
                yield start, dict(zip(names, fields, strict=True)), sum(map(len, fields))
            start = lines.line_num + 1
    except csv.Error as error:
        unclosed = "; a quote that opens in this row is not closed" if "end of data" in str(error) else ""
        raise InvalidValueError(f"line {start}: {error}{unclosed}") from error
    finally:
        if not stream.closed:
            text.detach()  # or it would be closed with this


def _in_utf_8(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines, if none of them holds what "surrogateescape" makes of bytes that are not UTF-8."""
    for number, line in enumerate(lines, start=1):
        if not line.isascii() and (escaped := ESCAPED.search(line)):
            raise InvalidValueError(f"line {number} is not UTF-8: it has the byte 0x{ord(escaped[0]) - 0xDC00:02x}")
        yield line


def _read_jsonl(stream: BinaryIO, replace: bool) -> Iterator[tuple[int, Row, int]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace" if replace else "strict")
            row = json.loads(text)
        except UnicodeDecodeError as error:
            raise InvalidValueError(
                f"line {number} is not UTF-8: it has the byte 0x{error.object[error.start]:02x}"
            ) from error
        except json.JSONDecodeError as error:
            raise InvalidValueError(f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InvalidValueError(f"line {number} must hold a JSON object, got {str(row)[:60]!r}")
        yield number, row, len(line)


def _read_parquet(stream: BinaryIO) -> Iterator[tuple[int, Row, int]]:
    import pyarrow.parquet

    if not stream.seekable():
        stream = io.BytesIO(stream.read())
    batches = pyarrow.parquet.ParquetFile(stream).iter_batches(batch_size=CHUNK_ROWS)
    rows = chain.from_iterable(batch.to_pylist() for batch in batches)
    return ((number, row, 0) for number, row in enumerate(rows, start=1))
