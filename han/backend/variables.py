"""Creation of variables that do not leak memory.

TensorFlow caches a kernel, about 35 kB, for each eager operation with new attributes or new variable shapes, and never
frees it. The name and the shape of a variable are attributes of the operation that creates it. Keras numbers the names
(`seed_generator_37`) and shapes depend on the vocabulary, so the variables of each network would add to the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from han.backend import tf

# A name that ends with a slash is used without the names of the enclosing scopes, which are numbered too.
NAME = "variable/"


@contextmanager
def shared_kernels(any_rows: bool = False) -> Iterator[None]:
    """Create variables that share cached kernels; their Keras names, paths and shapes do not change.

    Parameters
    ----------
    any_rows : bool, default False
        Leave the size of the first axis undefined, so that variables of any number of rows share a kernel. Graphs then
        know the size only at run time.
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
