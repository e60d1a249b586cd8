"""The recurrence as TensorFlow operations that run the compiled loops, with a gradient.

Each operation runs one direction. TensorFlow runs the two directions of an encoder in parallel.

Operations that call Python cannot be exported; `portable` replaces them with those of `han.recurrence.plain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import tf
from han.recurrence.buffers import empty, zeros
from han.recurrence.loops import GATES, KEPT, backward_loop, forward_loop
from han.recurrence.plain import plain_recurrence

Array = npt.NDArray[Any]
Tensors = tuple[tf.Tensor, ...]

_portable: ContextVar[bool] = ContextVar("portable", default=False)


@contextmanager
def portable() -> Iterator[None]:
    """Use only operations that can be exported, for all that is traced in this block."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


class Direction(NamedTuple):
    """One direction of a recurrence over sequences that are laid one after another.

    Attributes
    ----------
    cell : {"gru", "lstm"}
    table : float tensor [rows, gates * units]
        The distinct inputs times the input kernel, plus all biases but `bias`, in the layout of `arrange`.
    index : int32 tensor [elements]
        The row of `table` that each element reads.
    lengths : int32 tensor [sequences]
        Number of elements of each sequence; may be 0.
    kernel : float tensor [units, gates * units]
        The recurrent kernel, in the layout of `arrange`.
    bias : float tensor [units]
        The recurrent bias of the GRU's candidate; not used by the LSTM.
    backwards : bool
        Whether each sequence is read from its last element to its first.
    """

    cell: str
    table: tf.Tensor
    index: tf.Tensor
    lengths: tf.Tensor
    kernel: tf.Tensor
    bias: tf.Tensor
    backwards: bool


def arrange(cell: str, weights: tf.Tensor) -> tf.Tensor:
    """Convert weights [..., gates * units] from Keras' layout to that of `han.recurrence.cells`."""
    if cell == "gru":
        z, r, h = tf.split(weights, 3, axis=-1)
        return tf.concat([0.5 * z, 0.5 * r, h], axis=-1)
    i, f, g, o = tf.split(weights, 4, axis=-1)
    return tf.concat([0.5 * i, 0.5 * f, 0.5 * o, g], axis=-1)


def recurrence(direction: Direction, differentiable: bool = True) -> tf.Tensor:
    """Run a cell in one direction.

    Parameters
    ----------
    direction : Direction
    differentiable : bool, default True
        Keep what the gradient needs, which takes memory and a fifth of the time.

    Returns
    -------
    float tensor [elements, units]
        The outputs.
    """
    if _portable.get():
        return plain_recurrence(*direction)
    cell, *inputs, backwards = direction
    function = _differentiable if differentiable else _outputs
    outputs: tf.Tensor = function(cell, direction.kernel.shape[0], backwards)(*inputs)
    return outputs


def _traced_once(
    build: Callable[[str, int, bool], tuple[Callable[..., Any], list[tf.TensorSpec]]],
) -> Callable[[str, int, bool], Callable[..., Any]]:
    """Trace a function of tensors once for each cell, number of units and direction.

    TensorFlow never frees the graph around a `tf.custom_gradient`, nor a Python function that a graph calls, so these
    must not be part of the graphs of each network.
    """

    @cache
    @wraps(build)
    def function(cell: str, units: int, backwards: bool) -> Callable[..., Any]:
        with tf.init_scope():
            run, signature = build(cell, units, backwards)
            traced: Callable[..., Any] = tf.function(run, autograph=False).get_concrete_function(*signature)
            return traced

    return function


@_traced_once
def _outputs(cell: str, units: int, backwards: bool) -> tuple[Callable[..., tf.Tensor], list[tf.TensorSpec]]:
    """Return a function of the tensors of a `Direction` that returns the outputs."""
    forward = forward_loop(cell, units)

    def run(table: Array, index: Array, lengths: Array, kernel: Array, bias: Array) -> Array:
        outputs = empty(len(index), units)
        forward(table, index, lengths, kernel, bias, backwards, False, outputs, np.empty((0, 0), np.float32))
        return outputs

    return lambda *inputs: _call(run, inputs, [[None, units]])[0], _signature(cell, units)


@_traced_once
def _traced(cell: str, units: int, backwards: bool) -> tuple[Callable[..., Tensors], list[tf.TensorSpec]]:
    """Return a function of the tensors of a `Direction` that returns the outputs and what was kept."""
    forward = forward_loop(cell, units)

    def run(table: Array, index: Array, lengths: Array, kernel: Array, bias: Array) -> tuple[Array, Array]:
        outputs, kept = empty(len(index), units), empty(len(index), KEPT[cell] * units)
        forward(table, index, lengths, kernel, bias, backwards, True, outputs, kept)
        return outputs, kept

    return lambda *inputs: _call(run, inputs, [[None, units], [None, KEPT[cell] * units]]), _signature(cell, units)


@_traced_once
def _differentiable(cell: str, units: int, backwards: bool) -> tuple[Callable[..., tf.Tensor], list[tf.TensorSpec]]:
    """Return a function of the tensors of a `Direction` that returns the outputs and has a gradient."""
    forward, backward = _traced(cell, units, backwards), backward_loop(cell, units)

    def gradients(
        index: Array, lengths: Array, kernel: Array, outputs: Array, kept: Array, change: Array, rows: Array
    ) -> tuple[Array, ...]:
        sums = zeros(int(rows), kernel.shape[1]), zeros(*kernel.shape), zeros(units)
        backward(index, lengths, kernel, backwards, outputs, kept, change, *sums)
        return sums

    def differentiable(
        table: tf.Tensor, index: tf.Tensor, lengths: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        @tf.custom_gradient
        def run(table: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Tensors]]:
            outputs, kept = forward(table, index, lengths, kernel, bias)

            def gradient(change: tf.Tensor) -> Tensors:
                inputs = [index, lengths, kernel, outputs, kept, change, tf.shape(table)[0]]
                return _call(gradients, inputs, [[None, kernel.shape[1]], kernel.shape, [units]])

            return outputs, gradient

        return run(table, kernel, bias)

    return differentiable, _signature(cell, units)


def _call(function: Callable[..., Any], inputs: Any, shapes: list[Any]) -> Tensors:
    """Call a function of arrays in a graph; return its results as tensors of the given shapes."""
    # Operations with a state run one after another, not side by side.
    results = tf.numpy_function(function, list(inputs), [tf.float32] * len(shapes), stateful=False)
    return tuple(tf.ensure_shape(result, shape) for result, shape in zip(results, shapes, strict=True))


def _signature(cell: str, units: int) -> list[tf.TensorSpec]:
    width = GATES[cell] * units
    ids = tf.TensorSpec([None], tf.int32)
    return [tf.TensorSpec([None, width]), ids, ids, tf.TensorSpec([units, width]), tf.TensorSpec([units])]
