"""The command line: `han train` and `han explain`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from han import __version__

if TYPE_CHECKING:
    from han.classifier import HANClassifier
    from han.datasets import Dataset
    from han.evaluation import Evaluation

FIGURES = ("training_curve.png", "confusion_matrix.png", "reliability.png")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="han")
def cli() -> None:
    """Classify documents of any length with a hierarchical attention network."""


@cli.command()
@click.argument("source")
@click.option("--text", default="text", show_default=True, help="Column of a file that holds the documents.")
@click.option("--label", default="label", show_default=True, help="Column of a file that holds the classes.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write.  [default: models/NAME]")
@click.option("--embeddings", help='Word vectors to begin with: a file, "glove-50d" or "word2vec".')
@click.option("--calibrate", is_flag=True, help="Fit a temperature on held-out documents: honest probabilities.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training documents at most.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random state of the training.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def train(
    source: str,
    text: str,
    label: str,
    output: Path | None,
    embeddings: str | None,
    calibrate: bool,
    epochs: int | None,
    seed: int,
    quiet: bool,
) -> None:
    r"""Train on SOURCE, test on a held-out part of it, and save the classifier.

    SOURCE is "imdb", "bbc-news", a .csv, .tsv, .jsonl or .parquet file, or a folder of <class>/*.txt files. A fifth of
    the documents is held out for testing, where two baselines trained on the same documents are measured too. The
    folder written holds the classifier and figures: its training curve, its confusion matrix and how far its
    probabilities can be taken at their word.

    \b
    Examples:
      han train imdb
      han train reviews.csv --text review --label stars --output models/stars
      han train bbc-news --embeddings glove-50d --calibrate
    """
    from han.datasets import load_dataset
    from han.embeddings import check_source
    from han.persistence import check_destination

    with _refusals():
        dataset = load_dataset(source, text=text, label=label)
        folder = check_destination(output or Path("models") / dataset.name)
        check_source(embeddings)
    _note(_description(dataset), quiet)

    from han.classifier import HANClassifier
    from han.evaluation import baselines, comparison, evaluate

    classifier = HANClassifier(embeddings=embeddings, calibrate=calibrate, random_state=seed, verbose=int(not quiet))
    if epochs is not None:
        classifier.set_params(epochs=epochs)
    started = time.monotonic()
    with _refusals():
        classifier.fit(dataset.X_train, dataset.y_train)
    seconds = time.monotonic() - started
    classifier.save(folder)

    evaluations = {"han": evaluate(classifier, dataset.X_test, dataset.y_test)}
    click.echo(f"\n{dataset.name}: {len(dataset.X_test)} test documents, han trained in {seconds:.0f} s\n")
    click.echo(evaluations["han"].per_class.to_string(float_format="{:.4f}".format))
    if classifier.embedding_coverage_ is not None:
        click.echo(f"\n{classifier.embedding_coverage_:.1%} of the training documents' words began with a vector")
    _save_figures(folder, classifier, evaluations["han"])
    for name, baseline in baselines().items():
        _note(f"fitting the baseline: {name}", quiet)
        try:
            baseline.fit(dataset.X_train, dataset.y_train)
        except ValueError as error:  # documents without a word that occurs twice, for example
            _note(f"the baseline cannot be fitted: {error}", quiet)
        else:
            evaluations[name] = evaluate(baseline, dataset.X_test, dataset.y_test)
    click.echo("\n" + comparison(evaluations).to_string(float_format="{:.4f}".format))
    click.echo(f"\nclassifier, {', '.join(FIGURES)} are in {os.path.relpath(folder)}")


@cli.command()
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--text", "texts", multiple=True, help="A document; may be given more than once.")
@click.option("--method", default="attention", show_default=True, help="How words are scored; see below.")
@click.option("--target", help="The class to explain.  [default: the predicted one]")
@click.option("--format", "form", type=click.Choice(["terminal", "html", "json"]), help="[default: by --output]")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else standard output.")
def explain(
    model: Path,
    files: tuple[Path, ...],
    texts: tuple[str, ...],
    method: str,
    target: str | None,
    form: str | None,
    output: Path | None,
) -> None:
    r"""Show what the classifier in the folder MODEL looked at in documents.

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
    """
    from han.classifier import HANClassifier
    from han.heatmap import corpus_page, page, terminal

    form = form or {".html": "html", ".htm": "html", ".json": "json", ".jsonl": "json"}.get(
        output.suffix.lower() if output else "", "terminal"
    )
    with _refusals():
        documents = [*texts, *map(_read, files or ([] if texts else [Path("-")]))]
        classifier = HANClassifier.load(model)
        label = None if target is None else _label(target, classifier.classes_.tolist())
        explanations = classifier.explain(documents, method=method, target=label)
    if form == "html":
        result = page(explanations[0]) if len(explanations) == 1 else corpus_page(explanations)
    elif form == "json":
        result = "\n".join(explanation.to_json() for explanation in explanations)
    else:
        result = "\n\n".join(map(terminal, explanations))
    if output:
        with _refusals():
            output.write_text(result.rstrip("\n") + "\n", encoding="utf-8")
    else:
        click.echo(result)


def _read(path: Path) -> str:
    """Return a document; what is not UTF-8 in it is replaced."""
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    return data.decode("utf-8", "replace")


def _label(name: str, classes: list[object]) -> object:
    """Return the class that is written like this."""
    return next((label for label in classes if str(label) == name), name)


def _description(dataset: Dataset) -> str:
    classes = len(set(dataset.y_train.tolist()))
    duplicates = f"; {dataset.duplicates} duplicates left out" if dataset.duplicates else ""
    return (
        f"{dataset.name}: {len(dataset.X_train)} documents for training, {len(dataset.X_test)} for testing, "
        f"{classes} classes{duplicates}"
    )


def _save_figures(folder: Path, classifier: HANClassifier, evaluation: Evaluation) -> None:
    from han.plots import confusion_figure, reliability_figure, training_curve

    figures = (
        training_curve(classifier.history_, classifier.monitor),
        confusion_figure(evaluation.confusion, classifier.classes_),
        reliability_figure(evaluation.reliability),
    )
    for name, figure in zip(FIGURES, figures, strict=True):
        figure.savefig(folder / name, dpi=120)


def _note(message: str, quiet: bool) -> None:
    if not quiet:
        click.echo(message, err=True)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn errors of use into a line on standard error and exit code 2."""
    try:
        yield
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise click.UsageError(str(error)) from error


def main() -> None:
    """Run the command line; errors of use end in one line on standard error and exit code 2."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"han: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
