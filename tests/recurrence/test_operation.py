"""A level as one operation, against TensorFlow's own operations, Keras, and NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from han.backend import tf
from han.layers.encoder import BidirectionalEncoder
from han.layers.level import Level
from han.layers.pooling import POOLINGS
from han.recurrence.loops import MAX_GROUP
from han.recurrence.operation import portable
from tests.plain import attention, encode, keras_encoder

LENGTHS = [9, 3, 0, 7, 1, 9, 2]
MASK = np.arange(9) < np.array(LENGTHS)[:, None]


def encoder_of(cell, units=4, residual=False):
    layer = BidirectionalEncoder(units, cell, 1, residual=residual)
    layer.build((None, None, 6))
    return layer


def level_of(cell, pooling="attention", residual=False, additive=False, units=4):
    encoder, layer = encoder_of(cell, units, residual), POOLINGS[pooling]()
    layer.build((None, None, 2 * units))
    rng = np.random.default_rng(2)
    for weight in (*encoder.weights, *layer.weights):  # biases are initially zero
        weight.assign(weight.numpy() + rng.normal(0, 0.3, weight.shape))
    return Level(encoder, layer, additive)


LEVELS = {
    "paper": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "residual": {"cell": "lstm", "residual": True},
    "additive": {"cell": "gru", "residual": True, "additive": True},
    "mean": {"cell": "gru", "pooling": "mean", "residual": True},
    "max": {"cell": "lstm", "pooling": "max", "residual": True},
}


@pytest.fixture(params=LEVELS.values(), ids=LEVELS)
def level(request):
    return level_of(**request.param)


@pytest.fixture
def features(rng):
    return rng.normal(size=(20, 6)).astype(np.float32)


@pytest.fixture
def index(rng):
    return rng.integers(0, 20, sum(LENGTHS)).astype(np.int32)


def results_and_gradients(level, features, index, lengths=LENGTHS, differentiable=True):
    """Return vectors, scores, and the gradients of a loss to which each of these contributes."""
    features, rng = tf.constant(features), np.random.default_rng(3)
    variables = [variable.value for variable in (*level.encoder.trainable_weights, *level.pooling.trainable_weights)]
    with tf.GradientTape() as tape:
        tape.watch(features)
        vectors, scores = level.pool(
            level.encoder.project(features),
            tf.constant(index),
            tf.constant(lengths, tf.int32),
            differentiable=differentiable,
        )
        loss = tf.reduce_sum(vectors * rng.normal(size=vectors.shape).astype(np.float32))
        loss += tf.reduce_sum(scores * rng.normal(size=scores.shape).astype(np.float32))
    gradients = tape.gradient(loss, [features, *variables], unconnected_gradients="zero") if differentiable else []
    return [vectors.numpy(), scores.numpy()], [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def assert_close(found, expected, atol):
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, other, atol=atol)


def test_results_and_gradients_equal_those_of_tensorflow(level, features, index):
    results, gradients = results_and_gradients(level, features, index)
    with portable():
        expected, expected_gradients = results_and_gradients(level, features, index)
    assert_close(results, expected, atol=1e-5)
    assert_close(gradients, expected_gradients, atol=1e-4)
    assert all(gradient.any() for gradient in gradients)


def test_results_equal_numpy_in_float64(level, features, index):
    (vectors, scores), _ = results_and_gradients(level, features, index)
    ends = np.cumsum(LENGTHS)
    for vector, end, length in zip(vectors, ends, LENGTHS, strict=True):
        elements = slice(end - length, end)
        inputs = features[index[elements]].astype(np.float64)
        states = encode(level.encoder, inputs)
        if not length:
            expected, of_elements = np.zeros(8), np.zeros(0)
        elif level.kind.pooling == "max":
            expected, of_elements = states.max(axis=0), np.zeros(length)
        elif level.kind.pooling == "mean":
            expected, of_elements = states.mean(axis=0), np.full(length, 1 / length)
        else:
            weights = (level.pooling.kernel, level.pooling.bias, level.pooling.context)
            expected, of_elements = attention(states, *(weight.numpy() for weight in weights))
            if level.kind.additive:
                expected = of_elements @ (inputs @ level.encoder.residual_kernel.numpy())
        np.testing.assert_allclose(vector, expected, atol=1e-6)
        np.testing.assert_allclose(scores[elements], of_elements, atol=1e-6)


def test_gradients_equal_finite_differences_of_numpy_in_float64(rng):
    level = level_of("gru", residual=True)
    inputs, weight = rng.normal(size=(3, 6)).astype(np.float32), rng.normal(size=8)
    variables = [*level.encoder.trainable_weights, *level.pooling.trainable_weights]
    with tf.GradientTape() as tape:
        vectors, _ = level.pool(level.encoder.project(tf.constant(inputs)), tf.range(3), tf.constant([3]))
        loss = tf.reduce_sum(vectors[0] * tf.constant(weight, tf.float32))
    gradients = tape.gradient(loss, [variable.value for variable in variables])

    def loss_in_float64():
        weights = (part.numpy() for part in (level.pooling.kernel, level.pooling.bias, level.pooling.context))
        return attention(encode(level.encoder, inputs.astype(np.float64)), *weights)[0] @ weight

    for variable, gradient in zip(variables, gradients, strict=True):
        place = tuple(rng.integers(size) for size in variable.shape)
        before, losses, steps = variable.numpy(), [], []
        for change in (1e-3, -1e-3):
            changed = before.astype(np.float64)
            changed[place] += change
            variable.assign(changed)
            losses.append(loss_in_float64())
            steps.append(variable.numpy()[place].astype(np.float64))
            variable.assign(before)
        slope = (losses[0] - losses[1]) / (steps[0] - steps[1])
        assert gradient.numpy()[place] == pytest.approx(slope, abs=2e-4)


def test_results_do_not_depend_on_whether_a_gradient_is_needed(level, features, index):
    with_gradient, _ = results_and_gradients(level, features, index)
    without, _ = results_and_gradients(level, features, index, differentiable=False)
    for part, other in zip(with_gradient, without, strict=True):
        np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("lengths", [[], [0, 0, 0], [1], [0, 5, 0]])
def test_few_sequences(level, features, index, lengths):
    results, gradients = results_and_gradients(level, features, index[: sum(lengths)], lengths)
    with portable():
        expected, expected_gradients = results_and_gradients(level, features, index[: sum(lengths)], lengths)
    assert_close(results, expected, atol=1e-5)
    assert_close(gradients, expected_gradients, atol=1e-4)


@pytest.mark.parametrize("where", ["without a gradient", "in a graph", "on a tape"])
def test_gradients_do_not_depend_on_where_the_first_call_is_traced(where, features, index):
    """The operation is traced once per number of units, which here differs from all other tests."""
    level = level_of("lstm", units={"without a gradient": 9, "in a graph": 10, "on a tape": 11}[where])
    variables = [variable.value for variable in level.encoder.trainable_variables]

    def gradients(persistent=False):
        with tf.GradientTape(persistent=persistent) as tape:
            vectors, _ = level.pool(
                level.encoder.project(tf.constant(features)), tf.constant(index), tf.constant(LENGTHS)
            )
            loss = tf.reduce_sum(vectors**2)
        return tape.gradient(loss, variables)

    if where == "without a gradient":
        level.pool(level.encoder.project(tf.constant(features)), tf.constant(index), tf.constant(LENGTHS))
    expected = tf.function(gradients, autograph=False)() if where == "in a graph" else gradients()
    for found in (gradients(), gradients(persistent=True), tf.function(gradients, autograph=False)()):
        assert_close(found, expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, MAX_GROUP, 3 * MAX_GROUP + 5])
def test_a_sequence_does_not_depend_on_those_it_runs_with(level, features, rng, count):
    lengths = rng.integers(0, 12, count)
    index = rng.integers(0, 20, lengths.sum()).astype(np.int32)
    together, _ = results_and_gradients(level, features, index, lengths)
    ends = np.cumsum(lengths)
    for number in range(0, count, 17):
        elements = slice(ends[number] - lengths[number], ends[number])
        alone, _ = results_and_gradients(level, features, index[elements], lengths[number : number + 1])
        assert_close([together[0][number : number + 1], together[1][elements]], alone, atol=1e-6)


def test_not_a_number_reaches_the_vectors(level, features, index):
    features[19] = np.nan
    index = np.where(np.arange(len(index)) == 4, 19, index % 19).astype(np.int32)
    vectors, _ = level.pool(level.encoder.project(tf.constant(features)), tf.constant(index), tf.constant(LENGTHS))
    assert np.isnan(vectors[0]).all()
    assert np.isfinite(vectors[1:]).all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_outputs_and_gradients_of_the_encoder_equal_those_of_keras(cell, rng):
    encoder = level_of(cell).encoder
    inputs = rng.normal(size=(len(LENGTHS), 9, 6)).astype(np.float32)
    # A random weight for each output, so that each contributes to the gradient.
    weight = rng.normal(size=(len(LENGTHS), 9, 8)).astype(np.float32) * MASK[:, :, None]
    results = []
    for layer in (encoder, keras_encoder(encoder, 6)):
        x = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, mask=tf.constant(MASK))
            loss = tf.reduce_sum(outputs * weight)
        gradients = tape.gradient(loss, [x, *(variable.value for variable in layer.trainable_variables)])
        results.append((outputs.numpy() * MASK[:, :, None], gradients))
    (outputs, gradients), (expected, expected_gradients) = results
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert_close(gradients, expected_gradients, atol=1e-4)
