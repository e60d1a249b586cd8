"""Equations of the LSTM and GRU cells, forward and backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from han.backend import tf

State = tuple[tf.Tensor, ...]


class Cell(ABC):
    """The equations of one recurrent step, forward and backward.

    `inputs` [lanes, gates * units] is the input times the input kernel, and `projected` [lanes, gates * units] is the
    previous output times the recurrent kernel; both include their biases. A state is a tuple of tensors [lanes, units],
    the first of which is the cell's output. `kept` is a tuple of what the backward step needs of the forward step,
    tensors [lanes, width * units] with the widths of the class attribute.

    Sigmoids are computed as sigmoid(x) = tanh(x / 2) / 2 + 1/2, so that a single tanh serves all gates: XLA vectorises
    tanh, but not exp. The division of x by 2 is applied once, to the weights, by `arrange`.
    """

    gates: ClassVar[int]
    states: ClassVar[int]
    kept: ClassVar[tuple[int, ...]]
    parts: ClassVar[int]  # of what `decompose` returns
    biases: ClassVar[int]  # 1 if both products share a bias, 2 if the input and the recurrent product each have one

    @staticmethod
    @abstractmethod
    def arrange(weights: tf.Tensor) -> tf.Tensor:
        """Convert weights [..., gates * units] from Keras' layout to that of `step`."""

    @staticmethod
    @abstractmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, State]:
        """Return the next state and `kept`."""

    @staticmethod
    @abstractmethod
    def step_gradient(
        kept: State, previous: State, state: State, gradient: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Return the gradients of `inputs`, of `projected` and of `previous`.

        The gradient of `previous` does not include the part that flows through `projected`.
        """

    @staticmethod
    @abstractmethod
    def decompose(kept: State, state: State) -> State:
        """Return what a step retains of the previous memory, what it writes, and what its output exposes.

        With these, memory = retained * previous memory + written, and output = exposed * memory. The third part is
        missing if the output is the memory.
        """


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers et al. 2000).

    The gates are in the order i, f, o, c; in Keras, i, f, c, o. See https://doi.org/10.1162/neco.1997.9.8.1735 and
    https://doi.org/10.1162/089976600300015015.
    """

    gates = 4
    states = 2
    kept = (4,)
    parts = 3
    biases = 1

    @staticmethod
    def arrange(weights: tf.Tensor) -> tf.Tensor:
        """See `Cell.arrange`."""
        i, f, g, o = tf.split(weights, 4, axis=-1)
        return tf.concat([0.5 * i, 0.5 * f, 0.5 * o, g], axis=-1)

    @staticmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, State]:
        """See `Cell.step`."""
        activated = tf.tanh(inputs + projected)
        i, f, o, g = LSTMCell._gates(activated)
        carry = f * state[1] + i * g
        return (o * tf.tanh(carry), carry), (activated,)

    @staticmethod
    def step_gradient(
        kept: State, previous: State, state: State, gradient: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """See `Cell.step_gradient`."""
        (activated,) = kept
        i, f, o, g = LSTMCell._gates(activated)
        squashed = tf.tanh(state[1])
        grad_output, grad_carry = gradient
        grad_carry += grad_output * o * (1.0 - squashed * squashed)
        grad_activated = tf.concat(
            [0.5 * grad_carry * g, 0.5 * grad_carry * previous[1], 0.5 * grad_output * squashed, grad_carry * i],
            axis=-1,
        )
        grad_inputs = (1.0 - activated * activated) * grad_activated
        return grad_inputs, grad_inputs, (tf.zeros_like(grad_output), grad_carry * f)

    @staticmethod
    def decompose(kept: State, state: State) -> State:
        """See `Cell.decompose`; the memory is the second part of the state."""
        i, f, o, g = LSTMCell._gates(*kept)
        # tanh(x) / x tends to 1 at 0.
        ratio = tf.where(state[1] == 0.0, 1.0, tf.math.divide_no_nan(tf.tanh(state[1]), state[1]))
        return f, i * g, o * ratio

    @staticmethod
    def _gates(activated: tf.Tensor) -> list[tf.Tensor]:
        units = activated.shape[-1] // 4
        sigmoids = 0.5 * activated[..., : 3 * units] + 0.5
        return [*(sigmoids[..., k * units : (k + 1) * units] for k in range(3)), activated[..., 3 * units :]]


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate applied after the product, as in Keras and cuDNN.

    The gates are in the order z, r, h. See https://aclanthology.org/D14-1179/.
    """

    gates = 3
    states = 1
    kept = (2, 1, 1)
    parts = 2
    biases = 2

    @staticmethod
    def arrange(weights: tf.Tensor) -> tf.Tensor:
        """See `Cell.arrange`."""
        z, r, h = tf.split(weights, 3, axis=-1)
        return tf.concat([0.5 * z, 0.5 * r, h], axis=-1)

    @staticmethod
    def step(inputs: tf.Tensor, projected: tf.Tensor, state: State) -> tuple[State, State]:
        """See `Cell.step`."""
        units = state[0].shape[-1]
        activated = tf.tanh(inputs[..., : 2 * units] + projected[..., : 2 * units])
        z, r = GRUCell._gates(activated)
        projected_h = projected[..., 2 * units :]
        candidate = tf.tanh(inputs[..., 2 * units :] + r * projected_h)
        return (candidate + z * (state[0] - candidate),), (activated, candidate, projected_h)

    @staticmethod
    def step_gradient(
        kept: State, previous: State, state: State, gradient: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """See `Cell.step_gradient`."""
        activated, candidate, projected_h = kept
        z, r = GRUCell._gates(activated)
        (grad_output,) = gradient
        grad_candidate = grad_output * (1.0 - z) * (1.0 - candidate * candidate)
        grad_gates = tf.concat(
            [0.5 * grad_output * (previous[0] - candidate), 0.5 * grad_candidate * projected_h], axis=-1
        )
        grad_gates *= 1.0 - activated * activated
        grad_inputs = tf.concat([grad_gates, grad_candidate], axis=-1)
        grad_projected = tf.concat([grad_gates, grad_candidate * r], axis=-1)
        return grad_inputs, grad_projected, (grad_output * z,)

    @staticmethod
    def decompose(kept: State, state: State) -> State:
        """See `Cell.decompose`; the memory is the output."""
        activated, candidate, _ = kept
        z, _ = GRUCell._gates(activated)
        return z, (1.0 - z) * candidate

    @staticmethod
    def _gates(activated: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        units = activated.shape[-1] // 2
        sigmoids = 0.5 * activated + 0.5
        return sigmoids[..., :units], sigmoids[..., units:]


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell}
