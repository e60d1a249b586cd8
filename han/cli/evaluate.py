"""`han evaluate`."""

from __future__ import annotations

import json
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
    from han.labels import LabelForm


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

    \b
    Examples:
      han evaluate models/imdb imdb
      han evaluate models/stars new.csv --text review --label stars --format json
    """  # noqa: D301
    from han.datasets import load_labelled
    from han.evaluation import evaluate as measure

    with refusals():
        texts, labels = load_labelled(source, **{name: given.pop(name) for name in SOURCE_ARGUMENTS})
        classifier = load(model, given)
        result = measure(classifier, texts, _in_form(labels, classifier.label_form_))
    if form == "json":
        per_class = {str(name): row for name, row in result.per_class.to_dict("index").items()}
        click.echo(json.dumps({"documents": len(texts), **result.scores(), "per_class": per_class}))
        return
    click.echo(result.per_class.to_string(float_format="{:.4f}".format))
    click.echo(f"\n{len(texts)} documents")
    for name, value in result.scores().items():
        click.echo(f"{name.replace('_', ' ')}: {value:.4f}")


def _in_form(labels: Any, form: LabelForm) -> Any:
    """Return labels from a file as the classifier was given them: with its classes' types, as a matrix or as lists."""
    classes = form.classes.tolist()
    if not form.multi_label:
        return [label if isinstance(label, list) else class_named(str(label), classes) for label in labels]
    sets = [
        [class_named(str(label), classes) for label in labels_] if isinstance(labels_, list) else labels_
        for labels_ in labels
    ]
    return form.decode(form._replace(kind="list").encode(sets, len(sets)) > 0)
