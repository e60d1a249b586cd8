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
from typing import Any

from han.backend import tf

Generator = Callable[[], Iterable[Any]]

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
