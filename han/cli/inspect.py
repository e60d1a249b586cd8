"""`han info` and `han export`: a classifier looked at, and written for other programs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from han.cli.console import debug_option, load, model_argument, refusals, splitter_options


@click.command()
@model_argument
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@splitter_options
@debug_option
def info(model: Path, form: str, **splitters: Any) -> None:
    """Say what the classifier in the folder MODEL is: classes, sizes, training, hyper-parameters.

    \b
    Examples:
      han info models/imdb
      han info models/imdb --format json | jq .parameters.units
    """  # noqa: D301
    with refusals():
        classifier = load(model, splitters)
    facts = classifier.describe()
    if form == "json":
        click.echo(json.dumps(facts, default=str))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            click.echo(f"{name.replace('_', ' ')}:")
            for key, held in value.items():
                click.echo(f"  {key}: {held}")
        else:
            click.echo(f"{name.replace('_', ' ')}: {value}")


@click.command()
@model_argument
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["savedmodel", "onnx"]), help="[default: onnx, if PATH ends so]")
@splitter_options
@debug_option
def export(model: Path, path: Path, form: str | None, **splitters: Any) -> None:
    """Write the classifier in the folder MODEL for other programs: PATH as a SavedModel folder or an ONNX file.

    Beside it, or in it, is tokenizer.json, which says how documents become numbers.

    \b
    Examples:
      han export models/imdb imdb.onnx
      han export models/imdb serving/imdb/1 --format savedmodel
    """  # noqa: D301
    form = form or ("onnx" if path.suffix == ".onnx" else "savedmodel")
    with refusals():
        written = load(model, splitters).export(path, format=form)
    click.echo(f"wrote {', '.join(os.path.relpath(file) for file in written)}")
