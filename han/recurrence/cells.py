"""Equations of the GRU and LSTM cells for one step of one sequence, and their gradients.

Numba inlines these functions into the loops of `han.recurrence.loops`, where `units` is a constant, so that the
compiler can unroll and vectorise them.

- `inputs` [gates * units] is the input times the input kernel, and `projected` [gates * units] the previous output
  times the recurrent kernel. These and the bias [1 or 2, gates * units] are in Keras' layout.
- Since sigmoid(x) = tanh(x / 2) / 2 + 1/2, a single tanh serves all gates, and gates are kept as that tanh.
- `output` and `memory` [units] are the state, which a step replaces. A GRU has no memory beside its output.
- `kept` [kept * units] is what the gradient needs of a step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from han.backend.kernels import inlined, reduction

Row = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]

QUARTER, HALF, ONE = np.float32(0.25), np.float32(0.5), np.float32(1.0)
# tanh(x) = x P(x^2) / Q(x^2) up to 8, beyond which it differs from 1 by less than 3e-7. The coefficients are a minimax
# fit with a relative error of 6e-9; rounding in float32 adds 3e-7.
LIMIT = np.float32(8.0)
P0, P1, P2, P3, P4 = map(np.float32, (1.0, 1.344449821e-01, 3.571598318e-03, 2.189466743e-05, 1.523042671e-08))
Q1, Q2, Q3, Q4 = map(np.float32, (4.677782553e-01, 2.616444402e-02, 3.411292525e-04, 8.522449998e-07))


@inlined
def tanh(x: np.float32) -> np.float32:
    """Return the hyperbolic tangent of a float32, or NaN for NaN."""
    x = LIMIT if x > LIMIT else x
    x = -LIMIT if x < -LIMIT else x
    s: np.float32 = x * x
    p = P0 + s * (P1 + s * (P2 + s * (P3 + s * P4)))
    q = P0 + s * (Q1 + s * (Q2 + s * (Q3 + s * Q4)))
    return np.float32(x * p / q)


@reduction
def dot(units: int, left: Row, right: Row) -> np.float32:
    """Return the product of two vectors; `np.dot` takes longer for short ones."""
    total = np.float32(0.0)
    for j in range(units):
        total += left[j] * right[j]
    return total


# Gated recurrent unit (Cho et al. 2014, https://aclanthology.org/D14-1179/) with the reset gate applied after the
# product, as in Keras and cuDNN. The gates are in the order z, r, h; kept are z, r, the candidate and its projection.
# There are two rows of biases: of the input and of the recurrence.


@inlined
def gru_step(units: int, inputs: Row, projected: Row, bias: Matrix, output: Row, _memory: Row, kept: Row) -> None:
    """Replace the output by the next one, and set `kept`."""
    of_inputs, recurrent = bias[0], bias[1]
    for j in range(2 * units):
        kept[j] = tanh(HALF * (inputs[j] + projected[j] + of_inputs[j] + recurrent[j]))
    for j in range(2 * units, 3 * units):
        kept[units + j] = projected[j] + recurrent[j]
    for j in range(units):
        reset = HALF * kept[units + j] + HALF
        kept[2 * units + j] = tanh(inputs[2 * units + j] + of_inputs[2 * units + j] + reset * kept[3 * units + j])
    for j in range(units):
        candidate = kept[2 * units + j]
        update = HALF * kept[j] + HALF
        output[j] = candidate + update * (output[j] - candidate)


@inlined
def gru_gradient(
    units: int,
    kept: Row,
    previous: Row,
    grad_output: Row,
    _grad_memory: Row,
    grad_inputs: Row,
    grad_projected: Row,
    grad_bias: Matrix,
) -> None:
    """Add the gradients of the inputs and the biases, and set that of `projected`.

    `grad_output` becomes the gradient of the previous output.

    `grad_output` lacks the part that flows through `projected`.
    """
    of_inputs, recurrent = grad_bias[0], grad_bias[1]
    for j in range(units):
        update, candidate = HALF * kept[j] + HALF, kept[2 * units + j]
        grad_projected[2 * units + j] = grad_output[j] * (ONE - update) * (ONE - candidate * candidate)
    for j in range(units):
        z = kept[j]
        grad_projected[j] = QUARTER * grad_output[j] * (previous[j] - kept[2 * units + j]) * (ONE - z * z)
    for j in range(units):
        r = kept[units + j]
        grad_projected[units + j] = QUARTER * grad_projected[2 * units + j] * kept[3 * units + j] * (ONE - r * r)
    for j in range(3 * units):
        grad_inputs[j] += grad_projected[j]
        of_inputs[j] += grad_projected[j]
    for j in range(units):
        grad_projected[2 * units + j] *= HALF * kept[units + j] + HALF
    for j in range(3 * units):
        recurrent[j] += grad_projected[j]
    for j in range(units):
        grad_output[j] *= HALF * kept[j] + HALF


@reduction
def gru_contribution(units: int, kept: Row, weights: Row, later: Row) -> np.float32:
    """Return what a step contributes to a weighted sum of outputs; see `han.recurrence.contributions_loop`.

    `later` is the gradient of the sum with respect to the memory after this step, and becomes that before it.
    """
    total = np.float32(0.0)
    for j in range(units):
        update = HALF * kept[j] + HALF
        gradient = later[j] + weights[j]
        total += gradient * (ONE - update) * kept[2 * units + j]
        later[j] = gradient * update
    return total


# Long short-term memory (Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735) with forget gates
# (Gers et al. 2000, https://doi.org/10.1162/089976600300015015). The gates are in the order i, f, c, o; kept are these,
# the previous memory and the tanh of the new one. There is one row of biases.


@inlined
def lstm_step(units: int, inputs: Row, projected: Row, bias: Matrix, output: Row, memory: Row, kept: Row) -> None:
    """Replace the output and the memory by the next ones, and set `kept`."""
    biases = bias[0]
    for j in range(2 * units):
        kept[j] = tanh(HALF * (inputs[j] + projected[j] + biases[j]))
    for j in range(2 * units, 3 * units):
        kept[j] = tanh(inputs[j] + projected[j] + biases[j])
    for j in range(3 * units, 4 * units):
        kept[j] = tanh(HALF * (inputs[j] + projected[j] + biases[j]))
    for j in range(units):
        kept[4 * units + j] = memory[j]
    for j in range(units):
        enter, forget = HALF * kept[j] + HALF, HALF * kept[units + j] + HALF
        memory[j] = forget * memory[j] + enter * kept[2 * units + j]
    for j in range(units):
        kept[5 * units + j] = tanh(memory[j])
    for j in range(units):
        output[j] = (HALF * kept[3 * units + j] + HALF) * kept[5 * units + j]


@inlined
def lstm_gradient(
    units: int,
    kept: Row,
    _previous: Row,
    grad_output: Row,
    grad_memory: Row,
    grad_inputs: Row,
    grad_projected: Row,
    grad_bias: Matrix,
) -> None:
    """Add the gradients of the inputs and the bias, and set that of `projected`.

    `grad_memory` becomes the gradient of the previous memory.

    `grad_output` becomes zero: an output has an effect on the next step only through `projected`.
    """
    biases = grad_bias[0]
    for j in range(units):
        expose, squashed = HALF * kept[3 * units + j] + HALF, kept[5 * units + j]
        grad_memory[j] += grad_output[j] * expose * (ONE - squashed * squashed)
    for j in range(units):
        grad_projected[j] = QUARTER * grad_memory[j] * kept[2 * units + j]
    for j in range(units):
        grad_projected[units + j] = QUARTER * grad_memory[j] * kept[4 * units + j]
    for j in range(units):
        grad_projected[2 * units + j] = grad_memory[j] * (HALF * kept[j] + HALF)
    for j in range(units):
        grad_projected[3 * units + j] = QUARTER * grad_output[j] * kept[5 * units + j]
    for j in range(4 * units):
        grad_projected[j] *= ONE - kept[j] * kept[j]
    for j in range(4 * units):
        grad_inputs[j] += grad_projected[j]
        biases[j] += grad_projected[j]
    for j in range(units):
        grad_memory[j] *= HALF * kept[units + j] + HALF
        grad_output[j] = 0.0


@reduction
def lstm_contribution(units: int, kept: Row, weights: Row, later: Row) -> np.float32:
    """Do as `gru_contribution`."""
    total = np.float32(0.0)
    for j in range(units):
        enter, forget = HALF * kept[j] + HALF, HALF * kept[units + j] + HALF
        written = enter * kept[2 * units + j]
        memory, squashed = forget * kept[4 * units + j] + written, kept[5 * units + j]
        exposed = (HALF * kept[3 * units + j] + HALF) * (squashed / memory if memory != 0.0 else ONE)
        gradient = later[j] + exposed * weights[j]
        total += gradient * written
        later[j] = gradient * forget
    return total
