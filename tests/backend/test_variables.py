from __future__ import annotations

import numpy as np
import pytest

from han.backend import keras, tf
from han.backend.variables import shared_kernels
from han.model import HierarchicalAttentionNetwork
from han.training.optimizer import LazyAdam
from tests.memory_growth import growth


def network(size):
    model = HierarchicalAttentionNetwork(size, 2, embedding_dim=4, units=2, ngrams=size, dropout=0.5, word_dropout=0.5)
    model.build((None, None, None))
    optimizer = LazyAdam()
    optimizer.build(model.trainable_variables)
    return model, optimizer


def test_deleted_networks_do_not_leak_memory():
    assert growth(lambda number: network(100 + number), times=30) < 15  # MB


def test_names_and_shapes_are_as_in_keras():
    model, optimizer = network(123)
    assert len({variable.path for variable in model.variables}) == len(model.variables)
    assert model.embedding.embeddings.path.endswith("/embeddings")
    assert model.embedding.embeddings.shape == (123, 4)
    assert [weight.shape[0] for weight in model.evidence.weights] == [123, 123, 1]
    for variable in [*model.variables, *optimizer.variables]:
        assert variable.shape == variable.numpy().shape


def test_values_of_another_size_are_rejected():
    model, _ = network(123)
    with pytest.raises(ValueError, match="shape"):
        model.embedding.embeddings.assign(np.zeros((122, 4), np.float32))


@pytest.mark.parametrize("value", [3.0, [1.0, 2.0], np.zeros((2, 3))], ids=["scalar", "vector", "matrix"])
@pytest.mark.parametrize("any_rows", [False, True])
def test_values_and_dtypes_are_as_given(value, any_rows):
    with shared_kernels(any_rows):
        plain = tf.Variable(value, dtype=tf.float64)
        lazy = keras.Variable(keras.initializers.Constant(value), shape=np.shape(value), dtype="float64")
    for variable in (plain, lazy):
        np.testing.assert_array_equal(variable.numpy(), value)
        assert variable.numpy().dtype == np.float64
    assert tf.Variable(0.0, name="other").name == "other:0"
