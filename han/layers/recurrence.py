"""LSTM and GRU recurrences compiled by XLA, over sequences laid out in lanes.

The sequences of a batch are laid end to end in lanes of nearly equal length (`han.layers.packing`), and all lanes
advance in lockstep: each step is one matrix product and one fused block of element-wise arithmetic, with almost no work
spent on padding. At the start of a sequence, the state carried by its lane is set to zero.

The gradient is derived by hand: the forward loop stores the activated gates, and the backward loop visits the steps
once, accumulating the gradients of the recurrent kernel and of the input table.

Each call runs one direction. A bidirectional encoder calls the same compiled code twice, and TensorFlow runs the two
calls in parallel, one per core. That is faster than a single loop whose small products are each split between cores.

XLA compiles once per input shape. The number of steps that are actually run is a value, not a shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

from han.backend import tf
from han.backend.compiled import launch
from han.layers.cells import Cell, State


class Direction(NamedTuple):
    """One direction of a recurrence over lanes of sequences.

    Attributes
    ----------
    cell : type[Cell]
        `LSTMCell` or `GRUCell`.
    table : float tensor [rows, gates * units]
        The distinct inputs times the input kernel, in the layout of `cell.arrange`.
    slots : int32 tensor [steps_allocated, lanes]
        The row of `table` that each lane reads at each step.
    carry : float tensor [steps_allocated, lanes]
        The factor of the previous state: 0.0 where a sequence starts in this direction, 1.0 elsewhere.
    span : int32 tensor [3]
        The first step, the increment and the step to stop at, as for `range`; see `span`.
    kernel : float tensor [units, gates * units]
        The recurrent kernel, in the layout of `cell.arrange`.
    biases : float tensor [biases, gates * units]
        The biases of the cell, in the layout of `cell.arrange`.
    """

    cell: type[Cell]
    table: tf.Tensor
    slots: tf.Tensor
    carry: tf.Tensor
    span: tf.Tensor
    kernel: tf.Tensor
    biases: tf.Tensor


def span(steps: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Return the span of a direction that runs `steps` steps, from the last to the first if `reverse` is True."""
    return tf.stack([steps - 1, -1, -1] if reverse else [0, 1, steps])


def recurrence(direction: Direction, differentiable: bool = True) -> tf.Tensor:
    """Run a cell in one direction.

    Parameters
    ----------
    direction : Direction
    differentiable : bool, default True
        Store what the gradient needs, which takes a third of the forward time.

    Returns
    -------
    float tensor [steps_allocated, lanes, units]
        The outputs. Those of steps that were not run are undefined.
    """
    cell, *inputs = direction
    units = direction.kernel.shape[0]
    if differentiable:
        outputs: tf.Tensor = _differentiable(cell, units)(*inputs)
        return outputs
    return launch(_forward(cell, units, "outputs"), *inputs)[0]


def traced_recurrence(direction: Direction) -> State:
    """Run a cell as `recurrence` does; return its outputs, and what `contributions` needs of the memory."""
    cell, *inputs = direction
    return launch(_forward(cell, direction.kernel.shape[0], "memory"), *inputs)


def contributions(direction: Direction, trace: State, weights: tf.Tensor) -> tf.Tensor:
    r"""Divide a weighted sum of the outputs of one direction among the steps.

    A cell's memory is what each step has written, multiplied by what later steps retained of it, and the output exposes
    a part of the memory (`Cell.decompose`). With the weights :math:`v` of the outputs, the gates :math:`r` that retain
    and :math:`e` that expose, and what was written, :math:`w`, step t contributes

    .. math:: g_t \cdot w_t, \quad g_t = e_t v_t + r_{t+1} g_{t+1}

    Murdoch & Szlam 2017, https://arxiv.org/abs/1702.02540, decompose the last output of an LSTM in a similar way.

    Parameters
    ----------
    direction : Direction
    trace : tuple of float tensors
        What `traced_recurrence` returned.
    weights : float tensor [steps_allocated, lanes, units]
        Of the outputs; zeros where there is no element.

    Returns
    -------
    float tensor [steps_allocated, lanes]
    """
    outputs, *memory = trace
    function = _contributions(outputs.shape[-1], len(memory))
    return launch(function, direction.carry, direction.span, tuple(memory), weights)[0]


def _reversed(span: tf.Tensor) -> tf.Tensor:
    """Return the span that visits the same steps in the opposite order."""
    return tf.stack([span[2] - span[1], -span[1], span[0] - span[1]])


@cache
def _differentiable(cell: type[Cell], units: int) -> Callable[..., tf.Tensor]:
    """Return a function that computes the outputs and has a gradient.

    TensorFlow never frees a function decorated with `tf.custom_gradient`, nor the graph in which it was traced. Here it
    is traced once per process, rather than in the graph of each network.
    """

    @tf.function(autograph=False, input_signature=_inputs(cell, units))
    def differentiable(
        table: tf.Tensor, slots: tf.Tensor, carry: tf.Tensor, span: tf.Tensor, kernel: tf.Tensor, biases: tf.Tensor
    ) -> tf.Tensor:
        @tf.custom_gradient
        def run(table: tf.Tensor, kernel: tf.Tensor, biases: tf.Tensor) -> tuple[tf.Tensor, Callable[..., State]]:
            # Tapes must not record the loop, which they cannot differentiate: neither through the arguments nor, for a
            # second derivative, through the values stored for the gradient.
            table, kernel, biases = (tf.stop_gradient(part) for part in (table, kernel, biases))
            results = launch(_forward(cell, units, "states"), table, slots, carry, span, kernel, biases)
            logged = tuple(tf.stop_gradient(part) for part in results)
            states, kept = logged[: cell.states], logged[cell.states :]

            def gradient(grad_outputs: tf.Tensor) -> State:
                sums: State = launch(
                    _backward(cell, units),
                    tf.zeros_like(table),
                    slots,
                    carry,
                    span,
                    kernel,
                    states,
                    kept,
                    grad_outputs,
                )
                return sums

            return states[0], gradient

        return run(table, kernel, biases)

    return differentiable  # type: ignore[no-any-return]


def _signature(cell: type[Cell], units: int) -> list[tf.TensorSpec]:
    """Return the signature of the arguments that two compiled functions share: table, slots, carry, span, kernel."""
    width = cell.gates * units
    return [
        tf.TensorSpec([None, width], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
        tf.TensorSpec([None, None], tf.float32),
        tf.TensorSpec([3], tf.int32),
        tf.TensorSpec([units, width], tf.float32),
    ]


def _inputs(cell: type[Cell], units: int) -> list[tf.TensorSpec]:
    """Return the signature of the forward function: table, slots, carry, span, kernel, biases."""
    return [*_signature(cell, units), tf.TensorSpec([cell.biases, cell.gates * units], tf.float32)]


@cache
def _forward(cell: type[Cell], units: int, logged: Literal["outputs", "memory", "states"]) -> Callable[..., State]:
    """Compile the forward loop.

    It returns tensors [steps_allocated, lanes, ...]: the outputs first, then what `Cell.decompose` makes of the memory,
    or the rest of the states and what the cell keeps for the gradient.
    """

    def values(state: State, kept: State) -> State:
        if logged == "states":
            return (*state, *kept)
        if logged == "memory":
            return (state[0], *cell.decompose(kept, state))
        # The column is not used. With it, XLA computes the gates of a step once. If only the output needed them, it
        # would compute them again for each of their uses, and a GRU would take twice as long.
        return state[0], kept[0][:, :1]

    widths = {
        "outputs": [units, 1],
        "memory": [units] * (1 + cell.parts),
        "states": [units] * cell.states + [width * units for width in cell.kept],
    }[logged]

    @tf.function(jit_compile=True, autograph=False, input_signature=_inputs(cell, units))
    def forward(
        table: tf.Tensor, slots: tf.Tensor, carry: tf.Tensor, span: tf.Tensor, kernel: tf.Tensor, biases: tf.Tensor
    ) -> State:
        logs = [_Log(slots, width) for width in widths]
        # On CPUs, XLA multiplies matrices fastest if their width is a multiple of 32: 200 columns take a sixth longer
        # than 224.
        padded = tf.pad(kernel, [[0, 0], [0, -kernel.shape[1] % 32]])

        def body(t: tf.Tensor, state: State, lists: State) -> tuple[State, State]:
            carried = carry[t][:, None]
            inputs = tf.gather(table, slots[t]) + biases[0]
            projected = tf.matmul(state[0], padded)[:, : kernel.shape[1]] * carried
            if cell.biases == 2:
                projected += biases[1]
            state = tuple(part * carried for part in state)
            state, kept = cell.step(inputs, projected, state)
            return state, _Log.write(lists, t, values(state, kept))

        zeros = tuple(tf.zeros([tf.shape(slots)[1], units]) for _ in range(cell.states))
        lists = _loop(span, body, zeros, tuple(log.empty for log in logs))
        return tuple(log.stack(list_) for log, list_ in zip(logs, lists, strict=True))

    return forward  # type: ignore[no-any-return]


@cache
def _backward(cell: type[Cell], units: int) -> Callable[..., State]:
    """Compile the backward loop, which returns the gradients of the table, the recurrent kernel and the biases.

    The first argument is the initial gradient of the table: zeros.
    """
    state = tf.TensorSpec([None, None, units], tf.float32)
    kept = tuple(tf.TensorSpec([None, None, width * units], tf.float32) for width in cell.kept)
    signature = [*_signature(cell, units), (state,) * cell.states, kept, state]

    @tf.function(jit_compile=True, autograph=False, input_signature=signature)
    def backward(
        grad_table: tf.Tensor,
        slots: tf.Tensor,
        carry: tf.Tensor,
        span: tf.Tensor,
        kernel: tf.Tensor,
        states: State,
        kept: State,
        grad_outputs: tf.Tensor,
    ) -> State:
        def body(t: tf.Tensor, gradient: State, sums: State) -> tuple[State, State]:
            grad_table, grad_kernel, *grad_recurrent_bias = sums
            carried = carry[t][:, None]
            # The first step has no previous state. Any finite one will do (logs are zero where nothing was written),
            # since all lanes start a sequence there, so it is multiplied by zero.
            previous = tuple(
                tf.gather(part, tf.clip_by_value(t - span[1], 0, tf.shape(part)[0] - 1)) * carried for part in states
            )
            gradient = (gradient[0] + grad_outputs[t], *gradient[1:])
            grad_inputs, grad_projected, gradient = cell.step_gradient(
                tuple(part[t] for part in kept), previous, tuple(part[t] for part in states), gradient
            )
            sums = (
                tf.tensor_scatter_nd_add(grad_table, slots[t][:, None], grad_inputs),
                grad_kernel + tf.matmul(previous[0], grad_projected, transpose_a=True),
                *(part + tf.reduce_sum(grad_projected, axis=0) for part in grad_recurrent_bias),
            )
            gradient = (gradient[0] + tf.matmul(grad_projected, kernel, transpose_b=True), *gradient[1:])
            return tuple(part * carried for part in gradient), sums

        zeros = tuple(tf.zeros_like(part[0]) for part in states)
        sums = (grad_table, tf.zeros_like(kernel), *(tf.zeros_like(kernel[0]) for _ in range(cell.biases - 1)))
        sums = _loop(_reversed(span), body, zeros, sums)
        grad_table, grad_kernel, *grad_recurrent_bias = sums
        # The input bias is added to each row that is read, so its gradient is that of the table, summed over rows.
        return grad_table, grad_kernel, tf.stack([tf.reduce_sum(grad_table, axis=0), *grad_recurrent_bias])

    return backward  # type: ignore[no-any-return]


@cache
def _contributions(units: int, parts: int) -> Callable[..., State]:
    """Compile the loop of `contributions`, which returns a tuple of one tensor [steps_allocated, lanes]."""
    log = tf.TensorSpec([None, None, units], tf.float32)
    carry, span = tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([3], tf.int32)

    @tf.function(jit_compile=True, autograph=False, input_signature=[carry, span, (log,) * parts, log])
    def contributions(carry: tf.Tensor, span: tf.Tensor, memory: State, weights: tf.Tensor) -> State:
        log = _Log(carry, 1)

        def body(t: tf.Tensor, later: State, lists: State) -> tuple[State, State]:
            retained, written, *exposed = (part[t] for part in memory)
            gradient = later[0] + (exposed[0] * weights[t] if exposed else weights[t])
            lists = _Log.write(lists, t, (tf.reduce_sum(gradient * written, axis=1, keepdims=True),))
            return (gradient * retained * carry[t][:, None],), lists

        lists = _loop(_reversed(span), body, (tf.zeros_like(weights[0]),), (log.empty,))
        return (log.stack(lists[0])[:, :, 0],)

    return contributions  # type: ignore[no-any-return]


def _loop(
    span: tf.Tensor, body: Callable[[tf.Tensor, State, State], tuple[State, State]], state: State, results: State
) -> State:
    """Run `body(step, state, results)` for each step of the span; return the last results."""

    def advance(t: tf.Tensor, state: State, results: State) -> tuple[tf.Tensor, State, State]:
        # The step is a loop variable. If it were computed from `span` in the body, XLA would treat it as a constant and
        # compile again for each value.
        return t + span[1], *body(t, state, results)

    # The number of lanes may be unknown at tracing time.
    invariants = (span[0].shape, tuple(part.shape for part in state), tuple(part.shape for part in results))
    _, _, results = tf.while_loop(
        lambda t, *_: t != span[2], advance, (span[0], state, results), shape_invariants=invariants
    )
    return results


class _Log:
    """A tensor [steps_allocated, lanes, width] that a loop writes step by step.

    `tf.TensorArray` needs to know the number of lanes at tracing time; the operations it consists of do not.
    """

    def __init__(self, slots: tf.Tensor, width: int) -> None:
        self.shape = tf.stack([tf.shape(slots)[1], width])
        self.width = width
        self.empty = tf.raw_ops.TensorListReserve(
            element_shape=self.shape, num_elements=tf.shape(slots)[0], element_dtype=tf.float32
        )

    @staticmethod
    def write(lists: State, step: tf.Tensor, values: State) -> State:
        """Write one step of several logs."""
        return tuple(
            tf.raw_ops.TensorListSetItem(input_handle=list_, index=step, item=value)
            for list_, value in zip(lists, values, strict=True)
        )

    def stack(self, list_: tf.Tensor) -> tf.Tensor:
        """Return the log as one tensor."""
        stacked = tf.raw_ops.TensorListStack(input_handle=list_, element_shape=self.shape, element_dtype=tf.float32)
        return tf.ensure_shape(stacked, [None, None, self.width])
