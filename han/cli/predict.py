"""`han predict`."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import click

from han.cli.console import (
    debug_option,
    interruptible,
    load,
    model_argument,
    quiet_option,
    refusals,
    splitter_options,
    table_options,
    text_option,
)
from han.cli.files import STANDARD_INPUT, files_argument, output_format, output_option

OUTPUTS = ["csv", "tsv", "jsonl", "parquet"]
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
DEFAULT_FORMATS = {**{form: form for form in OUTPUTS}, "json": "jsonl", "xlsx": "csv", "text": "csv"}


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
@click.option(
    "--output-format",
    "given_format",
    type=click.Choice(OUTPUTS),
    help="[default: by --output; else as the input, or csv]",
)
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
    given_format: str | None,
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
    """Classify documents with the classifier in the folder MODEL.

    FILES are tables with a document in each row, or text files that hold one document each; "-" is standard input,
    which is read too if there are no FILES. Rows come out in their order, with their other columns as they were and
    two more: prediction and probability (documents with several classes have no single probability). Rows are read
    and written a few thousand at a time, or as soon as a pipe pauses.

    Parquet keeps its schema. In jsonl, values stay as they are written. From csv and tsv to parquet, all cells are
    text; from jsonl, a column whose values are all bools, numbers, strings, or lists of these has that type, and any
    other holds JSON as text. csv and tsv are written in UTF-8, with commas or tabs.

    OUTPUT gets its name when all of it is written. If a row cannot be read, the command fails; the rows before it are
    then in OUTPUT with ".part" in its name. With --skip-bad-rows such rows are left out and counted.

    \b
    Examples:
      han predict models/imdb reviews.csv --text review --output labelled.csv
      han predict models/imdb reviews.jsonl --probabilities --drop-text > scores.jsonl
      cat reviews.jsonl | han predict models/imdb | head
      echo "A dull film." | han predict models/imdb
    """  # noqa: D301
    from han.cli.documents import InputFiles
    from han.cli.output import OutputTable, check_names
    from han.cli.prediction_columns import PredictionColumns
    from han.files.atomic import replacing
    from han.tables.options import TableOptions

    with ExitStack() as stack:
        with refusals():
            form = output_format(output, given_format, SUFFIXES, "--output-format")
            inputs = InputFiles([*(files or [STANDARD_INPUT])], text, input_format, TableOptions(**reading), stack)
            form = form or DEFAULT_FORMATS[inputs.forms[0]]
            if form == "parquet" and 0 < len(inputs.schemas) < len(inputs.forms):
                raise ValueError("FILES must be all in Parquet, or none of them, where the output is in Parquet")
            classifier = load(model, {"sentence_splitter": sentence_splitter, "tokenizer": tokenizer})
            columns = PredictionColumns(
                classifier, probabilities, prefix, label_separator if form in ("csv", "tsv") else None
            )
            dropped = frozenset((*(text if drop_text else ()), *(columns.names if overwrite else ())))
            for name, names in inputs.columns.items():
                check_names(name, names, columns, dropped)
        # A full disk and the like are failures, not refusals.
        with (
            refusals((ValueError, TypeError)),
            interruptible() as raise_if_interrupted,
            nullcontext(sys.stdout.buffer) if output is None else replacing(output) as stream,
        ):
            table = OutputTable(form, inputs, columns, dropped, stream, is_live=output is None)
            try:
                for name, chunk, documents in inputs.chunks(quiet):
                    table.write(name, chunk, documents)
                    raise_if_interrupted()
                table.close()
            except (ValueError, TypeError) as error:
                raise ValueError(f"{error}{table.keep(output)}") from error
            except BaseException:
                table.discard()
                raise
