"""Variables of which TensorFlow keeps nothing once they are gone.

TensorFlow wraps every eager operation in a function of its own, compiles that for the operation's attributes and the
shapes of its variables, and keeps it, some 35 kB, as long as the process lives. The operation that creates a variable
has the variable's name and shape among its attributes. Keras numbers the names (`seed_generator_37`), and shapes depend
on the vocabulary, so to TensorFlow every network's variables would be new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from han.backend import tf

# A name that ends with a slash stands alone: the scopes around it, which are numbered too, are no part of it.
NAME = "variable/"


@contextmanager
def shared_kernels(any_rows: bool = False) -> Iterator[None]:
    """Create variables that are all alike to TensorFlow; their Keras names, paths and shapes are what they are.

    Parameters
    ----------
    any_rows : bool, default False
        Leave the first axis of the variables open, so that they are alike whatever its size. Graphs then know the size
        only when they run.
    """

    def create(next_creator: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        arguments["name"] = NAME
        if any_rows:
            value = arguments["initial_value"]
            value = tf.convert_to_tensor(value() if callable(value) else value, arguments.get("dtype"))
            arguments |= {"initial_value": value, "shape": [None, *value.shape[1:]] if value.shape.rank else []}
        return next_creator(**arguments)

    with tf.variable_creator_scope(create):
        yield
