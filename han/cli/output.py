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
    """Rows of the input with predictions; the first ones tell which columns there are.

    Parameters
    ----------
    form : {"csv", "tsv", "jsonl", "parquet"}
    inputs : InputFiles
    columns : PredictionColumns
    dropped : frozenset of str
        Columns of the input that are left out.
    stream : binary file
    is_live : bool
        Whether somebody may be waiting for the rows.

    Attributes
    ----------
    written : int
        How many rows have been written.
    """

    def __init__(
        self,
        form: str,
        inputs: InputFiles,
        columns: PredictionColumns,
        dropped: frozenset[str],
        stream: BinaryIO,
        is_live: bool,
    ) -> None:
        self._form, self._inputs, self._columns, self._dropped = form, inputs, columns, dropped
        self._stream, self._is_live = stream, is_live
        self._writer: RowWriter | None = None
        self.written = 0

    def write(self, name: str, chunk: Chunk, documents: list[Any]) -> None:
        """Write rows of the file `name` with what is predicted for their documents."""
        check_names(name, chunk.names, self._columns, self._dropped)
        if self._writer is None:
            self._writer = self._new_writer(chunk.names)
        try:
            self._writer.write(chunk, self._columns.of(documents))
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}") from error
        self.written += len(chunk)

    def _new_writer(self, names: list[str]) -> RowWriter:
        every = dict.fromkeys([*chain.from_iterable(self._inputs.columns.values()), *names])
        columns = Columns([name for name in every if name not in self._dropped], self._dropped, self._columns.names)
        if self._form == "jsonl":
            return JsonLinesWriter(self._stream, columns)
        has_json = not {"json", "jsonl"}.isdisjoint(self._inputs.forms)
        delimiter = DELIMITERS.get(self._form)
        if delimiter is None and self._inputs.schemas:
            schema = common_schema(self._inputs.schemas)
            return PassThroughWriter(self._stream, schema, columns, self._columns.fields())
        if delimiter is None or (has_json and not self._is_live):
            return SpoolingWriter(self._stream, delimiter, columns, self._columns.fields())
        unquoted = {*self._inputs.forms} == {"tsv"} and all(
            dialect.quoting == "none" for dialect in self._inputs.dialects
        )
        return DelimitedWriter(self._stream, columns, delimiter, quoted=not (unquoted and self._form == "tsv"))

    def close(self) -> None:
        """Write what is left to write; of no rows, the header."""
        writer = self._writer or self._new_writer([])
        writer.close()
        self._stream.flush()

    def discard(self) -> None:
        """Let go of what is left to write."""
        if self._writer is not None:
            self._writer.discard()

    def keep(self, output: Path | None) -> str:
        """Write the rows before an error, and return what is to be said of them.

        Those for the file `output` are copied to one with ".part" in its name.
        """
        if not self.written:
            self.discard()
            return ""
        self.close()
        if output is None or not Path(self._stream.name).is_file():
            return ""
        kept = output.with_name(f"{output.stem}.part{output.suffix}")
        shutil.copyfile(self._stream.name, kept)
        return f"; the {self.written:,} rows before it are in {kept}"


def check_names(name: str, names: list[str], columns: PredictionColumns, dropped: frozenset[str]) -> None:
    """Raise an InvalidValueError if a file has columns with the names of the new ones."""
    taken = [column for column in names if column in columns.names and column not in dropped]
    if taken:
        raise InvalidValueError(
            f"{name} must not have a column {taken[0]!r}, where the predictions go; --prefix names them otherwise, "
            "--overwrite replaces it"
        )
