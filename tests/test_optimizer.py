from __future__ import annotations

import numpy as np

from han.backend import keras, tf
from han.optimizer import LazyAdam


def run(optimizer, gradients, shape):
    variable = keras.Variable(np.linspace(-1, 1, np.prod(shape)).reshape(shape).astype(np.float32))
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    return variable.numpy()


def sparse(values, rows, shape):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant(shape))


def test_dense_gradients_are_adams(rng):
    gradients = [tf.constant(rng.normal(size=(4, 3)), tf.float32) for _ in range(5)]
    np.testing.assert_array_equal(
        run(LazyAdam(0.1), gradients, (4, 3)), run(keras.optimizers.Adam(0.1), gradients, (4, 3))
    )


def test_sparse_gradients_of_all_rows_are_adams(rng):
    values = rng.normal(size=(5, 4, 3))
    rows = [2, 0, 3, 1]
    dense = [tf.constant(value[np.argsort(rows)], tf.float32) for value in values]
    np.testing.assert_allclose(
        run(LazyAdam(0.1), [sparse(value, rows, (4, 3)) for value in values], (4, 3)),
        run(keras.optimizers.Adam(0.1), dense, (4, 3)),
        atol=1e-6,
    )


def test_rows_without_a_gradient_stay(rng):
    before = run(LazyAdam(0.1), [], (4, 3))
    after = run(LazyAdam(0.1), [sparse(rng.normal(size=(1, 3)), [2], (4, 3))] * 3, (4, 3))
    np.testing.assert_array_equal(after[[0, 1, 3]], before[[0, 1, 3]])
    assert (after[2] != before[2]).all()


def test_rows_that_come_twice_are_summed(rng):
    values = rng.normal(size=(3, 3))
    once = sparse(np.stack([values[0] + values[2], values[1]]), [1, 0], (4, 3))
    np.testing.assert_allclose(
        run(LazyAdam(0.1), [sparse(values, [1, 0, 1], (4, 3))], (4, 3)), run(LazyAdam(0.1), [once], (4, 3)), atol=1e-6
    )


def test_gradients_are_clipped_by_their_norm_as_keras_does(rng):
    dense = [tf.constant(100 * rng.normal(size=(4, 3)), tf.float32) for _ in range(5)]
    rows = sparse(np.zeros((4, 3)), [2, 0, 3, 1], (4, 3))
    slices = [tf.IndexedSlices(tf.gather(value, rows.indices), rows.indices, rows.dense_shape) for value in dense]
    own = [run(LazyAdam(0.1, global_clipnorm=2.0, epsilon=1.0), values, (4, 3)) for values in (dense, slices)]
    keras_own = run(keras.optimizers.Adam(0.1, global_clipnorm=2.0, epsilon=1.0), dense, (4, 3))
    unclipped = run(keras.optimizers.Adam(0.1, epsilon=1.0), dense, (4, 3))
    np.testing.assert_allclose(own, [keras_own] * 2, atol=1e-5)
    assert abs(unclipped - keras_own).max() > 1e-2


def test_the_configuration_makes_the_same_optimizer():
    optimizer = LazyAdam(0.1, global_clipnorm=2.0, beta_1=0.8)
    assert LazyAdam.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
