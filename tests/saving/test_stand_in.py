from __future__ import annotations

import time

import numpy as np
import pytest

from han.model import HierarchicalAttentionNetwork
from han.saving.stand_in import StandIn, from_bytes, read_network, to_bytes, write_network


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
    again = from_bytes(to_bytes(model), 9, 3)
    assert_same_weights(again, model)
    assert not again.compiled


def test_a_recipe_makes_the_network(model):
    make, arguments = model.recipe()
    assert_same_weights(make(*arguments), model)


def test_a_stand_in_knows_the_network(model, tmp_path):
    stand_in = StandIn(to_bytes(model))
    assert stand_in.get_config() == model.get_config()
    make, arguments = stand_in.recipe()
    assert_same_weights(make(*arguments), model)
    write_network(tmp_path / "model.keras", stand_in)
    assert_same_weights(read_network(tmp_path / "model.keras", 9, 3), model)


def test_a_digest_is_of_the_weights_not_of_the_time(model):
    contents = to_bytes(model)
    digest = StandIn(contents).digest
    time.sleep(1.1)  # HDF5 counts in seconds
    again = to_bytes(model)
    assert again != contents
    assert StandIn(again).digest == digest
    model.classifier.bias.assign([0.0, 0.0, 1e-6])
    assert StandIn(to_bytes(model)).digest != digest
