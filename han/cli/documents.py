"""The documents that `han predict` reads: rows of tables, or text files."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from tqdm import tqdm

from han.cli.files import STANDARD_INPUT, decode_text, detect_table, file_name
from han.exceptions import DataWarning, InvalidValueError, short_repr, warn_user
from han.tables.columns import join_texts
from han.tables.delimited import Dialect
from han.tables.options import SUFFIXES, TableOptions, format_from_name
from han.tables.table import Chunk, Table, open_table

TEXT_SUFFIXES = ("", ".txt")
DETECTION_BYTES = 65_536


class InputFiles:
    """Files of documents, whose beginnings are checked before any work is done.

    Parameters
    ----------
    paths : list of Path
        "-" is standard input.
    text : sequence of str
        The text columns.
    input_format : str or None
        The format of all files, one of `han.tables.options.FORMATS` or "text"; None detects the format of each file.
    options : TableOptions
    stack : ExitStack
        Closes the pipes, which remain open because they cannot be read twice.

    Attributes
    ----------
    formats : list of str
        The format of each file.
    columns : dict
        The columns of each file by its name. In JSON, those of the first rows.
    schemas : dict
        The schema of each Parquet file by its name.
    dialects : list of Dialect
        The dialect of each table.

    Raises
    ------
    ValueError
        If the format of a file is unknown, the beginning of a table cannot be read, or a text column is missing.
    """

    def __init__(
        self, paths: list[Path], text: Sequence[str], input_format: str | None, options: TableOptions, stack: ExitStack
    ) -> None:
        self._paths, self._text, self._input_format, self._options = paths, text, input_format, options
        self._pipes: dict[Path, tuple[BinaryIO, Table | None]] = {}
        self.formats: list[str] = []
        self.columns: dict[str, list[str]] = {}
        self.schemas: dict[str, pa.Schema] = {}
        self.dialects: list[Dialect] = []
        for path in paths:
            self._inspect(path, stack)

    def _inspect(self, path: Path, stack: ExitStack) -> None:
        if path in self._pipes:
            raise InvalidValueError(f"{file_name(path)} can be read only once")
        stream = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(path.open("rb"))
        input_format = self._input_format or self._detect_format(path, stream)
        self.formats.append(input_format)
        table = self._open_table(path, stream, input_format)
        names = ["file", self._text[0]]
        if table is not None:
            names = table.names or []
            self.dialects.append(table.dialect)
            if table.schema is not None:
                self.schemas[file_name(path)] = table.schema
        if path.is_file():
            if table is not None and table.names is None:  # JSON, whose columns are known from the first rows
                names = next(table.chunks(), Chunk([], [], [])).names
            stream.close()
        else:
            self._pipes[path] = stream, table
        self.columns[file_name(path)] = names

    def _detect_format(self, path: Path, stream: BinaryIO) -> str:
        """Return the format indicated by the suffix of a file or, without a suffix, by its beginning."""
        name = file_name(path)
        suffix = "" if path == STANDARD_INPUT else path.suffix.lower()
        input_format = format_from_name(name) if suffix else None
        if input_format is None and suffix not in TEXT_SUFFIXES:
            raise InvalidValueError(f"{name} must end in one of .txt, {', '.join(SUFFIXES)}; or set --input-format")
        if input_format is None and not suffix and (input_format := detect_table(_peek(stream), self._text)):
            note = f"{name}: read as {input_format}; to read it as one document, use --input-format text"
            warn_user(note, DataWarning)
        return input_format or "text"

    def _open_table(self, path: Path, stream: BinaryIO, input_format: str) -> Table | None:
        if input_format == "text":
            return None
        table = open_table(stream, file_name(path), replace(self._options, input_format=input_format))
        if table.names is not None:
            table.check_columns(self._text, "text")
        return table

    def chunks(self, quiet: bool) -> Iterator[tuple[str, Chunk, list[Any]]]:
        """Read all files, with a progress bar on standard error unless `quiet` is set.

        Yields
        ------
        name : str
            The name of the file.
        chunk : Chunk
        documents : list of str or of lists
            The document of each row.

        Raises
        ------
        ValueError
            At the first bad row, after the rows before it have been yielded, unless bad rows are skipped.
        """
        sizes = [path.stat().st_size for path in self._paths if path.is_file()]
        total = sum(sizes) if len(sizes) == len(self._paths) else None
        documents = previous_bytes = 0
        with tqdm(total=total, unit="B", unit_scale=True, disable=quiet, file=sys.stderr, desc="predict") as progress:
            for path, input_format in zip(self._paths, self.formats, strict=True):
                with ExitStack() as stack:
                    stream, table = self._reopen(path, input_format, stack)
                    for chunk, texts in self._table_chunks(table) if table else self._text_file(path, stream):
                        yield file_name(path), chunk, texts
                        documents += len(chunk)
                        progress.set_postfix_str(f"{documents:,} documents", refresh=total is None)
                        if total:
                            progress.update(previous_bytes + stream.tell() - progress.n)
                    previous_bytes += path.stat().st_size if total else 0
                    for note in table.notes if table else []:
                        warn_user(note, DataWarning)

    def _reopen(self, path: Path, input_format: str, stack: ExitStack) -> tuple[BinaryIO, Table | None]:
        if path in self._pipes:
            return self._pipes[path]
        stream = stack.enter_context(path.open("rb"))
        return stream, self._open_table(path, stream, input_format)

    def _text_file(self, path: Path, stream: BinaryIO) -> Iterator[tuple[Chunk, list[Any]]]:
        name = file_name(path)
        document, notes = decode_text(stream.read(), name, self._options.encoding)
        lines = len(document.splitlines())
        if path == STANDARD_INPUT and lines > 1 and self._input_format is None:
            notes = [f"{name}: read as one document of {lines} lines; to read a table, use --input-format csv", *notes]
        for note in notes:
            warn_user(note, DataWarning)
        row = {"file": name, self._text[0]: document}
        yield Chunk([*row], [1], [row]), [document]

    def _table_chunks(self, table: Table) -> Iterator[tuple[Chunk, list[Any]]]:
        """Yield the rows of a table that contain a document."""
        for chunk in table.chunks():
            columns = [chunk.column(name) for name in self._text]
            cells = [*zip(*columns, strict=True)]
            problems = {
                index: problem
                for index, row in enumerate(cells)
                if (problem := self._problem(row, None if table.names else chunk.row_list[index]))
            }
            first = min(problems, default=len(chunk))
            indices = range(len(chunk)) if self._options.skip_bad_rows else range(first)
            if good := [index for index in indices if index not in problems]:
                yield _take(chunk, good), [join_texts(cells[index]) or "" for index in good]
            for index, problem in problems.items():
                try:
                    table.skip(chunk.numbers[index], problem)
                except InvalidValueError as error:
                    raise InvalidValueError(f"{table.name}: {error}") from error

    def _problem(self, cells: Sequence[Any], json_row: dict[str, Any] | None) -> str:
        """Return why the text cells of a row are not a document; "" if they are."""
        if json_row is not None and json_row.keys().isdisjoint(self._text):
            return f"must have the column {self._text[0]!r} (--text), got {short_repr([*json_row])}"
        for name, cell in zip(self._text, cells, strict=True):
            if not (cell is None or isinstance(cell, str) or (len(cells) == 1 and _is_split(cell))):
                return f"must have a text in {name!r}, got {short_repr(cell)}"
        return ""


def _peek(stream: BinaryIO) -> bytes:
    """Return the first bytes of a stream without consuming them."""
    return stream.peek(DETECTION_BYTES) if isinstance(stream, io.BufferedReader) else b""


def _is_split(value: Any) -> bool:
    """Return whether a value is a document split into sentences, or into sentences and words."""
    return isinstance(value, list) and all(
        isinstance(sentence, str) or (isinstance(sentence, list) and all(isinstance(word, str) for word in sentence))
        for sentence in value
    )


def _take(chunk: Chunk, indices: list[int]) -> Chunk:
    if len(indices) == len(chunk):
        return chunk
    batch = None if chunk.batch is None else chunk.batch.take(pa.array(indices, pa.int64()))
    rows = [] if chunk.batch is not None else [chunk.row_list[index] for index in indices]
    return Chunk(chunk.names, [chunk.numbers[index] for index in indices], rows, batch)
