"""What the shared check in `test_layers.py` does not cover: packed sequences, initial weights, extreme values."""

from __future__ import annotations

import numpy as np
import pytest

from han.backend import keras, tf
from han.layers.packing import pack
from han.layers.pooling import AttentionPooling, MaxPooling, MeanPooling
from tests.plain import attention

MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 1]], bool)


@pytest.fixture
def states(rng):
    return rng.normal(size=(4, 5, 6))


def float64_pooling(**arguments):
    layer = AttentionPooling(seed=3, dtype="float64", **arguments)
    layer.build((None, None, 6))
    layer.bias.assign(np.linspace(-1, 1, layer.bias.shape[0]))
    layer.context.assign(np.linspace(2, -1, layer.context.shape[0]))
    return layer


def weights(layer):
    return [weight.numpy() for weight in (layer.kernel, layer.bias, layer.context)]


@pytest.mark.parametrize("arguments", [{"l2": -1.0}, {"units": 0}])
def test_errors_name_the_argument(arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]} must"):
        AttentionPooling(**arguments)


@pytest.mark.parametrize("shape", [(5,), (None, 5, None)])
def test_inputs_need_positions_and_a_known_number_of_features(shape):
    with pytest.raises(ValueError, match=r"\[..., positions, features\], got \("):
        AttentionPooling().build(shape)


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling, MaxPooling])
def test_packed_sequences_are_pooled_one_by_one(layer, states):
    layer = layer()
    layer.build((None, None, 6))
    packing = pack(tf.constant(MASK.sum(axis=1), tf.int32))
    pooled, scores = layer.pool(tf.constant(states[MASK], tf.float32), packing)
    assert pooled.shape == (4, 6)
    for row, mask in enumerate(MASK):
        sequence = states[row][mask]
        if not mask.any():
            expected = np.zeros(6)
        elif isinstance(layer, AttentionPooling):
            expected, expected_scores = attention(sequence, *weights(layer))
            np.testing.assert_allclose(scores.numpy()[packing.rows.numpy() == row], expected_scores, atol=1e-6)
        else:
            expected = sequence.mean(axis=0) if isinstance(layer, MeanPooling) else sequence.max(axis=0)
        np.testing.assert_allclose(pooled[row], expected, atol=1e-6)


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling, MaxPooling])
def test_gradients_of_packed_and_padded_sequences_are_equal(layer, states):
    layer = float64_pooling() if layer is AttentionPooling else layer(dtype="float64")
    variables = [weight.value for weight in layer.trainable_weights]
    gradients = []
    for packed in (True, False):
        x = tf.constant(states)
        with tf.GradientTape() as tape:
            tape.watch(x)
            if packed:
                pooled, _ = layer.pool(tf.boolean_mask(x, MASK), pack(tf.constant(MASK.sum(axis=1), tf.int32)))
            else:
                pooled = layer(x, mask=tf.constant(MASK))
            loss = tf.reduce_sum(pooled**3)
        gradients.append([tf.convert_to_tensor(part) for part in tape.gradient(loss, [x, *variables])])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_packed_pooling_equals_padded_pooling_for_large_logits(states):
    layer = float64_pooling()
    layer.context.assign(layer.context * 1e4)
    padded, padded_scores = layer(states, mask=tf.constant(MASK), return_attention_scores=True)
    packing = pack(tf.constant(MASK.sum(axis=1), tf.int32))
    pooled, scores = layer.pool(tf.boolean_mask(states, MASK), packing)
    np.testing.assert_allclose(pooled, padded, atol=1e-12)
    np.testing.assert_allclose(scores, tf.boolean_mask(padded_scores, MASK), atol=1e-12)


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling, MaxPooling])
def test_empty_sequences_at_the_end_pool_to_zeros(layer, states):
    layer = layer()
    layer.build((None, None, 6))
    some = tf.constant(states[0], tf.float32)
    pooled, _ = layer.pool(some, pack(tf.constant([5, 0, 0])))
    np.testing.assert_array_equal(pooled[:1], layer.pool(some, pack(tf.constant([5])))[0])
    np.testing.assert_array_equal(pooled[1:], np.zeros((2, 6)))


def test_states_may_have_a_single_feature():
    pooled, scores = MeanPooling().pool(tf.constant([[1.0], [3.0], [5.0]]), pack(tf.constant([2, 1])))
    np.testing.assert_allclose(pooled, [[2.0], [5.0]])
    np.testing.assert_allclose(scores, [0.5, 0.5, 1.0])


@pytest.mark.parametrize("context", [-200.0, 200.0])
def test_padding_with_a_larger_logit_than_any_state_does_not_overflow(context):
    """At padding, where the states are replaced by zeros, tanh is 0; at the states it is 1 or -1."""
    layer = AttentionPooling(units=1)
    layer.build((None, None, 1))
    layer.set_weights([np.ones((1, 1)), np.zeros(1), np.full(1, context)])
    x = tf.constant([[[9.0], [9.0], [0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled, scores = layer(x, mask=tf.constant([[True, True, False]]), return_attention_scores=True)
    np.testing.assert_allclose(scores, [[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(tape.gradient(pooled, x), [[[0.5], [0.5], [0.0]]], atol=1e-4)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_attention_scores_are_finite(scale):
    layer = AttentionPooling(seed=0)
    pooled, scores = layer(np.full((1, 3, 4), scale, np.float32), return_attention_scores=True)
    np.testing.assert_allclose(scores, [[1 / 3] * 3], rtol=1e-6)
    assert np.isfinite(pooled.numpy()).all()


@pytest.mark.parametrize("layer", [AttentionPooling(seed=0), MeanPooling()], ids=["attention", "mean"])
def test_scores_of_thousands_of_positions_sum_to_one(layer, rng):
    _, scores = layer(rng.normal(size=(2, 3001, 6)).astype(np.float32), return_attention_scores=True)
    np.testing.assert_allclose(scores.numpy().sum(-1), 1.0, rtol=1e-5)


def test_the_mean_of_thousands_of_states_is_right_in_half_precision():
    pooled, scores = MeanPooling(dtype="mixed_float16")(np.ones((1, 5001, 2)), return_attention_scores=True)
    np.testing.assert_allclose(scores, 1 / 5001, rtol=2e-3)
    np.testing.assert_allclose(pooled, 1.0, rtol=1e-2)


def test_poolings_follow_the_global_dtype_policy(rng):
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        for layer in (AttentionPooling(seed=1), MeanPooling(), MaxPooling()):
            assert layer(x).dtype == tf.float16
    finally:
        keras.config.set_dtype_policy("float32")


def test_l2_penalises_the_kernel_and_the_context_vector():
    layer = float64_pooling(l2=0.5)
    kernel, bias, context = weights(layer)
    assert bias.any()
    assert float(sum(layer.losses)) == pytest.approx(0.5 * ((kernel**2).sum() + (context**2).sum()), rel=1e-6)
    assert float64_pooling().losses == []


def test_seeds_repeat_and_differ():
    def kernel(seed):
        layer = AttentionPooling(seed=seed)
        layer.build((None, None, 6))
        return layer.kernel.numpy()

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))
    assert not np.array_equal(kernel(None), kernel(None))


def test_the_context_vector_and_the_kernel_have_different_seeds():
    layer = AttentionPooling(seed=1)
    layer.build((None, None, 6))
    same_seed = keras.initializers.RandomNormal(stddev=0.3, seed=1)(layer.context.shape)
    assert not np.allclose(layer.context, same_seed)


def test_initial_attention_is_not_flat():
    layer = AttentionPooling(1000, seed=1)
    layer.build((None, None, 6))
    assert layer.context.numpy().std() == pytest.approx(0.3, rel=0.1)
    assert layer.context.numpy().mean() == pytest.approx(0, abs=0.05)


def test_attention_scores_can_be_outputs_of_a_functional_model(rng):
    inputs = keras.Input((None, 4))
    outputs = AttentionPooling(seed=1)(inputs, return_attention_scores=True)
    assert [output.shape for output in outputs] == [(None, 4), (None, None)]
    pooled, scores = keras.Model(inputs, outputs).predict(rng.normal(size=(2, 3, 4)), verbose=0)
    assert pooled.shape == (2, 4)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-6)
