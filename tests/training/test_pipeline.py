from __future__ import annotations

import gc
import weakref

import pytest

from han.backend import tf
from han.training.pipeline import generated_dataset

SIGNATURE = ((tf.TensorSpec([None], tf.int32),), tf.TensorSpec([], tf.float32))


def elements(*numbers):
    """A function that returns a generator of elements."""

    def generate():
        for number in numbers:
            yield ([number] * number,), number / 2

    return generate


def values(dataset):
    return [(words.numpy().tolist(), float(weight)) for (words,), weight in dataset]


def test_a_dataset_has_what_its_generator_yields_in_each_pass():
    dataset = generated_dataset(elements(1, 2, 3), SIGNATURE, 3)
    for _ in range(2):
        assert values(dataset) == [([1], 0.5), ([2, 2], 1.0), ([3, 3, 3], 1.5)]
    assert dataset.cardinality() == 3
    assert dataset.element_spec == SIGNATURE


def test_datasets_that_are_read_in_turns_keep_their_own_generators():
    first, second = (generated_dataset(elements(*numbers), SIGNATURE, 2) for numbers in ((1, 2), (3, 4)))
    pairs = [(float(one), float(other)) for (_, one), (_, other) in zip(first, second, strict=True)]
    assert pairs == [(0.5, 1.5), (1.0, 2.0)]


def test_a_generator_is_let_go_with_its_dataset():
    """It holds the training documents."""
    generators = []
    for _ in range(3):
        generate = elements(1, 2)
        generators.append(weakref.ref(generate))
        assert len(values(generated_dataset(generate, SIGNATURE, 2))) == 2
        del generate
    gc.collect()
    assert [generator() for generator in generators] == [None] * 3


def test_an_error_of_the_generator_is_raised():
    def fail():
        yield ([1],), 1.0
        raise RuntimeError("no more of them")

    with pytest.raises(tf.errors.UnknownError, match="no more of them"):
        values(generated_dataset(fail, SIGNATURE, 2))
