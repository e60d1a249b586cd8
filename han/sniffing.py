"""How a table of text is written, told from its beginning: the delimiter, and what quotes mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from han.delimited import Dialect, QuoteCounts, Record, read_records, reads_two_ways

DELIMITERS = {"csv": ",", "tsv": "\t"}
CANDIDATES = ",;\t|"
# The delimiter is told from so many lines.
DELIMITER_LINES = 500


@dataclass
class Reading:
    """What comes of reading lines in a certain way.

    Attributes
    ----------
    dialect : Dialect
    rows, bad : int
        The rows, and those of them that cannot be read so.
    width : int
        The cells of the first row.
    widths : set of int
        Those of all rows.
    merged : int
        The lines that do not start a row.
    doubtful : int
        The rows of several lines that would be as many rows if quotes were text.
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
        """The number of signs that the file is not written so."""
        return self.bad + self.counts.bare


def read_as(lines: Sequence[str], dialect: Dialect, *, complete: bool) -> Reading:
    """Read lines, of which the last row may be cut off if they are not `complete`."""
    reading = Reading(dialect)
    last: Record | None = None
    for record in read_records(lines, dialect, counts=reading.counts):
        if record is None or not record.fields:
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
    """Return the delimiter, and all for which as much speaks.

    It is one that the first row has; that by which the fewest rows have another number of cells. If the first row has
    none, the table has one column: where the preferred delimiter cuts the other rows into different numbers of cells,
    it is a part of the text, and the delimiter is one that does not occur.
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
    """Return what quotes mean, and whether that is sure.

    CSV is quoted and TSV is not, unless the file shows otherwise.
    """
    usual = "none" if input_format == "tsv" else "minimal"
    if not any('"' in line for line in lines):
        return usual, False
    quoted, plain = (read_as(lines, Dialect(delimiter, quoting), complete=complete) for quoting in ("minimal", "none"))
    fewest = min(quoted.objections, plain.objections)
    if (
        fewest
        and any("\\" in line for line in lines)
        and read_as(lines, Dialect(delimiter, "backslash"), complete=complete).objections < fewest
    ):
        return "backslash", True
    if quoted.objections != plain.objections:
        return ("minimal", True) if quoted.objections < plain.objections else ("none", True)
    first = next(line for line in lines if line.strip())
    every_cell = all(cell[:1] == '"' == cell[-1:] for cell in first.strip("\r\n").split(delimiter))
    needed = not quoted.counts.needless
    if quoted.counts.doubled or every_cell or (quoted.width > 1 and needed and not quoted.doubtful):
        return "minimal", True
    if input_format == "csv" or (quoted.width == 1 and needed):
        return "minimal", False
    return "none", True
