"""The documents that `han predict` reads: rows of tables, or text files."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from tqdm import tqdm

from han.cli.files import STANDARD_INPUT, decoded, file_name, table_format
from han.exceptions import InvalidValueError
from han.tables import FORMATS, Chunk, Dialect, Table, TableOptions, format_named, joined_text, open_table
from han.validation import shown

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
    options : TableOptions
    stack : ExitStack
        Closes what stays open: pipes, which cannot be read twice.

    Attributes
    ----------
    forms : list of str
        The format of each file: one of `han.tables.FORMATS` or "text".
    names : list of str
        The columns of the files, as far as they are known before all is read.
    schemas : dict
        Of each Parquet file by its name.
    dialects : list of Dialect
        Of each table.

    Raises
    ------
    ValueError
        If a file's format is not known, the beginning of a table cannot be read, or it has no such column.
    """

    def __init__(self, paths: list[Path], text: Sequence[str], options: TableOptions, stack: ExitStack) -> None:
        self._paths, self._text, self._options = paths, text, options
        self._pipes: dict[Path, tuple[BinaryIO, Table | None]] = {}
        self.forms: list[str] = []
        self.names: list[str] = []
        self.schemas: dict[str, pa.Schema] = {}
        self.dialects: list[Dialect] = []
        self.remarks: list[str] = []
        for path in paths:
            self._inspect(path, stack)

    def _inspect(self, path: Path, stack: ExitStack) -> None:
        name = file_name(path)
        stream = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(path.open("rb"))
        form = self._options.input_format or self._format(path, stream)
        self.forms.append(form)
        if form == "text":
            names, table = ["file", self._text[0]], None
        else:
            table = open_table(stream, name, replace(self._options, input_format=form))
            names = []
            self.dialects.append(table.dialect)
            if table.schema is not None:
                self.schemas[name] = table.schema
        if path.is_file():
            if table is not None and (first := next(table.chunks(), None)):
                self._check_columns(table, first)
                names = first.names
            stream.close()
        else:
            self._pipes[path] = stream, table
        self.names = [*dict.fromkeys([*self.names, *names])]

    def _format(self, path: Path, stream: BinaryIO) -> str:
        """Return the format that a file's name tells, or its beginning if it has no ending."""
        name = file_name(path)
        suffix = "" if path == STANDARD_INPUT else path.suffix.lower()
        form = format_named(name) if suffix else None
        if form is None and suffix not in TEXT_SUFFIXES:
            known = ", ".join([".txt", *(f".{form}" for form in FORMATS)])
            raise InvalidValueError(f"{name} must end in one of {known}, or --input-format say what it is")
        if form is None and not suffix and (form := table_format(_beginning(stream), self._text)):
            self.remarks.append(f"{name} is read as {form}; --input-format text reads it as one document")
        return form or "text"

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
                        tqdm.write(f"han: {remark}", file=sys.stderr)

    def _opened(self, path: Path, form: str, stack: ExitStack) -> tuple[BinaryIO, Table | None]:
        if path in self._pipes:
            return self._pipes[path]
        stream = stack.enter_context(path.open("rb"))
        if form == "text":
            return stream, None
        return stream, open_table(stream, str(path), replace(self._options, input_format=form))

    def _document(self, path: Path, stream: BinaryIO) -> Iterator[tuple[Chunk, list[Any]]]:
        name = file_name(path)
        document, remark = decoded(stream.read(), name)
        lines = len(document.splitlines())
        if path == STANDARD_INPUT and lines > 1 and not self._options.input_format:
            self.remarks.append(f"{name} was read as one document of {lines} lines; --input-format csv reads a table")
        if remark:
            self.remarks.append(remark)
        row = {"file": name, self._text[0]: document}
        yield Chunk([*row], [1], [row]), [document]

    def _check_columns(self, table: Table, chunk: Chunk) -> None:
        if table.input_format in ("json", "jsonl"):  # where each row has columns of its own
            return
        for column in self._text:
            if column not in chunk.names:
                near = get_close_matches(column, chunk.names, 1)
                raise InvalidValueError(
                    f"--text must be a column of {table.name}, got {column!r}; its columns are {chunk.names}"
                    + (f"; did you mean {near[0]!r}?" if near else "")
                )

    def _table_chunks(self, table: Table) -> Iterator[tuple[Chunk, list[Any]]]:
        """Read a table without the rows that hold no document."""
        for chunk in table.chunks():
            self._check_columns(table, chunk)
            columns = [chunk.column(name) for name in self._text]
            cells = [*zip(*columns, strict=True)]
            bad = [index for index, row in enumerate(cells) if not self._is_document(row)]
            if chunk.batch is None:
                bad += [index for index, row in enumerate(chunk.held) if row.keys().isdisjoint(self._text)]
            good = sorted({*range(len(chunk))} - {*bad})
            if bad and not self._options.skip_bad_rows:
                good = [*range(min(bad))]
            if good:
                yield _rows_at(chunk, good), [joined_text([*cells[index]]) or "" for index in good]
            if bad and not self._options.skip_bad_rows:
                raise InvalidValueError(self._fault(table, chunk, min(bad)))
            table.skipped.extend(chunk.numbers[index] for index in sorted({*bad}))

    def _is_document(self, cells: Sequence[Any]) -> bool:
        if len(cells) > 1:
            return all(cell is None or isinstance(cell, str) for cell in cells)
        return cells[0] is None or isinstance(cells[0], str) or _is_split(cells[0])

    def _fault(self, table: Table, chunk: Chunk, index: int) -> str:
        where = f"{table.name}: {table.unit} {chunk.numbers[index]}"
        for name in self._text:
            cell = chunk.column(name)[index]
            if cell is not None:
                return f"{where} must hold a text in {name!r} (--text), got {shown(cell)}"
        return f"{where} must have {self._text[0]!r} (--text), got {shown([*chunk.rows[index]])}"


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
    held = [] if chunk.batch is not None else [chunk.held[index] for index in indices]
    return Chunk(chunk.names, [chunk.numbers[index] for index in indices], held, batch)
