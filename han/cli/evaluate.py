"""`han evaluate`."""

from __future__ import annotations

import json
import os
import warnings
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import (
    SOURCE_ARGUMENTS,
    LocalPath,
    check_source,
    debug_option,
    find_class,
    load_classifier,
    model_argument,
    source_options,
    splitter_options,
    usage_errors,
)
from han.cli.report import REPORT, print_conclusions, write_report

if TYPE_CHECKING:
    from han.data.labels import LabelEncoder
    from han.evaluation.report import Report


@click.command()
@model_argument
@click.argument("source", nargs=-1, required=True)
@source_options
@click.option(
    "--output", type=LocalPath(file_okay=False), help="Folder for report.html and report.json.  [default: MODEL]"
)
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
@splitter_options
@debug_option
def evaluate(model: Path, source: tuple[str, ...], output: Path | None, output_format: str, **options: Any) -> None:
    """Evaluate the classifier in the folder MODEL on SOURCE, which contains labelled documents.

    SOURCE is one or more files in CSV, TSV, JSON Lines, JSON, Excel or Parquet, optionally compressed, or folders of
    <class>/*.txt files; or the test part of "imdb" or "bbc-news". Documents of classes that the classifier was not
    trained on count as errors, with a warning. The report on them is written to the folder of the classifier, or to
    --output.

    \b
    Examples:
      han evaluate models/imdb imdb
      han evaluate models/stars new.csv --text review --label stars --format json
    """  # noqa: D301
    from han.files.folders import check_writable
    from han.saving.layout import read_settings

    source_arguments = {name: options.pop(name) for name in SOURCE_ARGUMENTS}
    with usage_errors():
        if output is not None:
            check_writable(output.absolute())
        check_source(source, source_arguments)
        read_settings(model)
    from han.datasets import load_labelled
    from han.evaluation.report import Report

    with usage_errors():
        texts, labels = load_labelled(source, **source_arguments)
        classifier = load_classifier(model, options)
        labels = _convert_labels(labels, classifier.label_encoder_)
        report = Report.create(classifier, texts, labels, name=", ".join(Path(part).name for part in source))
    folder = _write(report, model, output)
    result = report.evaluation
    if output_format == "json":
        per_class = {str(name): row for name, row in result.per_class.to_dict("index").items()}
        click.echo(json.dumps({"documents": len(texts), **result.scores(), "per_class": per_class}))
        return
    click.echo(result.per_class.to_string(float_format="{:.4f}".format))
    click.echo(f"\n{len(texts)} documents")
    for name, value in result.scores().items():
        click.echo(f"{name.replace('_', ' ')}: {value:.4f}")
    print_conclusions(report)
    if folder is not None:
        click.echo(f"\nreport:   {os.path.join(os.path.relpath(folder), REPORT[0])}")  # noqa: PTH118 - as users type it


def _write(report: Report, model: Path, output: Path | None) -> Path | None:
    """Write the report; return its folder, or None if that of the classifier is not writable."""
    folder = model if output is None else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_report(report, folder)
    except OSError as error:
        if output is not None:
            raise
        click.echo(f"han: the report is not written, choose a folder with --output: {error}", err=True)
        return None
    return folder


def _convert_labels(labels: Any, encoder: LabelEncoder) -> Any:
    """Convert labels from a file to the types of the classes and the format that the classifier was fitted with."""
    classes = encoder.classes.tolist()

    def convert(label: Any) -> Any:
        return [convert(item) for item in label] if isinstance(label, list) else _match_class(label, classes)

    converted = [convert(label) for label in labels]
    if encoder.kind not in ("indicator", "sparse"):
        return converted
    import pandas as pd

    with warnings.catch_warnings(action="ignore"):  # `evaluate` warns about unknown classes itself
        encoder, targets = encoder._replace(kind="list").encode_test(converted, len(converted))
    return pd.DataFrame(targets, columns=encoder.classes.tolist())


def _match_class(label: Any, classes: list[Any]) -> Any:
    """Return the class that a label in a file denotes; the label itself if there is none."""
    from han.data.validation import label_kind

    if label in classes:
        return label
    match = find_class(str(label), classes)
    if match in classes or label_kind(classes[0]) is not int:
        return match
    try:  # 1 denotes the class 1.0, and vice versa
        number = Decimal(str(label))
    except InvalidOperation:
        return label
    return next((name for name in classes if name == number), label)
