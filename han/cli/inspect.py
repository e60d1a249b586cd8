"""`han info` and `han export`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from han.cli.console import LocalPath, debug_option, load_classifier, model_argument, splitter_options, usage_errors


@click.command()
@model_argument
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@splitter_options
@debug_option
def info(model: Path, output_format: str, **splitters: Any) -> None:
    """Describe the classifier in the folder MODEL: classes, sizes, training, hyper-parameters.

    \b
    Examples:
      han info models/imdb
      han info models/imdb --format json | jq .parameters.units
    """  # noqa: D301
    from han.saving.layout import read_facts

    with usage_errors():
        facts = read_facts(model) or load_classifier(model, splitters).describe()
    if output_format == "json":
        click.echo(json.dumps(facts, default=str))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            click.echo(f"{name.replace('_', ' ')}:")
            for key, item in value.items():
                click.echo(f"  {key}: {item}")
        else:
            click.echo(f"{name.replace('_', ' ')}: {value}")


@click.command()
@model_argument
@click.argument("path", type=LocalPath())
@click.option(
    "--format", "export_format", type=click.Choice(["savedmodel", "onnx"]), help="[default: from the suffix of PATH]"
)
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@splitter_options
@debug_option
def export(model: Path, path: Path, export_format: str | None, force: bool, **splitters: Any) -> None:
    """Export the classifier in the folder MODEL to PATH, a SavedModel folder or an ONNX file.

    By default, a PATH that ends in .onnx is an ONNX file, and one without a suffix is a SavedModel. The settings for
    encoding documents are written to tokenizer.json, in the SavedModel or next to the ONNX file.

    \b
    Examples:
      han export models/imdb imdb.onnx
      han export models/imdb serving/imdb/1 --format savedmodel
    """  # noqa: D301
    with usage_errors():
        written = load_classifier(model, splitters).export(path, format=export_format, overwrite=force)
    click.echo(f"wrote {', '.join(os.path.relpath(file) for file in written)}")
