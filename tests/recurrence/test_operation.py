"""Both recurrences, by way of `BidirectionalEncoder`, against Keras and against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from han.backend import tf
from han.layers.encoder import BidirectionalEncoder
from han.layers.packing import pack
from han.recurrence.loops import MAX_GROUP
from tests.plain import directions, encode, keras_encoder

LENGTHS = [9, 3, 0, 7, 1, 9, 2]


@pytest.fixture(params=["lstm", "gru"])
def encoder(request):
    layer = BidirectionalEncoder(units=4, cell=request.param, seed=1)
    layer.build((None, None, 6))
    rng = np.random.default_rng(2)
    for weights in directions(layer):
        for weight in weights:  # biases are initially zero
            weight.assign(weight.numpy() + rng.normal(0, 0.3, weight.shape))
    return layer


@pytest.fixture
def inputs(rng):
    return rng.normal(size=(len(LENGTHS), 9, 6)).astype(np.float32)


MASK = np.arange(9) < np.array(LENGTHS)[:, None]


def run_compiled(layer, inputs, mask):
    """Run the compiled loops on padded inputs, as the network does on documents without padding."""
    lengths = tf.constant(np.asarray(mask).sum(axis=1), tf.int32)
    elements = tf.boolean_mask(inputs, mask)
    states = layer.encode(layer.project(elements), pack(lengths), tf.range(tf.shape(elements)[0]))
    return tf.scatter_nd(tf.where(mask), states, [*mask.shape, 2 * layer.units])


def run_plain(layer, inputs, mask):
    return layer(inputs, mask=tf.constant(mask))


@pytest.fixture(params=[run_compiled, run_plain], ids=["compiled", "plain"])
def run(request):
    return request.param


def test_outputs_equal_numpy_in_float64(encoder, inputs, run):
    outputs = run(encoder, inputs, MASK).numpy()
    for sequence, output, length in zip(inputs, outputs, LENGTHS, strict=True):
        expected = encode(encoder, sequence[:length].astype(np.float64))
        np.testing.assert_allclose(output[:length], expected, atol=1e-6)
        assert not output[length:].any()


def test_outputs_and_gradients_equal_those_of_keras(encoder, inputs, rng, run):
    # A random weight for each output, so that each contributes to the gradient.
    weight = rng.normal(size=(len(LENGTHS), 9, 8)).astype(np.float32) * MASK[:, :, None]
    plain = keras_encoder(encoder, 6)
    results = []
    for layer, call in ((encoder, run), (plain, run_plain)):
        x = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = call(layer, x, MASK)
            loss = tf.reduce_sum(outputs * weight)
        gradients = tape.gradient(loss, [x, *(variable.value for variable in layer.trainable_variables)])
        results.append((outputs.numpy() * MASK[:, :, None], [gradient.numpy() for gradient in gradients]))
    (own, own_gradients), (reference, reference_gradients) = results
    np.testing.assert_allclose(own, reference, atol=1e-5)
    for gradient, expected in zip(own_gradients, reference_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-4)


def test_gradients_equal_finite_differences_of_numpy_in_float64(encoder, inputs, rng, run):
    sequence = inputs[1, :3]
    weight = rng.normal(size=(3, 8))
    with tf.GradientTape() as tape:
        states = run(encoder, sequence[None], np.ones((1, 3), bool))[0]
        loss = tf.reduce_sum(states * tf.constant(weight, tf.float32))
    variables = encoder.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        index = tuple(rng.integers(size) for size in variable.shape)
        losses = []
        for change in (1e-3, -1e-3):
            before = variable.numpy()
            changed = before.astype(np.float64)
            changed[index] += change
            variable.assign(changed)
            losses.append((encode(encoder, sequence.astype(np.float64)) * weight).sum())
            step = variable.numpy()[index].astype(np.float64) - before[index]
            losses.append(step)
            variable.assign(before)
        slope = (losses[0] - losses[2]) / (losses[1] - losses[3])
        assert gradient.numpy()[index] == pytest.approx(slope, abs=2e-4)


def test_the_gradient_of_a_shared_input_is_the_sum_over_its_elements(encoder, rng):
    table = tf.constant(rng.normal(size=(5, 6)).astype(np.float32))
    index = rng.integers(0, 5, MASK.sum())
    packing = pack(tf.constant(MASK.sum(axis=1), tf.int32))
    results = []
    for shared in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(table)
            states = (
                encoder.encode(encoder.project(table), packing, tf.constant(index, tf.int32))
                if shared
                else encoder.encode(encoder.project(tf.gather(table, index)), packing, tf.range(len(index)))
            )
            loss = tf.reduce_sum(states**2)
        results.append((states, tf.convert_to_tensor(tape.gradient(loss, table))))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-5)


def test_outputs_do_not_depend_on_whether_a_gradient_is_needed(encoder, inputs):
    packing = pack(tf.constant(LENGTHS))
    tables, index = encoder.project(tf.constant(inputs[MASK])), tf.range(sum(LENGTHS))
    with_gradient, without = (
        encoder.encode(tables, packing, index, differentiable) for differentiable in (True, False)
    )
    np.testing.assert_array_equal(with_gradient, without)


@pytest.mark.parametrize("first", ["without a tape", "in a graph", "on a tape"])
def test_gradients_do_not_depend_on_where_the_first_call_is_traced(first):
    """The differentiable function is traced once per number of units, which here differs from all other tests."""
    units = {"without a tape": 9, "in a graph": 10, "on a tape": 11}[first]
    layer = BidirectionalEncoder(units=units, seed=1)
    layer.build((None, None, 6))
    inputs = tf.random.stateless_normal([2, 3, 6], seed=[1, 2])

    def gradients(persistent=False):
        with tf.GradientTape(persistent=persistent) as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(run_compiled(layer, inputs, np.ones((2, 3), bool)) ** 2)
        return tape.gradient(loss, [inputs, *(variable.value for variable in layer.trainable_variables)])

    if first == "without a tape":
        run_compiled(layer, inputs, np.ones((2, 3), bool))
    expected = tf.function(gradients, autograph=False)() if first == "in a graph" else gradients()
    for found in (gradients(), gradients(persistent=True), tf.function(gradients, autograph=False)()):
        for gradient, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(gradient, other, atol=1e-6)


@pytest.mark.parametrize("count", [1, MAX_GROUP, 3 * MAX_GROUP + 5])
def test_a_sequence_does_not_depend_on_those_it_runs_with(encoder, rng, count):
    lengths = rng.integers(0, 12, count)
    mask = np.arange(12) < lengths[:, None]
    inputs = rng.normal(size=(count, 12, 6)).astype(np.float32)
    together = run_compiled(encoder, inputs, mask)
    for number in range(0, count, 17):
        alone = run_compiled(encoder, inputs[number : number + 1], mask[number : number + 1])
        np.testing.assert_allclose(together[number], alone[0], atol=1e-6)


def test_not_a_number_reaches_the_outputs(encoder, inputs, run):
    changed = inputs.copy()
    changed[0, 4] = np.nan
    outputs = run(encoder, changed, MASK).numpy()
    assert np.isnan(outputs[0, 4]).all()
    assert np.isfinite(outputs[1:]).all()
