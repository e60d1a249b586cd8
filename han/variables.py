"""Variables of which TensorFlow keeps nothing once they are gone.

TensorFlow runs each eager operation as a small function of its own, compiled for the operation's attributes and kept,
some 35 kB, as long as the process lives. The operation that creates a variable has the variable's name and shape among
its attributes, and Keras numbers its names (`seed_generator_37`): every network's variables would be new to TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from han.backend import tf

# A name scope that ends with a slash is not nested in the ones around it.
NAME = "variable/"


@contextmanager
def unnamed_variables() -> Iterator[None]:
    """Give all variables that the block creates the same TensorFlow name; their Keras names and paths are kept."""

    def create(next_creator: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        return next_creator(**{**arguments, "name": NAME})

    with tf.variable_creator_scope(create):
        yield
