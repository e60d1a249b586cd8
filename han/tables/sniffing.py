"""Detection of the delimiter and the quoting of CSV and TSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from han.tables.delimited import Dialect, QuoteCounts, Record, is_ambiguous, read_records

DELIMITERS = {"csv": ",", "tsv": "\t"}
CANDIDATES = ",;\t|"
# The delimiter is detected from this many lines.
DELIMITER_LINES = 500


@dataclass
class Trial:
    """Statistics of lines parsed with a dialect.

    Attributes
    ----------
    bad : int
        The number of bad rows.
    width : int
        The number of cells in the first row.
    widths : set of int
        The numbers of cells in all rows.
    ambiguous : int
        The number of rows that are ambiguous; see `han.tables.delimited.is_ambiguous`.
    counts : QuoteCounts
    """

    bad: int = 0
    width: int = 0
    widths: set[int] = field(default_factory=set)
    ambiguous: int = 0
    counts: QuoteCounts = field(default_factory=QuoteCounts)

    @property
    def penalty(self) -> int:
        """The number of bad rows and of cells with bare quotes: the lower, the better the dialect fits."""
        return self.bad + self.counts.bare


def try_dialect(lines: Sequence[str], dialect: Dialect, *, complete: bool) -> Trial:
    """Parse lines; if they are not the `complete` file, the last row may be truncated."""
    trial = Trial()
    last: Record | None = None
    for record in read_records(lines, dialect, counts=trial.counts):
        if record is None or record.is_empty:
            continue
        trial.width = trial.width or len(record.fields)
        trial.widths.add(len(record.fields))
        trial.bad += bool(record.problem)
        trial.ambiguous += is_ambiguous(record.lines, dialect.delimiter, trial.width)
        last = record
    if not complete and last is not None and "not closed" in last.problem:
        trial.bad -= 1
    return trial


def sniff_delimiter(lines: Sequence[str], preferred: str, *, complete: bool) -> tuple[str, list[str]]:
    """Return the delimiter, and all candidates that fit equally well.

    Of the candidates in the first row, the one with the fewest bad rows is chosen. If the first row contains none, the
    table has one column. In that case, if the preferred delimiter would split the other rows unevenly, it is
    punctuation, and a candidate that splits no row is returned.
    """
    head = [*islice(lines, DELIMITER_LINES)]
    complete = complete and len(head) == len(lines)
    trials = {
        delimiter: min(
            (try_dialect(head, Dialect(delimiter, quoting), complete=complete) for quoting in ("minimal", "none")),
            key=lambda trial: trial.bad,
        )
        for delimiter in CANDIDATES
    }
    bad_rows = {delimiter: trial.bad for delimiter, trial in trials.items() if trial.width > 1}
    if not bad_rows:
        if len(trials[preferred].widths) > 2:
            preferred = next((delimiter for delimiter, trial in trials.items() if not trial.bad), preferred)
        return preferred, [preferred]
    best = [delimiter for delimiter, bad in bad_rows.items() if bad == min(bad_rows.values())]
    return preferred if preferred in best else best[0], best


def sniff_quoting(lines: Sequence[str], delimiter: str, input_format: str, *, complete: bool) -> tuple[str, bool]:
    """Return the quoting, and whether it is certain.

    By default CSV is quoted and TSV is not, unless the lines indicate otherwise.
    """
    default = "none" if input_format == "tsv" else "minimal"
    if not any('"' in line for line in lines):
        return default, False
    quoted, plain = (
        try_dialect(lines, Dialect(delimiter, quoting), complete=complete) for quoting in ("minimal", "none")
    )
    lowest = min(quoted.penalty, plain.penalty)
    if quoted.penalty and any("\\" in line for line in lines):
        escaped = try_dialect(lines, Dialect(delimiter, "backslash"), complete=complete).penalty
        if escaped < lowest or (input_format == "csv" and not escaped):
            return "backslash", True
    if quoted.penalty < plain.penalty:
        return "minimal", True
    first = next(line for line in lines if line.strip())
    every_cell = all(cell[:1] == '"' == cell[-1:] for cell in first.strip("\r\n").split(delimiter))
    expected = bool(quoted.counts.doubled) or every_cell
    if plain.penalty < quoted.penalty:
        # A few damaged rows do not make the quotes of all other rows ordinary characters.
        is_damaged = quoted.penalty <= quoted.counts.quoted
        return "minimal" if is_damaged and (expected or input_format == "csv") else "none", True
    needed = not quoted.counts.needless
    if expected or (quoted.width > 1 and needed and not quoted.ambiguous):
        return "minimal", True
    if input_format == "csv" or (quoted.width == 1 and needed):
        return "minimal", False
    return "none", True
