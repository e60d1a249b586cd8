"""What the shared check in `test_layers.py` does not cover: initial weights, dropout, arguments."""

from __future__ import annotations

import numpy as np
import pytest

from han.backend import keras, tf
from han.layers.encoder import BidirectionalEncoder
from han.layers.packing import pack
from tests.plain import directions, encode


def encoder(**arguments):
    layer = BidirectionalEncoder(**{"units": 3, "seed": 1} | arguments)
    layer.build((None, None, 5))
    return layer


@pytest.mark.parametrize("arguments", [{"units": 0}, {"units": 2, "cell": "rnn"}])
def test_errors_name_the_argument(arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]} must"):
        BidirectionalEncoder(**arguments)


def test_the_number_of_features_must_be_known():
    with pytest.raises(ValueError, match="the last axis of inputs must be known"):
        BidirectionalEncoder(2).build((2, 4, None))


def test_default_arguments():
    layer = BidirectionalEncoder(1)
    assert layer.units == 1
    assert layer.cell == "lstm"
    assert layer.recurrent_dropout == 0
    assert not layer.residual


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_seed_sets_all_weights_and_the_directions_differ(cell):
    def drawn(seed):
        weights = encoder(cell=cell, residual=True, seed=seed).get_weights()
        return {weight.tobytes() for weight in weights if weight.ndim == 2 and weight.any()}

    assert len(drawn(1)) == 5
    assert drawn(1) == drawn(1)
    for seed in (7, None):
        assert not drawn(1) & drawn(seed)


def test_only_the_forget_gate_is_initially_open():
    for _, _, bias in directions(encoder()):
        np.testing.assert_array_equal(bias, [0] * 3 + [1] * 3 + [0] * 6)
    for _, _, bias in directions(encoder(cell="gru")):
        np.testing.assert_array_equal(bias, np.zeros((2, 9)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_residual_is_a_projection_of_the_input(cell, rng):
    layer = encoder(cell=cell, residual=True)
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    for sequence, states in zip(x, layer(x).numpy(), strict=True):
        np.testing.assert_allclose(states, encode(layer, sequence.astype(np.float64)), atol=1e-6)


def test_recurrent_dropout_applies_in_training_only_and_repeats_with_the_seed(rng):
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    dropping, plain = encoder(recurrent_dropout=0.5), encoder()
    for outputs in (dropping(x), dropping(x, training=False), plain(x, training=True)):
        np.testing.assert_array_equal(outputs, plain(x))
    packing, index = pack(tf.constant([4, 4])), tf.range(8)
    tables = plain.project(tf.reshape(tf.constant(x), [-1, 5]))
    np.testing.assert_array_equal(dropping.encode(tables, packing, index), plain.encode(tables, packing, index))
    dropped = dropping(x, training=True)
    assert not np.allclose(dropped, plain(x))
    np.testing.assert_array_equal(encoder(recurrent_dropout=0.5)(x, training=True), dropped)
    other = encoder(recurrent_dropout=0.5, seed=2)
    other.set_weights(dropping.get_weights()[: len(other.get_weights())])
    assert not np.array_equal(other(x, training=True), dropped)
    encoder(recurrent_dropout=0.5, seed=None)(x, training=True)


def test_the_global_dtype_policy_has_no_effect(rng):
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    expected = encoder()(x)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        states = encoder()(x)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(states, expected)
    assert states.dtype == tf.float32
