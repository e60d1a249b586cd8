"""Reading of tables in chunks: CSV, TSV, JSON Lines, JSON, Excel and Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError
from han.tables.columns import check_columns, column_names, joined_text
from han.tables.decoding import Decoder
from han.tables.delimited import Dialect, Record, read_records, reads_two_ways
from han.tables.json_rows import NumberedRow, Row, begins_with_json_line, read_json, read_json_lines
from han.tables.options import FORMATS, SUFFIXES, TableOptions, format_named
from han.tables.sniffing import DELIMITERS, sniff_delimiter, sniff_quoting
from han.tables.source import Source, split_lines

__all__ = [
    "FORMATS", "SKIP_HINT", "SUFFIXES", "Chunk", "Dialect", "Row", "Table", "TableOptions", "format_named",
    "joined_text", "open_table",
]  # fmt: skip

# A chunk ends at either limit: of rows, or of characters.
CHUNK_ROWS, CHUNK_SIZE = 4096, 16_000_000
SKIP_HINT = "to skip such rows, use --skip-bad-rows (skip_bad_rows=True)"
QUOTING_HINT = "to change the meaning of quotes, use --quoting (quoting=)"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, in order.

    Attributes
    ----------
    names : list of str
        The columns; of JSON, those that occur in these rows.
    numbers : list of int
        The line on which each row starts, or its row number in formats without lines, from 1.
    batch : pyarrow.RecordBatch, optional
        The rows of a Parquet file, from which `rows` and `column` convert.
    """

    names: list[str]
    numbers: list[int]
    held: list[Row] = field(repr=False)
    batch: Any = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def rows(self) -> list[Row]:
        """The rows; cells of CSV, TSV and Excel are str, empty ones ""."""
        return self.held if self.batch is None else self.batch.to_pylist()

    def column(self, name: str) -> list[Any]:
        """Return the values of a column; None for a JSON row that lacks it."""
        return [row.get(name) for row in self.held] if self.batch is None else self.batch[name].to_pylist()


class Table:
    """A table that is being read; see `open_table`.

    Attributes
    ----------
    name : str
        For messages.
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}
    unit : {"line", "row"}
        What the numbers of rows count.
    names : list of str, optional
        The columns; None for JSON, where they may differ from row to row.
    dialect : Dialect
        The sniffed dialect of CSV and TSV; that of plain CSV for other formats.
    schema : pyarrow.Schema, optional
        The schema of a Parquet file.
    skipped : list of int
        The numbers of the bad rows that were skipped.
    repeated_headers : list of int
        The numbers of the rows that repeat the header.
    """

    def __init__(self, stream: BinaryIO, name: str, options: TableOptions) -> None:
        self.name, self.options = name, options
        self.unit = "row"
        self.names: list[str] | None = None
        self.dialect = Dialect()
        self.schema: Any = None
        self.skipped: list[int] = []
        self.repeated_headers: list[int] = []
        self._assumed: list[tuple[str, str]] = []  # what, and the option for it
        self._remarks: list[str] = []
        self._problems: dict[int, str] = {}
        self._rows: Iterator[NumberedRow | None] = iter(())
        self._batches: Iterator[Any] = iter(())
        self._source = Source(stream)
        head = self._source.sample()
        self.input_format = _format_of(head, name, options)
        binary = self.input_format in ("parquet", "xlsx")
        self._decoder = Decoder(b"" if binary else head, options.encoding)
        if self.input_format == "parquet":
            self._open_parquet()
            return
        if self.input_format == "xlsx":
            self._open_workbook()
            return
        if self._decoder.encoding != "utf-8" and options.encoding is None:
            self._assumed.append((f"the encoding {self._decoder.encoding.upper()}", "--encoding"))
        beginning = Decoder(head, options.encoding).decode(head, self._source.ended)
        if self.input_format in DELIMITERS:
            self._open_delimited(beginning)
        else:
            self._open_json(beginning)

    @property
    def notes(self) -> list[str]:
        """Sentences for the user, once all is read, on what was assumed, replaced or left out."""
        said = [*self._remarks, *self._decoder.notes()]
        if self._assumed:
            what, options = zip(*self._assumed, strict=True)
            said.insert(0, f"assumed {', '.join(what)}; see {', '.join(options)}")
        if self.repeated_headers:
            count, first = len(self.repeated_headers), self.repeated_headers[0]
            said.append(f"the header is repeated {count} time{'s' * (count > 1)}, first on {self.unit} {first}")
        if self.skipped:
            numbers = sorted(self.skipped)
            which = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
            why = f"; the first {self._problems[numbers[0]]}" if numbers[0] in self._problems else ""
            said.append(f"skipped {len(numbers)} bad row{'s' * (len(numbers) > 1)}, on {self.unit} {which}{why}")
        return [f"{self.name}: {sentence}" for sentence in said]

    def chunks(self) -> Iterator[Chunk]:
        """Read the rows in chunks of a few thousand, or fewer when a pipe pauses.

        Raises
        ------
        ValueError
            At the first bad row, with its number, after the rows before it; unless `skip_bad_rows` is set.
        """
        try:
            yield from self._read_batches() if self.input_format == "parquet" else self._read_chunks()
        except InvalidValueError as error:
            raise _with_name(self.name, error) from error

    def check_columns(self, wanted: Iterable[str], argument: str, names: Iterable[str] = ()) -> None:
        """Raise a ValueError if a wanted column is missing.

        Parameters
        ----------
        wanted : iterable of str
        argument : str
            The argument that names them: "text" or "label".
        names : iterable of str
            The columns found, for JSON.
        """
        headed = self.names is not None and self.schema is None and self.options.header
        hint = "; for a file without a header, use --no-header (header=False)" if headed else ""
        check_columns(self.name, self.names or names, wanted, argument, hint)

    def skip(self, number: int, problem: str) -> None:
        """Count a bad row as skipped, or raise a ValueError unless `skip_bad_rows` is set."""
        if not self.options.skip_bad_rows:
            hint = f"{QUOTING_HINT}; " if "quote" in problem else ""
            raise InvalidValueError(f"{self.unit} {number} {problem}; {hint}{SKIP_HINT}")
        self._problems[number] = problem
        self.skipped.append(number)

    def _read_chunks(self) -> Iterator[Chunk]:
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

    def _read_batches(self) -> Iterator[Chunk]:
        start = 1
        for batch in _combined(self._batches):
            if len(batch):
                yield Chunk(batch.schema.names, [*range(start, start + len(batch))], [], batch)
            start += len(batch)

    def _open_parquet(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        try:
            file = pyarrow.parquet.ParquetFile(self._source.seekable())
        except (pa.ArrowException, OSError) as error:
            raise InvalidValueError(f"is not a Parquet file: {error}") from error
        self.schema = file.schema_arrow
        self.names = column_names(self.schema.names)
        # One row group at a time: some nested types cannot be read across them.
        batches = (
            batch for group in range(file.num_row_groups) for batch in file.iter_batches(CHUNK_ROWS, row_groups=[group])
        )
        self._batches = _readable(batches, (pa.ArrowException, OSError))

    def _open_workbook(self) -> None:
        from han.tables.workbook import read_sheet

        rows, note = read_sheet(self._source.seekable())
        if note:
            self._remarks.append(note)
        self._set_rows(rows)

    def _open_delimited(self, beginning: str) -> None:
        end = "\r" if re.match("[^\r\n]*\r(?!\n)", beginning) else "\n"
        sample = [line for line in split_lines([beginning], end) if line]
        if not self._source.ended and len(sample) > 1 and not sample[-1].endswith(end):
            sample.pop()
        lines = split_lines(self._texts(), end)
        declared = re.match(r'"?sep=(.)"?[\r\n]', beginning)  # how Excel declares it
        if declared:
            next(lines)
            del sample[0]
        self.dialect, sure = self._sniff(sample, declared[1] if declared else None)
        self._set_rows(self._checked(read_records(lines, self.dialect, start=1 + bool(declared), sure=sure), sure))

    def _open_json(self, beginning: str) -> None:
        if self.input_format == "json" or beginning.lstrip().startswith("["):
            text = "".join(filter(None, self._texts()))
            if not begins_with_json_line(text):
                self._rows = read_json(text)
                return
            lines = split_lines([text])
        else:
            lines = split_lines(self._texts())
        self.unit = "line"
        self._rows = read_json_lines(lines)

    def _texts(self) -> Iterator[str | None]:
        for piece in self._source.pieces():
            yield None if piece is None else self._decoder.decode(piece)
        yield self._decoder.decode(b"", final=True)

    def _sniff(self, sample: Sequence[str], declared: str | None) -> tuple[Dialect, bool]:
        """Return the dialect, and whether its quoting is certain."""
        self.unit = "line"
        usual = DELIMITERS[self.input_format]
        delimiter = self.options.delimiter or declared
        if delimiter is None:
            delimiter, rivals = sniff_delimiter(sample, usual, complete=self._source.ended)
            others = " or ".join(repr(rival) for rival in rivals if rival != delimiter)
            if others or delimiter != usual:
                doubt = f" (but {others} would do too)" if others else ""
                self._assumed.append((f"the delimiter {delimiter!r}{doubt}", "--delimiter"))
        if self.options.quoting is not None:
            return Dialect(delimiter, self.options.quoting), True
        quoting, sure = sniff_quoting(sample, delimiter, self.input_format, complete=self._source.ended)
        if quoting == "backslash":
            self._assumed.append(("that backslashes escape quotes", "--quoting"))
        elif (quoting, self.input_format) == ("none", "csv"):
            self._assumed.append(("that quotes are text", "--quoting"))
        return Dialect(delimiter, quoting), sure

    def _checked(self, records: Iterator[Record | None], sure: bool) -> Iterator[Record | None]:
        """Pass records through, and remark on rows of several lines that may be several rows."""
        merged = 0
        doubtful: list[int] = []
        width = 0
        for record in records:
            if record is not None and not record.problem:
                width = width or len(record.fields)
                merged += max(len(record.lines) - 1, 0)
                if reads_two_ways(record.lines, self.dialect.delimiter, width):
                    doubtful.append(record.number)
            yield record
        if self.options.quoting is None and merged and (not sure or doubtful):
            first = f" (the row on line {doubtful[0]} may be several)" if doubtful else ""
            self._remarks.append(
                f"quotes join {merged} line{'s' * (merged > 1)} to the row above{first}; to read each line as a row, "
                "use --quoting none"
            )

    def _set_rows(self, records: Iterator[Record | None]) -> None:
        first = next((record for record in records if record and not record.is_empty), None)
        if first is None:
            return
        if first.problem:
            raise InvalidValueError(f"{self.unit} {first.number} {first.problem}; {QUOTING_HINT}")
        self.names = column_names(first.fields if self.options.header else map(str, range(len(first.fields))))
        self._rows = self._named(records if self.options.header else chain([first], records), self.names)

    def _named(self, records: Iterable[Record | None], names: list[str]) -> Iterator[NumberedRow | None]:
        empty: list[int] = []
        for record in records:
            if record is None:
                yield None
            elif record.problem:
                yield NumberedRow(record.number, {}, problem=record.problem)
            elif not record.is_empty:
                # In a table of one column, an empty line is an empty cell, except at the end of the file.
                yield from (NumberedRow(number, {names[0]: ""}) for number in empty)
                empty = []
                row = dict(zip(names, record.fields, strict=True))
                yield NumberedRow(record.number, row, sum(map(len, record.fields)))
            elif len(names) == 1:
                empty.append(record.number)


def open_table(stream: BinaryIO, name: str, options: TableOptions | None = None) -> Table:
    """Open a table. Of CSV, TSV and JSON Lines, only a sample is read before `Table.chunks`.

    Parameters
    ----------
    stream : binary file
        A file or a pipe, which may be compressed; the caller closes it.
    name : str
        The path, or another name for messages. Its suffix gives the format, unless `options` or the contents do.
    options : TableOptions, optional

    Raises
    ------
    ValueError
        If the format is unknown or the file is not in it. The message begins with the name.
    MissingExtraError
        If openpyxl, which reads Excel files, is not installed.
    """
    try:
        return Table(stream, name, options or TableOptions())
    except InvalidValueError as error:
        raise _with_name(name, error) from error


def _format_of(head: bytes, name: str, options: TableOptions) -> str:
    for magic, found in ((b"PAR1", "parquet"), (b"PK\x03\x04", "xlsx")):
        if head.startswith(magic):
            return found
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidValueError("is a workbook in the old format .xls; save it as .xlsx or .csv")
    found_by_name = options.input_format or format_named(name)
    if found_by_name is None:
        raise InvalidValueError(f"must end in one of {', '.join(SUFFIXES)}; or set --input-format (input_format=)")
    return found_by_name


def _is_header(row: Row, names: list[str]) -> bool:
    """Return whether a row repeats the header; where files were joined, a byte order mark may precede it."""
    return row[names[-1]] == names[-1] and [*row.values()] in (names, ["\ufeff" + names[0], *names[1:]])


def _readable(batches: Iterator[Any], kinds: tuple[type[Exception], ...]) -> Iterator[Any]:
    try:
        yield from batches
    except kinds as error:
        raise InvalidValueError(f"is a damaged Parquet file: {error}") from error


def _combined(batches: Iterator[Any]) -> Iterator[Any]:
    """Yield batches of up to `CHUNK_ROWS` rows from those of a file, whose row groups may have a few rows each."""
    import pyarrow as pa

    pending: list[Any] = []
    rows = size = 0
    for batch in chain(batches, [None]):
        if pending and (batch is None or rows + len(batch) > CHUNK_ROWS or size > CHUNK_SIZE):
            try:
                yield from pa.Table.from_batches(pending).combine_chunks().to_batches()
            except pa.ArrowNotImplementedError:  # some nested types cannot be joined
                yield from pending
            pending, rows, size = [], 0, 0
        if batch is not None:
            pending.append(batch)
            rows, size = rows + len(batch), size + batch.nbytes


def _with_name(name: str, error: InvalidValueError) -> InvalidValueError:
    verb = str(error).startswith(("is ", "must "))
    return InvalidValueError(f"{name} {error}" if verb else f"{name}: {error}")
