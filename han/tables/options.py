"""Options for reading tables, and file formats by suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from han.exceptions import InvalidTypeError, InvalidValueError, short_repr
from han.tables.byte_stream import COMPRESSED
from han.tables.decoding import check_encoding
from han.tables.delimited import QUOTINGS

SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


@dataclass(frozen=True)
class TableOptions:
    """Options for reading a table; those that are None are inferred from the file's name and contents.

    Attributes
    ----------
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}, optional
    delimiter : str, optional
        The delimiter of CSV and TSV, a single character.
    encoding : str, optional
    header : bool, default True
        Whether the first row of CSV, TSV and Excel contains the column names; otherwise the columns are named "0", "1"
        and so on.
    quoting : {"minimal", "none", "backslash"}, optional
        How quotes are used in CSV and TSV; see `han.tables.delimited.Dialect`.
    skip_bad_rows : bool, default False
        Skip and count bad rows instead of raising an error at the first one.

    Raises
    ------
    ValueError, TypeError
        If an option is invalid.
    """

    input_format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    quoting: str | None = None
    skip_bad_rows: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("input_format", FORMATS), ("quoting", QUOTINGS)):
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise InvalidValueError(f"{name} must be one of {', '.join(choices)}, or None, got {short_repr(value)}")
        for name in ("header", "skip_bad_rows"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidTypeError(f"{name} must be a bool, got {short_repr(getattr(self, name))}")
        if self.delimiter == "\\t":  # as typed in a shell
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and (
            not isinstance(self.delimiter, str) or len(self.delimiter) != 1 or self.delimiter in '"\\\r\n'
        ):
            raise InvalidValueError(
                f"delimiter must be one character other than a quote, a backslash or a line break, got "
                f"{short_repr(self.delimiter)}"
            )
        if self.encoding is not None:
            check_encoding(self.encoding)


def format_from_name(name: str) -> str | None:
    """Return the format that the suffix of a file indicates, ignoring `.gz` and the like; None if it is not a table."""
    path = PurePath(name.lower())
    return SUFFIXES.get(PurePath(path.stem).suffix if path.suffix in COMPRESSED.values() else path.suffix)


def stem(path: PurePath) -> str:
    """Return the name of a file without its suffix and without `.gz` and the like."""
    return PurePath(path.stem).stem if path.suffix.lower() in COMPRESSED.values() else path.stem
