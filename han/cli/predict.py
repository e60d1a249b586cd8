"""`han predict`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from han.cli.console import (
    debug_option,
    interruptible,
    load,
    model_argument,
    note,
    quiet_option,
    refusals,
    splitter_options,
    table_options,
    text_option,
)
from han.cli.files import STANDARD_INPUT, files_argument, output_format, output_option

if TYPE_CHECKING:
    from han.cli.sources import Sources
    from han.tables import Chunk

OUTPUTS = ["csv", "tsv", "jsonl", "parquet"]
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


@click.command()
@model_argument
@files_argument
@text_option
@click.option(
    "--input-format",
    type=click.Choice(["csv", "tsv", "jsonl", "json", "xlsx", "parquet", "text"]),
    help='[default: by the name of a file; of standard input by its beginning, else "text"]',
)
@table_options
@output_option
@click.option("--output-format", type=click.Choice(OUTPUTS), help="[default: by --output; else as the input, or csv]")
@click.option("--probabilities", is_flag=True, help="Add a column with the probability of each class.")
@click.option("--drop-text", is_flag=True, help="Leave out the documents themselves.")
@click.option("--prefix", metavar="TEXT", default="", help="Begin the names of the new columns with this.")
@click.option("--overwrite", is_flag=True, help="Replace columns of the input that have the names of the new ones.")
@click.option(
    "--label-separator", metavar="TEXT", default=";", show_default=True, help="Between classes, in csv and tsv."
)
@splitter_options
@quiet_option
@debug_option
def predict(
    model: Path,
    files: tuple[Path, ...],
    text: tuple[str, ...],
    input_format: str | None,
    output: Path | None,
    output_format_: str | None,
    probabilities: bool,
    drop_text: bool,
    prefix: str,
    overwrite: bool,
    label_separator: str,
    quiet: bool,
    sentence_splitter: str | None,
    tokenizer: str | None,
    **reading: Any,
) -> None:
    """Classify documents with the classifier in the folder MODEL."""
