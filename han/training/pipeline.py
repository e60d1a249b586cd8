"""The batches of each epoch, and the `tf.data.Dataset` that yields them.

`tf.data.Dataset.from_generator` traces new functions for each generator, which TensorFlow never frees, and takes two
milliseconds for a batch, during which it keeps the training step from being dispatched. Here, one graph is traced for
each element structure and shared by all datasets; the generator is selected by an argument.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import tf
from han.text.batches import drop_sentences, training_batches
from han.text.corpus import Corpus

Generator = Callable[[], Iterable[Any]]
# The batches of an epoch, each with a flag: True if it was processed before an interruption and is skipped.
Batches = Callable[[], Iterable[tuple[npt.NDArray[np.int64], bool]]]


class Examples(NamedTuple):
    """Encoded documents with their targets and weights.

    Attributes
    ----------
    corpus : Corpus
    targets : int64 [documents] or float32 [documents, classes]
        The index of each document's class; for multi-label classification, 1 for the classes that a document has.
    weights : float32 [documents]
        The weight of each document in the loss.
    """

    corpus: Corpus
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32]


class EpochOrder:
    """Yields the batches of each epoch in random order; the first may be resumed after some steps.

    Attributes
    ----------
    begun : dict
        State of the random generator at the beginning of the current epoch, which determines its order.
    skipped : int
        Number of steps of the next epoch that are already done.
    """

    def __init__(self, corpus: Corpus, batch_size: int, rng: np.random.Generator) -> None:
        self.corpus, self.batch_size, self.rng = corpus, batch_size, rng
        self.begun: Mapping[str, Any] = rng.bit_generator.state
        self.skipped = 0

    def __call__(self) -> Iterator[tuple[npt.NDArray[np.int64], bool]]:
        """Yield the batches of an epoch, each with True if it is already done."""
        self.begun = self.rng.bit_generator.state
        skipped, self.skipped = self.skipped, 0
        for step, batch in enumerate(training_batches(self.corpus, self.batch_size, self.rng)):
            yield batch, step < skipped


def batch_dataset(
    examples: Examples, batches: Batches, steps: int, rng: np.random.Generator, sentence_dropout: float = 0.0
) -> tf.data.Dataset:
    """Return a dataset of (documents, targets, weights).

    Parameters
    ----------
    examples : Examples
    batches : callable
        Called once per epoch.
    steps : int
        Number of batches in an epoch, excluding skipped ones.
    rng : numpy.random.Generator
        Random numbers of the sentence dropout.
    sentence_dropout : float
        Probability that a sentence is dropped.
    """

    def generate() -> Iterator[tuple[Any, ...]]:
        for batch, skipped in batches():
            if skipped and not sentence_dropout:
                continue
            documents = examples.corpus.batch(batch)
            if sentence_dropout:  # skipped batches draw random numbers too, as before the interruption
                documents = drop_sentences(documents, sentence_dropout, rng)
            if not skipped:
                yield tuple(documents), examples.targets[batch], examples.weights[batch]

    targets = examples.targets
    signature = (
        (tf.TensorSpec([None], tf.int32),) * 3,
        tf.TensorSpec([None, *targets.shape[1:]], tf.as_dtype(targets.dtype)),
        tf.TensorSpec([None], tf.float32),
    )
    return generated_dataset(generate, signature, steps)


_generators: dict[int, Generator] = {}
_passes: dict[int, Iterator[Any]] = {}
_keys = count()


def generated_dataset(generator: Generator, signature: Any, size: int) -> tf.data.Dataset:
    """Return a dataset of the elements of a generator, nested tuples of arrays, prefetching two.

    Parameters
    ----------
    generator : callable
        Called once per pass over the dataset; a pass must end before the next begins.
    signature : nested tuple of tf.TensorSpec
        The structure of the elements.
    size : int
        Number of elements in a pass.
    """
    key = next(_keys)
    _generators[key] = generator
    dataset = tf.data.experimental.from_variant(_graph(signature)(key, size), signature)
    weakref.finalize(dataset, _forget, key)
    return dataset


def _forget(key: int) -> None:
    del _generators[key]
    _passes.pop(key, None)


def _element(key: int, number: int) -> Any:
    """Return an element of the current pass."""
    if number == 0:
        _passes[key] = iter(_generators[key]())
    return next(_passes[key])


@cache
def _graph(signature: Any) -> Callable[[int, int], tf.Tensor]:
    """Return a graph that maps a generator's key and its size to a dataset, as a variant tensor."""
    specs = tf.nest.flatten(signature)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)] * 2, autograph=False)
    def graph(key: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        def arrays(*numbers: Any) -> list[npt.NDArray[Any]]:
            parts = tf.nest.flatten(_element(*map(int, numbers)))
            return [np.asarray(part, spec.dtype.as_numpy_dtype) for part, spec in zip(parts, specs, strict=True)]

        def element(number: tf.Tensor) -> Any:
            found = tf.numpy_function(arrays, [key, number], [spec.dtype for spec in specs])
            tensors = [tf.ensure_shape(part, spec.shape) for part, spec in zip(found, specs, strict=True)]
            return tf.nest.pack_sequence_as(signature, tensors)

        options = tf.data.Options()
        # There is nothing to tune, and stopping the tuning thread would delay every other epoch by a second.
        options.autotune.enabled = False
        dataset = tf.data.Dataset.range(size).map(element).prefetch(2).with_options(options)
        return tf.data.experimental.to_variant(dataset)

    return graph  # type: ignore[no-any-return]
