from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from han.backend import tf
from han.text.batches import training_batches
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter
from han.training.pipeline import EpochOrder, generated_dataset

SIGNATURE = ((tf.TensorSpec([None], tf.int32),), tf.TensorSpec([], tf.float32))


def elements(*numbers):
    """Return a function that returns a generator of elements."""

    def generate():
        for number in numbers:
            yield (np.full(number, number),), number / 2

    return generate


def values(dataset):
    return [(words.numpy().tolist(), float(weight)) for (words,), weight in dataset]


def test_each_pass_yields_the_elements_of_the_generator():
    dataset = generated_dataset(elements(1, 2, 3), SIGNATURE, 3)
    for _ in range(2):
        assert values(dataset) == [([1], 0.5), ([2, 2], 1.0), ([3, 3, 3], 1.5)]
    assert dataset.cardinality() == 3
    assert dataset.element_spec == SIGNATURE


def test_interleaved_datasets_have_separate_generators():
    first, second = (generated_dataset(elements(*numbers), SIGNATURE, 2) for numbers in ((1, 2), (3, 4)))
    pairs = [(float(one), float(other)) for (_, one), (_, other) in zip(first, second, strict=True)]
    assert pairs == [(0.5, 1.5), (1.0, 2.0)]


def test_a_generator_is_freed_with_its_dataset():
    """Otherwise the training documents would stay in memory."""
    generators = []
    for _ in range(3):
        generate = elements(1, 2)
        generators.append(weakref.ref(generate))
        assert len(values(generated_dataset(generate, SIGNATURE, 2))) == 2
        del generate
    gc.collect()
    assert [generator() for generator in generators] == [None] * 3


def test_errors_of_the_generator_are_raised():
    def fail():
        yield (np.ones(1),), 1.0
        raise RuntimeError("no more of them")

    with pytest.raises(tf.errors.UnknownError, match="no more of them"):
        values(generated_dataset(fail, SIGNATURE, 2))


def test_the_order_of_an_epoch_is_resumed():
    _, corpus = DocumentReader.learn(["a b. c"] * 50, DocumentSplitter(), 1, None)
    order = EpochOrder(corpus, 4, np.random.default_rng(5))
    expected = [training_batches(corpus, 4, generator) for generator in [np.random.default_rng(5)] for _ in range(2)]
    assert order.skipped == 0
    first = list(order())
    begun = order.begun
    assert not any(done for _, done in first)
    order.rng.bit_generator.state, order.skipped = begun, 3
    for epoch, skipped in zip(expected, (3, 0), strict=True):
        found = list(order())
        assert [done for _, done in found] == [True] * skipped + [False] * (len(epoch) - skipped)
        assert [batch.tolist() for batch, _ in found] == [batch.tolist() for batch in epoch]
        assert order.skipped == 0
