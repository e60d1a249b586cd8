"""Calls of functions that XLA compiles, from graphs that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from han.backend import tf


def launch(function: Any, *arguments: Any) -> tuple[tf.Tensor, ...]:
    """Call a function that XLA compiles.

    In a graph, a plain call has TensorFlow instantiate the function, loops included, when it makes the graph ready to
    run, and never release it: a megabyte for every network. The operation that it puts in the call's place has no need
    of that, so here it is in the graph from the beginning. The compiled program is the same, and is compiled once.

    Parameters
    ----------
    function : tf.function
        With `jit_compile=True` and an input signature; returns a tuple of tensors. No argument's value may be needed to
        compile it.
    *arguments : nested tuple of tensors
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
    """Return the tensors' dtypes as an attribute."""
    types = [tensor.dtype.as_datatype_enum for tensor in tensors]
    return tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(type=types))
