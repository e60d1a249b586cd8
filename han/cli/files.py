"""Files that commands read and write: what their names and contents say, and what is refused before any work."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from han.cli.console import LocalPath

STANDARD_INPUT = Path("-")
# A JSON object or array of objects at the beginning of a file; no text begins like this.
JSON_LINE = re.compile(rb'\s*\{[ \t]*"[^"\n]*"[ \t]*:')
JSON_ARRAY = re.compile(rb'\s*\[\s*\{\s*"')
DELIMITERS = {"\t": "tsv", ",": "csv", ";": "csv", "|": "csv"}
# How PDF, Office, Parquet and gzip files begin.
BINARY = (b"%PDF-", b"PK\x03\x04", b"PAR1", b"\x1f\x8b")

files_argument = click.argument("files", nargs=-1, type=LocalPath(exists=True, dir_okay=False, allow_dash=True))
output_option = click.option("--output", type=LocalPath(dir_okay=False), help="File to write; else standard output.")


def file_name(path: Path) -> str:
    """Return what messages call a file."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def decoded(data: bytes, name: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Return the text of a file, and what was assumed or replaced in decoding it.

    Raises
    ------
    ValueError
        If the file does not hold text.
    """
    from han.tables.decoding import Decoder, check_encoding

    if encoding is not None:
        check_encoding(encoding)
    if data.startswith(BINARY):
        raise ValueError(f"{name} must be a text file, but it holds something else")
    try:
        decoder = Decoder(data, encoding)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error
    text = decoder.decode(data, final=True)
    return text, [f"{name}: {remark}" for remark in decoder.notes()]


def table_format(head: bytes, columns: Iterable[str]) -> str | None:
    """Return the format of the table that begins with `head`, where that is beyond doubt, else None.

    A header counts if one of its cells is one of `columns`.
    """
    head = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith(b"PAR1"):
        return "parquet"
    if JSON_LINE.match(head):
        return "jsonl"
    if JSON_ARRAY.match(head):
        return "json"
    header, line_break, _ = head.replace(b"\r", b"\n").partition(b"\n")
    for delimiter, form in DELIMITERS.items():
        cells = [cell.strip().strip('"') for cell in header.decode("utf-8", "replace").split(delimiter)]
        if line_break and len(cells) > 1 and not {*cells}.isdisjoint(columns):
            return form
    return None


def output_format(output: Path | None, given: str | None, suffixes: Mapping[str, str], option: str) -> str | None:
    """Return the format to write: the one given, or the one that the file's name tells; None if neither is there.

    Raises
    ------
    ValueError
        If the name tells no format or another one than is given, or the file cannot be written.
    """
    if output is None:
        return given
    named = suffixes.get(output.suffix.lower())
    if named is None and given is None:
        raise ValueError(f"--output must end in {', '.join(suffixes)}, or {option} say its format, got {str(output)!r}")
    if named is not None and given not in (None, named):
        raise ValueError(f"--output must not end in {output.suffix} where {option} is {given}, got {str(output)!r}")
    from han.files.atomic import check_output

    check_output(output)
    return named or given
