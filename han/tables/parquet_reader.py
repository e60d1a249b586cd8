"""Reading of Parquet files in record batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError


def read_parquet(stream: BinaryIO, max_rows: int, max_bytes: int) -> tuple[Any, Iterator[Any]]:
    """Open a Parquet file.

    Parameters
    ----------
    stream : seekable binary file
    max_rows : int
        The maximum number of rows in a batch.
    max_bytes : int
        A batch that exceeds this size is not extended further.

    Returns
    -------
    schema : pyarrow.Schema
    batches : iterator of pyarrow.RecordBatch

    Raises
    ------
    InvalidValueError
        If the stream is not a Parquet file; while iterating, if it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(stream)
    except (pa.ArrowException, OSError) as error:
        raise InvalidValueError(f"is not a Parquet file: {error}") from error
    return file.schema_arrow, _merge_batches(_read_batches(file, max_rows), max_rows, max_bytes)


def _read_batches(file: Any, max_rows: int) -> Iterator[Any]:
    import pyarrow as pa

    try:
        # One row group at a time: pyarrow cannot read some nested types across row groups.
        for group in range(file.num_row_groups):
            yield from file.iter_batches(max_rows, row_groups=[group])
    except (pa.ArrowException, OSError) as error:
        raise InvalidValueError(f"is a damaged Parquet file: {error}") from error


def _merge_batches(batches: Iterator[Any], max_rows: int, max_bytes: int) -> Iterator[Any]:
    """Merge the batches of small row groups into larger ones."""
    import pyarrow as pa

    pending: list[Any] = []
    rows = size = 0
    for batch in chain(batches, [None]):
        if pending and (batch is None or rows + len(batch) > max_rows or size > max_bytes):
            try:
                yield from pa.Table.from_batches(pending).combine_chunks().to_batches()
            except pa.ArrowNotImplementedError:  # some nested types cannot be concatenated
                yield from pending
            pending, rows, size = [], 0, 0
        if batch is not None:
            pending.append(batch)
            rows, size = rows + len(batch), size + batch.nbytes
