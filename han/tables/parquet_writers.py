"""Writing of Parquet: rows from Parquet keep their schema; for others, types are inferred from all values."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet

from han.exceptions import InvalidValueError
from han.tables.json_text import JsonObject, csv_cells, parse_row
from han.tables.table import Chunk
from han.tables.writers import Columns, DelimitedWriter, JsonLinesWriter

BATCH_ROWS = 4096
# float64 represents all integers up to this one.
LARGEST_EXACT_INT = 2**53
LARGEST_INT = 2**63 - 1
SCALAR_TYPES = {"null": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "large int": pa.int64(),
                "float": pa.float64(), "str": pa.string(), "mixed": pa.string()}  # fmt: skip


class PassThroughWriter:
    """Write record batches of Parquet files with their schema, followed by new columns.

    Parameters
    ----------
    stream : binary file
    schema : pyarrow.Schema
        The schema of the input.
    columns : Columns
    added : list of pyarrow.Field
        The new columns.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, columns: Columns, added: list[pa.Field]) -> None:
        self._kept = [index for index, name in enumerate(schema.names) if name not in columns.dropped]
        self._input = schema
        metadata = _with_text_names(schema.metadata)
        self._schema = pa.schema([*(schema.field(index) for index in self._kept), *added], metadata=metadata)
        self._added = added
        self._writer = pyarrow.parquet.ParquetWriter(stream, self._schema)

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Write the rows of a chunk with the values of each new column."""
        if chunk.batch is None:
            raise InvalidValueError("chunk must come from a Parquet file, got one of another format")
        new = [_array(added[field.name], field.type) for field in self._added]
        arrays = [self._column(chunk.batch, index) for index in self._kept]
        self._writer.write_batch(pa.RecordBatch.from_arrays([*arrays, *new], schema=self._schema))

    def _column(self, batch: pa.RecordBatch, index: int) -> pa.Array:
        field = self._input.field(index)
        if batch.schema.equals(self._input):
            return batch.column(index)
        found = batch.schema.get_field_index(field.name)
        if found < 0 or pa.types.is_null(batch.schema.field(found).type):
            return pa.nulls(len(batch), field.type)
        return batch.column(found)

    def close(self) -> None:
        """Write the end of the file; the stream stays open."""
        self._writer.close()

    discard = close  # a writer that is still open would write to the closed stream when it is deleted


def common_schema(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """Return a schema for the rows of several Parquet files, in some of which columns may be missing or all null.

    Parameters
    ----------
    schemas : dict
        The schema of each file by its name.

    Raises
    ------
    InvalidValueError
        If the types of a column differ.
    """
    (first, common), *others = schemas.items()
    for name, schema in others:
        if schema.equals(common):
            continue
        try:
            common = pa.unify_schemas([common, schema])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InvalidValueError(f"{name} must have the column types of {first}: {error}") from error
    return common


def _with_text_names(metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes] | None:
    """Return a schema's metadata, changed so that pandas reads column names as strings, not as numbers or tuples."""
    if not metadata or b"pandas" not in metadata:
        return metadata
    description = json.loads(metadata[b"pandas"])
    indexes = description.get("column_indexes", [])
    if len(indexes) <= 1 and all(index["pandas_type"] in ("unicode", "string", "empty") for index in indexes):
        return metadata
    name = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    return {**metadata, b"pandas": json.dumps({**description, "column_indexes": [name]}).encode()}


class SpoolingWriter:
    """Collect rows in a temporary file and write them at the end, when all columns and their types are known.

    In Parquet, a column whose values, except nulls, are all bools, numbers, strings, or lists of these gets that type.
    Any other column becomes text, with JSON for values that are not strings.

    Parameters
    ----------
    stream : binary file
    delimiter : str or None
        The delimiter of CSV or TSV; None writes Parquet.
    columns : Columns
    added : list of pyarrow.Field
        The new columns.
    """

    def __init__(self, stream: BinaryIO, delimiter: str | None, columns: Columns, added: list[pa.Field]) -> None:
        self._stream, self._delimiter, self._columns, self._added = stream, delimiter, columns, added
        self._kinds = dict.fromkeys(columns.kept, "null")
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._spool = JsonLinesWriter(self._file, columns)

    def write(self, chunk: Chunk, added: Mapping[str, Sequence[Any]]) -> None:
        """Collect the rows of a chunk with the values of each new column."""
        for row in chunk.rows:
            for name, value in row.items():
                if name not in self._columns.dropped:
                    self._kinds[name] = _common_kind(self._kinds.get(name, "null"), _kind(value))
        self._spool.write(chunk, added)

    def close(self) -> None:
        """Write all rows; the stream stays open."""
        with self._file:
            if self._delimiter is None:
                self._write_parquet()
            else:
                columns = Columns([*self._kinds, *self._columns.added], frozenset(), [])
                table = DelimitedWriter(self._stream, columns, self._delimiter)
                for rows in self._collected_rows():
                    table.write(Chunk(columns.kept, [*range(len(rows))], [*rows]), {})
                table.close()

    def discard(self) -> None:
        """Delete the temporary file."""
        self._file.close()

    def _write_parquet(self) -> None:
        fields = [pa.field(name, _arrow_type(kind)) for name, kind in self._kinds.items()]
        schema = pa.schema([*fields, *self._added])
        with pyarrow.parquet.ParquetWriter(self._stream, schema) as writer:
            for rows in self._collected_rows():
                arrays = [
                    _array([self._value(row, field.name) for row in rows], field.type) for field in schema
                ]  # fmt: skip
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _value(self, row: JsonObject, name: str) -> Any:
        value = row.get(name)
        is_json = self._kinds.get(name) == "mixed" and value is not None
        return csv_cells(row)[name] if is_json else value

    def _collected_rows(self) -> Iterator[list[JsonObject]]:
        self._file.seek(0)
        while lines := [*islice(self._file, BATCH_ROWS)]:
            yield [parse_row(line.decode()) for line in lines]


def _kind(value: Any) -> str:
    """Return the kind of a value: a key of SCALAR_TYPES, or "list of " followed by one."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= LARGEST_EXACT_INT else "large int" if abs(value) <= LARGEST_INT else "mixed"
    if isinstance(value, float):
        return "float"
    if isinstance(value, list):
        kind = "null"
        for item in value:
            kind = _common_kind(kind, _kind(item))
        return "mixed" if kind == "mixed" else f"list of {kind}"
    return "str" if isinstance(value, str) else "mixed"


def _common_kind(one: str, other: str) -> str:
    """Return the kind of a column that contains values of two kinds."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if {one, other} in ({"int", "float"}, {"int", "large int"}):
        return "float" if "float" in (one, other) else "large int"
    if one.startswith("list of ") and other.startswith("list of "):
        kind = _common_kind(one.removeprefix("list of "), other.removeprefix("list of "))
        return "mixed" if kind == "mixed" else f"list of {kind}"
    return "mixed"


def _arrow_type(kind: str) -> pa.DataType:
    return pa.list_(_arrow_type(kind.removeprefix("list of "))) if kind.startswith("list of ") else SCALAR_TYPES[kind]


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_replace_surrogates(value) for value in values], kind)


def _replace_surrogates(value: Any) -> Any:
    """Replace halves of surrogate pairs, which UTF-8 cannot encode, by question marks."""
    if isinstance(value, list):
        return [_replace_surrogates(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
