"""Methods of a network that TensorFlow runs as a graph.

TensorFlow counts the calls of `tf.function` that trace, a method's over all objects. Five of few calls, as in a
cross-validation whose networks predict once each, are a mistake to it, and it says so in a long warning. Here every
network has graphs of its own, traced once each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from han.backend import tf


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

    def __get__(self, network: Any, owner: type) -> Any:
        """Return the function for a network."""
        function = self.function.__get__(network, owner)
        if network is None or function.experimental_get_tracing_count():
            return function

        # Keras looks at all attributes when it reads or writes a file: looking traces nothing.
        def first(*arguments: Any) -> Any:
            function.get_concrete_function()  # only what is traced by a call is counted
            return function(*arguments)

        return first


@contextmanager
def new_graphs() -> Iterator[None]:
    """Have TensorFlow not warn of graphs that are traced in the block, as Keras does for each training."""

    def other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)
