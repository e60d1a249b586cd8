"""`han predict`. Shared options: `han.cli.console`, `han.cli.files`."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import (
    announce_standard_input,
    debug_option,
    interruptible,
    load_classifier,
    model_argument,
    quiet_option,
    splitter_options,
    table_options,
    text_option,
    usage_errors,
)
from han.cli.files import STANDARD_INPUT, check_output_format, files_argument, output_option

if TYPE_CHECKING:
    from han.cli.documents import InputFiles
    from han.cli.prediction_columns import PredictionColumns

OUTPUT_FORMATS = ["csv", "tsv", "jsonl", "parquet"]
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
# The default output format for each input format.
DEFAULT_FORMATS = {**{name: name for name in OUTPUT_FORMATS}, "json": "jsonl", "xlsx": "csv", "text": "csv"}


@click.command()
@model_argument
@files_argument
@text_option
@click.option(
    "--input-format",
    type=click.Choice(["csv", "tsv", "jsonl", "json", "xlsx", "parquet", "text"]),
    help='[default: from the file name; for standard input from its beginning, otherwise "text"]',
)
@table_options
@output_option
@click.option(
    "--output-format",
    type=click.Choice(OUTPUT_FORMATS),
    help="[default: from --output; otherwise the input format, or csv]",
)
@click.option("--probabilities", is_flag=True, help="Add a column with the probability of each class.")
@click.option("--drop-text", is_flag=True, help="Leave out the text columns.")
@click.option("--prefix", metavar="TEXT", default="", help="Prefix of the names of the new columns.")
@click.option("--overwrite", is_flag=True, help="Replace input columns that have the names of new columns.")
@click.option(
    "--label-separator",
    metavar="TEXT",
    default=";",
    show_default=True,
    help="Separator between the predicted labels of a document in csv and tsv.",
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
    output_format: str | None,
    probabilities: bool,
    drop_text: bool,
    prefix: str,
    overwrite: bool,
    label_separator: str,
    quiet: bool,
    sentence_splitter: str | None,
    tokenizer: str | None,
    **options: Any,
) -> None:
    """Classify documents with the classifier in the folder MODEL.

    FILES are tables with one document in each row, or text files that contain one document each; "-" is standard input,
    which is also read if there are no FILES. The output contains the rows in their order, with the columns of the input
    followed by two new ones: prediction and probability (in multi-label classification only prediction). Rows are read
    and written a few thousand at a time, or as soon as a pipe pauses.

    Parquet keeps its schema. In jsonl, values keep their spelling. When csv or tsv is converted to parquet, all columns
    are strings; when jsonl is, a column whose values are all bools, numbers, strings, or lists of these gets that type,
    and any other column contains JSON as strings. csv and tsv are written in UTF-8, with commas or tabs.

    The file OUTPUT is created when all rows have been written. If a row cannot be read, the command fails, and the rows
    before it are saved in a file with ".part" in its name. With --skip-bad-rows, such rows are skipped and counted.

    \b
    Examples:
      han predict models/imdb reviews.csv --text review --output labelled.csv
      han predict models/imdb reviews.jsonl --probabilities --drop-text > scores.jsonl
      cat reviews.jsonl | han predict models/imdb | head
      echo "A dull film." | han predict models/imdb
    """  # noqa: D301
    from han.cli.documents import InputFiles
    from han.cli.prediction_columns import PredictionColumns
    from han.tables.options import TableOptions

    with ExitStack() as stack:
        with usage_errors():
            output_format = check_output_format(output, output_format, SUFFIXES, "--output-format")
            if not files or STANDARD_INPUT in files:
                announce_standard_input("a document or a table")
            inputs = InputFiles([*(files or [STANDARD_INPUT])], text, input_format, TableOptions(**options), stack)
            output_format = output_format or DEFAULT_FORMATS[inputs.formats[0]]
            _check_parquet(output_format, inputs)
            classifier = load_classifier(model, {"sentence_splitter": sentence_splitter, "tokenizer": tokenizer})
            separator = label_separator if output_format in ("csv", "tsv") else None
            columns = PredictionColumns(classifier, probabilities, prefix, separator)
            dropped = frozenset((*(text if drop_text else ()), *(columns.names if overwrite else ())))
            _check_columns(inputs, columns, dropped)
        _write_predictions(inputs, columns, dropped, output, output_format, quiet)


def _check_parquet(output_format: str, inputs: InputFiles) -> None:
    if output_format == "parquet" and 0 < len(inputs.schemas) < len(inputs.formats):
        raise ValueError("FILES must be all in Parquet, or none of them, if the output is in Parquet")


def _check_columns(inputs: InputFiles, columns: PredictionColumns, dropped: frozenset[str]) -> None:
    from han.cli.output import check_names

    for name, names in inputs.columns.items():
        check_names(name, names, columns, dropped)


def _write_predictions(
    inputs: InputFiles,
    columns: PredictionColumns,
    dropped: frozenset[str],
    output: Path | None,
    output_format: str,
    quiet: bool,
) -> None:
    from han.cli.output import OutputTable
    from han.files.atomic import replacing

    with (
        usage_errors((ValueError, TypeError)),  # others, such as a full disk, are failures
        interruptible() as raise_if_interrupted,
        nullcontext(sys.stdout.buffer) if output is None else replacing(output) as stream,
    ):
        table = OutputTable(output_format, inputs, columns, dropped, stream, is_live=output is None)
        try:
            for name, chunk, documents in inputs.chunks(quiet):
                table.write(name, chunk, documents)
                raise_if_interrupted()
            table.close()
        except (ValueError, TypeError) as error:
            raise ValueError(f"{error}{table.keep_partial(output)}") from error
        except BaseException:
            table.discard()
            raise
