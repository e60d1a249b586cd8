"""Methods of a network that TensorFlow runs as a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from han.backend import tf


class graph:  # noqa: N801 - a decorator
    """Have a method traced once for each network, before its first call, to a graph that runs from then on.

    TensorFlow counts the first calls of `tf.function` that trace, a method's over all objects. Five in a row, as in a
    cross-validation whose networks predict once each, are a mistake to it, and it says so in a long warning. Tracing
    that is asked for is not counted.

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
        if network is not None and not function.experimental_get_tracing_count():
            function.get_concrete_function()
        return function
