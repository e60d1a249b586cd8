"""The command line: `han train`."""

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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="han")
def cli() -> None:
    """Classify documents of any length with a hierarchical attention network."""


@cli.command()
@click.argument("source")
@click.option("--text", default="text", show_default=True, help="Column of a file that holds the documents.")
@click.option("--label", default="label", show_default=True, help="Column of a file that holds the classes.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write.  [default: models/NAME]")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training documents at most.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random state of the training.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def train(source: str, text: str, label: str, output: Path | None, epochs: int | None, seed: int, quiet: bool) -> None:
    r"""Train on SOURCE, test on a held-out part of it, and save the classifier.

    SOURCE is "imdb", "bbc-news", a .csv, .tsv, .jsonl or .parquet file, or a folder of <class>/*.txt files. A fifth of
    the documents is held out for testing, where two baselines trained on the same documents are measured too. The
    folder written holds the classifier, its training curve and its confusion matrix.

    \b
    Examples:
      han train imdb
      han train reviews.csv --text review --label stars --output models/stars
    """
    from han.datasets import load_dataset
    from han.persistence import check_destination

    with _refusals():
        dataset = load_dataset(source, text=text, label=label)
        folder = check_destination(output or Path("models") / dataset.name)
    _note(_description(dataset), quiet)

    from han.classifier import HANClassifier
    from han.evaluation import baselines, comparison, evaluate

    classifier = HANClassifier(random_state=seed, verbose=int(not quiet))
    if epochs is not None:
        classifier.set_params(epochs=epochs)
    started = time.monotonic()
    classifier.fit(dataset.X_train, dataset.y_train)
    seconds = time.monotonic() - started
    classifier.save(folder)

    evaluations = {"han": evaluate(classifier, dataset.X_test, dataset.y_test)}
    click.echo(f"\n{dataset.name}: {len(dataset.X_test)} test documents, han trained in {seconds:.0f} s\n")
    click.echo(evaluations["han"].per_class.to_string(float_format="{:.4f}".format))
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
    click.echo(f"\nclassifier, training_curve.png and confusion_matrix.png are in {os.path.relpath(folder)}")


def _description(dataset: Dataset) -> str:
    classes = len(set(dataset.y_train.tolist()))
    duplicates = f"; {dataset.duplicates} duplicates left out" if dataset.duplicates else ""
    return (
        f"{dataset.name}: {len(dataset.X_train)} documents for training, {len(dataset.X_test)} for testing, "
        f"{classes} classes{duplicates}"
    )


def _save_figures(folder: Path, classifier: HANClassifier, evaluation: Evaluation) -> None:
    from han.plots import confusion_figure, training_curve

    training_curve(classifier.history_).savefig(folder / "training_curve.png", dpi=120)
    confusion_figure(evaluation.confusion, classifier.classes_).savefig(folder / "confusion_matrix.png", dpi=120)


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
