"""Bidirectional LSTM and GRU recurrences over packed sequences.

A batch of sequences is *packed*: sorted by length, longest first, and laid out step by step, so that step `t` holds
one row for each sequence that is still running and the rows of a step are a prefix of the rows of the step before.
No arithmetic is spent on padding, and no mask is needed. Both directions advance in one step through a batched
product; the backward direction simply reads each sequence from its other end.

The gradient is written by hand: the forward pass keeps the activated gates, the backward pass walks the steps once and
collects the gradient at the gates, and the gradient of the recurrent kernel is then one large product over all steps
instead of one small product a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from han.backend import tf

State = tuple[tf.Tensor, ...]


class Cell(ABC):
    """The equations of one recurrent step, forward and backward.

    Shapes: `inputs` and `projected` are [2, rows, gates * units], a state is a tuple of [2, rows, units] whose first
    element is the output of the cell. `projected` is the previous output times the recurrent kernel, plus the
    recurrent bias if there is one. `kept` is what the backward step needs of the forward step, in one tensor
    [2, rows, kept * units].
    """

    gates: ClassVar[int]
    kept: ClassVar[int]
    states: ClassVar[int]

    @staticmethod
    @abstractmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, tf.Tensor]:
        """Return the next state and what the backward step needs."""

    @staticmethod
    @abstractmethod
    def step_gradient(kept: tf.Tensor, state: State, gradient: State) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Return the gradients at `inputs` and `projected`, and the direct gradient at the previous `state`.

        `gradient` is the gradient at the next state. What reaches the previous output through `projected` is left
        out: the caller adds it.
        """


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with forget gates), gates in Keras' order i, f, c, o."""

    gates = 4
    kept = 5
    states = 2

    @staticmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, tf.Tensor]:
        _, carry = state
        i, f, g, o = tf.split(inputs + projected, 4, axis=-1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        carry = f * carry + i * g
        squashed = tf.tanh(carry)
        return (o * squashed, carry), tf.concat([i, f, g, o, squashed], axis=-1)

    @staticmethod
    def step_gradient(kept: tf.Tensor, state: State, gradient: State) -> tuple[tf.Tensor, tf.Tensor, State]:
        i, f, g, o, squashed = tf.split(kept, 5, axis=-1)
        _, carry = state
        output_gradient, carry_gradient = gradient
        carry_gradient += output_gradient * o * (1.0 - squashed * squashed)
        # sigmoid' = s (1 - s), tanh' = 1 - t^2, each from the activated value.
        at_gates = tf.concat(
            [
                carry_gradient * g * i * (1.0 - i),
                carry_gradient * carry * f * (1.0 - f),
                carry_gradient * i * (1.0 - g * g),
                output_gradient * squashed * o * (1.0 - o),
            ],
            axis=-1,
        )
        return at_gates, at_gates, (tf.zeros_like(output_gradient), carry_gradient * f)


class GRUCell(Cell):
    """Gated recurrent unit with the reset gate after the product, as Keras and cuDNN have it; gates z, r, h."""

    gates = 3
    kept = 4
    states = 1

    @staticmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, tf.Tensor]:
        (output,) = state
        input_z, input_r, input_h = tf.split(inputs, 3, axis=-1)
        projected_z, projected_r, projected_h = tf.split(projected, 3, axis=-1)
        z = tf.sigmoid(input_z + projected_z)
        r = tf.sigmoid(input_r + projected_r)
        candidate = tf.tanh(input_h + r * projected_h)
        return (z * output + (1.0 - z) * candidate,), tf.concat([z, r, candidate, projected_h], axis=-1)

    @staticmethod
    def step_gradient(kept: tf.Tensor, state: State, gradient: State) -> tuple[tf.Tensor, tf.Tensor, State]:
        z, r, candidate, projected_h = tf.split(kept, 4, axis=-1)
        (output,) = state
        (output_gradient,) = gradient
        at_candidate = output_gradient * (1.0 - z) * (1.0 - candidate * candidate)
        at_z = output_gradient * (output - candidate) * z * (1.0 - z)
        at_r = at_candidate * projected_h * r * (1.0 - r)
        at_inputs = tf.concat([at_z, at_r, at_candidate], axis=-1)
        at_projected = tf.concat([at_z, at_r, at_candidate * r], axis=-1)
        return at_inputs, at_projected, (output_gradient * z,)


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell}


def packed_recurrence(
    cell: type[Cell],
    inputs: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    recurrent_bias: tf.Tensor | None,
    batch_sizes: tf.Tensor,
) -> tf.Tensor:
    """Run a cell over packed sequences in both directions, starting each from a zero state.

    Parameters
    ----------
    cell : type[Cell]
        `LSTMCell` or `GRUCell`.
    inputs : float tensor [2, steps_rows, gates * units]
        Input projections, bias included, for the two directions; `steps_rows` is `sum(batch_sizes)`.
    recurrent_kernel : float tensor [2, units, gates * units]
    recurrent_bias : float tensor [2, gates * units] or None
        Added to the recurrent product; the GRU needs it inside the reset gate.
    batch_sizes : int32 tensor [steps], steps >= 1
        The number of rows of each step; never increases, may be 0.

    Returns
    -------
    float tensor [2, steps_rows, units]
        The outputs, in the order of `inputs`.
    """

    @tf.custom_gradient
    def run(inputs: tf.Tensor, kernel: tf.Tensor, *bias: tf.Tensor) -> tuple[tf.Tensor, object]:
        states, kept = _forward(cell, inputs, kernel, bias[0] if bias else None, batch_sizes)

        def gradient(at_outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
            previous = tuple(_previous_rows(state, batch_sizes) for state in states)
            at_inputs, at_projected = _backward(cell, kernel, at_outputs, previous, kept, batch_sizes)
            at_kernel = tf.matmul(previous[0], at_projected, transpose_a=True)
            return at_inputs, at_kernel, *(tf.reduce_sum(at_projected, axis=1) for _ in bias)

        return states[0], gradient

    outputs: tf.Tensor = run(inputs, recurrent_kernel, *([] if recurrent_bias is None else [recurrent_bias]))
    return outputs


def _forward(
    cell: type[Cell], inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None, batch_sizes: tf.Tensor
) -> tuple[State, tf.Tensor]:
    """Return every step's states ([2, steps_rows, units] each) and what was kept for the gradient."""
    units = kernel.shape[1]
    steps = tf.size(batch_sizes)
    starts = tf.cumsum(batch_sizes, exclusive=True)
    widths = [units] * cell.states + [cell.kept * units]
    logs = [tf.TensorArray(inputs.dtype, steps, element_shape=[None, 2, width], infer_shape=False) for width in widths]
    state = tuple(tf.zeros([2, batch_sizes[0], units], inputs.dtype) for _ in range(cell.states))

    def body(t: tf.Tensor, state: State, logs: list[tf.TensorArray]) -> tuple[tf.Tensor, State, list[tf.TensorArray]]:
        size = batch_sizes[t]
        state = tuple(part[:, :size] for part in state)
        projected = tf.matmul(state[0], kernel)
        if bias is not None:
            projected += bias[:, None]
        state, kept = cell.step(inputs[:, starts[t] : starts[t] + size], projected, state)
        # [rows, 2, width], so that the steps can be joined along the first axis.
        values = [tf.transpose(value, [1, 0, 2]) for value in (*state, kept)]
        return t + 1, state, [log.write(t, value) for log, value in zip(logs, values, strict=True)]

    _, _, logs = tf.while_loop(
        lambda t, *_: t < steps,
        body,
        (0, state, logs),
        shape_invariants=(
            tf.TensorShape([]),
            tuple(tf.TensorShape([2, None, units]) for _ in state),
            [tf.TensorShape(None) for _ in logs],
        ),
    )
    joined = [tf.transpose(log.concat(), [1, 0, 2]) for log in logs]
    return tuple(joined[:-1]), joined[-1]


def _backward(
    cell: type[Cell], kernel: tf.Tensor, at_outputs: tf.Tensor, previous: State, kept: tf.Tensor, batch_sizes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the gradients at the inputs and at the recurrent products, [2, steps_rows, gates * units] each."""
    units = kernel.shape[1]
    steps = tf.size(batch_sizes)
    starts = tf.cumsum(batch_sizes, exclusive=True)
    width = cell.gates * units
    logs = [tf.TensorArray(kernel.dtype, steps, element_shape=[None, 2, width], infer_shape=False) for _ in range(2)]
    gradient = tuple(tf.zeros([2, 0, units], kernel.dtype) for _ in previous)

    def body(
        t: tf.Tensor, gradient: State, logs: list[tf.TensorArray]
    ) -> tuple[tf.Tensor, State, list[tf.TensorArray]]:
        start, size = starts[t], batch_sizes[t]
        # Sequences whose last step is t join the running ones here, with nothing yet from later steps.
        gradient = tuple(tf.pad(part, [[0, 0], [0, size - tf.shape(part)[1]], [0, 0]]) for part in gradient)
        gradient = (gradient[0] + at_outputs[:, start : start + size], *gradient[1:])
        at_inputs, at_projected, gradient = cell.step_gradient(
            kept[:, start : start + size], tuple(part[:, start : start + size] for part in previous), gradient
        )
        gradient = (gradient[0] + tf.matmul(at_projected, kernel, transpose_b=True), *gradient[1:])
        values = [tf.transpose(value, [1, 0, 2]) for value in (at_inputs, at_projected)]
        return t - 1, gradient, [log.write(t, value) for log, value in zip(logs, values, strict=True)]

    _, _, logs = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (steps - 1, gradient, logs),
        shape_invariants=(
            tf.TensorShape([]),
            tuple(tf.TensorShape([2, None, units]) for _ in gradient),
            [tf.TensorShape(None) for _ in logs],
        ),
    )
    at_inputs, at_projected = (tf.transpose(log.concat(), [1, 0, 2]) for log in logs)
    return at_inputs, at_projected


def _previous_rows(states: tf.Tensor, batch_sizes: tf.Tensor) -> tf.Tensor:
    """Return each row's state one step before (zero at the first step), [2, steps_rows, units]."""
    starts = tf.cumsum(batch_sizes, exclusive=True)
    rows = tf.shape(states)[1]
    first = batch_sizes[0]
    # Row k of step t is row k of step t - 1: batch_sizes[t - 1] rows earlier in the packed order.
    step = tf.repeat(tf.range(tf.size(batch_sizes)), batch_sizes)
    index = tf.range(rows) - tf.gather(starts, step) + tf.gather(tf.concat([[0], starts], axis=0), step)
    zeros = tf.zeros([2, first, tf.shape(states)[2]], states.dtype)
    return tf.concat([zeros, tf.gather(states, index[first:], axis=1)], axis=1)
