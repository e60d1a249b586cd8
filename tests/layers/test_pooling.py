from __future__ import annotations

import numpy as np
import pytest

from han.backend import keras, tf
from han.layers.encoder import BidirectionalEncoder
from han.layers.packing import pack
from han.layers.pooling import AttentionPooling, MaxPooling, MeanPooling
from tests.plain import attention, directions, encode

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


@pytest.mark.parametrize("units", [None, 3])
def test_attention_pooling_is_the_papers_equations(states, units):
    layer = float64_pooling(units=units)
    pooled, scores = layer(states, mask=tf.constant(MASK), return_attention_scores=True)
    for row, mask in enumerate(MASK):
        expected, expected_scores = attention(states[row][mask], *weights(layer))
        np.testing.assert_allclose(pooled[row], expected, atol=1e-12)
        np.testing.assert_allclose(scores[row].numpy()[mask], expected_scores, atol=1e-12)
        assert not scores[row].numpy()[~mask].any()


def test_without_a_mask_every_position_is_real(states):
    layer = float64_pooling()
    every = tf.ones(states.shape[:2], tf.bool)
    np.testing.assert_allclose(layer(states), layer(states, mask=every), atol=1e-12)


def test_attention_pooling_gradient_is_the_finite_difference(states, rng):
    layer = float64_pooling()
    x = tf.constant(states)
    weight = rng.normal(size=(4, 6))

    def loss(x):
        return tf.reduce_sum(layer(x, mask=tf.constant(MASK)) * weight)

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    gradients = tape.gradient(value, [x, layer.kernel.value, layer.bias.value, layer.context.value])
    for index in [(0, 2, 3), (1, 0, 0), (3, 4, 5)]:
        bump = np.zeros(states.shape)
        bump[index] = 1e-5
        slope = (loss(states + bump) - loss(states - bump)) / 2e-5
        assert gradients[0].numpy()[index] == pytest.approx(float(slope), abs=1e-8)
    for variable, gradient in zip((layer.kernel, layer.bias, layer.context), gradients[1:], strict=True):
        index = tuple(rng.integers(size) for size in variable.shape)
        before, values = variable.numpy(), []
        for change in (1e-5, -1e-5):
            changed = before.copy()
            changed[index] += change
            variable.assign(changed)
            values.append(float(loss(states)))
        variable.assign(before)
        assert gradient.numpy()[index] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-8)


def test_padding_does_not_matter(states):
    layer = float64_pooling()
    wild = np.where(MASK[:, :, None], states, 1e6)
    np.testing.assert_array_equal(layer(states, mask=tf.constant(MASK))[:2], layer(wild, mask=tf.constant(MASK))[:2])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_attention_scores_stay_finite(scale):
    layer = AttentionPooling(seed=0)
    pooled, scores = layer(np.full((1, 3, 4), scale, np.float32), return_attention_scores=True)
    np.testing.assert_allclose(scores, [[1 / 3] * 3], rtol=1e-6)
    assert np.isfinite(pooled.numpy()).all()


def test_packed_pooling_is_padded_pooling_however_large_the_logits(states):
    layer = float64_pooling()
    layer.context.assign(layer.context * 1e4)
    padded, padded_scores = layer(states, mask=tf.constant(MASK), return_attention_scores=True)
    packing = pack(tf.constant(MASK.sum(axis=1), tf.int32))
    pooled, scores = layer.pool(tf.boolean_mask(states, MASK), packing)
    np.testing.assert_allclose(pooled, padded, atol=1e-12)
    np.testing.assert_allclose(scores, tf.boolean_mask(padded_scores, MASK), atol=1e-12)


def test_any_number_of_positions_and_axes(rng):
    for shape in [(2, 1, 6), (2, 3000, 6), (2, 3, 4, 6), (7, 6)]:
        pooled, scores = AttentionPooling(seed=0)(
            rng.normal(size=shape).astype(np.float32), return_attention_scores=True
        )
        assert pooled.shape == (*shape[:-2], 6)
        assert scores.shape == shape[:-1]
        np.testing.assert_allclose(scores.numpy().sum(-1), 1.0, rtol=1e-5)


def test_l2_is_on_the_kernel_and_the_context_vector():
    layer = float64_pooling(l2=0.5)
    kernel, bias, context = weights(layer)
    assert bias.any()
    assert float(sum(layer.losses)) == pytest.approx(0.5 * ((kernel**2).sum() + (context**2).sum()), rel=1e-6)
    assert float64_pooling().losses == []


@pytest.mark.parametrize(("layer", "arguments"), [(AttentionPooling, {"l2": -1.0}), (AttentionPooling, {"units": 0}),
                                                  (BidirectionalEncoder, {"units": 0}),
                                                  (BidirectionalEncoder, {"units": 2, "cell": "rnn"})])  # fmt: skip
def test_bad_arguments_are_named(layer, arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]} must"):
        layer(**arguments)


def test_other_precisions_are_refused_by_the_encoder():
    with pytest.raises(ValueError, match=r"dtype must be float32.* got 'mixed_float16'"):
        BidirectionalEncoder(2, dtype="mixed_float16")


def test_seeds_repeat_and_differ():
    def kernel(seed):
        layer = AttentionPooling(seed=seed)
        layer.build((None, None, 6))
        return layer.kernel.numpy()

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))
    assert not np.array_equal(kernel(None), kernel(None))


def test_the_context_vector_is_not_drawn_with_the_seed_of_the_kernel():
    layer = AttentionPooling(seed=1)
    layer.build((None, None, 6))
    same_seed = keras.initializers.RandomNormal(stddev=0.3, seed=1)(layer.context.shape)
    assert not np.allclose(layer.context, same_seed)


def encoder(**arguments):
    layer = BidirectionalEncoder(**{"units": 3, "seed": 1} | arguments)
    layer.build((None, None, 5))
    return layer


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_seed_of_an_encoder_sets_all_of_its_weights(cell):

    def drawn(seed):
        weights = encoder(cell=cell, residual=True, seed=seed).get_weights()
        return {weight.tobytes() for weight in weights if weight.ndim == 2 and weight.any()}

    # The two directions do not begin alike.
    assert len(drawn(1)) == 5
    assert drawn(1) == drawn(1)
    for seed in (7, None):
        assert not drawn(1) & drawn(seed)


def test_only_the_forget_gate_is_open_at_the_start():
    for _, _, bias in directions(encoder()):
        np.testing.assert_array_equal(bias, [0] * 3 + [1] * 3 + [0] * 6)
    for _, _, bias in directions(encoder(cell="gru")):
        np.testing.assert_array_equal(bias, np.zeros((2, 9)))


def test_attention_is_not_flat_at_the_start():
    layer = AttentionPooling(1000, seed=1)
    layer.build((None, None, 6))
    assert layer.context.numpy().std() == pytest.approx(0.3, rel=0.1)
    assert layer.context.numpy().mean() == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_residual_is_a_projection_of_the_input(cell, rng):
    layer = encoder(cell=cell, residual=True)
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    for sequence, states in zip(x, layer(x).numpy(), strict=True):
        np.testing.assert_allclose(states, encode(layer, sequence.astype(np.float64)), atol=1e-6)


def test_recurrent_dropout_is_for_training_and_repeats_with_the_seed(rng):
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    dropping, plain = encoder(recurrent_dropout=0.5), encoder()
    assert plain.recurrent_dropout == 0
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


def test_the_arguments_of_layers_are_in_their_configuration():
    arguments = {"units": 2, "cell": "gru", "seed": 4, "recurrent_dropout": 0.25, "residual": True, "name": "own"}
    config = BidirectionalEncoder(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert not BidirectionalEncoder(2).residual
    arguments = {"units": 1, "l2": 0.5, "seed": 4, "name": "own"}
    config = AttentionPooling(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert BidirectionalEncoder(1).units == 1


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (AttentionPooling(), (5,), r"\[..., positions, features\], got \(5,\)"),
        (AttentionPooling(), (None, 5, None), "positions, features"),
        (BidirectionalEncoder(2), (2, 4, None), "the last axis of inputs must be known"),
    ],
)
def test_inputs_that_no_weights_can_be_made_for(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling])
def test_sequences_without_anything_at_the_end_are_zeros(layer, states):
    layer = layer()
    layer.build((None, None, 6))
    some = tf.constant(states[0], tf.float32)
    pooled, _ = layer.pool(some, pack(tf.constant([5, 0, 0])))
    np.testing.assert_array_equal(pooled[:1], layer.pool(some, pack(tf.constant([5])))[0])
    np.testing.assert_array_equal(pooled[1:], np.zeros((2, 6)))


def test_layers_work_in_a_keras_model_and_come_back_from_a_file(tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(20, 5, mask_zero=True)(inputs)
    states = BidirectionalEncoder(3, name="encoder")(embedded)
    outputs = keras.layers.Dense(2)(AttentionPooling(l2=0.1, name="pooling")(states))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse", jit_compile=False)
    ids = np.array([[4, 9, 0, 0, 0], [3, 3, 8, 1, 2]])
    model.fit(ids, np.ones((2, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(ids), model(ids), atol=1e-6)
    np.testing.assert_allclose(model(ids)[:1], model(ids[:1, :2]), atol=1e-6)
    assert loaded.get_layer("pooling").l2 == 0.1


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling, MaxPooling, BidirectionalEncoder])
def test_layers_have_names_of_their_own_in_files(layer):
    assert keras.saving.get_registered_name(layer) == f"han>{layer.__name__}"


def test_states_may_have_a_single_feature():
    pooled, scores = MeanPooling().pool(tf.constant([[1.0], [3.0], [5.0]]), pack(tf.constant([2, 1])))
    np.testing.assert_allclose(pooled, [[2.0], [5.0]])
    np.testing.assert_allclose(scores, [0.5, 0.5, 1.0])


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling, MaxPooling])
def test_pooling_without_padding_is_pooling_each_sequence(layer, states):
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


def test_an_encoder_without_a_mask_reads_everything(rng):
    layer = BidirectionalEncoder(3, seed=0)
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(layer(x), layer(x, mask=tf.ones([2, 4], tf.bool)), atol=1e-7)
    assert layer.compute_output_shape((2, 4, 5)) == (2, 4, 6)


def test_the_encoder_is_float32_and_poolings_follow_the_policy(rng):
    x = rng.normal(size=(2, 4, 5)).astype(np.float32)
    expected = encoder()(x)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        states = encoder()(x)
        pooled = AttentionPooling(seed=1)(states)
        assert MeanPooling().compute_dtype == MaxPooling().compute_dtype == "float16"
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(states, expected)
    assert states.dtype == tf.float32
    assert pooled.dtype == tf.float16
    np.testing.assert_allclose(pooled, AttentionPooling(seed=1)(expected), atol=1e-2)


@pytest.mark.parametrize("layer", [AttentionPooling, MeanPooling, MaxPooling])
def test_a_pooled_shape_has_no_positions(layer):
    assert layer().compute_output_shape((2, 3, 4, 5)) == (2, 3, 5)


def test_attention_scores_are_outputs_of_a_functional_model(rng):
    inputs = keras.Input((None, 4))
    outputs = AttentionPooling(seed=1)(inputs, return_attention_scores=True)
    assert [output.shape for output in outputs] == [(None, 4), (None, None)]
    pooled, scores = keras.Model(inputs, outputs).predict(rng.normal(size=(2, 3, 4)), verbose=0)
    assert pooled.shape == (2, 4)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-6)
