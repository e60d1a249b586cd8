"""A level of the network as a TensorFlow operation that runs the compiled loops, with a gradient.

Operations that call Python cannot be exported; in a `portable` block, `han.layers.level` uses others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import cpu_count

from han.backend import tf
from han.recurrence.level import Inputs, Kind, Trace, Weights, gradients, pool
from han.recurrence.loops import GATES, KEPT

Array = npt.NDArray[Any]
Tensors = tuple[tf.Tensor, ...]

# A level is divided among the cores, but more parts than this would take too long to add up.
MAX_PARTS = 4

_portable: ContextVar[bool] = ContextVar("portable", default=False)


@contextmanager
def portable() -> Iterator[None]:
    """Use only operations that can be exported, for all that is traced in this block."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_portable() -> bool:
    """Return whether a `portable` block is running."""
    return _portable.get()


def pooled_vectors(
    kind: Kind, inputs: Inputs, weights: Weights, differentiable: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encode and pool sequences.

    Parameters
    ----------
    kind : Kind
    inputs : Inputs
        Tensors.
    weights : Weights
        Tensors.
    differentiable : bool, default True
        Keep what the gradient needs.

    Returns
    -------
    vectors : float tensor [sequences, 2 * units]
    scores : float tensor [elements]
        The attention; zeros for max pooling.
    """
    vectors, scores = _operation(kind, inputs.table.shape[1], weights.context.shape[0], differentiable)(
        *inputs, *weights
    )
    return vectors, scores


@cache
def _operation(kind: Kind, columns: int, attention_units: int, differentiable: bool) -> Callable[..., Tensors]:
    """Return a function of `Inputs` and `Weights`, traced once for all networks.

    TensorFlow never frees the graph around a `tf.custom_gradient`, nor a Python function that a graph calls, so these
    must not be part of the graphs of each network.
    """
    width = GATES[kind.cell] * kind.units
    ids = tf.TensorSpec([None], tf.int32)
    signature = [
        *Inputs(tf.TensorSpec([None, columns]), ids, ids),
        *Weights(
            tf.TensorSpec([2, kind.units, width]),
            tf.TensorSpec([2, 2 if kind.cell == "gru" else 1, width]),
            tf.TensorSpec([2 * kind.units, attention_units]),
            tf.TensorSpec([attention_units]),
            tf.TensorSpec([attention_units]),
        ),
    ]
    with tf.init_scope():
        parts = min(cpu_count(), MAX_PARTS)
        forward = tf.function(_forward(kind, attention_units, parts, differentiable), autograph=False)
        traced = forward.get_concrete_function(*signature)
        if not differentiable:
            return lambda *tensors: traced(*tensors)[:2]
        run = tf.function(_with_gradient(kind, signature, parts, traced), autograph=False)
        return run.get_concrete_function(*signature)  # type: ignore[no-any-return]


def _forward(kind: Kind, attention_units: int, parts: int, differentiable: bool) -> Callable[..., Tensors]:
    """Return a function of tensors that returns the vectors, the scores, and the scores and the trace of each part."""

    def run_part(part: int, table: Array, index: Array, lengths: Array, *weights: Array) -> tuple[Array, ...]:
        inputs, _, _ = _part(Inputs(table, index, lengths), part, parts)
        vectors, scores, trace = pool(kind, inputs, Weights(*weights), for_gradients=differentiable)
        return (vectors, scores, *trace)

    width, kept = 2 * kind.units, KEPT[kind.cell] * kind.units
    shapes = [None, width], [None], [None, kept], [None, width], [None, attention_units], [None, width]

    def run(*tensors: tf.Tensor) -> Tensors:
        results = [
            _call(lambda *arrays, part=part: run_part(part, *arrays), tensors, shapes, [tf.float32] * 5 + [tf.int32])
            for part in range(parts)
        ]
        vectors, scores = (tf.concat([found[place] for found in results], axis=0) for place in range(2))
        return (vectors, scores, *(tensor for found in results for tensor in found[1:]))

    return run


def _with_gradient(
    kind: Kind, signature: list[tf.TensorSpec], parts: int, forward: Callable[..., Tensors]
) -> Callable[..., Tensors]:
    """Return a function of tensors that returns vectors and scores, and has a gradient."""
    kept = 1 + len(Trace._fields)

    def run_part(part: int, grad_vectors: Array, grad_scores: Array, *arrays: Array) -> tuple[Array, ...]:
        inputs, sequences, elements = _part(Inputs(*arrays[:3]), part, parts)
        weights, (scores, *trace) = Weights(*arrays[3:-kept]), arrays[-kept:]
        changes = grad_vectors[sequences], grad_scores[elements]
        grad_table, grad_weights = gradients(kind, inputs, weights, scores, Trace(*trace), *changes)
        return (grad_table, *grad_weights)

    def run(*tensors: tf.Tensor) -> Tensors:
        index, lengths = tensors[1:3]

        @tf.custom_gradient
        def differentiable(table: tf.Tensor, *weights: tf.Tensor) -> tuple[Tensors, Callable[..., Tensors]]:
            vectors, scores, *rest = forward(table, index, lengths, *weights)

            def gradient(grad_vectors: tf.Tensor, grad_scores: tf.Tensor) -> Tensors:
                shapes = [part.shape for part in (signature[0], *signature[3:])]
                results = [
                    _call(
                        lambda *arrays, part=part: run_part(part, *arrays),
                        [grad_vectors, grad_scores, table, index, lengths, *weights, *rest[part * kept :][:kept]],
                        shapes,
                        [tf.float32] * len(shapes),
                    )
                    for part in range(parts)
                ]
                return tuple(tf.add_n(gradients) for gradients in zip(*results, strict=True))

            return (vectors, scores), gradient

        return differentiable(tensors[0], *tensors[3:])  # type: ignore[no-any-return]

    return run


def _part(inputs: Inputs, part: int, parts: int) -> tuple[Inputs, slice, slice]:
    """Return one of several parts of similar size, and the ranges of its sequences and of its elements."""
    table, index, lengths = inputs
    ends = np.concatenate([[0], np.cumsum(lengths)])
    first, last = np.searchsorted(ends, [ends[-1] * part // parts, ends[-1] * (part + 1) // parts])
    # Empty sequences at both ends belong to the outer parts.
    sequences = slice(first if part else 0, last if part < parts - 1 else len(lengths))
    elements = slice(ends[sequences.start], ends[sequences.stop])
    return Inputs(table, index[elements], lengths[sequences]), sequences, elements


def _call(function: Callable[..., Any], inputs: Any, shapes: Any, dtypes: Any) -> Tensors:
    """Call a function of arrays in a graph; return its results as tensors of the given shapes."""
    # Operations with a state run one after another, not side by side.
    results = tf.numpy_function(function, list(inputs), dtypes, stateful=False)
    return tuple(tf.ensure_shape(result, shape) for result, shape in zip(results, shapes, strict=True))
