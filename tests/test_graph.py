from __future__ import annotations

import gc
import logging

import numpy as np
import pytest

from han import HANClassifier
from han.backend import tf
from han.graph import graph, new_graphs


class Doubler:
    def __init__(self, factor):
        self.factor = factor
        self.traced = 0

    @graph(tf.TensorSpec([None]))
    def multiply(self, numbers):
        """Say what it does."""
        self.traced += 1
        return self.factor * numbers


@pytest.fixture
def told(caplog):
    """What TensorFlow has warned of."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_each_object_has_a_graph_of_its_own_and_many_are_no_reason_for_a_warning(told):
    objects = [Doubler(float(factor)) for factor in range(20)]
    for each in objects:
        for _ in range(2):
            np.testing.assert_array_equal(each.multiply(tf.constant([1.0, 2.0])), [each.factor, 2 * each.factor])
        assert each.traced == 1
    assert not told()


def test_looking_traces_nothing():
    one = Doubler(2.0)
    graph = one.multiply
    assert one.traced == 0
    for _ in range(2):
        graph.trace()
    assert one.traced == 1


def test_only_graphs_of_the_block_are_not_warned_of(told):
    def trace(function):
        for _ in range(10):
            tf.function(function)(tf.constant(1.0))

    with new_graphs():
        trace(tf.square)
        tf.get_logger().warning("something else")
    assert told() == ["something else"]
    trace(tf.sqrt)
    assert "retracing" in told()[-1]


@pytest.mark.slow
def test_many_networks_are_no_reason_for_a_warning_and_leave_no_graphs_behind(told):
    graphs = []
    for seed in range(6):
        small = HANClassifier(embedding_dim=2, units=1, epochs=1, validation_fraction=0, random_state=seed, verbose=0)
        small.fit(["Fine.", "Dull."], ["good", "bad"]).partial_fit(["Fine."], ["good"]).predict(["Fine."])
        del small
        gc.collect()
        graphs.append(sum(type(found).__name__ == "FuncGraph" for found in gc.get_objects()))
    assert not told()
    assert max(graphs[3:]) <= graphs[2]


def test_graphs_are_left_as_they_are_while_any_network_is_trained():
    def unchanged():
        return tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]

    for before in (False, True, False):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
        one, other = new_graphs(), new_graphs()
        with one:
            other.__enter__()  # as of another thread: neither ends within the other
            assert unchanged()
        assert unchanged()
        other.__exit__(None, None, None)
        assert unchanged() is before
