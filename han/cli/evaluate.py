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
    class_named,
    debug_option,
    load,
    model_argument,
    refusals,
    source_options,
    splitter_options,
)

if TYPE_CHECKING:
    from han.data.labels import LabelEncoder


@click.command()
@model_argument
@click.argument("source", nargs=-1, required=True)
@source_options
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@splitter_options
@debug_option
def evaluate(model: Path, source: tuple[str, ...], form: str, **given: Any) -> None:
    """Measure the classifier in the folder MODEL on SOURCE, documents whose classes are known.

    SOURCE is one or more files in CSV, TSV, JSON Lines, JSON, Excel or Parquet, compressed or not, or folders of
    <class>/*.txt files, of which every document counts; or "imdb" or "bbc-news", of which the test part does.
    Documents of a class that the classifier does not know count as wrong, with a warning.

    \b
    Examples:
      han evaluate models/imdb imdb
      han evaluate models/stars new.csv --text review --label stars --format json
    """  # noqa: D301
    from han.datasets import load_labelled
    from han.evaluation.measures import evaluate as measure

    with refusals():
        texts, labels = load_labelled(source, **{name: given.pop(name) for name in SOURCE_ARGUMENTS})
        classifier = load(model, given)
        result = measure(classifier, texts, _in_form(labels, classifier.label_encoder_))
    if form == "json":
        per_class = {str(name): row for name, row in result.per_class.to_dict("index").items()}
        click.echo(json.dumps({"documents": len(texts), **result.scores(), "per_class": per_class}))
        return
    click.echo(result.per_class.to_string(float_format="{:.4f}".format))
    click.echo(f"\n{len(texts)} documents")
    for name, value in result.scores().items():
        click.echo(f"{name.replace('_', ' ')}: {value:.4f}")


def _in_form(labels: Any, form: LabelEncoder) -> Any:
    """Return labels from a file as the classifier was given them: with its classes' types, as a matrix or as lists."""
    classes = form.classes.tolist()

    def named(label: Any) -> Any:
        return [named(value) for value in label] if isinstance(label, list) else _class_written(label, classes)

    found = [named(label) for label in labels]
    if form.kind not in ("indicator", "sparse"):
        return found
    import pandas as pd

    with warnings.catch_warnings(action="ignore"):  # `evaluate` warns of unknown classes itself
        form, targets = form._replace(kind="list").encode_test(found, len(found))
    return pd.DataFrame(targets, columns=form.classes.tolist())


def _class_written(label: Any, classes: list[Any]) -> Any:
    """Return the class that a label in a file stands for; the label itself if there is none."""
    from han.data.validation import label_kind

    if label in classes:
        return label
    found = class_named(str(label), classes)
    if found in classes or label_kind(classes[0]) is not int:
        return found
    try:  # 1 where the classifier has 1.0, or the other way round
        number = Decimal(str(label))
    except InvalidOperation:
        return label
    return next((name for name in classes if name == number), label)
