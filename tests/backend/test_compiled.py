from __future__ import annotations

import numpy as np
import pytest

from han.backend import tf
from han.backend.compiled import launch
from tests.memory_growth import growth


def powers(base, numbers):
    """Compute powers in a loop, like the recurrence, because TensorFlow also instantiates the body of a loop."""
    first, (second,) = numbers
    _, power = tf.while_loop(lambda turn, _: turn < 3, lambda turn, power: (turn + 1, power * base), (0, first))
    return power, tf.cast(power, tf.int32) + second


@pytest.fixture(scope="module")
def compiled():
    vector, matrix = tf.TensorSpec([2]), tf.TensorSpec([None, 2])
    signature = [vector, (matrix, (tf.TensorSpec([None, 2], tf.int32),))]
    return tf.function(powers, jit_compile=True, autograph=False, input_signature=signature)


ARGUMENTS = tf.constant([2.0, 3.0]), (tf.ones([3, 2]), (tf.constant([[1, 2]] * 3),))


def test_results_equal_those_of_a_plain_call(compiled):
    @tf.function(autograph=False)
    def outer(*arguments):
        power, total = launch(compiled, *arguments)
        assert power.shape == [None, 2]  # static shapes are kept
        return power, total

    for found in (launch(compiled, *ARGUMENTS), outer(*ARGUMENTS)):
        np.testing.assert_array_equal(found[0], [[8, 27]] * 3)
        np.testing.assert_array_equal(found[1], [[9, 29]] * 3)


def test_a_loop_can_pass_tensors_from_outside_as_arguments(compiled):
    @tf.function(autograph=False)
    def outer(*arguments):
        def body(turn, power):
            return turn + 1, power + launch(compiled, *arguments)[0]

        return tf.while_loop(lambda turn, _: turn < 2, body, (0, tf.zeros([3, 2])))[1]

    np.testing.assert_array_equal(outer(*ARGUMENTS), [[16, 54]] * 3)


def test_deleted_graphs_do_not_leak_memory(compiled):
    def run(_):
        @tf.function(autograph=False)
        def outer(*arguments):
            return launch(compiled, *arguments)

        outer.get_concrete_function(*ARGUMENTS)(*tf.nest.flatten(ARGUMENTS))

    assert growth(run, times=60) < 5  # MB
