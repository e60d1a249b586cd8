"""A level of the network on arrays: an encoder in both directions and the pooling of its states."""

from __future__ import annotations

from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.recurrence.buffers import empty
from han.recurrence.contributions_loop import contributions_loop
from han.recurrence.gradient_loop import gradient_loop
from han.recurrence.loops import KEPT, POOLINGS, forward_loop

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class Kind(NamedTuple):
    """What determines the computation of a level, besides its weights.

    Attributes
    ----------
    cell : {"gru", "lstm"}
    units : int
        Of each direction.
    residual : bool
        Whether a projection of the inputs is added to the outputs of the recurrence.
    pooling : {"attention", "mean", "max"}
    additive : bool
        Whether that projection is pooled in place of the states, with their attention.
    """

    cell: str
    units: int
    residual: bool
    pooling: str
    additive: bool


class Weights(NamedTuple):
    """The weights of a level, arrays or tensors.

    Attributes
    ----------
    kernels : float [2, units, gates * units]
        The recurrent kernels of the forward and of the backward direction, in Keras' layout like the biases.
    biases : float [2, 1 or 2, gates * units]
        The GRU has two rows for each direction, for its inputs and for the recurrence.
    attention_kernel : float [2 * units, attention units]
        This and the next have no elements without attention.
    attention_bias, context : float [attention units]
    """

    kernels: Any
    biases: Any
    attention_kernel: Any
    attention_bias: Any
    context: Any


class Inputs(NamedTuple):
    """What a level reads, arrays or tensors.

    Attributes
    ----------
    table : float [rows, columns]
        The distinct inputs times the input kernels of both directions and, with a residual connection, times its
        kernel; one after another in each row.
    index : int32 [elements]
        The row that each element reads.
    lengths : int32 [sequences]
        Number of elements of each sequence, which are laid one after another; may be 0.
    """

    table: Any
    index: Any
    lengths: Any


class Trace(NamedTuple):
    """What the forward pass keeps; parts that are not kept have no rows.

    Attributes
    ----------
    kept : float array [2 * elements, kept * units]
        What each step keeps, see `han.recurrence.cells`; the forward direction first.
    outputs : float array [elements, 2 * units]
        The outputs of the recurrence, for gradients.
    attended : float array [elements, attention units]
        The projections whose product with the context vector is the logit of attention, for gradients.
    sources : int32 array [sequences, 2 * units]
        The element that each feature of a vector comes from; only for max pooling.
    """

    kept: Float32
    outputs: Float32
    attended: Float32
    sources: Int32


class Pooled(NamedTuple):
    """The result of a level.

    Attributes
    ----------
    vectors : float array [sequences, 2 * units]
    scores : float array [elements]
        The attention; zeros for max pooling.
    trace : Trace
    """

    vectors: Float32
    scores: Float32
    trace: Trace


def writeable(ids: npt.ArrayLike) -> Int32:
    """Return ids as the loops take them: arrays that belong to tensors may not be writeable."""
    required: Int32 = np.require(ids, np.int32, ["C", "W"])
    return required


def compile_in_background(cell: str, units: int) -> None:
    """Begin to compile the loops that training needs, or to load them, in a thread."""

    def work() -> None:
        forward_loop(cell, units)
        gradient_loop(cell, units)

    Thread(target=work, name="compilation").start()


def pool(
    kind: Kind, inputs: Inputs, weights: Weights, *, for_contributions: bool = False, for_gradients: bool = False
) -> Pooled:
    """Encode and pool sequences.

    Parameters
    ----------
    kind : Kind
    inputs : Inputs
        Arrays.
    weights : Weights
        Arrays.
    for_contributions, for_gradients : bool, default False
        Whether to keep what `contributions` needs, and what `gradients` needs.
    """
    sequences, elements, width = len(inputs.lengths), len(inputs.index), 2 * kind.units
    attention_units = weights.attention_kernel.shape[1]
    traced, has_sources = for_contributions or for_gradients, kind.pooling == "max"
    trace = Trace(
        empty(2 * elements if traced else 0, KEPT[kind.cell] * kind.units),
        empty(elements if for_gradients else 0, width),
        empty(elements if for_gradients and attention_units else 0, attention_units),
        np.zeros((sequences if traced and has_sources else 0, width), np.int32),
    )
    pooled = Pooled(empty(sequences, width), empty(elements), trace)
    forward_loop(kind.cell, kind.units)(
        *_arrays(inputs),
        *_order(inputs.lengths),
        *weights,
        kind.residual,
        POOLINGS[kind.pooling],
        kind.additive,
        pooled.vectors,
        pooled.scores,
        *trace,
    )
    return pooled


def gradients(
    kind: Kind,
    inputs: Inputs,
    weights: Weights,
    scores: Float32,
    trace: Trace,
    grad_vectors: Float32,
    grad_scores: Float32,
) -> tuple[Float32, Weights]:
    """Return the gradients of the table and of the weights, given those of the vectors and of the scores."""
    grad_table, grad_weights = empty(*inputs.table.shape), Weights(*(empty(*weight.shape) for weight in weights))
    gradient_loop(kind.cell, kind.units)(
        *_arrays(inputs),
        *_order(inputs.lengths),
        np.ascontiguousarray(weights.kernels.transpose(0, 2, 1)),
        np.ascontiguousarray(weights.attention_kernel.T),
        weights.context,
        kind.residual,
        POOLINGS[kind.pooling],
        kind.additive,
        scores,
        *trace,
        grad_vectors,
        grad_scores,
        grad_table,
        *grad_weights,
    )
    return grad_table, grad_weights


def contributions(kind: Kind, inputs: Inputs, pooled: Pooled, weights: Float32) -> Float32:
    """Divide weighted sums of pooled vectors among the elements of their sequences.

    Parameters
    ----------
    kind : Kind
    inputs : Inputs
    pooled : Pooled
        What `pool` returned for these inputs with `for_contributions`.
    weights : float array [sequences, 2 * units]

    Returns
    -------
    float array [elements]
        The sum of a sequence's is that of its weights times its vector.
    """
    totals, trace = empty(len(inputs.index)), pooled.trace
    contributions_loop(kind.cell, kind.units)(
        *_arrays(inputs),
        kind.residual,
        POOLINGS[kind.pooling],
        pooled.scores,
        trace.kept,
        trace.sources,
        weights,
        totals,
    )
    return totals


def _order(lengths: Int32) -> tuple[Int64, Int64]:
    """Return the sequences by decreasing length, and their first elements."""
    return np.argsort(-lengths, kind="stable"), np.cumsum(lengths) - lengths


def _arrays(inputs: Inputs) -> Inputs:
    return Inputs(inputs.table, writeable(inputs.index), writeable(inputs.lengths))
