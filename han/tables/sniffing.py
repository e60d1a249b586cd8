"""Sniffing of the delimiter and the quoting of CSV and TSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from han.tables.delimited import Dialect, QuoteCounts, Record, read_records, reads_two_ways

DELIMITERS = {"csv": ",", "tsv": "\t"}
CANDIDATES = ",;\t|"
# How many lines the delimiter is sniffed from.
DELIMITER_LINES = 500


@dataclass
class Reading:
    """The outcome of parsing lines with a dialect.

    Attributes
    ----------
    dialect : Dialect
    rows, bad : int
    width : int
        The number of cells in the first row.
    widths : set of int
        The numbers of cells in all rows.
    merged : int
        How many lines continue the row above.
    doubtful : int
        How many rows `reads_two_ways`.
    counts : QuoteCounts
    """

    dialect: Dialect
    rows: int = 0
    bad: int = 0
    width: int = 0
    widths: set[int] = field(default_factory=set)
    merged: int = 0
    doubtful: int = 0
    counts: QuoteCounts = field(default_factory=QuoteCounts)

    @property
    def objections(self) -> int:
        """How much speaks against the dialect."""
        return self.bad + self.counts.bare


def read_as(lines: Sequence[str], dialect: Dialect, *, complete: bool) -> Reading:
    """Parse lines; unless they are the `complete` file, the last row may be cut off."""
    reading = Reading(dialect)
    last: Record | None = None
    for record in read_records(lines, dialect, counts=reading.counts):
        if record is None or record.is_empty:
            continue
        reading.rows += 1
        reading.width = reading.width or len(record.fields)
        reading.widths.add(len(record.fields))
        reading.bad += bool(record.problem)
        reading.merged += len(record.lines) - 1
        reading.doubtful += reads_two_ways(record.lines, dialect.delimiter, reading.width)
        last = record
    if not complete and last is not None and "not closed" in last.problem:
        reading.bad -= 1
    return reading


def sniff_delimiter(lines: Sequence[str], preferred: str, *, complete: bool) -> tuple[str, list[str]]:
    """Return the delimiter, and all candidates that fit equally well.

    Of the candidates in the first row, the one with the fewest bad rows is taken. If the first row contains none, the
    table has one column; if the preferred delimiter then splits other rows unevenly, it is punctuation, and a candidate
    that splits no row is returned.
    """
    head = [*islice(lines, DELIMITER_LINES)]
    complete = complete and len(head) == len(lines)
    readings = {
        delimiter: min(
            (read_as(head, Dialect(delimiter, quoting), complete=complete) for quoting in ("minimal", "none")),
            key=lambda reading: reading.bad,
        )
        for delimiter in CANDIDATES
    }
    found = {delimiter: reading.bad for delimiter, reading in readings.items() if reading.width > 1}
    if not found:
        if len(readings[preferred].widths) > 2:
            preferred = next((delimiter for delimiter, reading in readings.items() if not reading.bad), preferred)
        return preferred, [preferred]
    best = [delimiter for delimiter, bad in found.items() if bad == min(found.values())]
    return preferred if preferred in best else best[0], best


def sniff_quoting(lines: Sequence[str], delimiter: str, input_format: str, *, complete: bool) -> tuple[str, bool]:
    """Return the quoting, and whether it is certain.

    CSV is quoted and TSV is not, unless the lines show otherwise.
    """
    usual = "none" if input_format == "tsv" else "minimal"
    if not any('"' in line for line in lines):
        return usual, False
    quoted, plain = (read_as(lines, Dialect(delimiter, quoting), complete=complete) for quoting in ("minimal", "none"))
    fewest = min(quoted.objections, plain.objections)
    if quoted.objections and any("\\" in line for line in lines):
        escaped = read_as(lines, Dialect(delimiter, "backslash"), complete=complete).objections
        if escaped < fewest or (input_format == "csv" and not escaped):
            return "backslash", True
    if quoted.objections < plain.objections:
        return "minimal", True
    first = next(line for line in lines if line.strip())
    every_cell = all(cell[:1] == '"' == cell[-1:] for cell in first.strip("\r\n").split(delimiter))
    expected = bool(quoted.counts.doubled) or every_cell
    if plain.objections < quoted.objections:
        # A damaged row does not make the quotes of the others text.
        damaged = quoted.objections <= quoted.counts.quoted
        return "minimal" if damaged and (expected or input_format == "csv") else "none", True
    needed = not quoted.counts.needless
    if expected or (quoted.width > 1 and needed and not quoted.doubtful):
        return "minimal", True
    if input_format == "csv" or (quoted.width == 1 and needed):
        return "minimal", False
    return "none", True
