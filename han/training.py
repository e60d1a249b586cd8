"""Fitting a network to an encoded corpus."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.accumulation import in_parts
from han.backend import keras, tf
from han.corpus import Corpus, drop_sentences, prediction_batches, training_batches
from han.memory import TrainingPlan
from han.model import HierarchicalAttentionNetwork
from han.optimizer import LazyAdam
from han.progress import Progress

# Class indices, int64 [documents]; or, where a document may have several classes, float32 [documents, classes].
Targets = npt.NDArray[Any]
Batches = Callable[[], Iterable[npt.NDArray[np.int64]]]

# What decides which epoch is the best, and the lowest or the highest of it.
MONITORS = {"loss": ("val_loss", "min"), "accuracy": ("val_accuracy", "max"), "macro_f1": ("val_macro_f1", "max")}
# Few documents make few steps an epoch, and so few updates that nothing is learned in ten epochs. Many classes need
# more of them: on 20 Newsgroups' development split, the validation loss is the least after 3600.
MIN_STEPS, MIN_STEPS_OF_CLASS, MIN_EPOCHS, MAX_EPOCHS = 1000, 250, 10, 40
# Averages are brought up to date after so many steps: it costs as much as the update of all rows of the embedding.
AVERAGE_EVERY = 4


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
) -> dict[str, list[float]]:
    """Train with Adam, stop early, and leave the network with its best weights.

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

    Returns
    -------
    dict of lists
        Loss and accuracy of each epoch, with the prefix `val_` those of the held-out documents.
    """
    steps = -(-len(corpus) // settings.batch_size)
    epochs = _epochs(settings.epochs, steps, model.classifier.units)
    patience = -(-3 * epochs // 10) if settings.patience == "auto" else settings.patience or epochs
    warmup = max(round(settings.warmup * steps), 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / 100,
        warmup_target=settings.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(epochs * steps - warmup, 1),
    )
    optimizer = _compile(model, schedule, settings, targets)
    called = [*callbacks, Progress()] if progress and sys.stderr else [*callbacks]
    if settings.averaging:
        called.insert(0, WeightAveraging(settings.averaging))
    if settings.embedding_delay:
        called.append(EmbeddingDelay(optimizer, round(settings.embedding_delay * steps)))
    held_out = None
    if len(validation):
        batches = list(prediction_batches(validation, max_words=settings.plan.validation_words))
        held_out = _dataset(validation, validation_targets, validation_weights, lambda: batches, len(batches), rng)
        monitored, mode = MONITORS[settings.monitor]
        called.append(keras.callbacks.EarlyStopping(monitored, mode=mode, patience=patience, restore_best_weights=True))
    shuffled = partial(training_batches, corpus, settings.batch_size, rng)
    with in_parts(model, settings.plan.parts):
        history = model.fit(
            _dataset(corpus, targets, weights, shuffled, steps, rng, settings.sentence_dropout),
            validation_data=held_out,
            epochs=epochs,
            callbacks=called,
            shuffle=False,  # `training_batches` has done it
            verbose=0,
        )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


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
        """
        if self.optimizer is None:
            self.optimizer = _compile(self.model, settings.learning_rate, settings, targets)
        self.optimizer.learning_rate = settings.learning_rate
        batches = partial(training_batches, corpus, settings.batch_size, rng)
        steps = -(-len(corpus) // settings.batch_size)
        dataset = _dataset(corpus, targets, weights, batches, steps, rng, settings.sentence_dropout)
        variables = [*self.model.variables, *self.optimizer.variables]
        before = [np.array(variable) for variable in variables]
        try:
            with in_parts(self.model, settings.plan.parts):
                history = self.model.fit(dataset, shuffle=False, verbose=0).history
        except BaseException:  # a part of a pass would be there and not be known of
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            raise
        return {name: [float(value) for value in values] for name, values in history.items()}


def _compile(
    model: HierarchicalAttentionNetwork,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    settings: TrainingSettings,
    targets: Targets,
) -> LazyAdam:
    """Make a network ready for targets like these, and return its optimizer."""
    multi_label, classes = targets.ndim == 2, model.classifier.units
    metric = keras.metrics.BinaryAccuracy if multi_label else keras.metrics.SparseCategoricalAccuracy
    metrics = [metric("accuracy")]
    if settings.monitor == "macro_f1":
        metrics.append(MacroF1(classes, multi_label))
    optimizer = LazyAdam(learning_rate, global_clipnorm=settings.clipnorm)
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
        for batch in batches():
            documents = corpus.batch(batch)
            if sentence_dropout:
                documents = drop_sentences(documents, sentence_dropout, rng)
            yield tuple(documents), targets[batch], weights[batch]

    signature = (
        (tf.TensorSpec([None], tf.int32),) * 3,
        tf.TensorSpec([None, *targets.shape[1:]], tf.as_dtype(targets.dtype)),
        tf.TensorSpec([None], tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    options = tf.data.Options()
    # There is nothing to tune, and every other epoch would begin with a second's wait for the tuning thread to stop.
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2).with_options(options)


def _epochs(epochs: int | str, steps: int, classes: int) -> int:
    """Return the number of epochs of so many steps; "auto" is ten, or more if that makes few steps."""
    if isinstance(epochs, str):
        least = MIN_STEPS + MIN_STEPS_OF_CLASS * classes
        return min(max(-(-least // steps), MIN_EPOCHS), MAX_EPOCHS)
    return int(epochs)


class Crossentropy(keras.losses.Loss):
    """Cross-entropy with class indices as targets, smoothed: a share of each target is spread over all classes.

    (Szegedy et al. 2016, section 7.) Without smoothing it is Keras' sparse categorical cross-entropy. For documents of
    several classes it is the sum of the binary ones, with targets [documents, classes].
    """

    def __init__(self, label_smoothing: float = 0.0, multi_label: bool = False) -> None:
        super().__init__(name="crossentropy")
        self.label_smoothing, self.multi_label = label_smoothing, multi_label

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each document."""
        if self.multi_label:
            mean = keras.losses.binary_crossentropy(y_true, y_pred, label_smoothing=self.label_smoothing)
            return mean * y_pred.shape[-1]
        if not self.label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        targets = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int64), y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(targets, y_pred, label_smoothing=self.label_smoothing)


class MacroF1(keras.metrics.F1Score):
    """Keras' macro-averaged F1 with class indices as targets, or of probabilities above a half."""

    def __init__(self, classes: int, multi_label: bool = False) -> None:
        super().__init__(average="macro", threshold=0.5 if multi_label else None, name="macro_f1")
        self.classes, self.multi_label = classes, multi_label

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Count a batch."""
        if not self.multi_label:
            y_true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int64), self.classes)
        super().update_state(y_true, y_pred, sample_weight)


class WeightAveraging(keras.callbacks.Callback):
    """Validate, and keep, the exponential moving average of the weights (Polyak & Juditsky 1992) in their place.

    At the beginning, the average is over all steps so far. While an epoch's steps run, the network has its own weights.
    (The average of Keras' optimizers starts at the initial weights, and takes a pass over the embedding at every step.)
    """

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum**AVERAGE_EVERY

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin with the weights as they are."""
        self.weights = [variable.value for variable in self.model.trainable_variables]
        self.averages = [tf.Variable(weight) for weight in self.weights]
        self.updates = tf.Variable(0.0)
        self.averaged = False

        @tf.function(autograph=False)
        def update() -> None:
            self.updates.assign_add(1.0)
            kept = tf.minimum(self.momentum, self.updates / (self.updates + 10.0))
            for average, weight in zip(self.averages, self.weights, strict=True):
                average.assign_add((1.0 - kept) * (weight - average))

        self.update = update

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Take the weights into the averages."""
        if batch % AVERAGE_EVERY == 0:
            self.update()

    def on_test_begin(self, logs: Any = None) -> None:
        """Put the averages in the place of the weights, until the next epoch."""
        self._exchange(True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Go on with the weights."""
        self._exchange(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the averages in the place of the weights, if there was no validation."""
        self._exchange(True)

    def _exchange(self, averaged: bool) -> None:
        if averaged != self.averaged:
            for average, weight in zip(self.averages, self.weights, strict=True):
                value = tf.identity(weight)
                weight.assign(average)
                average.assign(value)
            self.averaged = averaged


class EmbeddingDelay(keras.callbacks.Callback):
    """Leave the embedding as it is for the first steps: what is above it learns to read it first."""

    def __init__(self, optimizer: LazyAdam, steps: int) -> None:
        super().__init__()
        self.rate, self.steps = optimizer.sparse_rate, steps

    def on_train_begin(self, logs: Any = None) -> None:
        """Hold the rows."""
        self.rate.assign(0.0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Let go of them."""
        if self.steps == 0:
            self.rate.assign(1.0)
        self.steps -= 1
