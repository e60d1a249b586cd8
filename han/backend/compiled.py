"""Calls of XLA-compiled functions that do not leak memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from han.backend import tf


def launch(function: Any, *arguments: Any) -> tuple[tf.Tensor, ...]:
    """Call an XLA-compiled function.

    When TensorFlow prepares a graph that calls such a function, it instantiates the function with all of its loops, and
    never frees it: one megabyte per network. It then replaces the call with an `XlaLaunch` operation, which does not
    need the instance. Adding that operation to the graph directly avoids the leak; the compiled program is the same,
    and is still compiled only once.

    Parameters
    ----------
    function : tf.function
        A function with `jit_compile=True` and an input signature that returns a tuple of tensors. Its compilation must
        not depend on the value of an argument.
    *arguments : nested tuple of tensors
        The arguments of the function.

    Returns
    -------
    tuple of tensors
    """
    if tf.executing_eagerly():
        results: tuple[tf.Tensor, ...] = function(*arguments)
        return results
    concrete = function.get_concrete_function()
    graph = tf.compat.v1.get_default_graph()
    concrete.add_to_graph(graph)
    inputs = tf.nest.flatten(arguments)
    operation = graph.create_op(
        "XlaLaunch",
        inputs,
        [output.dtype for output in concrete.outputs],
        attrs={
            "Tconstants": _types([]),
            "Targs": _types(inputs),
            "Nresources": tf.compat.v1.AttrValue(i=0),
            "Tresults": _types(concrete.outputs),
            "function": tf.compat.v1.AttrValue(func=tf.compat.v1.NameAttrList(name=concrete.name)),
        },
    )
    for result, output in zip(operation.outputs, concrete.outputs, strict=True):
        result.set_shape(output.shape)
    return tuple(operation.outputs)


def _types(tensors: Sequence[tf.Tensor]) -> tf.compat.v1.AttrValue:
    """Return the dtypes of tensors as an attribute of an operation."""
    types = [tensor.dtype.as_datatype_enum for tensor in tensors]
    return tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(type=types))
