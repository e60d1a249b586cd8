"""Methods that run as TensorFlow graphs, each shared by all networks of one configuration.

Tracing a graph takes Python longer than training a small network takes TensorFlow. A graph therefore receives the
variables as arguments, so that it is traced once and not for each network. It is traced for a template: an object of
the same configuration whose own variables are never read, and which is then deleted.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, RLock
from typing import Any, Protocol
from weakref import WeakSet

from han.backend import keras, tf
from han.backend.isolation import isolated

# Number of graphs that are kept, the most recently used ones; each takes a few megabytes.
KEPT = 64


class Configured(Protocol):
    """An object whose methods can be graphs."""

    def configuration(self) -> Hashable:
        """Return what its graphs depend on, besides the values and the numbers of rows of its variables."""

    def graph_variables(self) -> Sequence[keras.Variable]:
        """Return the variables that its graphs read or write."""

    def template(self) -> Configured:
        """Return another object of the same configuration."""


class graph:  # noqa: N801 - a decorator
    """Decorator that traces a method into a graph before its first call, once for all objects of a configuration.

    Parameters
    ----------
    *signature : nested tf.TensorSpec
        The signature of the method, without `self`.
    """

    def __init__(self, *signature: Any) -> None:
        self.signature = signature

    def __call__(self, method: Callable[..., Any]) -> graph:
        """Decorate a method."""
        self.method = method
        return self

    def __get__(self, instance: Configured, owner: type) -> Graph:
        """Return the method of an object as a `Graph`."""
        # Found directly from now on, and not by Keras, which looks for layers among the attributes that are set.
        attributes: dict[str, Any] = instance.__dict__
        found: Graph = attributes.setdefault(self.method.__name__, Graph(instance, self.method, self.signature))
        return found


class Graph:
    """A method of one object.

    Accessing it does not trace it, because Keras accesses all attributes of a model when it reads or writes a file.
    """

    def __init__(self, instance: Configured, method: Callable[..., Any], signature: Sequence[Any]) -> None:
        self.instance, self.method, self.signature = instance, method, signature
        self._traced: tuple[Callable[..., Any], tuple[tf.Variable, ...]] | None = None

    def trace(self) -> tuple[Callable[..., Any], tuple[tf.Variable, ...]]:
        """Return the graph and the variables to call it with, tracing it unless that has been done."""
        if self._traced is None:
            variables = tuple(variable.value for variable in self.instance.graph_variables())
            key = (self.method, self.instance.configuration())
            self._traced = shared(key, lambda: self._trace(variables)), variables
        return self._traced

    def __call__(self, *arguments: Any) -> Any:
        """Run the method."""
        function, variables = self.trace()
        if tf.inside_function():  # the arguments are symbolic tensors of an outer graph
            return function(*arguments, variables)
        with isolated():
            return function(*arguments, variables)

    def _trace(self, variables: tuple[tf.Variable, ...]) -> Callable[..., Any]:
        template = self.instance.template()

        def run(*arguments: Any) -> Any:
            *inputs, passed = arguments
            for variable, value in zip(template.graph_variables(), passed, strict=True):
                variable._value = value  # Keras has no public way to replace the value
            return self.method(template, *inputs)

        function = tf.function(run, autograph=False).get_concrete_function(*self.signature, variables)
        if function.captured_inputs:
            raise RuntimeError(f"{self.method.__qualname__} uses variables that are not in graph_variables")
        return function  # type: ignore[no-any-return]


_tracing = RLock()
_graphs: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()


def shared(key: Hashable, trace: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Return the graph with this key; `trace` returns it the first time."""
    with _tracing:
        function = _graphs.get(key)
        if function is None:
            with isolated():
                function = _graphs[key] = trace()
            if len(_graphs) > KEPT:
                _graphs.popitem(last=False)
        _graphs.move_to_end(key)
    return function


_lock = Lock()
_networks: WeakSet[Any] = WeakSet()
_limit = 2


def free_old_networks(network: Any) -> None:
    """Free deleted networks if there may be many, before another one is trained.

    Networks contain reference cycles, so only Python's garbage collector can free them. It is triggered by the number
    of Python objects and would let dozens of networks accumulate, since their tens of megabytes are allocated by
    TensorFlow.

    Parameters
    ----------
    network : object
        The network that is about to be trained.
    """
    global _limit
    with _lock:
        full = network not in _networks and len(_networks) >= _limit
        _networks.add(network)
    if full:
        gc.collect()
        _limit = 2 * len(_networks)


NO_REWRITING = "disable_meta_optimizer"  # TensorFlow's option, which applies to the whole process
_training = {"networks": 0, "before": False}


@contextmanager
def without_rewriting() -> Iterator[None]:
    """Turn off graph rewriting while a network is trained: it takes half a second and makes no step faster."""
    _count_training(1)
    try:
        yield
    finally:
        _count_training(-1)


def _count_training(change: int) -> None:
    """Count networks in training, in all threads; rewriting is off while there are any, and then restored."""
    with _lock:
        if not _training["networks"]:
            _training["before"] = tf.config.optimizer.get_experimental_options().get(NO_REWRITING, False)
        _training["networks"] += change
        tf.config.optimizer.set_experimental_options({NO_REWRITING: _training["before"] or _training["networks"] > 0})
