"""The table that `han predict` writes."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from han.cli.documents import InputFiles
from han.cli.prediction_columns import PredictionColumns
from han.exceptions import InvalidValueError
from han.tables.parquet_writers import PassThroughWriter, SpoolingWriter, common_schema
from han.tables.sniffing import DELIMITERS
from han.tables.table import Chunk
from han.tables.writers import Columns, DelimitedWriter, JsonLinesWriter, RowWriter


class OutputTable:
    """A table of input rows with predictions. Its columns are determined when the first rows are written.

    Parameters
    ----------
    output_format : {"csv", "tsv", "jsonl", "parquet"}
    inputs : InputFiles
    columns : PredictionColumns
    dropped : frozenset of str
        Columns of the input that are left out.
    stream : binary file
    is_live : bool
        Whether the rows are read while they are written, as through a pipe.

    Attributes
    ----------
    written : int
        The number of rows written.
    """

    def __init__(
        self,
        output_format: str,
        inputs: InputFiles,
        columns: PredictionColumns,
        dropped: frozenset[str],
        stream: BinaryIO,
        is_live: bool,
    ) -> None:
        self._format, self._inputs, self._columns, self._dropped = output_format, inputs, columns, dropped
        self._stream, self._is_live = stream, is_live
        self._writer: RowWriter | None = None
        self.written = 0

    def write(self, name: str, chunk: Chunk, documents: list[Any]) -> None:
        """Write rows of the file `name` with the predictions for their documents."""
        check_names(name, chunk.names, self._columns, self._dropped)
        if self._writer is None:
            self._writer = self._new_writer(chunk.names)
        try:
            self._writer.write(chunk, self._columns.predict(documents))
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}") from error
        self.written += len(chunk)

    def _new_writer(self, names: list[str]) -> RowWriter:
        all_names = dict.fromkeys([*chain.from_iterable(self._inputs.columns.values()), *names])
        kept = [name for name in all_names if name not in self._dropped]
        columns = Columns(kept, self._dropped, self._columns.names)
        if self._format == "jsonl":
            return JsonLinesWriter(self._stream, columns)
        has_json = not {"json", "jsonl"}.isdisjoint(self._inputs.formats)
        delimiter = DELIMITERS.get(self._format)
        if delimiter is None and self._inputs.schemas:
            schema = common_schema(self._inputs.schemas)
            return PassThroughWriter(self._stream, schema, columns, self._columns.fields())
        if delimiter is None or (has_json and not self._is_live):
            return SpoolingWriter(self._stream, delimiter, columns, self._columns.fields())
        is_unquoted = {*self._inputs.formats} == {"tsv"} and all(
            dialect.quoting == "none" for dialect in self._inputs.dialects
        )
        return DelimitedWriter(self._stream, columns, delimiter, quoted=not (is_unquoted and self._format == "tsv"))

    def close(self) -> None:
        """Write pending rows, or only the header if there are no rows."""
        writer = self._writer or self._new_writer([])
        writer.close()
        self._stream.flush()

    def discard(self) -> None:
        """Discard pending rows."""
        if self._writer is not None:
            self._writer.discard()

    def keep_partial(self, output: Path | None) -> str:
        """After an error, save the rows before it, and return the end of the error message.

        If the output is a file, the rows are copied to a file with ".part" in its name.
        """
        if not self.written:
            self.discard()
            return ""
        self.close()
        if output is None or not Path(self._stream.name).is_file():
            return ""
        partial = output.with_name(f"{output.stem}.part{output.suffix}")
        shutil.copyfile(self._stream.name, partial)
        return f"; the {self.written:,} rows before it are in {partial}"


def check_names(name: str, names: list[str], columns: PredictionColumns, dropped: frozenset[str]) -> None:
    """Raise an InvalidValueError if a file already has a column with the name of a new one."""
    existing = [column for column in names if column in columns.names and column not in dropped]
    if existing:
        raise InvalidValueError(
            f"{name} must not have a column {existing[0]!r}, which the predictions need; choose other names with "
            "--prefix, or replace it with --overwrite"
        )
