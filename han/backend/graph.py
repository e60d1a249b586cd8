"""Methods of a network that run as TensorFlow graphs.

TensorFlow counts how often a method decorated with `tf.function` is traced, over all objects, and logs a long warning
if it traces too often, for example in a cross-validation where each network predicts only once. With the decorator
below, each network traces its own graph of a method, exactly once.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from weakref import WeakSet

from han.backend import tf
from han.backend.isolation import isolated


class graph:  # noqa: N801 - a decorator
    """Decorator that traces a method into a graph, once per network, before its first call.

    Parameters
    ----------
    *signature : nested tf.TensorSpec
        The signature of the method, without `self`.
    """

    def __init__(self, *signature: Any) -> None:
        self.signature = signature

    def __call__(self, method: Callable[..., Any]) -> graph:
        """Decorate a method."""
        self.function = tf.function(method, input_signature=self.signature, autograph=False)
        return self

    def __get__(self, network: Any, owner: type) -> Graph:
        """Return the method of a network as a `Graph`."""
        return Graph(network, self.function.__get__(network, owner))


class Graph:
    """A method of one network.

    Accessing it does not trace it, because Keras accesses all attributes of a model when it reads or writes a file.
    """

    def __init__(self, network: Any, function: Any) -> None:
        self.network, self.function = network, function  # the function has only a weak reference to the network

    def trace(self) -> None:
        """Trace the method, unless it has already been traced."""
        if not self.function.experimental_get_tracing_count():
            free_old_graphs(self.network)
            with isolated():
                self.function.get_concrete_function()  # unlike a call, this does not count for the warning

    def __call__(self, *arguments: Any) -> Any:
        """Run the method."""
        self.trace()
        if tf.inside_function():  # the arguments are symbolic tensors of an outer graph
            return self.function(*arguments)
        with isolated():
            return self.function(*arguments)


_lock = Lock()
_traced: WeakSet[Any] = WeakSet()
_limit = 2


def free_old_graphs(network: Any) -> None:
    """Free the graphs of deleted networks if there may be many, before another network is traced.

    Networks and graphs contain reference cycles, so only Python's garbage collector can free them. It is triggered by
    the number of Python objects and would let dozens of networks accumulate, since the tens of megabytes that the
    graphs of each network take are allocated by TensorFlow.

    Parameters
    ----------
    network : object
        The network that is about to be traced.
    """
    global _limit
    with _lock:
        full = network not in _traced and len(_traced) >= _limit
        _traced.add(network)
    if full:
        gc.collect()
        _limit = 2 * len(_traced)


NO_REWRITING = "disable_meta_optimizer"  # TensorFlow's option, which applies to the whole process
_training = {"networks": 0, "before": False}


@contextmanager
def new_graphs() -> Iterator[None]:
    """Turn off graph rewriting and warnings about retracing while a network is trained.

    Rewriting takes half a second per network and does not make training steps faster. Keras traces new graphs in each
    training, so the warning would not point to a mistake.
    """

    def is_unrelated(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_unrelated)
    _count_training(1)
    try:
        yield
    finally:
        _count_training(-1)
        logger.removeFilter(is_unrelated)


def _count_training(change: int) -> None:
    """Count networks in training, in all threads; rewriting is off while there are any, and then restored."""
    with _lock:
        if not _training["networks"]:
            _training["before"] = tf.config.optimizer.get_experimental_options().get(NO_REWRITING, False)
        _training["networks"] += change
        tf.config.optimizer.set_experimental_options({NO_REWRITING: _training["before"] or _training["networks"] > 0})
