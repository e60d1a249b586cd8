from __future__ import annotations

import datetime
import io
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from han.exceptions import InvalidValueError
from han.tables.json_text import parse_row
from han.tables.parquet_writers import PassThroughWriter, SpoolingWriter, common_schema
from han.tables.table import Chunk, open_table
from han.tables.writers import Columns

PREDICTION = [pa.field("p", pa.string())]
WHEN = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.UTC)
# A type, and a value whose Python type suggests another one.
TYPED = {
    "uint32": (pa.uint32(), 2**32 - 1),
    "int8": (pa.int8(), -1),
    "float32": (pa.float32(), 0.5),
    "date": (pa.date32(), WHEN.date()),
    "zone": (pa.timestamp("us", "Europe/Berlin"), WHEN),
    "nanoseconds": (pa.timestamp("ns"), pd.Timestamp("2024-01-01 00:00:00.000000001")),
    "decimal": (pa.decimal128(20, 3), Decimal("1.500")),
    "map": (pa.map_(pa.string(), pa.int32()), [("a", 1), ("a", 2)]),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), "x"),
    "large": (pa.large_string(), "x"),
    "nothing": (pa.null(), None),
    "nested": (pa.struct([("a", pa.list_(pa.uint16())), ("b", pa.binary(2))]), {"a": [1], "b": b"\0\1"}),
    "duration": (pa.duration("ms"), datetime.timedelta(milliseconds=5)),
    "fixed": (pa.list_(pa.float64(), 2), [1.0, 2.0]),
}  # fmt: skip


def passed_through(content, columns):
    """Return a copy of a Parquet file."""
    table = open_table(io.BytesIO(content), "in.parquet")
    stream = io.BytesIO()
    writer = PassThroughWriter(stream, table.schema, columns, PREDICTION)
    for chunk in table.chunks():
        writer.write(chunk, {"p": ["x"] * len(chunk)})
    writer.close()
    return stream


@pytest.mark.parametrize("rows", [0, 5, 5000])
def test_the_schema_is_preserved(rows):
    fields = [pa.field(name, kind, metadata={"k": name}) for name, (kind, _) in TYPED.items()]
    fields.append(pa.field("always", pa.int64(), nullable=False))
    # Null in the first 4,500 rows, from which a type might be inferred.
    arrays = [pa.array([None if n < 4500 and n != 1 else value for n in range(rows)], kind)
              for kind, value in TYPED.values()]  # fmt: skip
    written = io.BytesIO()
    schema = pa.schema(fields, {"origin": "here"})
    table = pa.Table.from_arrays([*arrays, pa.array(range(rows), pa.int64())], schema=schema)
    pq.write_table(table, written, row_group_size=700)
    before = pq.ParquetFile(written)
    copy = passed_through(written.getvalue(), Columns([*before.schema_arrow.names], frozenset(), ["p"]))
    after = pq.ParquetFile(copy)
    assert after.schema_arrow.equals(before.schema_arrow.append(PREDICTION[0]), check_metadata=True)
    assert after.read().drop_columns("p").equals(before.read())


def test_dropped_columns():
    written = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), written)
    assert pq.read_table(passed_through(written.getvalue(), Columns(["a"], frozenset({"b"}), ["p"]))).to_pylist() == [
        {"a": 1, "p": "x"}, {"a": 2, "p": "x"},
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [[0, 1], pd.MultiIndex.from_tuples([("a", "text"), ("a", "n")])])
def test_pandas_reads_tables_whose_column_names_were_not_strings(columns):
    written = io.BytesIO()
    pd.DataFrame([["x", 1], ["y", 2]], columns=columns, index=pd.Index([7, 3], name="key")).to_parquet(written)
    names = pq.ParquetFile(written).schema_arrow.names
    found = pd.read_parquet(passed_through(written.getvalue(), Columns(names, frozenset(), ["p"])))
    assert [*found.columns] == [*map(str, columns), "p"]
    assert [*found.index] == [7, 3]


def test_columns_may_be_missing_or_null_in_some_files():
    schemas = {
        "1": pa.schema([("text", pa.string()), ("late", pa.null())]),
        "2": pa.schema([("late", pa.list_(pa.int64())), ("text", pa.string())]),
        "3": pa.schema([("text", pa.string())]),
    }
    schema = common_schema(schemas)
    assert schema == pa.schema([("text", pa.string()), ("late", pa.list_(pa.int64()))])
    stream = io.BytesIO()
    writer = PassThroughWriter(stream, schema, Columns(schema.names, frozenset(), ["p"]), PREDICTION)
    for values, file in zip(({"late": None}, {"late": [1]}, {}), schemas.values(), strict=True):
        batch = pa.RecordBatch.from_pylist([{"text": "x", **values}], file)
        writer.write(Chunk(file.names, [1], [], batch), {"p": ["y"]})
    writer.close()
    assert pq.read_table(stream)["late"].to_pylist() == [None, [1], None]
    with pytest.raises(InvalidValueError, match=r"other must have the column types of 1: .*late"):
        common_schema({"1": schema, "other": pa.schema([("late", pa.string())])})


def spooled(lines, delimiter=None):
    stream = io.BytesIO()
    first = parse_row(lines[0])
    writer = SpoolingWriter(stream, delimiter, Columns([*first], frozenset(), ["p"]), PREDICTION)
    for line in lines:
        row = parse_row(line)
        writer.write(Chunk([*row], [1], [row]), {"p": ["x"]})
    writer.close()
    return stream


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["null", "1"], pa.int64(), [None, 1]),
        (["null", "null"], pa.string(), [None, None]),
        (["1", "2.5"], pa.float64(), [1.0, 2.5]),
        (["9007199254740993", "1"], pa.int64(), [9007199254740993, 1]),
        (["9007199254740993", "2.5"], pa.string(), ["9007199254740993", "2.5"]),
        (["12345678901234567890", "1e5"], pa.string(), ["12345678901234567890", "1e5"]),
        (["true", "1"], pa.string(), ["True", "1"]),
        (["[]", '["x"]', "null"], pa.list_(pa.string()), [[], ["x"], None]),
        (["[1]", "[2.5, null]"], pa.list_(pa.float64()), [[1.0], [2.5, None]]),
        (["[[1]]", "[[]]"], pa.list_(pa.list_(pa.int64())), [[[1]], [[]]]),
        (["[1]", '["x"]'], pa.string(), ["[1]", '["x"]']),
        (['"x"', "[1.0]"], pa.string(), ["x", "[1.0]"]),
        (['{"a": 1.50}', "{}"], pa.string(), ['{"a": 1.50}', "{}"]),
        ([r'"cut \ud83d"', '"x"'], pa.string(), ["cut ?", "x"]),
    ],
)
def test_types_are_inferred_from_all_rows(values, kind, expected):
    table = pq.read_table(spooled([f'{{"v": {value}}}' for value in values]))
    assert str(table.schema.field("v").type).replace("element", "item") == str(kind)
    assert table["v"].to_pylist() == expected
    assert table["p"].to_pylist() == ["x"] * len(values)


def test_the_columns_of_all_rows_are_written():
    lines = ['{"a": 1}', '{"b": [2.50], "a": null}']
    assert pq.read_table(spooled(lines)).column_names == ["a", "b", "p"]
    assert spooled(lines, ",").getvalue() == b"a,b,p\n1,,x\n,[2.50],x\n"


def test_discarded_rows_are_not_written():
    stream = io.BytesIO()
    writer = SpoolingWriter(stream, None, Columns(["a"], frozenset(), ["p"]), PREDICTION)
    writer.write(Chunk(["a"], [1], [{"a": "1"}]), {"p": ["x"]})
    writer.discard()
    assert stream.getvalue() == b""
