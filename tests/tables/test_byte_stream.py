from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os

import pyarrow as pa
import pytest

from han.exceptions import InvalidValueError
from han.tables.table import open_table
from tests.tables.reading import FRAME, TEXTS, read


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda content: pa.compress(content, "zstd", asbytes=True)),
    ],
)
def test_compressed_files(ending, compress, rng):
    content = b"text,label\n" + b"a,b\n" * 100_000
    assert len(read(compress(content), f"in.csv{ending}")[0]) == 100_000
    assert len(read(compress(content), "in.csv")[0]) == 100_000  # detected from its first bytes
    frame = io.BytesIO()
    FRAME.to_parquet(frame)
    assert [row["text"] for row in read(compress(frame.getvalue()), f"in.parquet{ending}")[0]] == TEXTS
    with pytest.raises(InvalidValueError, match=rf"^in\.csv\{ending} is a damaged or truncated \{ending} file"):
        read(compress(rng.bytes(300_000))[:-200_000], f"in.csv{ending}", encoding="latin-1")


def test_gzip_files_with_several_members():
    content = gzip.compress(b"text,label\na,b\n") + gzip.compress(b"c,d\n")
    assert len(read(content, "in.csv.gz")[0]) == 2


@pytest.mark.parametrize(
    ("name", "first", "second", "third"),
    [
        ("in.csv", b"text,label\na,1\n", b'"b\nc",2\nd,3\n"e', b'\nf",4\n'),
        ("in.tsv", b"text\tlabel\na\t1\n", b"b\t2\nd\t3\ne", b"\t4\n"),
        ("in.jsonl", b'{"text": 1}\n{"text": 2}\n', b'{"text": 3}\n{"tex', b't": 4}'),
    ],
)
def test_rows_are_passed_on_when_a_pipe_pauses(name, first, second, third):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(first)
        found = [next(chunks := open_table(stream, name).chunks())]
        pipe.write(second)
        found.append(next(chunks))
        pipe.write(third)
        pipe.close()
        found += chunks
    whole = open_table(io.BytesIO(first + second + third), name)
    assert [row for chunk in found for row in chunk.rows] == [row for chunk in whole.chunks() for row in chunk.rows]
    assert len(found) == 3
