"""Fitting a network to an encoded corpus."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from han.backend import keras, tf
from han.corpus import Corpus, prediction_batches, training_batches
from han.model import HierarchicalAttentionNetwork
from han.optimizer import LazyAdam
from han.progress import Progress

Targets = npt.NDArray[np.int64]
Batches = Callable[[], Iterable[npt.NDArray[np.int64]]]


def train(
    model: HierarchicalAttentionNetwork,
    corpus: Corpus,
    targets: Targets,
    weights: npt.NDArray[np.float32],
    validation: Corpus,
    validation_targets: Targets,
    validation_weights: npt.NDArray[np.float32],
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    patience: int | None,
    rng: np.random.Generator,
    progress: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, list[float]]:
    """Train with Adam, stop early, and leave the network with its best weights.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
        Built, not compiled.
    corpus, targets, weights : documents, their class indices and their weights in the loss [documents]
    validation, validation_targets, validation_weights : the same of held-out documents
        May be empty: then all epochs are run and the last weights kept.
    learning_rate : float
        Reached after a warm-up of half an epoch; falls to nothing along a cosine until the last of `epochs`.
    batch_size, epochs : int
    patience : int or None
        Epochs without a better validation loss after which training stops; None never stops early.
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
    steps = -(-len(corpus) // batch_size)
    warmup = max(steps // 2, 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 100,
        warmup_target=learning_rate,
        warmup_steps=warmup,
        decay_steps=max(epochs * steps - warmup, 1),
    )
    model.compile(
        optimizer=LazyAdam(schedule, global_clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
        jit_compile=False,  # the recurrence is compiled; the rest changes its shapes with every batch
    )
    # Variables of the optimizer and of the metrics that appear during the first step have it traced twice.
    model.optimizer.build(model.trainable_variables)
    classes = model.classifier.units
    model.compute_metrics(None, np.zeros(1, int), np.full((1, classes), 1 / classes), np.ones(1))

    called = [*callbacks, Progress()] if progress and sys.stderr else [*callbacks]
    held_out = None
    if len(validation):
        # Keras' evaluation keeps what a gradient would need: 5 kB a word at 50 units.
        batches = list(prediction_batches(validation, max_words=32_768))
        held_out = _dataset(validation, validation_targets, validation_weights, lambda: batches, len(batches))
        called.append(keras.callbacks.EarlyStopping("val_loss", patience=patience or epochs, restore_best_weights=True))
    history = model.fit(
        _dataset(corpus, targets, weights, lambda: training_batches(corpus, batch_size, rng), steps),
        validation_data=held_out,
        epochs=epochs,
        callbacks=called,
        shuffle=False,  # `training_batches` has done it
        verbose=0,
    )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def _dataset(
    corpus: Corpus, targets: Targets, weights: npt.NDArray[np.float32], batches: Batches, steps: int
) -> tf.data.Dataset:
    """Return one epoch of (documents, targets, weights); `batches` is called anew for each epoch."""

    def generate() -> Iterator[tuple[Any, ...]]:
        for batch in batches():
            yield tuple(corpus.batch(batch)), targets[batch], weights[batch]

    signature = (
        (tf.TensorSpec([None], tf.int32),) * 3,
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    options = tf.data.Options()
    # There is nothing to tune, and every other epoch would begin with a second's wait for the tuning thread to stop.
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2).with_options(options)
