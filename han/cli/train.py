"""`han train`."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import (
    INTERRUPTED,
    SOURCE_ARGUMENTS,
    LocalPath,
    check_source,
    debug_option,
    find_class,
    is_terminated,
    print_progress,
    quiet_option,
    source_options,
    usage_errors,
)
from han.cli.hyperparameters import CommandWithHyperparameters, hyperparameter_options, read_hyperparameters
from han.cli.report import print_conclusions, write_report
from han.exceptions import missing_extra

if TYPE_CHECKING:
    from han.classifier import HANClassifier
    from han.datasets import Dataset
    from han.evaluation.measures import Evaluation
    from han.evaluation.report import Report


@click.command(cls=CommandWithHyperparameters)
@click.argument("source", nargs=-1, required=True)
@source_options
@click.option(
    "--test", multiple=True, metavar="FILE", help="File or folder of test documents. Repeat the option for several."
)
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of each class to hold out for testing.  [default: 0.2]",
)
@click.option("--refit", is_flag=True, help="After testing, fit again on all documents, those for testing too.")
@click.option("--output", type=LocalPath(), help="Folder to write.  [default: models/NAME]")
@click.option("--force", is_flag=True, help="Replace the classifier in that folder.")
@click.option(
    "--config",
    type=LocalPath(exists=True, dir_okay=False),
    help="TOML or YAML file of hyper-parameters, which options override.",
)
@click.option("--resume", is_flag=True, help="Resume an interrupted training run.")
@click.option(
    "--checkpoint-steps",
    type=click.IntRange(1),
    metavar="INT",
    help="Write a checkpoint every INT batches, in addition to each epoch.",
)
@click.option("--tensorboard", type=LocalPath(file_okay=False), help="Folder for TensorBoard logs.")
@quiet_option
@debug_option
@hyperparameter_options
def train(
    source: tuple[str, ...],
    test: tuple[str, ...],
    test_fraction: float | None,
    refit: bool,
    output: Path | None,
    force: bool,
    config: Path | None,
    resume: bool,
    checkpoint_steps: int | None,
    tensorboard: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a classifier on SOURCE, evaluate it on a held-out part of SOURCE or on --test, and save it.

    SOURCE is "imdb" or "bbc-news"; or one or more files in CSV, TSV, JSON Lines, JSON, Excel or Parquet, optionally
    compressed; or folders of <class>/*.txt files. A fifth of the documents is held out for testing, unless --test is
    set or the folder contains train/<class> and test/<class>. Two baselines are trained and evaluated on the same
    documents. The output folder contains the classifier, a model card, report.html with what is known about it
    (report.json: as data), and figures of the training curve, the confusion matrix and the calibration.

    Documents may have several labels, which are lists in the label column, or are separated by --label-separator. The
    random state is 0 by default.

    During training, a checkpoint is written after each epoch, or after some if they are short, to FOLDER.checkpoint, or
    to FOLDER/.checkpoint if FOLDER is a mount point or its parent is read-only. With --resume and the same options,
    training resumes from the checkpoint after any interruption.

    The first Ctrl-C stops training; the best weights so far are saved and evaluated. A second Ctrl-C stops the command.
    SIGTERM, which "docker stop" sends, stops training and saves the best weights without evaluating them.

    \b
    Examples:
      han train imdb
      han train reviews.csv --text title --text review --label stars --output models/stars
      han train january.csv february.csv --test march.csv
      han train bbc-news --embeddings spacy-300d --calibrate --units 100
      han train imdb --resume
      han train tickets.tsv --label tags --label-separator ";" --config settings.toml
    """  # noqa: D301
    with usage_errors():
        source_arguments = {name: options.pop(name) for name in SOURCE_ARGUMENTS}
        settings: dict[str, Any] = {"random_state": 0, **read_hyperparameters(config, options)}
        if test and test_fraction is not None:
            raise ValueError("--test-fraction holds out a part of SOURCE, so it must not be combined with --test")
        check_source(source, source_arguments)
        if test:
            check_source(test, source_arguments, "test")
    # All that can be refused without reading the documents has been.
    from han.datasets import load_dataset
    from han.training.checkpoint import has_ended, remove_checkpoint

    with usage_errors():
        if test_fraction is not None:
            source_arguments["test_fraction"] = test_fraction
        dataset = load_dataset(source, test=test or None, **source_arguments)
        folder, checkpoint = _check_output(output or Path("models") / dataset.name, force, resume, quiet)
        _check_resources(settings, tensorboard)
    print_progress(_description(dataset), quiet)

    classifier = _new_classifier(settings, dataset, quiet)
    seconds = _fit(classifier, dataset, checkpoint, checkpoint_steps, tensorboard)
    is_interrupted = not has_ended(checkpoint)
    with _resume_hint(checkpoint):
        classifier.save(folder, data=dataset.name)
    with _resume_hint(checkpoint, f"the classifier is saved in {os.path.relpath(folder)}, but not fully evaluated"):
        if is_terminated():
            raise KeyboardInterrupt
        report = _report(folder, classifier, dataset, seconds, quiet)
    if refit and not is_interrupted:
        _refit(folder, _new_classifier(settings, dataset, quiet), dataset, report, quiet)
    if not is_interrupted:
        remove_checkpoint(checkpoint)
        return
    _print_resume_hint(checkpoint)
    raise click.exceptions.Exit(INTERRUPTED)


def _check_output(output: Path, force: bool, resume: bool, quiet: bool) -> tuple[Path, Path]:
    """Return the output folder and the folder of its checkpoint if they may be written."""
    from han.saving.layout import check_destination, holds_model
    from han.training.checkpoint import has_checkpoint

    folder = check_destination(output, "--output")
    checkpoint = _checkpoint_folder(folder)
    is_unfinished = has_checkpoint(checkpoint)
    if is_unfinished and not resume:
        raise FileExistsError(
            f"{os.path.relpath(checkpoint)} contains an unfinished training run: resume it with --resume, or remove it"
        )
    if holds_model(folder) and not force and not is_unfinished:
        raise FileExistsError(
            f"{os.path.relpath(folder)} contains a classifier: replace it with --force, or choose another folder with "
            "--output"
        )
    if resume and not is_unfinished:
        print_progress(f"{os.path.relpath(checkpoint)} contains no checkpoint: starting a new training run", quiet)
    return folder, checkpoint


def _checkpoint_folder(folder: Path) -> Path:
    """Return the folder of the checkpoint: next to the output folder, or inside it if that is on another volume."""
    from han.files.folders import can_be_renamed
    from han.saving.layout import CHECKPOINT
    from han.training.checkpoint import has_checkpoint

    sibling, child = folder.with_name(f"{folder.name}.checkpoint"), folder / CHECKPOINT
    for checkpoint in (sibling, child):
        if has_checkpoint(checkpoint):
            return checkpoint
    return sibling if can_be_renamed(folder) else child


def _check_resources(settings: dict[str, Any], tensorboard: Path | None) -> None:
    """Raise an error if word vectors are missing or the folder of logs is not writable."""
    from han.files.folders import check_writable
    from han.text.word_vectors import check_source

    check_source(settings.get("embeddings"))
    if tensorboard is not None:
        check_writable(tensorboard.absolute())


def _new_classifier(settings: dict[str, Any], dataset: Dataset, quiet: bool) -> HANClassifier:
    from han.classifier import HANClassifier
    from han.data.labels import LabelEncoder

    weights = settings.get("class_weight")
    if isinstance(weights, dict):
        classes = LabelEncoder.learn(dataset.y_train, len(dataset.y_train)).classes.tolist()
        settings = {**settings, "class_weight": {find_class(str(name), classes): w for name, w in weights.items()}}
    return HANClassifier(**settings, verbose=int(not quiet))


def _fit(
    classifier: HANClassifier,
    dataset: Dataset,
    checkpoint: Path,
    checkpoint_steps: int | None,
    tensorboard: Path | None,
) -> float:
    """Train a classifier, and return the seconds that it took."""
    started = time.monotonic()
    with usage_errors(), _resume_hint(checkpoint):
        classifier.fit(
            dataset.X_train,
            dataset.y_train,
            callbacks=_callbacks(tensorboard),
            checkpoint_dir=checkpoint,
            checkpoint_steps=checkpoint_steps,
        )
    return time.monotonic() - started


@contextmanager
def _resume_hint(checkpoint: Path, state: str = "") -> Iterator[None]:
    """After Ctrl-C, print what has been saved and how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        if state:
            click.echo(state, err=True)
        _print_resume_hint(checkpoint)
        raise


def _print_resume_hint(checkpoint: Path) -> None:
    from han.training.checkpoint import has_checkpoint

    if has_checkpoint(checkpoint):
        click.echo(f"use --resume to resume training from {os.path.relpath(checkpoint)}", err=True)
    else:
        click.echo("training cannot be resumed: no epoch was completed", err=True)


def _refit(folder: Path, classifier: HANClassifier, dataset: Dataset, report: Report, quiet: bool) -> None:
    """Fit a classifier to all documents, and replace the evaluated one with it."""
    import numpy as np

    texts, labels = [*dataset.X_train, *dataset.X_test], np.concatenate([dataset.y_train, dataset.y_test])
    print_progress(f"fitting again on all {len(texts)} documents", quiet)
    classifier.fit(texts, labels)
    classifier.save(folder, data=dataset.name, scores=report.evaluation.scores())
    # Only now: if the fit is interrupted, the classifier in the folder is the one that was tested.
    write_report(replace(report, details={**report.details, "refit": True}), folder)


def _report(folder: Path, classifier: HANClassifier, dataset: Dataset, seconds: float, quiet: bool) -> Report:
    """Evaluate a classifier and the baselines, print the results, and write the model card, figures and the report."""
    from han.evaluation.measures import comparison
    from han.evaluation.report import Report

    others = _evaluate_baselines(classifier, dataset, quiet)
    print_progress("evaluating and writing the report", quiet)
    report = Report.create(
        classifier,
        dataset.X_test,
        dataset.y_test,
        name=dataset.name,
        training_texts=dataset.X_train,
        baselines=others,
        seconds=round(seconds, 1),
    )
    classifier.save(folder, data=dataset.name, scores=report.evaluation.scores())
    click.echo(f"\n{dataset.name}: {len(dataset.X_test)} test documents, han trained in {seconds:.0f} s\n")
    click.echo(report.evaluation.per_class.to_string(float_format="{:.4f}".format))
    if classifier.embedding_coverage_ is not None:
        click.echo(f"\n{classifier.embedding_coverage_:.1%} of the training documents' words have a pretrained vector")
    click.echo(
        "\n" + comparison({one.name: one.evaluation for one in report.compared}).to_string(float_format="{:.4f}".format)
    )
    print_conclusions(report)
    _save_figures(folder, classifier, report.evaluation)
    write_report(report, folder)
    shown = os.path.relpath(folder)
    click.echo(
        f"\nreport:   {os.path.join(shown, 'report.html')}\n"  # noqa: PTH118 - as the user would type it
        f"predict:  han predict {shlex.quote(shown)} FILE\n"
        f'explain:  han explain {shlex.quote(shown)} --text "A document."'
    )
    return report


def _callbacks(tensorboard: Path | None) -> list[Any]:
    if tensorboard is None:
        return []
    if find_spec("tensorboard") is None:
        raise missing_extra("--tensorboard", "tensorboard", "tensorboard")
    from han.backend import keras

    return [keras.callbacks.TensorBoard(str(tensorboard), write_graph=False)]


def _evaluate_baselines(classifier: HANClassifier, dataset: Dataset, quiet: bool) -> dict[str, Evaluation]:
    from han.evaluation.measures import baselines, evaluate

    results = {}
    y_train, y_test = dataset.y_train, dataset.y_test
    encoder = classifier.label_encoder_
    if encoder.multi_label:
        y_train, y_test = encoder.encode(y_train, len(y_train)), encoder.encode(y_test, len(y_test))
    for name, baseline in baselines(encoder.multi_label).items():
        print_progress(f"fitting the baseline: {name}", quiet)
        try:
            baseline.fit(dataset.X_train, y_train)
        except ValueError as error:  # for example if no word occurs in two documents
            print_progress(f"the baseline cannot be fitted: {error}", quiet)
        else:
            results[name] = evaluate(baseline, dataset.X_test, y_test)
    return results


def _description(dataset: Dataset) -> str:
    duplicates = f"; {dataset.duplicates} duplicates removed" if dataset.duplicates else ""
    return (
        f"{dataset.name}: {len(dataset.X_train)} documents for training, {len(dataset.X_test)} for testing, "
        f"{dataset.class_count} classes{duplicates}"
    )


def _save_figures(folder: Path, classifier: HANClassifier, evaluation: Evaluation) -> None:
    """Write the figures to the folder."""
    from han.evaluation.plots import confusion_figure, reliability_figure, training_curve
    from han.files.atomic import replacing

    figures = {
        "training_curve.png": training_curve(classifier.history_, classifier.monitor),
        "reliability.png": reliability_figure(evaluation.reliability),
    }
    if evaluation.confusion is not None:
        figures["confusion_matrix.png"] = confusion_figure(evaluation.confusion, classifier.classes_)
    else:  # remove the figure of an earlier classifier in this folder
        (folder / "confusion_matrix.png").unlink(missing_ok=True)
    for name, figure in figures.items():
        with replacing(folder / name) as stream:
            figure.savefig(stream, dpi=120)
