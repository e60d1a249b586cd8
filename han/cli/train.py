"""`han train`."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from han.cli.console import class_named, debug_option, note, quiet_option, refusals, source_options
from han.cli.hyperparameters import CommandWithHyperparameters, chosen, hyperparameter_options

if TYPE_CHECKING:
    from han.classifier import HANClassifier
    from han.datasets import Dataset
    from han.evaluation import Evaluation


@click.command(cls=CommandWithHyperparameters)
@click.argument("source")
@source_options
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write.  [default: models/NAME]")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML or YAML file of hyper-parameters; options overrule it.",
)
@click.option("--resume", is_flag=True, help="Go on with a training that was killed or interrupted.")
@click.option(
    "--checkpoint-steps", type=click.IntRange(1), metavar="INT", help="Store the training after so many batches too."
)
@click.option("--tensorboard", type=click.Path(file_okay=False), help="Folder to write TensorBoard's logs to.")
@quiet_option
@debug_option
@hyperparameter_options
def train(
    source: str,
    text: str,
    label: str,
    label_separator: str | None,
    output: Path | None,
    config: Path | None,
    resume: bool,
    checkpoint_steps: int | None,
    tensorboard: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Train on SOURCE, test on a held-out part of it, and save the classifier.

    SOURCE is "imdb", "bbc-news", a .csv, .tsv, .jsonl or .parquet file, or a folder of <class>/*.txt files. A fifth of
    the documents is held out for testing, where two baselines trained on the same documents are measured too. The
    folder written holds the classifier, a card that describes it, and figures: its training curve, its confusion matrix
    and how far its probabilities can be taken at their word.

    A document may have several classes: where the label column holds lists, or with --label-separator. The random state
    is 0 if it is not given.

    After each epoch the training is stored in FOLDER.checkpoint, until the classifier is saved: with --resume and the
    same options it goes on from there, whatever ended it. The first Ctrl-C ends the epoch and saves the best weights
    so far.

    \b
    Examples:
      han train imdb
      han train reviews.csv --text review --label stars --output models/stars
      han train bbc-news --embeddings glove-50d --calibrate --units 100 --cell gru
      han train imdb --resume
      han train tickets.tsv --label tags --label-separator ";" --config settings.toml
    """  # noqa: D301
    from han.checkpoint import has_checkpoint, has_ended, remove_checkpoint
    from han.datasets import load_dataset
    from han.embeddings import check_source
    from han.persistence import check_destination

    with refusals():
        settings: dict[str, Any] = {"random_state": 0, **chosen(config, given)}
        dataset = load_dataset(source, text=text, label=label, label_separator=label_separator)
        folder = check_destination(output or Path("models") / dataset.name)
        checkpoint = folder.with_name(f"{folder.name}.checkpoint")
        if has_checkpoint(checkpoint) and not resume:
            raise FileExistsError(
                f"{os.path.relpath(checkpoint)} holds an unfinished training: go on with it by --resume, or remove it"
            )
        if resume and not has_checkpoint(checkpoint):
            note(f"{os.path.relpath(checkpoint)} holds no training to go on with: this is a new one", quiet)
        check_source(settings.get("embeddings"))
    note(_description(dataset), quiet)

    from han.classifier import HANClassifier
    from han.evaluation import comparison, evaluate
    from han.labels import LabelForm

    if isinstance(settings.get("class_weight"), dict):
        classes = LabelForm.learn(dataset.y_train, len(dataset.y_train)).classes.tolist()
        weights = settings["class_weight"]
        settings["class_weight"] = {class_named(str(name), classes): weight for name, weight in weights.items()}
    classifier = HANClassifier(**settings, verbose=int(not quiet))
    started = time.monotonic()
    with refusals():
        classifier.fit(
            dataset.X_train,
            dataset.y_train,
            callbacks=_callbacks(tensorboard),
            checkpoint_dir=checkpoint,
            checkpoint_steps=checkpoint_steps,
        )
    seconds = time.monotonic() - started
    classifier.save(folder, data=dataset.name)
    if has_ended(checkpoint):
        remove_checkpoint(checkpoint)
    else:
        note(f"--resume goes on with the training in {os.path.relpath(checkpoint)}", quiet)

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


def _callbacks(tensorboard: str | None) -> list[Any]:
    if tensorboard is None:
        return []
    if find_spec("tensorboard") is None:
        raise ImportError("TensorBoard's logs need it; install it with: pip install 'han-classifier[tensorboard]'")
    from han.backend import keras

    return [keras.callbacks.TensorBoard(tensorboard, write_graph=False)]


def _baselines(classifier: HANClassifier, dataset: Dataset, quiet: bool) -> dict[str, Evaluation]:
    from han.evaluation import baselines, evaluate

    results = {}
    y_train, y_test = dataset.y_train, dataset.y_test
    form = classifier.label_form_
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
    from han.plots import confusion_figure, reliability_figure, training_curve

    figures = {
        "training_curve.png": training_curve(classifier.history_, classifier.monitor),
        "reliability.png": reliability_figure(evaluation.reliability),
    }
    if evaluation.confusion is not None:
        figures["confusion_matrix.png"] = confusion_figure(evaluation.confusion, classifier.classes_)
    else:  # one of an earlier classifier in this folder would not be of this one
        (folder / "confusion_matrix.png").unlink(missing_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
    return list(figures)
