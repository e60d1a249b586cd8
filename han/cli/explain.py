"""`han explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import (
    announce_standard_input,
    debug_option,
    find_class,
    load_classifier,
    model_argument,
    print_progress,
    splitter_options,
    terminal_columns,
    usage_errors,
    uses_color,
)
from han.cli.files import (
    STANDARD_INPUT,
    check_output_format,
    decode_text,
    detect_table,
    file_name,
    files_argument,
    output_option,
)

if TYPE_CHECKING:
    from han.explain.explanation import Explanation

SUFFIXES = {".html": "html", ".htm": "html", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".txt": "terminal"}


@click.command()
@model_argument
@files_argument
@click.option("--text", "texts", multiple=True, help="Document to explain. Repeat the option for several documents.")
@click.option("--encoding", metavar="TEXT", help="Encoding of files, such as cp1251.  [default: utf-8]")
@click.option("--method", default="contributions", show_default=True, help="Scoring method; see above.")
@click.option("--target", help="Class to explain.  [default: the predicted class]")
@click.option(
    "--format", "output_format", type=click.Choice(["terminal", "html", "json"]), help="[default: from --output]"
)
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
    output_format: str | None,
    output: Path | None,
    **splitters: Any,
) -> None:
    """Explain predictions of the classifier in the folder MODEL.

    Each of FILES is a text file that contains one document; "-" is standard input, which is also read if there are
    neither FILES nor --text. Explanations are written as coloured text, as an HTML page (one page for all documents),
    or as JSON, one document per line (for several documents in a .json file, an array). The suffix of --output
    determines the format: .html, .json, .jsonl or .txt.

    The method is "contributions" (what each word adds to the log-odds of the target), "attention" (the attention
    weights of words and sentences), or "occlusion", "gradient_x_input" or "integrated_gradients" (contributions to the
    probability of the target).

    \b
    Examples:
      han explain models/imdb --text "A dull film. I loved the end."
      han explain models/imdb review1.txt review2.txt --output reviews.html
      cat review.txt | han explain models/imdb --method occlusion --format json
    """  # noqa: D301
    from han.files.atomic import replacing

    with usage_errors():
        output_format = check_output_format(output, output_format, SUFFIXES, "--format") or "terminal"
        paths = files or ([] if texts else [STANDARD_INPUT])
        if STANDARD_INPUT in paths:
            announce_standard_input("a document")
        documents = [*texts, *(_read_document(path, encoding) for path in paths)]
        classifier = load_classifier(model, splitters)
        label = None if target is None else find_class(target, classifier.classes_.tolist())
        explanations = classifier.explain(documents, method=method, target=label)
    result = _render(explanations, output_format, output)
    if output:
        with usage_errors(), replacing(output) as stream:
            stream.write((result.rstrip("\n") + "\n").encode())
    else:
        click.echo(result, color=uses_color())


def _render(explanations: list[Explanation], output_format: str, output: Path | None) -> str:
    from han.heatmap import corpus_page, page, terminal

    if output_format == "html":
        return page(explanations[0]) if len(explanations) == 1 else corpus_page(explanations)
    if output_format == "json":
        lines = [explanation.to_json() for explanation in explanations]
        is_array = len(lines) > 1 and output is not None and output.suffix.lower() == ".json"
        return "[" + ",\n".join(lines) + "]" if is_array else "\n".join(lines)
    columns = terminal_columns() if output is None and sys.stdout.isatty() else None
    return "\n\n".join(terminal(explanation, columns) for explanation in explanations)


def _read_document(path: Path, encoding: str | None) -> str:
    """Return the document in a text file, or raise a ValueError if the file is a table."""
    from han.tables.options import format_from_name

    name = file_name(path)
    data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    table_format = (format_from_name(name) if path != STANDARD_INPUT else None) or detect_table(data, ["text"])
    if table_format:
        raise ValueError(
            f"{name} is a table ({table_format}), but each file must be a text file with one document; "
            "pass the text of a row with --text"
        )
    document, notes = decode_text(data, name, encoding)
    for note in notes:
        print_progress(f"han: {note}", quiet=False)
    return document
