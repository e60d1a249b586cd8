"""Batches made by Python, as a `tf.data.Dataset`, through a graph that all datasets share.

`tf.data.Dataset.from_generator` traces functions of its own for each generator, and TensorFlow keeps what it compiles
for them as long as the process lives. Here they are traced once for each structure of the elements; which generator is
called is an argument of the graph.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import tf
from han.text.batches import drop_sentences
from han.text.corpus import Corpus

Generator = Callable[[], Iterable[Any]]
# The batches of an epoch, and whether each is to be skipped, because it was done before an interruption.
Batches = Callable[[], Iterable[tuple[npt.NDArray[np.int64], bool]]]


class Examples(NamedTuple):
    """Encoded documents with what is to be learned from them.

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


def batch_dataset(
    examples: Examples, batches: Batches, steps: int, rng: np.random.Generator, sentence_dropout: float = 0.0
) -> tf.data.Dataset:
    """Return a dataset of (documents, targets, weights).

    Parameters
    ----------
    examples : Examples
    batches : callable
        Called anew for each epoch.
    steps : int
        Number of batches in an epoch, without those that are skipped.
    rng : numpy.random.Generator
        For the dropout of sentences.
    sentence_dropout : float
        Probability that a sentence is left out.
    """

    def generate() -> Iterator[tuple[Any, ...]]:
        for batch, skipped in batches():
            if skipped and not sentence_dropout:
                continue
            documents = examples.corpus.batch(batch)
            if sentence_dropout:  # skipped batches draw their share of the random numbers, too
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
_keys = count()


def generated_dataset(generator: Generator, signature: Any, size: int) -> tf.data.Dataset:
    """Return a dataset of what a generator yields, two elements ahead of their use.

    Parameters
    ----------
    generator : callable
        Called anew for each pass over the dataset.
    signature : nested tuple of tf.TensorSpec
        The structure of the elements.
    size : int
        The number of elements of a pass.
    """
    key = next(_keys)
    _generators[key] = generator
    dataset = tf.data.experimental.from_variant(_graph(signature)(key, size), signature)
    weakref.finalize(dataset, _generators.pop, key)
    return dataset


def _generate(key: int) -> Iterator[Any]:
    return iter(_generators[int(key)]())


@cache
def _graph(signature: Any) -> Callable[[int, int], tf.Tensor]:
    """Return the graph that makes a dataset, as a variant tensor, from the key of its generator and its size."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)] * 2, autograph=False)
    def graph(key: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        dataset = tf.data.Dataset.from_generator(_generate, args=(key,), output_signature=signature)
        options = tf.data.Options()
        # There is nothing to tune, and every other epoch would begin with a second's wait for the tuning thread to
        # stop.
        options.autotune.enabled = False
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(size)).prefetch(2).with_options(options)
        return tf.data.experimental.to_variant(dataset)

    return graph  # type: ignore[no-any-return]
