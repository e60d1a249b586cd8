"""Methods of a network that TensorFlow runs as a graph.

TensorFlow counts the calls of `tf.function` that trace, a method's over all objects. Five of few calls, as in a
cross-validation whose networks predict once each, are a mistake to it, and it says so in a long warning. Here every
network has graphs of its own, traced once each.
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
    """Have a method traced once for each network, before its first call, to a graph that runs from then on.

    Parameters
    ----------
    *signature : nested tf.TensorSpec
        What the method takes beside the network.
    """

    def __init__(self, *signature: Any) -> None:
        self.signature = signature

    def __call__(self, method: Callable[..., Any]) -> graph:
        """Take the method."""
        self.function = tf.function(method, input_signature=self.signature, autograph=False)
        return self

    def __get__(self, compiled: Any, owner: type) -> Graph:
        """Return the graph of a network."""
        return Graph(compiled, self.function.__get__(compiled, owner))


class Graph:
    """A method of one network. Keras looks at all there are when it reads or writes a file: looking traces nothing."""

    def __init__(self, network: Any, function: Any) -> None:
        self.network, self.function = network, function  # the function does not keep the network alive

    def trace(self) -> None:
        """Trace the method, unless that was done before."""
        if not self.function.experimental_get_tracing_count():
            free_old_graphs(self.network)
            with isolated():
                self.function.get_concrete_function()  # what is traced by a call is counted

    def __call__(self, *arguments: Any) -> Any:
        """Run the method."""
        self.trace()
        if tf.inside_function():  # traced as a part of another graph, whose tensors the arguments are
            return self.function(*arguments)
        with isolated():
            return self.function(*arguments)


_lock = Lock()
_traced: WeakSet[Any] = WeakSet()
_limit = 2


def free_old_graphs(network: Any) -> None:
    """Free the graphs of networks that are gone, if there may be many, before those of another network are traced.

    Networks and graphs refer to themselves, so Python's garbage collector has to find them. It counts objects, and
    would leave dozens of networks: the tens of megabytes that each one's graphs take are TensorFlow's, not Python's.
    """
    global _limit
    with _lock:
        full = network not in _traced and len(_traced) >= _limit
        _traced.add(network)
    if full:
        gc.collect()
        _limit = 2 * len(_traced)


UNCHANGED = "disable_meta_optimizer"  # TensorFlow's option, of the process
_training = {"networks": 0, "before": False}


@contextmanager
def new_graphs() -> Iterator[None]:
    """Have TensorFlow leave graphs as they are that the block traces, as Keras does in each training, without a word.

    Training steps are no faster for the rewriting, which takes half a second for each network.
    """

    def other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(other)
    _count_training(1)
    try:
        yield
    finally:
        _count_training(-1)
        logger.removeFilter(other)


def _count_training(change: int) -> None:
    """Leave graphs as they are while networks are trained, in whatever thread; then do again as was done before."""
    with _lock:
        if not _training["networks"]:
            _training["before"] = tf.config.optimizer.get_experimental_options().get(UNCHANGED, False)
        _training["networks"] += change
        tf.config.optimizer.set_experimental_options({UNCHANGED: _training["before"] or _training["networks"] > 0})
