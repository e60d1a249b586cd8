from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from han.tables.table import open_table
from tests.tables.reading import FRAME


def test_parquet_is_read_from_a_pipe():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    buffer = io.BytesIO()
    FRAME.to_parquet(buffer)
    table = open_table(Pipe(buffer.getvalue()), "in.parquet")
    (chunk,) = table.chunks()
    assert chunk.batch.schema.equals(table.schema)
    assert chunk.column("n") == [*range(8)]
    assert chunk.numbers == [*range(1, 9)]


def test_small_row_groups_are_read_together(tmp_path):
    table = pa.table({"text": [f"document {number}" for number in range(5000)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=3)
    with (tmp_path / "in.parquet").open("rb") as stream:
        chunks = [*open_table(stream, "in.parquet").chunks()]
    assert [len(chunk) for chunk in chunks] == [4095, 905]
    assert [number for chunk in chunks for number in chunk.numbers] == [*range(1, 5001)]
    assert [text for chunk in chunks for text in chunk.column("text")] == table["text"].to_pylist()
