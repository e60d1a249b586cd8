"""`han evaluate`."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import (
    SOURCE_ARGUMENTS,
    debug_option,
    find_class,
    load_classifier,
    model_argument,
    source_options,
    splitter_options,
    usage_errors,
)

if TYPE_CHECKING:
    from han.data.labels import LabelEncoder


@click.command()
@model_argument
@click.argument("source", nargs=-1, required=True)
@source_options
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
@splitter_options
@debug_option
def evaluate(model: Path, source: tuple[str, ...], output_format: str, **options: Any) -> None:
    """Evaluate the classifier in the folder MODEL on SOURCE, which contains labelled documents.

    SOURCE is one or more files in CSV, TSV, JSON Lines, JSON, Excel or Parquet, optionally compressed, or folders of
    <class>/*.txt files; or the test part of "imdb" or "bbc-news". Documents of classes that the classifier was not
    trained on count as errors, with a warning.

    \b
    Examples:
      han evaluate models/imdb imdb
      han evaluate models/stars new.csv --text review --label stars --format json
    """  # noqa: D301
    from han.datasets import load_labelled
    from han.evaluation.measures import evaluate as measure

    with usage_errors():
        texts, labels = load_labelled(source, **{name: options.pop(name) for name in SOURCE_ARGUMENTS})
        classifier = load_classifier(model, options)
        result = measure(classifier, texts, _convert_labels(labels, classifier.label_encoder_))
    if output_format == "json":
        per_class = {str(name): row for name, row in result.per_class.to_dict("index").items()}
        click.echo(json.dumps({"documents": len(texts), **result.scores(), "per_class": per_class}))
        return
    click.echo(result.per_class.to_string(float_format="{:.4f}".format))
    click.echo(f"\n{len(texts)} documents")
    for name, value in result.scores().items():
        click.echo(f"{name.replace('_', ' ')}: {value:.4f}")


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
