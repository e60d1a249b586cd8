"""Fitting a network to an encoded corpus."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import keras, tf
from han.backend.graph import free_old_graphs, new_graphs
from han.backend.variables import shared_kernels
from han.exceptions import DivergenceError, TrainingWarning
from han.inference.prediction import classify
from han.memory.planning import TrainingPlan
from han.model import HierarchicalAttentionNetwork
from han.text.batches import drop_sentences, prediction_batches
from han.text.corpus import Corpus
from han.training.callbacks import (
    BestWeights,
    CheckpointSaver,
    EmbeddingDelay,
    LearningRate,
    StatefulCallback,
    WeightAveraging,
    first_interrupt_ends,
)
from han.training.checkpoint import Checkpoint, EpochOrder
from han.training.losses import Crossentropy, MacroF1
from han.training.optimizer import LazyAdam
from han.training.pipeline import generated_dataset
from han.training.progress import Progress
from han.training.steps import in_parts

# Class indices, int64 [documents]; or, where a document may have several classes, float32 [documents, classes].
Targets = npt.NDArray[Any]
# The batches of an epoch, and whether each was done before and is to be left out.
Batches = Callable[[], Iterable[tuple[npt.NDArray[np.int64], bool]]]

# What decides which epoch is the best, and the lowest or the highest of it.
MONITORS = {"loss": ("val_loss", "min"), "accuracy": ("val_accuracy", "max"), "macro_f1": ("val_macro_f1", "max")}
# Few documents make few steps an epoch, and so few updates that nothing is learned in ten epochs. Many classes need
# more of them: on 20 Newsgroups' development split, the validation loss is the least after 3600.
MIN_STEPS, MIN_STEPS_OF_CLASS, MIN_EPOCHS, MAX_EPOCHS = 1000, 250, 10, 40
# Documents on which a network is tried out.
PROBED = 64
# Callbacks that are there to set the learning rate: with one of them there is no schedule of the project's own.
RATE_CALLBACKS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
ADVICE = "try a lower learning_rate, a longer warmup, or clipnorm=1.0 or less"


class TrainingSettings(NamedTuple):
    """How a network is trained; `HANClassifier` documents each."""

    learning_rate: float
    warmup: float
    sentence_dropout: float
    batch_size: int
    epochs: int | str
    patience: int | str | None
    monitor: str
    clipnorm: float | None
    label_smoothing: float
    averaging: float
    embedding_delay: float
    plan: TrainingPlan = TrainingPlan()


def train(
    model: HierarchicalAttentionNetwork,
    corpus: Corpus,
    targets: Targets,
    weights: npt.NDArray[np.float32],
    validation: Corpus,
    validation_targets: Targets,
    validation_weights: npt.NDArray[np.float32],
    *,
    settings: TrainingSettings,
    rng: np.random.Generator,
    progress: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint: Checkpoint | None = None,
) -> dict[str, list[float]]:
    """Train with Adam, stop early, and leave the network with its best weights.

    The first Ctrl-C ends the epoch. That, and a loss that is not finite, is a `TrainingWarning` if there are weights to
    keep.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
        Built, not compiled.
    corpus, targets, weights : documents, their targets and their weights in the loss [documents]
    validation, validation_targets, validation_weights : the same of held-out documents
        May be empty: then all epochs are run and the last weights kept.
    settings : TrainingSettings
    rng : numpy.random.Generator
        Orders the documents.
    progress : bool
        Show progress on standard error.
    callbacks : sequence of keras.callbacks.Callback
        Called besides the project's own.
    checkpoint : Checkpoint, optional
        Where to store the training, and what is to be gone on with.

    Returns
    -------
    dict of lists
        Loss and accuracy of each epoch, with the prefix `val_` those of the held-out documents.

    Raises
    ------
    DivergenceError
        If the loss or the probabilities are not finite in the first epoch.
    """
    steps = -(-len(corpus) // settings.batch_size)
    epochs = _epochs(settings.epochs, steps, model.classifier.units)
    patience = -(-3 * epochs // 10) if settings.patience == "auto" else int(settings.patience or epochs)
    warmup = max(round(settings.warmup * steps), 1)
    optimizer = _compile(model, settings, targets)
    order = EpochOrder(corpus, settings.batch_size, rng)
    held_out = probabilities = None
    monitored: tuple[str | None, str] = (None, "min")
    if len(validation):
        most = settings.plan.validation_words
        batches = [(batch, False) for batch in prediction_batches(validation, max_words=most)]
        held_out = _dataset(validation, validation_targets, validation_weights, lambda: batches, len(batches), rng)
        monitored = MONITORS[settings.monitor]
    else:
        probabilities = _probabilities(model, corpus, settings.plan)
    best = BestWeights(*monitored, patience, probabilities)
    taken_over = any(isinstance(callback, RATE_CALLBACKS) for callback in callbacks)
    rate = LearningRate(settings.learning_rate, warmup, epochs * steps, taken_over)
    parts: dict[str, StatefulCallback] = {"best": best, "rate": rate}
    if settings.averaging:
        parts["averaging"] = WeightAveraging(settings.averaging)
    if settings.embedding_delay:
        parts["delay"] = EmbeddingDelay(optimizer, round(settings.embedding_delay * steps))
    # Averages come first, for the others are to see them, and the best weights after all that may end training.
    called = [part for name, part in parts.items() if name != "best"]
    called += [*callbacks, *([Progress(epochs)] if progress and sys.stderr else []), best]
    if checkpoint is not None:
        called.append(CheckpointSaver(checkpoint, order, best, parts, epochs))

    def fit(last: int) -> dict[str, list[float]]:
        """Train until an epoch, and return the results of all epochs."""
        first, history = 0, {}
        if checkpoint is not None and checkpoint.state is not None:
            rng.bit_generator.state = checkpoint.state["order"]
            order.skipped = checkpoint.state["step"]
            first = epochs if checkpoint.state["ended"] else checkpoint.state["epoch"]
            history = checkpoint.state["history"]
        left = steps - order.skipped
        learned = model.fit(
            _dataset(corpus, targets, weights, order, left, rng, settings.sentence_dropout),
            validation_data=held_out,
            epochs=last,
            initial_epoch=first,
            callbacks=called,
            shuffle=False,  # `training_batches` has done it
            verbose=0,
        ).history
        names = {**history, **learned}
        return {name: [*history.get(name, []), *map(float, learned.get(name, []))] for name in names}

    history: dict[str, list[float]] = {}
    with first_interrupt_ends(best), in_parts(model, settings.plan.parts), new_graphs():
        if checkpoint is not None and checkpoint.state is not None and checkpoint.state["step"]:
            # To Keras all epochs have as many steps. This one has fewer, and its end is gone on with as from any other.
            history = fit(checkpoint.state["epoch"] + 1)
            checkpoint.read()
        if not best.interrupted:
            history = fit(epochs)
    _report(best, epochs)
    return history


def _probabilities(
    model: HierarchicalAttentionNetwork, corpus: Corpus, plan: TrainingPlan
) -> Callable[[], npt.NDArray[np.float32]]:
    """Return a function that returns the probabilities of some documents."""
    some = corpus.take(np.arange(min(len(corpus), PROBED)))
    return lambda: classify(model, some, max_words=plan.prediction_words)


def _report(best: BestWeights, epochs: int) -> None:
    """Say that training ended otherwise than was asked for."""
    kept = "" if best.best_epoch is None else f"the weights of epoch {best.best_epoch + 1} are kept"
    if best.diverged:
        if not kept:
            raise DivergenceError(f"{best.diverged}; {ADVICE}")
        warnings.warn(f"{best.diverged}: training has stopped, {kept}; {ADVICE}", TrainingWarning, stacklevel=5)
    elif best.interrupted:
        message = f"Ctrl-C in epoch {best.epoch + 1} of {epochs}: training has stopped, {kept}"
        warnings.warn(message, TrainingWarning, stacklevel=5)


class Stream:
    """Training that goes on with each batch of documents that comes, at a constant learning rate.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
        Built.
    hold_embedding : bool
        Leave the word vectors as they are.
    """

    def __init__(self, model: HierarchicalAttentionNetwork, hold_embedding: bool) -> None:
        self.model = model
        model.embedding.trainable = not hold_embedding
        self.optimizer: LazyAdam | None = None

    def learn(
        self,
        corpus: Corpus,
        targets: Targets,
        weights: npt.NDArray[np.float32],
        settings: TrainingSettings,
        rng: np.random.Generator,
    ) -> dict[str, list[float]]:
        """Pass over the documents once; the parameters are those of `train`.

        Returns
        -------
        dict of lists
            Loss and accuracy of the pass.

        Raises
        ------
        DivergenceError
            If the loss or the probabilities became no numbers. The network is as it was before.
        """
        if self.optimizer is None:
            self.optimizer = _compile(self.model, settings, targets)
        self.optimizer.learning_rate = settings.learning_rate
        order = EpochOrder(corpus, settings.batch_size, rng)
        steps = -(-len(corpus) // settings.batch_size)
        dataset = _dataset(corpus, targets, weights, order, steps, rng, settings.sentence_dropout)
        variables = [*self.model.variables, *self.optimizer.variables]
        before = [np.array(variable) for variable in variables]
        try:
            with in_parts(self.model, settings.plan.parts), new_graphs():
                history = self.model.fit(dataset, shuffle=False, verbose=0).history
            for name, found in (
                ("loss", history["loss"]),
                ("probabilities", _probabilities(self.model, corpus, settings.plan)()),
            ):
                odd = np.ravel(found)[~np.isfinite(np.ravel(found))]
                if len(odd):
                    raise DivergenceError(f"{name} became {odd[0]}: the network is as it was before; {ADVICE}")
        except BaseException:  # a part of a pass would be there and not be known of
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            raise
        return {name: [float(value) for value in values] for name, values in history.items()}


@shared_kernels()
def _compile(model: HierarchicalAttentionNetwork, settings: TrainingSettings, targets: Targets) -> LazyAdam:
    """Make a network ready for targets like these, and return its optimizer."""
    free_old_graphs(model)
    multi_label, classes = targets.ndim == 2, model.classifier.units
    metric = keras.metrics.BinaryAccuracy if multi_label else keras.metrics.SparseCategoricalAccuracy
    metrics = [metric("accuracy")]
    if settings.monitor == "macro_f1":
        metrics.append(MacroF1(classes, multi_label))
    optimizer = LazyAdam(float(settings.learning_rate), global_clipnorm=settings.clipnorm)
    model.compile(
        optimizer=optimizer,
        loss=Crossentropy(settings.label_smoothing, multi_label),
        weighted_metrics=metrics,
        jit_compile=False,  # the recurrence is compiled; the rest changes its shapes with every batch
    )
    # Variables of the optimizer and of the metrics that appear during the first step have it traced twice.
    optimizer.build(model.trainable_variables)
    model.compute_metrics(None, np.zeros((1, *targets.shape[1:]), int), np.full((1, classes), 1 / classes), np.ones(1))
    return optimizer


def _dataset(
    corpus: Corpus,
    targets: Targets,
    weights: npt.NDArray[np.float32],
    batches: Batches,
    steps: int,
    rng: np.random.Generator,
    sentence_dropout: float = 0.0,
) -> tf.data.Dataset:
    """Return one epoch of (documents, targets, weights); `batches` is called anew for each epoch."""

    def generate() -> Iterator[tuple[Any, ...]]:
        for batch, done in batches():
            if done and not sentence_dropout:
                continue
            documents = corpus.batch(batch)
            if sentence_dropout:  # what was done before took its share of the random numbers
                documents = drop_sentences(documents, sentence_dropout, rng)
            if not done:
                yield tuple(documents), targets[batch], weights[batch]

    signature = (
        (tf.TensorSpec([None], tf.int32),) * 3,
        tf.TensorSpec([None, *targets.shape[1:]], tf.as_dtype(targets.dtype)),
        tf.TensorSpec([None], tf.float32),
    )
    return generated_dataset(generate, signature, steps)


def _epochs(epochs: int | str, steps: int, classes: int) -> int:
    """Return the number of epochs of so many steps; "auto" is ten, or more if that makes few steps."""
    if isinstance(epochs, str):
        least = MIN_STEPS + MIN_STEPS_OF_CLASS * classes
        return min(max(-(-least // steps), MIN_EPOCHS), MAX_EPOCHS)
    return int(epochs)
