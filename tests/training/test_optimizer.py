from __future__ import annotations

import numpy as np

from han.backend import keras, tf
from han.training.optimizer import LazyAdam


def run(optimizer, gradients, shape):
    variable = keras.Variable(np.linspace(-1, 1, np.prod(shape)).reshape(shape).astype(np.float32))
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    return variable.numpy()


def sparse(values, rows, shape):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant(shape))


def test_dense_updates_equal_those_of_adam(rng):
    gradients = [tf.constant(rng.normal(size=(4, 3)), tf.float32) for _ in range(5)]
    settings = {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}
    np.testing.assert_allclose(
        run(LazyAdam(0.1, **settings), gradients, (4, 3)),
        run(keras.optimizers.Adam(0.1, **settings), gradients, (4, 3)),
        atol=1e-6,
    )


def test_each_row_has_its_own_adam(rng):
    gradients = [(rng.normal(size=(k, 3)), rng.choice(6, k, replace=False)) for k in (2, 3, 1, 4, 2, 5)]
    found = run(LazyAdam(0.1, beta_2=0.9), [sparse(*gradient, (6, 3)) for gradient in gradients], (6, 3))
    start = run(LazyAdam(0.1), [], (6, 3))
    for row in range(6):
        own = [values[rows.tolist().index(row)] for values, rows in gradients if row in rows]
        variable = keras.Variable(start[row])
        adam = keras.optimizers.Adam(0.1, beta_1=0.0, beta_2=0.9)
        for gradient in own:
            adam.apply([tf.constant(gradient, tf.float32)], [variable])
        np.testing.assert_allclose(found[row], variable.numpy(), atol=1e-6)


def test_a_rare_row_moves_by_the_learning_rate(rng):
    value = rng.normal(size=(1, 3))
    before = run(LazyAdam(0.1), [], (4, 3))
    late = run(LazyAdam(0.1), [sparse(value, [1], (4, 3))] * 300 + [sparse(value, [2], (4, 3))], (4, 3))
    np.testing.assert_allclose(np.abs(late - before)[2], 0.1, rtol=1e-3)
    dense = tf.constant(np.eye(4)[:, [2]] * value, tf.float32)
    momentum = run(keras.optimizers.Adam(0.1), [tf.zeros((4, 3))] * 300 + [dense] + [tf.zeros((4, 3))] * 300, (4, 3))
    assert (np.abs(momentum - before)[2] > 1).all()  # the problem that LazyAdam solves


def test_rows_without_a_gradient_do_not_change(rng):
    before = run(LazyAdam(0.1), [], (4, 3))
    after = run(LazyAdam(0.1), [sparse(rng.normal(size=(1, 3)), [2], (4, 3))] * 3, (4, 3))
    np.testing.assert_array_equal(after[[0, 1, 3]], before[[0, 1, 3]])
    assert (after[2] != before[2]).all()


def test_gradients_of_repeated_rows_are_summed(rng):
    values = rng.normal(size=(3, 3))
    once = sparse(np.stack([values[0] + values[2], values[1]]), [1, 0], (4, 3))
    np.testing.assert_allclose(
        run(LazyAdam(0.1), [sparse(values, [1, 0, 1], (4, 3))], (4, 3)), run(LazyAdam(0.1), [once], (4, 3)), atol=1e-6
    )


def test_clipping_by_the_global_norm_equals_that_of_keras(rng):
    dense = [tf.constant(100 * rng.normal(size=(4, 3)), tf.float32) for _ in range(5)]
    rows = sparse(np.zeros((4, 3)), [2, 0, 3, 1], (4, 3))
    slices = [tf.IndexedSlices(tf.gather(value, rows.indices), rows.indices, rows.dense_shape) for value in dense]
    settings = {"global_clipnorm": 2.0, "epsilon": 1.0, "beta_1": 0.0}
    own = [run(LazyAdam(0.1, **settings), values, (4, 3)) for values in (dense, slices)]
    keras_own = run(keras.optimizers.Adam(0.1, **settings), dense, (4, 3))
    unclipped = run(keras.optimizers.Adam(0.1, epsilon=1.0, beta_1=0.0), dense, (4, 3))
    np.testing.assert_allclose(own, [keras_own] * 2, atol=1e-5)
    assert abs(unclipped - keras_own).max() > 1e-2


def test_config_round_trip():
    optimizer = LazyAdam(0.1, global_clipnorm=2.0, beta_1=0.8)
    assert LazyAdam.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
