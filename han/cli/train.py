"""`han train`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import (
    INTERRUPTED,
    SOURCE_ARGUMENTS,
    LocalPath,
    class_named,
    debug_option,
    is_terminated,
    note,
    quiet_option,
    refusals,
    source_options,
)
from han.cli.hyperparameters import CommandWithHyperparameters, chosen, hyperparameter_options

if TYPE_CHECKING:
    from han.classifier import HANClassifier
    from han.datasets import Dataset
    from han.evaluation.measures import Evaluation


@click.command(cls=CommandWithHyperparameters)
@click.argument("source", nargs=-1, required=True)
@source_options
@click.option("--test", multiple=True, metavar="FILE", help="File or folder to test on; may be given more than once.")
@click.option("--output", type=LocalPath(), help="Folder to write.  [default: models/NAME]")
@click.option("--force", is_flag=True, help="Replace the classifier in that folder.")
@click.option(
    "--config",
    type=LocalPath(exists=True, dir_okay=False),
    help="TOML or YAML file of hyper-parameters; options overrule it.",
)
@click.option("--resume", is_flag=True, help="Continue a training that was killed or interrupted.")
@click.option(
    "--checkpoint-steps", type=click.IntRange(1), metavar="INT", help="Store the training after so many batches too."
)
@click.option("--tensorboard", type=LocalPath(file_okay=False), help="Folder to write TensorBoard's logs to.")
@quiet_option
@debug_option
@hyperparameter_options
def train(
    source: tuple[str, ...],
    test: tuple[str, ...],
    output: Path | None,
    force: bool,
    config: Path | None,
    resume: bool,
    checkpoint_steps: int | None,
    tensorboard: Path | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Train on SOURCE, test on a held-out part of it or on --test, and save the classifier.

    SOURCE is "imdb" or "bbc-news"; or one or more files in CSV, TSV, JSON Lines, JSON, Excel or Parquet, compressed or
    not; or folders of <class>/*.txt files. A fifth of the documents is held out for testing, unless there is a --test
    or the folder holds train/<class> and test/<class>; two baselines trained on the same documents are measured too.
    The folder written holds the classifier, a card that describes it, and figures: its training curve, its confusion
    matrix and how far its probabilities can be taken at their word.

    A document may have several classes: where the label column holds lists, or with --label-separator. The random state
    is 0 if it is not given.

    Until the command has finished, the training is stored in FOLDER.checkpoint after each epoch, or in
    FOLDER/.checkpoint if FOLDER is a mount point or its parent is read-only. With --resume and the same options it
    continues from there, whatever ended it.

    The first Ctrl-C ends the epoch; the best weights so far are saved and tested. The second one ends the command.
    SIGTERM, which "docker stop" sends, ends the epoch and saves the best weights, without the test.

    \b
    Examples:
      han train imdb
      han train reviews.csv --text title --text review --label stars --output models/stars
      han train january.csv february.csv --test march.csv
      han train bbc-news --embeddings glove-50d --calibrate --units 100 --cell gru
      han train imdb --resume
      han train tickets.tsv --label tags --label-separator ";" --config settings.toml
    """  # noqa: D301
    from han.datasets import load_dataset
    from han.files.folders import check_writable
    from han.saving.folder import check_destination, holds_model
    from han.text.word_vectors import check_source
    from han.training.checkpoint import has_checkpoint, has_ended, remove_checkpoint

    with refusals():
        source_arguments = {name: given.pop(name) for name in SOURCE_ARGUMENTS}
        settings: dict[str, Any] = {"random_state": 0, **chosen(config, given)}
        dataset = load_dataset(source, test=test or None, **source_arguments)
        folder = check_destination(output or Path("models") / dataset.name, "--output")
        checkpoint = _checkpoint_folder(folder)
        unfinished = has_checkpoint(checkpoint)
        if unfinished and not resume:
            raise FileExistsError(
                f"{os.path.relpath(checkpoint)} holds an unfinished training: continue it with --resume, or remove it"
            )
        if holds_model(folder) and not force and not unfinished:
            raise FileExistsError(
                f"{os.path.relpath(folder)} holds a classifier: replace it with --force, or write another folder with "
                "--output"
            )
        if resume and not unfinished:
            note(f"{os.path.relpath(checkpoint)} holds no training to resume: this is a new one", quiet)
        check_source(settings.get("embeddings"))
        if tensorboard is not None:
            check_writable(tensorboard.absolute())
    note(_description(dataset), quiet)

    from han.classifier import HANClassifier
    from han.data.labels import LabelEncoder

    if isinstance(settings.get("class_weight"), dict):
        classes = LabelEncoder.learn(dataset.y_train, len(dataset.y_train)).classes.tolist()
        weights = settings["class_weight"]
        settings["class_weight"] = {class_named(str(name), classes): weight for name, weight in weights.items()}
    classifier = HANClassifier(**settings, verbose=int(not quiet))
    started = time.monotonic()
    with refusals(), _resumable(checkpoint):
        classifier.fit(
            dataset.X_train,
            dataset.y_train,
            callbacks=_callbacks(tensorboard),
            checkpoint_dir=checkpoint,
            checkpoint_steps=checkpoint_steps,
        )
    seconds = time.monotonic() - started
    interrupted = not has_ended(checkpoint)
    with _resumable(checkpoint):
        classifier.save(folder, data=dataset.name)
    with _resumable(checkpoint, f"the classifier is saved in {os.path.relpath(folder)}, but not fully tested"):
        if is_terminated():
            raise KeyboardInterrupt
        _report(folder, classifier, dataset, seconds, quiet)
    if not interrupted:
        remove_checkpoint(checkpoint)
        return
    _say_how_to_resume(checkpoint)
    raise click.exceptions.Exit(INTERRUPTED)


def _checkpoint_folder(folder: Path) -> Path:
    """Return where to store a training: beside the folder of its classifier, or in it if that is on another volume."""
    from han.files.folders import can_be_renamed
    from han.saving.folder import CHECKPOINT
    from han.training.checkpoint import has_checkpoint

    beside, within = folder.with_name(f"{folder.name}.checkpoint"), folder / CHECKPOINT
    for checkpoint in (beside, within):
        if has_checkpoint(checkpoint):
            return checkpoint
    return beside if can_be_renamed(folder) else within


@contextmanager
def _resumable(checkpoint: Path, state: str = "") -> Iterator[None]:
    """Say what Ctrl-C leaves."""
    try:
        yield
    except KeyboardInterrupt:
        if state:
            click.echo(state, err=True)
        _say_how_to_resume(checkpoint)
        raise


def _say_how_to_resume(checkpoint: Path) -> None:
    from han.training.checkpoint import has_checkpoint

    if has_checkpoint(checkpoint):
        click.echo(f"--resume continues the training in {os.path.relpath(checkpoint)}", err=True)
    else:
        click.echo("--resume has nothing to continue, for no epoch was completed", err=True)


def _report(folder: Path, classifier: HANClassifier, dataset: Dataset, seconds: float, quiet: bool) -> None:
    """Test a classifier, print the results beside those of the baselines, and write card and figures to its folder."""
    from han.evaluation.measures import comparison, evaluate

    evaluations = {"han": evaluate(classifier, dataset.X_test, dataset.y_test)}
    classifier.save(folder, data=dataset.name, scores=evaluations["han"].scores())
    click.echo(f"\n{dataset.name}: {len(dataset.X_test)} test documents, han trained in {seconds:.0f} s\n")
    click.echo(evaluations["han"].per_class.to_string(float_format="{:.4f}".format))
    if classifier.embedding_coverage_ is not None:
        click.echo(f"\n{classifier.embedding_coverage_:.1%} of the training documents' words began with a vector")
    figures = _save_figures(folder, classifier, evaluations["han"])
    evaluations |= _baselines(classifier, dataset, quiet)
    click.echo("\n" + comparison(evaluations).to_string(float_format="{:.4f}".format))
    click.echo(f"\nclassifier, README.md, {', '.join(figures)} are in {os.path.relpath(folder)}")


def _callbacks(tensorboard: Path | None) -> list[Any]:
    if tensorboard is None:
        return []
    if find_spec("tensorboard") is None:
        raise ImportError("TensorBoard's logs need it; install it with: pip install 'han-classifier[tensorboard]'")
    from han.backend import keras

    return [keras.callbacks.TensorBoard(str(tensorboard), write_graph=False)]


def _baselines(classifier: HANClassifier, dataset: Dataset, quiet: bool) -> dict[str, Evaluation]:
    from han.evaluation.measures import baselines, evaluate

    results = {}
    y_train, y_test = dataset.y_train, dataset.y_test
    form = classifier.label_encoder_
    if form.multi_label:
        y_train, y_test = form.encode(y_train, len(y_train)), form.encode(y_test, len(y_test))
    for name, baseline in baselines(form.multi_label).items():
        note(f"fitting the baseline: {name}", quiet)
        try:
            baseline.fit(dataset.X_train, y_train)
        except ValueError as error:  # documents without a word that occurs twice, for example
            note(f"the baseline cannot be fitted: {error}", quiet)
        else:
            results[name] = evaluate(baseline, dataset.X_test, y_test)
    return results


def _description(dataset: Dataset) -> str:
    duplicates = f"; {dataset.duplicates} duplicates left out" if dataset.duplicates else ""
    return (
        f"{dataset.name}: {len(dataset.X_train)} documents for training, {len(dataset.X_test)} for testing, "
        f"{dataset.class_count} classes{duplicates}"
    )


def _save_figures(folder: Path, classifier: HANClassifier, evaluation: Evaluation) -> list[str]:
    """Draw into the folder, and return the names of the files."""
    from han.evaluation.plots import confusion_figure, reliability_figure, training_curve
    from han.files.atomic import replacing

    figures = {
        "training_curve.png": training_curve(classifier.history_, classifier.monitor),
        "reliability.png": reliability_figure(evaluation.reliability),
    }
    if evaluation.confusion is not None:
        figures["confusion_matrix.png"] = confusion_figure(evaluation.confusion, classifier.classes_)
    else:  # one of an earlier classifier in this folder would not be of this one
        (folder / "confusion_matrix.png").unlink(missing_ok=True)
    for name, figure in figures.items():
        with replacing(folder / name) as stream:
            figure.savefig(stream, dpi=120)
    return list(figures)
