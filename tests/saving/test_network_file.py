from __future__ import annotations

import time

import numpy as np
import pytest

from han.inference.compiled import compiled
from han.model import HierarchicalAttentionNetwork
from han.saving.network_file import StoredNetwork, network_bytes, network_from_bytes, read_network, write_network


@pytest.fixture
def model():
    network = HierarchicalAttentionNetwork(vocabulary_size=9, classes=3, embedding_dim=4, units=2, ngrams=5, seed=0)
    network.build((None, None, None))
    return network


def assert_same_weights(one, other):
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_network_goes_through_a_file(model):
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(np.array([[[2, 3]], [[4, 0]]]), np.array([0, 1]))
    again = network_from_bytes(network_bytes(model), 9, 3)
    assert_same_weights(again, model)
    assert not again.compiled


def test_a_builder_builds_the_network(model):
    build, arguments = compiled(model).builder()
    assert_same_weights(build(*arguments).network, model)


def test_a_stored_network_knows_its_arguments_and_weights(model, tmp_path):
    stored = StoredNetwork(network_bytes(model))
    assert stored.get_config() == model.get_config()
    build, arguments = stored.builder()
    assert_same_weights(build(*arguments).network, model)
    write_network(tmp_path / "model.keras", stored)
    assert_same_weights(read_network(tmp_path / "model.keras", 9, 3), model)


def test_a_digest_is_of_the_weights_not_of_the_time(model):
    contents = network_bytes(model)
    digest = StoredNetwork(contents).digest
    time.sleep(1.1)  # HDF5 counts in seconds
    again = network_bytes(model)
    assert again != contents
    assert StoredNetwork(again).digest == digest
    model.classifier.bias.assign([0.0, 0.0, 1e-6])
    assert StoredNetwork(network_bytes(model)).digest != digest
