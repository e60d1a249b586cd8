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

from han.cli.files import STANDARD_INPUT, decoded, file_name, table_format
from han.data.validation import short_repr
from han.exceptions import DataWarning, InvalidValueError, warn_user
from han.tables.columns import join_texts
from han.tables.delimited import Dialect
from han.tables.options import SUFFIXES, TableOptions, format_from_name
from han.tables.table import Chunk, Table, open_table

TEXT_SUFFIXES = ("", ".txt")
PEEKED_BYTES = 65_536


class InputFiles:
    """Files of documents, of which the beginning is checked before any work is done.

    Parameters
    ----------
    paths : list of Path
        "-" is standard input.
    text : sequence of str
        The columns that hold the documents.
    form : str or None
        The format of all files, one of `han.tables.table.FORMATS` or "text"; None if their names and contents tell.
    options : TableOptions
    stack : ExitStack
        Closes what stays open: pipes, which cannot be read twice.

    Attributes
    ----------
    forms : list of str
        The format of each file.
    columns : dict
        The columns of each file by its name, as far as they are known before all is read.
    schemas : dict
        Of each Parquet file by its name.
    dialects : list of Dialect
        Of each table.

    Raises
    ------
    ValueError
        If a file's format is not known, the beginning of a table cannot be read, or it has no such column.
    """

    def __init__(
        self, paths: list[Path], text: Sequence[str], form: str | None, options: TableOptions, stack: ExitStack
    ) -> None:
        self._paths, self._text, self._form, self._options = paths, text, form, options
        self._pipes: dict[Path, tuple[BinaryIO, Table | None]] = {}
        self.forms: list[str] = []
        self.columns: dict[str, list[str]] = {}
        self.schemas: dict[str, pa.Schema] = {}
        self.dialects: list[Dialect] = []
        for path in paths:
            self._inspect(path, stack)

    def _inspect(self, path: Path, stack: ExitStack) -> None:
        if path in self._pipes:
            raise InvalidValueError(f"{file_name(path)} can be read only once")
        stream = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(path.open("rb"))
        form = self._form or self._format(path, stream)
        self.forms.append(form)
        table = self._table(path, stream, form)
        names = ["file", self._text[0]]
        if table is not None:
            names = table.names or []
            self.dialects.append(table.dialect)
            if table.schema is not None:
                self.schemas[file_name(path)] = table.schema
        if path.is_file():
            if table is not None and table.names is None:  # JSON, of which the first rows tell the columns
                names = next(table.chunks(), Chunk([], [], [])).names
            stream.close()
        else:
            self._pipes[path] = stream, table
        self.columns[file_name(path)] = names

    def _format(self, path: Path, stream: BinaryIO) -> str:
        """Return the format that a file's name tells, or its beginning if it has no ending."""
        name = file_name(path)
        suffix = "" if path == STANDARD_INPUT else path.suffix.lower()
        form = format_from_name(name) if suffix else None
        if form is None and suffix not in TEXT_SUFFIXES:
            raise InvalidValueError(f"{name} must end in one of .txt, {', '.join(SUFFIXES)}; --input-format names it")
        if form is None and not suffix and (form := table_format(_beginning(stream), self._text)):
            _tell(f"{name}: read as {form}; --input-format text reads it as one document")
        return form or "text"

    def _table(self, path: Path, stream: BinaryIO, form: str) -> Table | None:
        if form == "text":
            return None
        table = open_table(stream, file_name(path), replace(self._options, input_format=form))
        if table.names is not None:
            table.check_columns(self._text, "text")
        return table

    def chunks(self, quiet: bool) -> Iterator[tuple[str, Chunk, list[Any]]]:
        """Read all files, and show on standard error how far that is.

        Yields
        ------
        name : str
            Of the file.
        chunk : Chunk
        documents : list of str or of lists
            Of each row.

        Raises
        ------
        ValueError
            At the first bad row, if bad rows are not skipped, after the rows before it.
        """
        sizes = [path.stat().st_size for path in self._paths if path.is_file()]
        total = sum(sizes) if len(sizes) == len(self._paths) else None
        documents = before = 0
        with tqdm(total=total, unit="B", unit_scale=True, disable=quiet, file=sys.stderr, desc="predict") as progress:
            for path, form in zip(self._paths, self.forms, strict=True):
                with ExitStack() as stack:
                    stream, table = self._opened(path, form, stack)
                    for chunk, texts in self._table_chunks(table) if table else self._document(path, stream):
                        yield file_name(path), chunk, texts
                        documents += len(chunk)
                        progress.set_postfix_str(f"{documents:,} documents", refresh=total is None)
                        if total:
                            progress.update(before + stream.tell() - progress.n)
                    before += path.stat().st_size if total else 0
                    for remark in table.notes if table else []:
                        _tell(remark)

    def _opened(self, path: Path, form: str, stack: ExitStack) -> tuple[BinaryIO, Table | None]:
        if path in self._pipes:
            return self._pipes[path]
        stream = stack.enter_context(path.open("rb"))
        return stream, self._table(path, stream, form)

    def _document(self, path: Path, stream: BinaryIO) -> Iterator[tuple[Chunk, list[Any]]]:
        name = file_name(path)
        document, remarks = decoded(stream.read(), name, self._options.encoding)
        lines = len(document.splitlines())
        if path == STANDARD_INPUT and lines > 1 and self._form is None:
            _tell(f"{name}: read as one document of {lines} lines; --input-format csv reads a table")
        for remark in remarks:
            _tell(remark)
        row = {"file": name, self._text[0]: document}
        yield Chunk([*row], [1], [row]), [document]

    def _table_chunks(self, table: Table) -> Iterator[tuple[Chunk, list[Any]]]:
        """Read a table without the rows that hold no document."""
        for chunk in table.chunks():
            columns = [chunk.column(name) for name in self._text]
            cells = [*zip(*columns, strict=True)]
            problems = {
                index: problem
                for index, row in enumerate(cells)
                if (problem := self._problem(row, None if table.names else chunk.row_list[index]))
            }
            first = min(problems, default=len(chunk))
            rows = range(len(chunk)) if self._options.skip_bad_rows else range(first)
            if good := [index for index in rows if index not in problems]:
                yield _rows_at(chunk, good), [join_texts(cells[index]) or "" for index in good]
            for index, problem in problems.items():
                try:
                    table.skip(chunk.numbers[index], problem)
                except InvalidValueError as error:
                    raise InvalidValueError(f"{table.name}: {error}") from error

    def _problem(self, cells: Sequence[Any], row: dict[str, Any] | None) -> str:
        """Return why the text cells of a row hold no document; "" if they do. Of JSON, `row` is the whole row."""
        if row is not None and row.keys().isdisjoint(self._text):
            return f"must have the text {self._text[0]!r} (--text), got {short_repr([*row])}"
        for name, cell in zip(self._text, cells, strict=True):
            if not (cell is None or isinstance(cell, str) or (len(cells) == 1 and _is_split(cell))):
                return f"must hold a text in {name!r}, got {short_repr(cell)}"
        return ""


def _tell(remark: str) -> None:
    warn_user(remark, DataWarning)


def _beginning(stream: BinaryIO) -> bytes:
    """Return the first bytes of a stream, which stay to be read."""
    return stream.peek(PEEKED_BYTES) if isinstance(stream, io.BufferedReader) else b""


def _is_split(value: Any) -> bool:
    """Tell whether a value is a document that is split into sentences, or into sentences and words."""
    return isinstance(value, list) and all(
        isinstance(sentence, str) or (isinstance(sentence, list) and all(isinstance(word, str) for word in sentence))
        for sentence in value
    )


def _rows_at(chunk: Chunk, indices: list[int]) -> Chunk:
    if len(indices) == len(chunk):
        return chunk
    batch = None if chunk.batch is None else chunk.batch.take(pa.array(indices, pa.int64()))
    held = [] if chunk.batch is not None else [chunk.row_list[index] for index in indices]
    return Chunk(chunk.names, [chunk.numbers[index] for index in indices], held, batch)
