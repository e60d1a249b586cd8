from __future__ import annotations

import gc
import logging
import weakref
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from han import HANClassifier
from han.backend import keras, tf
from han.backend.graph import free_old_networks, graph, without_rewriting
from han.backend.variables import shared_kernels
from tests.memory_growth import growth


class Scaled:
    """Multiplies numbers by a weight, and adds a constant that is part of the graph."""

    traced = 0

    def __init__(self, factor, constant=0.0, rows=1):
        self.factor, self.constant = keras.Variable(keras.initializers.Constant(factor), (rows,)), constant

    def configuration(self):
        """Return the constant."""
        return self.constant

    def graph_variables(self):
        """Return the weights."""
        return [self.factor]

    def template(self):
        """Return an object with the same constant."""
        return type(self)(0.0, self.constant)

    @graph(tf.TensorSpec([None]))
    def multiply(self, numbers):
        """Multiply."""
        Scaled.traced += 1
        return self.factor.value * numbers + self.constant


@pytest.fixture(autouse=True)
def no_graphs(monkeypatch):
    """Forget the graphs of other tests."""
    monkeypatch.setattr("han.backend.graph._graphs", OrderedDict())
    monkeypatch.setattr(Scaled, "traced", 0)


@pytest.fixture
def warnings(caplog):
    """A function that returns the warnings TensorFlow has logged."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_objects_of_one_configuration_share_a_graph_but_not_the_weights(warnings):
    objects = [Scaled(float(factor), constant) for factor in range(10) for constant in (0.0, 1.0)]
    for each in objects:
        for _ in range(2):
            expected = each.factor.numpy() * [1.0, 2.0] + each.constant
            np.testing.assert_array_equal(each.multiply(tf.constant([1.0, 2.0])), expected)
        each.factor.assign([7.0])
        np.testing.assert_array_equal(each.multiply(np.float32([1.0])), [7.0 + each.constant])
    assert Scaled.traced == 2
    assert not warnings()


def test_variables_may_differ_in_their_numbers_of_rows():
    with shared_kernels(any_rows=True):
        two, three = Scaled(2.0, rows=2), Scaled(3.0, rows=3)
    np.testing.assert_array_equal(two.multiply([1.0, 2.0]), [2.0, 4.0])
    np.testing.assert_array_equal(three.multiply([1.0, 2.0, 3.0]), [3.0, 6.0, 9.0])
    assert Scaled.traced == 1


def test_accessing_a_method_does_not_trace_it():
    multiply = Scaled(2.0).multiply
    assert Scaled.traced == 0
    for _ in range(2):
        multiply.trace()
    assert Scaled.traced == 1


def test_a_graph_can_be_called_in_another_graph():
    one = Scaled(2.0)
    outer = tf.function(lambda numbers: one.multiply(numbers + 1.0))
    np.testing.assert_array_equal(outer(tf.constant([1.0])), [4.0])
    one.factor.assign([3.0])
    np.testing.assert_array_equal(outer(tf.constant([1.0])), [6.0])


def test_a_graph_does_not_keep_the_weights_of_the_object_it_was_traced_for():
    one = Scaled(2.0)
    one.multiply([1.0])
    factor = weakref.ref(one.factor)
    del one
    gc.collect()
    assert factor() is None
    np.testing.assert_array_equal(Scaled(3.0).multiply([1.0]), [3.0])
    assert Scaled.traced == 1


def test_a_graph_that_reads_other_variables_is_refused():
    other = tf.Variable(1.0)

    class Reader(Scaled):
        @graph(tf.TensorSpec([None]))
        def read(self, numbers):
            """Read a variable that is not an argument."""
            return numbers + other

    with pytest.raises(RuntimeError, match="read uses variables that are not in graph_variables"):
        Reader(1.0).read([1.0])


def test_the_least_recently_used_graphs_are_forgotten(monkeypatch):
    monkeypatch.setattr("han.backend.graph.KEPT", 2)
    for constant in (0.0, 1.0, 0.0, 2.0, 0.0):
        Scaled(1.0, constant).multiply([1.0])
    assert Scaled.traced == 3
    Scaled(1.0, 1.0).multiply([1.0])
    assert Scaled.traced == 4


def test_threads_trace_a_graph_once():
    with ThreadPoolExecutor(8) as executor:
        results = list(executor.map(lambda factor: Scaled(float(factor)).multiply([1.0]).numpy()[0], range(16)))
    assert results == list(range(16))
    assert Scaled.traced == 1


class Ring:
    """Has a reference cycle, like networks."""

    def __init__(self):
        self.me = self


@pytest.fixture
def collected(monkeypatch):
    """The generations that Python's garbage collector was explicitly asked to collect."""
    generations = []
    # Ignore the networks of other tests.
    monkeypatch.setattr("han.backend.graph._networks", weakref.WeakSet())
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


def test_deleted_objects_are_freed(collected):
    objects = weakref.WeakSet()
    for _ in range(12):
        one = Ring()
        objects.add(one)
        free_old_networks(one)
        del one
        assert len(objects) <= 3
    assert set(collected) == {2}


def test_few_collections_run_if_there_is_no_garbage(collected):
    objects = [Ring() for _ in range(40)]
    for one in objects:
        for _ in range(2):
            free_old_networks(one)
    assert len(collected) <= 6


@pytest.mark.slow
def test_memory_does_not_grow_from_fit_to_fit():
    """Each fit has different documents, so that each network has a vocabulary of a different size."""

    def fit(number):
        texts = [f"A {word} film. I {word}{number % 3} it." for word in map(str, range(20 + number))]
        classifier = HANClassifier(embedding_dim=3, units=2, epochs=1, batch_size=8, random_state=number, verbose=0)
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
        one, other = without_rewriting(), without_rewriting()
        with one:
            other.__enter__()  # as in another thread: neither block encloses the other
            assert rewriting_is_off()
        assert rewriting_is_off()
        other.__exit__(None, None, None)
        assert rewriting_is_off() is before
