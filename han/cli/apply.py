"""`han evaluate`, `han predict` and `han explain`: a classifier applied to documents."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from han.cli.console import (
    class_named,
    debug_option,
    interruptible,
    load,
    model_argument,
    quiet_option,
    refusals,
    source_options,
    splitter_options,
    text_option,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from han.classifier import HANClassifier
    from han.labels import LabelForm
    from han.rows import Row

INPUTS = ["csv", "tsv", "jsonl", "parquet", "text"]
TEXT_SUFFIXES = ("", ".txt")
files_argument = click.argument(
    "files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)


@click.command()
@model_argument
@click.argument("source")
@source_options
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@splitter_options
@debug_option
def evaluate(
    model: Path, source: str, text: str, label: str, label_separator: str | None, form: str, **splitters: Any
) -> None:
    """Measure the classifier in the folder MODEL on SOURCE, documents whose classes are known.

    SOURCE is a .csv, .tsv, .jsonl or .parquet file, or a folder of <class>/*.txt files, of which every document counts;
    or "imdb" or "bbc-news", of which the test part does. Documents of a class that there was not in training count as
    wrong, with a warning.

    \b
    Examples:
      han evaluate models/imdb imdb
      han evaluate models/stars new.csv --text review --label stars --format json
    """  # noqa: D301
    from han.datasets import load_labelled
    from han.evaluation import evaluate as measure

    with refusals():
        texts, labels = load_labelled(source, text=text, label=label, label_separator=label_separator)
        classifier = load(model, splitters)
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

    def named(label: Any) -> Any:
        return [named(value) for value in label] if isinstance(label, list) else _class_written(label, classes)

    found = [named(label) for label in labels]
    if form.kind not in ("indicator", "sparse"):
        return found
    import pandas as pd

    with warnings.catch_warnings(action="ignore"):  # whoever measures warns of classes that are not known
        form, targets = form._replace(kind="list").encode_test(found, len(found))
    return pd.DataFrame(targets, columns=form.classes.tolist())


def _class_written(label: Any, classes: list[Any]) -> Any:
    """Return the class that a label in a file stands for; the label itself if there is none."""
    from han.validation import kind_of

    if label in classes:
        return label
    found = class_named(str(label), classes)
    if found in classes or kind_of(classes[0]) is not int:
        return found
    try:  # 1 where the classifier has 1.0, or the other way round
        number = Decimal(str(label))
    except InvalidOperation:
        return label
    return next((name for name in classes if name == number), label)


@click.command()
@model_argument
@files_argument
@text_option
@click.option("--input-format", type=click.Choice(INPUTS), help='[default: by the name of a file; else "text"]')
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else standard output.")
@click.option(
    "--output-format", type=click.Choice(INPUTS[:-1]), help="[default: by --output; else as the input, or csv]"
)
@click.option("--probabilities", is_flag=True, help="A column with the probability of each class.")
@click.option("--drop-text", is_flag=True, help="Leave out the documents themselves.")
@click.option(
    "--label-separator", metavar="TEXT", default=";", show_default=True, help="Between classes, in csv and tsv."
)
@splitter_options
@quiet_option
@debug_option
def predict(
    model: Path,
    files: tuple[Path, ...],
    text: str,
    input_format: str | None,
    output: Path | None,
    output_format: str | None,
    probabilities: bool,
    drop_text: bool,
    label_separator: str,
    quiet: bool,
    **splitters: Any,
) -> None:
    """Classify documents with the classifier in the folder MODEL.

    FILES are tables, a document a row, or text files, a document each; "-" is standard input, which is read too if
    there are no FILES. Rows come out in their order, with all their columns and two more: prediction and probability
    (of a document with several classes, there is none). They are read and written a few thousand at a time, whatever
    their number. A file gets its name when all of it is written.

    \b
    Examples:
      han predict models/imdb reviews.csv --text review --output labelled.csv
      han predict models/imdb reviews.jsonl --probabilities --drop-text > scores.jsonl
      cat reviews.jsonl | han predict models/imdb --input-format jsonl | head
      echo "A dull film." | han predict models/imdb
    """  # noqa: D301
    from han.rows import FORMATS, RowWriter, replacing

    sources = list(files or [Path("-")])
    with refusals():
        forms = [input_format or _format(path, {**dict.fromkeys(TEXT_SUFFIXES, "text"), **FORMATS}) for path in sources]
        form = output_format or (_format(output, FORMATS) if output else forms[0] if forms[0] != "text" else "csv")
        if output and not output.parent.is_dir():
            raise FileNotFoundError(f"output must be in a folder that there is, got {str(output)!r}")
        classifier = load(model, splitters)

    def rows_with_predictions(rows: list[Row], where: str) -> list[Row]:
        results = _predictions(classifier, [_document(row, text, where) for row in rows], probabilities)
        taken = {name for row in rows for name in row} & results[0].keys()
        if taken:
            raise ValueError(f"{where} must not have a column {sorted(taken)[0]!r}, which is where the prediction goes")
        if form in ("csv", "tsv"):
            results = [
                {name: label_separator.join(map(str, value)) if isinstance(value, list) else value
                 for name, value in row.items()}
                for row in results
            ]  # fmt: skip
        kept = [{name: value for name, value in row.items() if not (drop_text and name == text)} for row in rows]
        return [{**row, **result} for row, result in zip(kept, results, strict=True)]

    # That the disk is full is not for the command to blame.
    with (
        refusals((ValueError, TypeError)),
        interruptible() as raise_if_interrupted,
        _destination(output, replacing) as stream,
        closing(RowWriter(stream, form)) as writer,
    ):
        for where, rows in _chunks(sources, forms, text, quiet):
            writer.write(rows_with_predictions(rows, where))
            raise_if_interrupted()


def _format(path: Path, formats: dict[str, str]) -> str:
    """Return the format that a file's name tells; standard input has no suffix."""
    suffix = path.suffix.lower()
    if suffix not in formats:
        known = ", ".join(filter(None, formats))
        raise ValueError(f"{path} must end in one of {known}, or its format be given")
    return formats[suffix]


@contextmanager
def _destination(output: Path | None, replacing: Any) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with replacing(output) as stream:
            yield stream


def _chunks(sources: list[Path], forms: list[str], text: str, quiet: bool) -> Iterator[tuple[str, list[Row]]]:
    """Read the files' rows with the name of their file, and show how far that is on standard error."""
    from tqdm import tqdm

    from han.rows import read_rows

    total = sum(path.stat().st_size for path in sources) if all(path.is_file() for path in sources) else None
    documents = before = 0
    with tqdm(total=total, unit="B", unit_scale=True, disable=quiet, file=sys.stderr, desc="predict") as progress:
        for path, form in zip(sources, forms, strict=True):
            name = "standard input" if str(path) == "-" else str(path)
            with sys.stdin.buffer if str(path) == "-" else path.open("rb") as stream:
                if form == "text":
                    file = {"file": name, text: stream.read().decode("utf-8-sig", "replace")}
                    chunks: Iterator[list[Row]] = iter([[file]])
                else:
                    chunks = read_rows(stream, form)
                try:
                    for rows in chunks:
                        yield name, rows
                        documents += len(rows)
                        progress.set_postfix_str(f"{documents:,} documents", refresh=total is None)
                        if total:
                            progress.update(before + stream.tell() - progress.n)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
                before += stream.tell() if total else 0


def _document(row: Row, column: str, where: str) -> Any:
    if column not in row:
        raise ValueError(f"text must be a column of {where}, got {column!r}; its columns are {[*row]}")
    if row[column] is None:  # as an empty cell of CSV
        return ""
    if not isinstance(row[column], str | list):
        raise TypeError(f"{where} must hold a text in each row, got {row[column]!r}")
    return row[column]


def _predictions(classifier: HANClassifier, texts: list[Any], probabilities: bool) -> list[Row]:
    """Return what is said of each document."""
    values = classifier.predict_proba(texts)
    classes = classifier.classes_.tolist()
    if classifier.label_form_.multi_label:
        results: list[Row] = [
            {"prediction": [classes[column] for column in row.nonzero()[0]]} for row in values >= classifier.thresholds_
        ]
    else:
        best = values.argmax(axis=1)
        results = [
            {"prediction": classes[column], "probability": _rounded(row[column])}
            for row, column in zip(values, best, strict=True)
        ]
    if probabilities:
        for result, row in zip(results, values, strict=True):
            result.update({f"probability_{name}": _rounded(value) for name, value in zip(classes, row, strict=True)})
    return results


def _rounded(value: npt.NDArray[np.float32] | np.float32) -> float:
    """Return a probability with the digits that float32 has."""
    return float(f"{value:.7g}")


@click.command()
@model_argument
@files_argument
@click.option("--text", "texts", multiple=True, help="A document; may be given more than once.")
@click.option("--method", default="attention", show_default=True, help="How words are scored; see above.")
@click.option("--target", help="The class to explain.  [default: the predicted one]")
@click.option("--format", "form", type=click.Choice(["terminal", "html", "json"]), help="[default: by --output]")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else standard output.")
@splitter_options
@debug_option
def explain(
    model: Path,
    files: tuple[Path, ...],
    texts: tuple[str, ...],
    method: str,
    target: str | None,
    form: str | None,
    output: Path | None,
    **splitters: Any,
) -> None:
    """Show what the classifier in the folder MODEL looked at in documents.

    Each of FILES is a document; "-" is standard input, which is read too if there are neither FILES nor --text. The
    documents are shown as coloured text, as an HTML page (a page of many for more than one), or as JSON, a document a
    line.

    The method is "attention" (the weights of words and sentences), "occlusion", "gradient_x_input" or
    "integrated_gradients" (what they add to the probability of the target).

    \b
    Examples:
      han explain models/imdb --text "A dull film. I loved the end."
      han explain models/imdb review1.txt review2.txt --output reviews.html
      cat review.txt | han explain models/imdb --method occlusion --format json
    """  # noqa: D301
    from han.heatmap import corpus_page, page, terminal
    from han.rows import replacing

    form = form or {".html": "html", ".htm": "html", ".json": "json", ".jsonl": "json"}.get(
        output.suffix.lower() if output else "", "terminal"
    )
    with refusals():
        documents = [*texts, *map(_read, files or ([] if texts else [Path("-")]))]
        classifier = load(model, splitters)
        label = None if target is None else class_named(target, classifier.classes_.tolist())
        explanations = classifier.explain(documents, method=method, target=label)
    if form == "html":
        result = page(explanations[0]) if len(explanations) == 1 else corpus_page(explanations)
    elif form == "json":
        result = "\n".join(explanation.to_json() for explanation in explanations)
    else:
        result = "\n\n".join(map(terminal, explanations))
    if output:
        with refusals(), replacing(output) as stream:
            stream.write((result.rstrip("\n") + "\n").encode())
    else:
        click.echo(result)


def _read(path: Path) -> str:
    """Return a document; what is not UTF-8 in it is replaced."""
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    return data.decode("utf-8-sig", "replace")
