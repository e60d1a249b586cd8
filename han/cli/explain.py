"""`han explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from han.cli.console import class_named, debug_option, load, model_argument, note, refusals, splitter_options
from han.cli.files import (
    STANDARD_INPUT,
    decoded,
    file_name,
    files_argument,
    output_format,
    output_option,
    table_format,
)

SUFFIXES = {".html": "html", ".htm": "html", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".txt": "terminal"}


@click.command()
@model_argument
@files_argument
@click.option("--text", "texts", multiple=True, help="A document; may be given more than once.")
@click.option("--encoding", metavar="TEXT", help="Encoding of files, such as cp1251.  [default: utf-8]")
@click.option("--method", default="attention", show_default=True, help="How words are scored; see above.")
@click.option("--target", help="The class to explain.  [default: the predicted one]")
@click.option("--format", "form", type=click.Choice(["terminal", "html", "json"]), help="[default: by --output]")
@output_option
@splitter_options
@debug_option
def explain(
    model: Path,
    files: tuple[Path, ...],
    texts: tuple[str, ...],
    encoding: str | None,
    method: str,
    target: str | None,
    form: str | None,
    output: Path | None,
    **splitters: Any,
) -> None:
    """Show what the classifier in the folder MODEL looked at in documents.

    Each of FILES is a text file that holds one document; "-" is standard input, which is read too if there are neither
    FILES nor --text. The documents are shown as coloured text, as an HTML page (a page of many for more than one), or
    as JSON, one document per line (in a .json file of several, an array). The name of --output tells which: it ends in
    .html, .json, .jsonl or .txt.

    The method is "attention" (the weights of words and sentences), "occlusion", "gradient_x_input" or
    "integrated_gradients" (what they add to the probability of the target).

    \b
    Examples:
      han explain models/imdb --text "A dull film. I loved the end."
      han explain models/imdb review1.txt review2.txt --output reviews.html
      cat review.txt | han explain models/imdb --method occlusion --format json
    """  # noqa: D301
    from han.files.atomic import replacing
    from han.heatmap import corpus_page, page, terminal

    with refusals():
        form = output_format(output, form, SUFFIXES, "--format") or "terminal"
        documents = [*texts, *(_read(path, encoding) for path in files or ([] if texts else [STANDARD_INPUT]))]
        classifier = load(model, splitters)
        label = None if target is None else class_named(target, classifier.classes_.tolist())
        explanations = classifier.explain(documents, method=method, target=label)
    if form == "html":
        result = page(explanations[0]) if len(explanations) == 1 else corpus_page(explanations)
    elif form == "json":
        lines = [explanation.to_json() for explanation in explanations]
        is_array = len(lines) > 1 and output is not None and output.suffix.lower() == ".json"
        result = "[" + ",\n".join(lines) + "]" if is_array else "\n".join(lines)
    else:
        result = "\n\n".join(map(terminal, explanations))
    if output:
        with refusals(), replacing(output) as stream:
            stream.write((result.rstrip("\n") + "\n").encode())
    else:
        click.echo(result)


def _read(path: Path, encoding: str | None) -> str:
    """Return the document in a text file; a table is refused."""
    from han.tables.options import format_from_name

    name = file_name(path)
    data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    form = (format_from_name(name) if path != STANDARD_INPUT else None) or table_format(data, ["text"])
    if form:
        raise ValueError(
            f"{name} is a table ({form}), and each file must be a text file with one document; "
            "pass the text of a row with --text"
        )
    document, remarks = decoded(data, name, encoding)
    for remark in remarks:
        note(f"han: {remark}", quiet=False)
    return document
