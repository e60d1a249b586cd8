"""`han info` and `han export`: a classifier looked at, and written for other programs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from han.cli.console import LocalPath, debug_option, load, model_argument, refusals, splitter_options


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
@click.argument("path", type=LocalPath())
@click.option("--format", "form", type=click.Choice(["savedmodel", "onnx"]), help="[default: by the name of PATH]")
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@splitter_options
@debug_option
def export(model: Path, path: Path, form: str | None, force: bool, **splitters: Any) -> None:
    """Write the classifier in the folder MODEL for other programs: PATH as a SavedModel folder or an ONNX file.

    A name that ends in .onnx is that of an ONNX file, and one without a suffix that of a SavedModel. Beside it, or in
    it, is tokenizer.json, which says how documents become numbers.

    \b
    Examples:
      han export models/imdb imdb.onnx
      han export models/imdb serving/imdb/1 --format savedmodel
    """  # noqa: D301
    with refusals():
        written = load(model, splitters).export(path, format=form, overwrite=force)
    click.echo(f"wrote {', '.join(os.path.relpath(file) for file in written)}")
