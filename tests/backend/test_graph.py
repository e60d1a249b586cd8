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
        """Multiply."""
        self.traced += 1
        return self.factor * numbers


@pytest.fixture
def warnings(caplog):
    """A function that returns the warnings TensorFlow has logged."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_each_object_has_its_own_graph_and_many_objects_cause_no_warning(warnings):
    objects = [Doubler(float(factor)) for factor in range(20)]
    for each in objects:
        for _ in range(2):
            np.testing.assert_array_equal(each.multiply(tf.constant([1.0, 2.0])), [each.factor, 2 * each.factor])
        assert each.traced == 1
    assert not warnings()


def test_accessing_a_method_does_not_trace_it():
    one = Doubler(2.0)
    graph = one.multiply
    assert one.traced == 0
    for _ in range(2):
        graph.trace()
    assert one.traced == 1


def test_warnings_about_retracing_are_hidden_in_the_block_only(warnings):
    def trace(function):
        for _ in range(10):
            tf.function(function)(tf.constant(1.0))

    with new_graphs():
        trace(tf.square)
        tf.get_logger().warning("something else")
    assert warnings() == ["something else"]
    trace(tf.sqrt)
    assert "retracing" in warnings()[-1]


class Ring(Doubler):
    """Has a reference cycle, like networks."""

    def __init__(self, factor):
        super().__init__(factor)
        self.me = self


@pytest.fixture
def collected(monkeypatch):
    """The generations that Python's garbage collector was explicitly asked to collect."""
    generations = []
    # Ignore the networks of other tests.
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


def test_graphs_of_deleted_objects_are_freed(collected):
    objects = weakref.WeakSet()
    for factor in range(12):
        one = Ring(float(factor))
        objects.add(one)
        one.multiply([1.0])
        del one
        assert len(objects) <= 3
    assert set(collected) == {2}


def test_few_collections_run_if_there_is_no_garbage(collected):
    objects = [Ring(float(factor)) for factor in range(40)]
    for one in objects:
        for _ in range(2):
            one.multiply([1.0])
    assert len(collected) <= 6


@pytest.mark.slow
def test_memory_does_not_grow_from_fit_to_fit():
    """Each fit has different documents, so that each network has a vocabulary of a different size."""

    def fit(number):
        texts = [f"A {word} film. I {word}{number % 3} it." for word in map(str, range(20 + number))]
        classifier = HANClassifier(embedding_dim=3, units=2, epochs=1, batch_size=16, random_state=number, verbose=0)
        classifier.fit(texts, [index % 2 for index in range(len(texts))]).predict(texts[:2])

    assert growth(fit, times=8, before=10) < 15  # MB


@pytest.mark.slow
def test_many_networks_cause_no_warning_and_leave_no_graphs_behind(warnings):
    graphs = []
    for seed in range(6):
        classifier = HANClassifier(
            embedding_dim=2, units=1, epochs=1, validation_fraction=0, random_state=seed, verbose=0
        )
        classifier.fit(["Fine.", "Dull."], ["good", "bad"]).partial_fit(["Fine."], ["good"]).predict(["Fine."])
        del classifier
        gc.collect()
        graphs.append(sum(type(found).__name__ == "FuncGraph" for found in gc.get_objects()))
    assert not warnings()
    assert max(graphs[3:]) <= graphs[2]


def test_graph_rewriting_is_off_while_any_network_is_trained():
    def rewriting_is_off():
        return tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]

    for before in (False, True, False):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
        one, other = new_graphs(), new_graphs()
        with one:
            other.__enter__()  # as in another thread: neither block encloses the other
            assert rewriting_is_off()
        assert rewriting_is_off()
        other.__exit__(None, None, None)
        assert rewriting_is_off() is before
