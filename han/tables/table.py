"""Reading of tables in chunks: CSV, TSV, JSON Lines, JSON, Excel and Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError
from han.tables.byte_stream import ByteStream, split_lines
from han.tables.columns import check_columns, column_names
from han.tables.decoding import Decoder
from han.tables.delimited import Dialect, Record, is_ambiguous, read_records
from han.tables.json_rows import NumberedRow, Row, is_json_lines, read_json, read_json_lines
from han.tables.options import SUFFIXES, TableOptions, format_from_name
from han.tables.sniffing import DELIMITERS, sniff_delimiter, sniff_quoting

# A chunk ends when it reaches either limit: rows, or characters (bytes in Parquet).
CHUNK_ROWS, CHUNK_SIZE = 4096, 16_000_000
SKIP_HINT = "to skip such rows, use --skip-bad-rows (skip_bad_rows=True)"
QUOTING_HINT = "to change the meaning of quotes, use --quoting (quoting=)"


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a table.

    Attributes
    ----------
    names : list of str
        The columns; in JSON, those that occur in these rows.
    numbers : list of int
        The line on which each row starts, or its row number in formats without lines, from 1.
    row_list : list of dict
        The rows of formats other than Parquet; see `rows`.
    batch : pyarrow.RecordBatch, optional
        The rows of a Parquet file, which `rows` and `column` convert.
    """

    names: list[str]
    numbers: list[int]
    row_list: list[Row] = field(repr=False)
    batch: Any = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def rows(self) -> list[Row]:
        """The rows as dicts. Cells of CSV, TSV and Excel are str; empty cells are ""."""
        return self.row_list if self.batch is None else self.batch.to_pylist()

    def column(self, name: str) -> list[Any]:
        """Return the values of a column; None for a JSON row that lacks it."""
        return [row.get(name) for row in self.row_list] if self.batch is None else self.batch[name].to_pylist()


class Table:
    """A table opened for reading; see `open_table`.

    Attributes
    ----------
    name : str
        The name of the table in messages.
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}
    unit : {"line", "row"}
        The unit of row numbers.
    names : list of str, optional
        The columns; None for JSON, where they may differ between rows.
    dialect : Dialect
        The detected dialect of CSV and TSV; the default dialect for other formats.
    schema : pyarrow.Schema, optional
        The schema of a Parquet file.
    skipped : list of int
        The numbers of skipped bad rows.
    repeated_headers : list of int
        The numbers of rows that repeat the header.
    """

    def __init__(self, stream: BinaryIO, name: str, options: TableOptions) -> None:
        self.name, self.options = name, options
        self.unit = "row"
        self.names: list[str] | None = None
        self.dialect = Dialect()
        self.schema: Any = None
        self.skipped: list[int] = []
        self.repeated_headers: list[int] = []
        self._assumptions: list[tuple[str, str]] = []  # each with the option that overrides it
        self._notes: list[str] = []
        self._problems: dict[int, str] = {}
        self._rows: Iterator[NumberedRow | None] = iter(())
        self._batches: Iterator[Any] = iter(())
        self._stream = ByteStream(stream)
        head = self._stream.sample()
        self.input_format = _detect_format(head, name, options)
        is_binary = self.input_format in ("parquet", "xlsx")
        self._decoder = Decoder(b"" if is_binary else head, options.encoding)
        if self.input_format == "parquet":
            self._open_parquet()
            return
        if self.input_format == "xlsx":
            self._open_workbook()
            return
        if self._decoder.encoding != "utf-8" and options.encoding is None:
            self._assumptions.append((f"the encoding {self._decoder.encoding.upper()}", "--encoding"))
        beginning = Decoder(head, options.encoding).decode(head, self._stream.ended)
        if self.input_format in DELIMITERS:
            self._open_delimited(beginning)
        else:
            self._open_json(beginning)

    @property
    def notes(self) -> list[str]:
        """Messages about what was assumed, replaced or skipped; complete when all rows have been read."""
        notes = [*self._notes, *self._decoder.notes()]
        if self._assumptions:
            assumptions, options = zip(*self._assumptions, strict=True)
            notes.insert(0, f"assumed {', '.join(assumptions)}; see {', '.join(options)}")
        if self.repeated_headers:
            count, first = len(self.repeated_headers), self.repeated_headers[0]
            notes.append(f"the header is repeated {count} time{'s' * (count > 1)}, first on {self.unit} {first}")
        if self.skipped:
            numbers = sorted(self.skipped)
            listed = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
            reason = f"; the first {self._problems[numbers[0]]}" if numbers[0] in self._problems else ""
            notes.append(f"skipped {len(numbers)} bad row{'s' * (len(numbers) > 1)}, on {self.unit} {listed}{reason}")
        return [f"{self.name}: {note}" for note in notes]

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows in chunks of up to a few thousand, or of what has arrived when a pipe pauses.

        Raises
        ------
        ValueError
            At the first bad row, after the rows before it have been yielded, unless `skip_bad_rows` is set. The message
            contains the number of the row.
        """
        try:
            yield from self._batch_chunks() if self.input_format == "parquet" else self._row_chunks()
        except InvalidValueError as error:
            raise _add_name(self.name, error) from error

    def check_columns(self, required: Iterable[str], argument: str, names: Iterable[str] = ()) -> None:
        """Raise a ValueError if a required column is missing.

        Parameters
        ----------
        required : iterable of str
        argument : str
            The argument that names the required columns, "text" or "label".
        names : iterable of str
            The columns of a JSON file.
        """
        has_header = self.names is not None and self.schema is None and self.options.header
        hint = "; for a file without a header, use --no-header (header=False)" if has_header else ""
        check_columns(self.name, self.names or names, required, argument, hint)

    def skip(self, number: int, problem: str) -> None:
        """Count a bad row as skipped, or raise a ValueError if `skip_bad_rows` is not set."""
        if not self.options.skip_bad_rows:
            hint = f"{QUOTING_HINT}; " if "quote" in problem else ""
            raise InvalidValueError(f"{self.unit} {number} {problem}; {hint}{SKIP_HINT}")
        self._problems[number] = problem
        self.skipped.append(number)

    def _row_chunks(self) -> Iterator[Chunk]:
        rows: list[Row] = []
        numbers: list[int] = []
        size = 0
        for item in self._rows:
            if item is not None and item.problem:
                if rows and not self.options.skip_bad_rows:
                    yield self._chunk(rows, numbers)
                self.skip(item.number, item.problem)
            elif item is not None:
                rows.append(item.row)
                numbers.append(item.number)
                size += item.size
            if rows and (item is None or len(rows) == CHUNK_ROWS or size > CHUNK_SIZE):
                yield self._chunk(rows, numbers)
                rows, numbers, size = [], [], 0
        if rows:
            yield self._chunk(rows, numbers)

    def _chunk(self, rows: list[Row], numbers: list[int]) -> Chunk:
        if self.names is None:
            return Chunk([*dict.fromkeys(name for row in rows for name in row)], numbers, rows)
        if self.options.header:
            self.repeated_headers += [
                number for number, row in zip(numbers, rows, strict=True) if _is_header(row, self.names)
            ]
        return Chunk(self.names, numbers, rows)

    def _batch_chunks(self) -> Iterator[Chunk]:
        start = 1
        for batch in self._batches:
            if len(batch):
                yield Chunk(batch.schema.names, [*range(start, start + len(batch))], [], batch)
            start += len(batch)

    def _open_parquet(self) -> None:
        from han.tables.parquet_reader import read_parquet

        self.schema, self._batches = read_parquet(self._stream.seekable(), CHUNK_ROWS, CHUNK_SIZE)
        self.names = column_names(self.schema.names)

    def _open_workbook(self) -> None:
        from han.tables.workbook import read_sheet

        rows, note = read_sheet(self._stream.seekable())
        if note:
            self._notes.append(note)
        self._set_rows(rows)

    def _open_delimited(self, beginning: str) -> None:
        self.unit = "line"
        line_end = "\r" if re.match("[^\r\n]*\r(?!\n)", beginning) else "\n"
        sample = [line for line in split_lines([beginning], line_end) if line]
        if not self._stream.ended and len(sample) > 1 and not sample[-1].endswith(line_end):
            sample.pop()
        lines = split_lines(self._decoded_pieces(), line_end)
        declaration = re.match(r'"?sep=(.)"?[\r\n]', beginning)  # Excel's declaration of the delimiter
        if declaration:
            next(lines)
            del sample[0]
        self.dialect, is_certain = self._detect_dialect(sample, declaration[1] if declaration else None)
        records = read_records(lines, self.dialect, start=1 + bool(declaration), is_certain=is_certain)
        self._set_rows(self._note_merged_lines(records, is_certain))

    def _open_json(self, beginning: str) -> None:
        if self.input_format == "json" or beginning.lstrip().startswith("["):
            text = "".join(filter(None, self._decoded_pieces()))
            if not is_json_lines(text):
                self._rows = read_json(text)
                return
            lines = split_lines([text])
        else:
            lines = split_lines(self._decoded_pieces())
        self.unit = "line"
        self._rows = read_json_lines(lines)

    def _decoded_pieces(self) -> Iterator[str | None]:
        for piece in self._stream.pieces():
            yield None if piece is None else self._decoder.decode(piece)
        yield self._decoder.decode(b"", final=True)

    def _detect_dialect(self, sample: Sequence[str], declared_delimiter: str | None) -> tuple[Dialect, bool]:
        """Return the dialect, and whether its quoting is certain."""
        default = DELIMITERS[self.input_format]
        delimiter = self.options.delimiter or declared_delimiter
        if delimiter is None:
            delimiter, candidates = sniff_delimiter(sample, default, complete=self._stream.ended)
            others = " or ".join(repr(candidate) for candidate in candidates if candidate != delimiter)
            if others or delimiter != default:
                alternatives = f" (but {others} would fit too)" if others else ""
                self._assumptions.append((f"the delimiter {delimiter!r}{alternatives}", "--delimiter"))
        if self.options.quoting is not None:
            return Dialect(delimiter, self.options.quoting), True
        quoting, is_certain = sniff_quoting(sample, delimiter, self.input_format, complete=self._stream.ended)
        if quoting == "backslash":
            self._assumptions.append(("that backslashes escape quotes", "--quoting"))
        elif (quoting, self.input_format) == ("none", "csv"):
            self._assumptions.append(("that quotes are ordinary characters", "--quoting"))
        return Dialect(delimiter, quoting), is_certain

    def _note_merged_lines(self, records: Iterator[Record | None], is_certain: bool) -> Iterator[Record | None]:
        """Pass records through, and note rows of several lines that may be several rows."""
        merged = 0
        ambiguous: list[int] = []
        width = 0
        for record in records:
            if record is not None and not record.problem:
                width = width or len(record.fields)
                merged += max(len(record.lines) - 1, 0)
                if is_ambiguous(record.lines, self.dialect.delimiter, width):
                    ambiguous.append(record.number)
            yield record
        if self.options.quoting is None and merged and (not is_certain or ambiguous):
            first = f" (the row on line {ambiguous[0]} may be several)" if ambiguous else ""
            self._notes.append(
                f"quotes join {merged} line{'s' * (merged > 1)} to the row above{first}; to read each line as a row, "
                "use --quoting none"
            )

    def _set_rows(self, records: Iterator[Record | None]) -> None:
        """Set the column names, and the rows that `chunks` reads."""
        first = next((record for record in records if record and not record.is_empty), None)
        if first is None:
            return
        if first.problem:
            raise InvalidValueError(f"{self.unit} {first.number} {first.problem}; {QUOTING_HINT}")
        self.names = column_names(first.fields if self.options.header else map(str, range(len(first.fields))))
        self._rows = _named_rows(records if self.options.header else chain([first], records), self.names)


def open_table(stream: BinaryIO, name: str, options: TableOptions | None = None) -> Table:
    """Open a table. Of CSV, TSV and JSON Lines, only a sample is read until `Table.chunks` is called.

    Parameters
    ----------
    stream : binary file
        A file or a pipe, which may be compressed. The caller closes it.
    name : str
        The path, or another name for messages. The format is inferred from its suffix unless `options` or the contents
        determine it.
    options : TableOptions, optional

    Raises
    ------
    ValueError
        If the format is unknown or the file is not in that format. The message begins with the name.
    MissingExtraError
        If openpyxl, which reads Excel files, is not installed.
    """
    try:
        return Table(stream, name, options or TableOptions())
    except InvalidValueError as error:
        raise _add_name(name, error) from error


def _detect_format(head: bytes, name: str, options: TableOptions) -> str:
    for magic, binary_format in ((b"PAR1", "parquet"), (b"PK\x03\x04", "xlsx")):
        if head.startswith(magic):
            return binary_format
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidValueError("is a workbook in the old format .xls; save it as .xlsx or .csv")
    input_format = options.input_format or format_from_name(name)
    if input_format is None:
        raise InvalidValueError(f"must end in one of {', '.join(SUFFIXES)}; or set --input-format (input_format=)")
    return input_format


def _named_rows(records: Iterable[Record | None], names: list[str]) -> Iterator[NumberedRow | None]:
    empty_lines: list[int] = []
    for record in records:
        if record is None:
            yield None
        elif record.problem:
            yield NumberedRow(record.number, {}, problem=record.problem)
        elif not record.is_empty:
            # In a table with one column, an empty line is an empty cell, except at the end of the file.
            yield from (NumberedRow(number, {names[0]: ""}) for number in empty_lines)
            empty_lines = []
            row = dict(zip(names, record.fields, strict=True))
            yield NumberedRow(record.number, row, sum(map(len, record.fields)))
        elif len(names) == 1:
            empty_lines.append(record.number)


def _is_header(row: Row, names: list[str]) -> bool:
    """Return whether a row repeats the header, possibly after a byte order mark, as in concatenated files."""
    return row[names[-1]] == names[-1] and [*row.values()] in (names, ["\ufeff" + names[0], *names[1:]])


def _add_name(name: str, error: InvalidValueError) -> InvalidValueError:
    starts_with_verb = str(error).startswith(("is ", "must "))
    return InvalidValueError(f"{name} {error}" if starts_with_verb else f"{name}: {error}")
