"""LSTM and GRU recurrences over sequences laid out in lanes, compiled by XLA.

The sequences of a batch stand one behind the other in lanes of nearly equal length (`han.layers.packing`), and all
lanes advance together: each step is one matrix product and a fused block of arithmetic, with next to no work spent on
padding. Where a sequence begins, the state that the lane carries is zeroed.

The gradient is written by hand: the forward loop keeps the activated gates, the backward loop walks the steps once, and
the gradients of the recurrent kernel and of the input table are summed up as it goes.

A recurrence runs in one direction. The two of a bidirectional encoder are two calls of the same compiled code, which
TensorFlow runs side by side, each on its core: faster than one loop whose every small product is divided between cores.

XLA compiles once for each shape of its inputs. The number of steps that are really run is a value, not a shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import ClassVar

from han.backend import tf
from han.backend.compiled import launch

State = tuple[tf.Tensor, ...]


class Cell(ABC):
    """The equations of one recurrent step, forward and backward.

    Shapes: `inputs` and `projected` are [lanes, gates * units], a state is a tuple of [lanes, units] whose first
    element is the cell's output. `inputs` is the input times its kernel, `projected` the previous output times the
    recurrent kernel, biases included. `kept` [lanes, kept * units] is what the backward step needs of the forward step.

    Sigmoids are computed as sigmoid(x) = tanh(x / 2) / 2 + 1/2, so that one tanh serves all gates: XLA vectorises tanh,
    not exp. The halving is done once, on the weights, by `arrange`.
    """

    gates: ClassVar[int]
    states: ClassVar[int]
    kept: ClassVar[int]
    biases: ClassVar[int]  # 1 if one bias serves both products, 2 if each has its own: the input's, the recurrent one's

    @staticmethod
    @abstractmethod
    def arrange(weights: tf.Tensor) -> tf.Tensor:
        """Bring weights [..., gates * units] from Keras' layout into that of `step`."""

    @staticmethod
    @abstractmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, tf.Tensor]:
        """Return the next state and `kept`."""

    @staticmethod
    @abstractmethod
    def step_gradient(
        kept: tf.Tensor, previous: State, state: State, gradient: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Return the gradients at `inputs`, at `projected` and, not counting what flows through it, at `previous`."""


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates: i, f, o, c, in Keras i, f, c, o."""

    gates = 4
    states = 2
    kept = 4
    biases = 1

    @staticmethod
    def arrange(weights: tf.Tensor) -> tf.Tensor:
        """See `Cell.arrange`."""
        i, f, g, o = tf.split(weights, 4, axis=-1)
        return tf.concat([0.5 * i, 0.5 * f, 0.5 * o, g], axis=-1)

    @staticmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, tf.Tensor]:
        """See `Cell.step`."""
        activated = tf.tanh(inputs + projected)
        i, f, o, g = LSTMCell._gates(activated)
        carry = f * state[1] + i * g
        return (o * tf.tanh(carry), carry), activated

    @staticmethod
    def step_gradient(
        kept: tf.Tensor, previous: State, state: State, gradient: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """See `Cell.step_gradient`."""
        i, f, o, g = LSTMCell._gates(kept)
        squashed = tf.tanh(state[1])
        at_output, at_carry = gradient
        at_carry += at_output * o * (1.0 - squashed * squashed)
        at_activated = tf.concat(
            [0.5 * at_carry * g, 0.5 * at_carry * previous[1], 0.5 * at_output * squashed, at_carry * i], axis=-1
        )
        at_inputs = (1.0 - kept * kept) * at_activated
        return at_inputs, at_inputs, (tf.zeros_like(at_output), at_carry * f)

    @staticmethod
    def _gates(activated: tf.Tensor) -> list[tf.Tensor]:
        units = activated.shape[-1] // 4
        sigmoids = 0.5 * activated[..., : 3 * units] + 0.5
        return [*(sigmoids[..., k * units : (k + 1) * units] for k in range(3)), activated[..., 3 * units :]]


class GRUCell(Cell):
    """Gated recurrent unit with the reset gate after the product, as in Keras and cuDNN; gates z, r, h."""

    gates = 3
    states = 1
    kept = 4
    biases = 2

    @staticmethod
    def arrange(weights: tf.Tensor) -> tf.Tensor:
        """See `Cell.arrange`."""
        z, r, h = tf.split(weights, 3, axis=-1)
        return tf.concat([0.5 * z, 0.5 * r, h], axis=-1)

    @staticmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, tf.Tensor]:
        """See `Cell.step`."""
        units = state[0].shape[-1]
        activated = tf.tanh(inputs[..., : 2 * units] + projected[..., : 2 * units])
        z, r = GRUCell._gates(activated)
        projected_h = projected[..., 2 * units :]
        candidate = tf.tanh(inputs[..., 2 * units :] + r * projected_h)
        return (candidate + z * (state[0] - candidate),), tf.concat([activated, candidate, projected_h], axis=-1)

    @staticmethod
    def step_gradient(
        kept: tf.Tensor, previous: State, state: State, gradient: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """See `Cell.step_gradient`."""
        units = kept.shape[-1] // 4
        activated, candidate, projected_h = kept[..., : 2 * units], kept[..., 2 * units : -units], kept[..., -units:]
        z, r = GRUCell._gates(activated)
        (at_output,) = gradient
        at_candidate = at_output * (1.0 - z) * (1.0 - candidate * candidate)
        at_gates = tf.concat([0.5 * at_output * (previous[0] - candidate), 0.5 * at_candidate * projected_h], axis=-1)
        at_gates *= 1.0 - activated * activated
        at_inputs = tf.concat([at_gates, at_candidate], axis=-1)
        at_projected = tf.concat([at_gates, at_candidate * r], axis=-1)
        return at_inputs, at_projected, (at_output * z,)

    @staticmethod
    def _gates(activated: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        units = activated.shape[-1] // 2
        sigmoids = 0.5 * activated + 0.5
        return sigmoids[..., :units], sigmoids[..., units:]


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell}


def recurrence(
    cell: type[Cell],
    table: tf.Tensor,
    slots: tf.Tensor,
    carry: tf.Tensor,
    steps: tf.Tensor,
    reverse: bool,
    kernel: tf.Tensor,
    biases: tf.Tensor,
    differentiable: bool = True,
) -> tf.Tensor:
    """Run a cell over lanes of sequences in one direction.

    Parameters
    ----------
    cell : type[Cell]
        `LSTMCell` or `GRUCell`.
    table : float tensor [rows, gates * units]
        The distinct inputs, each times the input kernel, in the layout of `cell.arrange`.
    slots : int32 tensor [steps_allocated, lanes]
        The row of `table` that each lane reads at each step.
    carry : float tensor [steps_allocated, lanes]
        0.0 where a sequence begins in this direction, else 1.0: what the state before is multiplied with.
    steps : int32 scalar
        The steps to run; at most `steps_allocated`.
    reverse : bool
        Run from the last of `steps` to the first.
    kernel : float tensor [units, gates * units]
        The recurrent kernel, arranged.
    biases : float tensor [biases, gates * units]
        The biases of the cell, arranged.
    differentiable : bool, default True
        Whether a gradient will be asked for; keeping what it needs takes a third of the forward time.

    Returns
    -------
    float tensor [steps_allocated, lanes, units]
        The outputs. Those of steps that were not run are undefined.
    """
    units = kernel.shape[0]
    way = tf.stack([steps - 1, -1, -1] if reverse else [0, 1, steps])
    inputs = (table, slots, carry, way, kernel, biases)
    outputs: tf.Tensor = (
        _differentiable(cell, units)(*inputs) if differentiable else launch(_forward(cell, units, False), *inputs)[0]
    )
    return outputs


@cache
def _differentiable(cell: type[Cell], units: int) -> Callable[..., tf.Tensor]:
    """Return the function that gives the outputs, with its gradient.

    TensorFlow keeps what `tf.custom_gradient` is given for as long as the process lives, and with it the graph that it
    stands in. So it stands in one that is traced once, and not in that of each network.
    """

    @tf.function(autograph=False, input_signature=_inputs(cell, units))
    def differentiable(
        table: tf.Tensor, slots: tf.Tensor, carry: tf.Tensor, way: tf.Tensor, kernel: tf.Tensor, biases: tf.Tensor
    ) -> tf.Tensor:
        @tf.custom_gradient
        def run(table: tf.Tensor, kernel: tf.Tensor, biases: tf.Tensor) -> tuple[tf.Tensor, Callable[..., State]]:
            # No tape is to go through the loop, which it cannot: neither from the arguments nor, as a tape does that
            # might be asked for a second derivative, from what is kept for the gradient.
            table, kernel, biases = (tf.stop_gradient(part) for part in (table, kernel, biases))
            found = launch(_forward(cell, units, True), table, slots, carry, way, kernel, biases)
            *states, kept = (tf.stop_gradient(part) for part in found)

            def gradient(at_outputs: tf.Tensor) -> State:
                sums: State = launch(
                    _backward(cell, units),
                    tf.zeros_like(table),
                    slots,
                    carry,
                    way,
                    kernel,
                    tuple(states),
                    kept,
                    at_outputs,
                )
                return sums

            return states[0], gradient

        return run(table, kernel, biases)

    return differentiable  # type: ignore[no-any-return]


def _signature(cell: type[Cell], units: int) -> list[tf.TensorSpec]:
    """Return what both compiled functions take first: table, slots, carry, way, kernel.

    The way is (first step, difference from one step to the next, the step at which to stop).
    """
    width = cell.gates * units
    return [
        tf.TensorSpec([None, width], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
        tf.TensorSpec([None, None], tf.float32),
        tf.TensorSpec([3], tf.int32),
        tf.TensorSpec([units, width], tf.float32),
    ]


def _inputs(cell: type[Cell], units: int) -> list[tf.TensorSpec]:
    """Return what a cell's outputs are made from: table, slots, carry, way, kernel, biases."""
    return [*_signature(cell, units), tf.TensorSpec([cell.biases, cell.gates * units], tf.float32)]


@cache
def _forward(cell: type[Cell], units: int, keep: bool) -> Callable[..., State]:
    """Compile the loop that returns the outputs or, if told to `keep`, all states and what the cell kept.

    Each is [steps_allocated, lanes, ...].
    """
    widths = [units] * cell.states + [cell.kept * units] if keep else [units]

    @tf.function(jit_compile=True, autograph=False, input_signature=_inputs(cell, units))
    def forward(
        table: tf.Tensor, slots: tf.Tensor, carry: tf.Tensor, way: tf.Tensor, kernel: tf.Tensor, biases: tf.Tensor
    ) -> State:
        logs = [_Log(slots, width) for width in widths]
        # XLA's fastest product for processors is of matrices some multiple of 32 wide: 200 columns take a sixth longer
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
            return state, _Log.write(lists, t, (*state, kept) if keep else state[:1])

        zeros = tuple(tf.zeros([tf.shape(slots)[1], units]) for _ in range(cell.states))
        lists = _loop(way, body, zeros, tuple(log.empty for log in logs))
        return tuple(log.stack(list_) for log, list_ in zip(logs, lists, strict=True))

    return forward  # type: ignore[no-any-return]


@cache
def _backward(cell: type[Cell], units: int) -> Callable[..., State]:
    """Compile the loop that returns the gradients at the table, the recurrent kernel and the biases.

    The first argument is the table's gradient to begin with: zeros.
    """
    state = tf.TensorSpec([None, None, units], tf.float32)
    kept = tf.TensorSpec([None, None, cell.kept * units], tf.float32)
    signature = [*_signature(cell, units), (state,) * cell.states, kept, state]

    @tf.function(jit_compile=True, autograph=False, input_signature=signature)
    def backward(
        at_table: tf.Tensor,
        slots: tf.Tensor,
        carry: tf.Tensor,
        way: tf.Tensor,
        kernel: tf.Tensor,
        states: State,
        kept: tf.Tensor,
        at_outputs: tf.Tensor,
    ) -> State:
        def body(t: tf.Tensor, gradient: State, sums: State) -> tuple[State, State]:
            at_table, at_kernel, *at_recurrent_bias = sums
            carried = carry[t][:, None]
            # Before the first step there is none, and any will do that is finite, as logs are zeros where nothing was
            # written: all lanes begin a sequence, nothing is carried.
            previous = tuple(
                tf.gather(part, tf.clip_by_value(t - way[1], 0, tf.shape(part)[0] - 1)) * carried for part in states
            )
            gradient = (gradient[0] + at_outputs[t], *gradient[1:])
            at_inputs, at_projected, gradient = cell.step_gradient(
                kept[t], previous, tuple(part[t] for part in states), gradient
            )
            sums = (
                tf.tensor_scatter_nd_add(at_table, slots[t][:, None], at_inputs),
                at_kernel + tf.matmul(previous[0], at_projected, transpose_a=True),
                *(part + tf.reduce_sum(at_projected, axis=0) for part in at_recurrent_bias),
            )
            gradient = (gradient[0] + tf.matmul(at_projected, kernel, transpose_b=True), *gradient[1:])
            return tuple(part * carried for part in gradient), sums

        zeros = tuple(tf.zeros_like(part[0]) for part in states)
        sums = (at_table, tf.zeros_like(kernel), *(tf.zeros_like(kernel[0]) for _ in range(cell.biases - 1)))
        back = tf.stack([way[2] - way[1], -way[1], way[0] - way[1]])
        sums = _loop(back, body, zeros, sums)
        at_table, at_kernel, *at_recurrent_bias = sums
        # The input's bias is added to every row that is read, and rows are all that the table's gradient sums over.
        return at_table, at_kernel, tf.stack([tf.reduce_sum(at_table, axis=0), *at_recurrent_bias])

    return backward  # type: ignore[no-any-return]


def _loop(
    way: tf.Tensor, body: Callable[[tf.Tensor, State, State], tuple[State, State]], state: State, results: State
) -> State:
    """Run `body(step, state, results)` for each step of the way; return the last results."""

    def advance(t: tf.Tensor, state: State, results: State) -> tuple[tf.Tensor, State, State]:
        # The step is a variable of the loop. Computed from the way in its body, it would be taken for a constant, and
        # all would be compiled anew for each value of it.
        return t + way[1], *body(t, state, results)

    # The number of lanes may be unknown until XLA compiles.
    invariants = (way[0].shape, tuple(part.shape for part in state), tuple(part.shape for part in results))
    _, _, results = tf.while_loop(
        lambda t, *_: t != way[2], advance, (way[0], state, results), shape_invariants=invariants
    )
    return results


class _Log:
    """A tensor [steps_allocated, lanes, width] that a loop writes step by step.

    `tf.TensorArray` wants to know the number of lanes when it is traced; these are the operations below it.
    """

    def __init__(self, slots: tf.Tensor, width: int) -> None:
        self.shape = tf.stack([tf.shape(slots)[1], width])
        self.width = width
        self.empty = tf.raw_ops.TensorListReserve(
            element_shape=self.shape, num_elements=tf.shape(slots)[0], element_dtype=tf.float32
        )

    @staticmethod
    def write(lists: State, step: tf.Tensor, values: State) -> State:
        """Set one step of several logs."""
        return tuple(
            tf.raw_ops.TensorListSetItem(input_handle=list_, index=step, item=value)
            for list_, value in zip(lists, values, strict=True)
        )

    def stack(self, list_: tf.Tensor) -> tf.Tensor:
        """Return the whole log."""
        stacked = tf.raw_ops.TensorListStack(input_handle=list_, element_shape=self.shape, element_dtype=tf.float32)
        return tf.ensure_shape(stacked, [None, None, self.width])
