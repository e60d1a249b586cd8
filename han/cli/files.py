"""Input and output files of commands: format detection and checks before any work is done."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from han.cli.console import LocalPath

STANDARD_INPUT = Path("-")
# The beginning of a JSON object or an array of objects; no text begins like this.
JSON_LINE = re.compile(rb'\s*\{[ \t]*"[^"\n]*"[ \t]*:')
JSON_ARRAY = re.compile(rb'\s*\[\s*\{\s*"')
# The formats of tables that are detected by their delimiter.
DELIMITED_FORMATS = {"\t": "tsv", ",": "csv", ";": "csv", "|": "csv"}
# The first bytes of PDF, Office, Parquet and gzip files.
BINARY_MAGIC = (b"%PDF-", b"PK\x03\x04", b"PAR1", b"\x1f\x8b")

files_argument = click.argument("files", nargs=-1, type=LocalPath(exists=True, dir_okay=False, allow_dash=True))
output_option = click.option(
    "--output", type=LocalPath(dir_okay=False), help="File to write.  [default: standard output]"
)


def file_name(path: Path) -> str:
    """Return the name of a file in messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def decode_text(data: bytes, name: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Return the text of a file, and messages about what was assumed or replaced in decoding it.

    Raises
    ------
    ValueError
        If the file is not a text file.
    """
    from han.tables.decoding import Decoder, check_encoding

    if encoding is not None:
        check_encoding(encoding)
    if data.startswith(BINARY_MAGIC):
        raise ValueError(f"{name} must be a text file, got a binary file")
    try:
        decoder = Decoder(data, encoding)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error
    text = decoder.decode(data, final=True)
    return text, [f"{name}: {note}" for note in decoder.notes()]


def detect_table(head: bytes, columns: Iterable[str]) -> str | None:
    """Return the format of a table from its beginning; None if the file may not be a table.

    CSV and TSV are only detected if the header contains one of `columns`.
    """
    head = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith(b"PAR1"):
        return "parquet"
    if JSON_LINE.match(head):
        return "jsonl"
    if JSON_ARRAY.match(head):
        return "json"
    header, line_break, _ = head.replace(b"\r", b"\n").partition(b"\n")
    for delimiter, input_format in DELIMITED_FORMATS.items():
        cells = [cell.strip().strip('"') for cell in header.decode("utf-8", "replace").split(delimiter)]
        if line_break and len(cells) > 1 and not {*cells}.isdisjoint(columns):
            return input_format
    return None


def check_output_format(
    output: Path | None, requested: str | None, suffixes: Mapping[str, str], option: str
) -> str | None:
    """Return the output format: the requested one, or that of the file's suffix; None if there is neither.

    Parameters
    ----------
    output : Path or None
    requested : str or None
        The value of `option`.
    suffixes : mapping of str to str
        The format of each suffix.
    option : str
        The command-line option for the format.

    Raises
    ------
    ValueError
        If the suffix indicates no format or differs from the requested one, or the file is not writable.
    """
    if output is None:
        return requested
    indicated = suffixes.get(output.suffix.lower())
    if indicated is None and requested is None:
        raise ValueError(f"--output must end in {', '.join(suffixes)}, or set {option}, got {str(output)!r}")
    if indicated is not None and requested not in (None, indicated):
        raise ValueError(f"--output must not end in {output.suffix} if {option} is {requested}, got {str(output)!r}")
    from han.files.atomic import check_output

    check_output(output)
    return indicated or requested
