from __future__ import annotations

import gc
import logging
import weakref

import numpy as np
import pytest

from han import HANClassifier
from han.backend import tf
from han.backend.graph import graph, new_graphs
from tests.memory_growth import growth


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


class Ring(Doubler):
    """Refers to itself, as networks do."""

    def __init__(self, factor):
        super().__init__(factor)
        self.me = self


@pytest.fixture
def collected(monkeypatch):
    """The numbers of the generations that Python's garbage collector has collected, asked to, while it was off."""
    generations = []
    # Networks of other tests do not count.
    monkeypatch.setattr("han.backend.graph._traced", weakref.WeakSet())
    monkeypatch.setattr("han.backend.graph._limit", 2)

    def note(phase, info):
        if phase == "start":
            generations.append(info["generation"])

    gc.collect()
    gc.disable()
    gc.callbacks.append(note)
    yield generations
    gc.callbacks.remove(note)
    gc.enable()


def test_graphs_of_objects_that_are_gone_are_freed(collected):
    objects = weakref.WeakSet()
    for factor in range(12):
        one = Ring(float(factor))
        objects.add(one)
        one.multiply([1.0])
        del one
        assert len(objects) <= 3
    assert set(collected) == {2}


def test_few_collections_look_for_garbage_where_there_is_none(collected):
    objects = [Ring(float(factor)) for factor in range(40)]
    for one in objects:
        for _ in range(2):
            one.multiply([1.0])
    assert len(collected) <= 6


@pytest.mark.slow
def test_memory_does_not_grow_from_fit_to_fit():
    """Of documents that differ, so that every network has a vocabulary of another size."""

    def fit(number):
        texts = [f"A {word} film. I {word}{number % 3} it." for word in map(str, range(20 + number))]
        small = HANClassifier(embedding_dim=3, units=2, epochs=1, batch_size=16, random_state=number, verbose=0)
        small.fit(texts, [index % 2 for index in range(len(texts))]).predict(texts[:2])

    assert growth(fit, times=8, before=10) < 15  # MB; TensorFlow kept 50 before


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
