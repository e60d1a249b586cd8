r"""Loops of a recurrence over sequences of different lengths, compiled by Numba.

Sequences are laid one after another, without padding: their elements are [elements, ...]. The loops sort them by
length and run a few at a time in lockstep, so that a step is one small matrix product and arithmetic on rows that stay
in the processor's cache. A sequence that has ended leaves its group.

The gradient is derived by hand: the forward loop keeps the activated gates, and the backward loop visits the steps in
the opposite order, adding up the gradients of the recurrent kernel and of the table of inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

from han.backend.kernels import kernel as compiled
from han.recurrence import cells
from han.recurrence.cells import (
    gru_gradient,
    gru_step,
    lstm_gradient,
    lstm_step,
)

GATES = {"gru": 3, "lstm": 4}
# The widths of what is kept of a step, in units.
KEPT = {"gru": 4, "lstm": 6}
# OpenBLAS divides a product among threads if it has more multiplications. The loops run in as many threads as there are
# cores, so the threads of each product would wait for one another, and prediction would take half as long again. Fewer
# rows than `MIN_GROUP` are slower still.
MAX_PRODUCT = 262_144
MIN_GROUP, MAX_GROUP = 8, 64

Loop = Callable[..., None]
Matrix = npt.NDArray[np.float32]
Row = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]
# The same types, as Numba writes them.
MATRIX, ROW, IDS = "float32[:, ::1]", "float32[::1]", "int32[::1]"
_SOURCE = (Path(__file__), Path(cells.__file__))
_lock = RLock()


def once(compile_loop: Callable[..., Loop]) -> Callable[..., Loop]:
    """Compile a loop once for the same arguments, even if several threads ask for it."""
    cached = cache(compile_loop)

    @wraps(compile_loop)
    def loop(*arguments: Any) -> Loop:
        with _lock:
            return cached(*arguments)

    return loop


def group_size(inner: int, columns: int) -> int:
    """Return the number of rows that are multiplied at once by a matrix of this shape."""
    return max(MIN_GROUP, min(MAX_GROUP, MAX_PRODUCT // (inner * columns)))


@once
def forward_loop(cell: str, units: int) -> Loop:
    """Return the loop that computes outputs.

    Its arguments are the table of inputs [rows, gates * units], the row of each element [elements], the lengths of the
    sequences [sequences], the recurrent kernel [units, gates * units], the bias of the GRU's candidate [units], whether
    to run from the last element to the first, and whether to fill `kept`. It fills the outputs [elements, units] and
    what the gradient needs [elements, kept * units].
    """
    is_lstm, width, kept_width = cell == "lstm", GATES[cell] * units, KEPT[cell] * units
    group = group_size(units, width)

    @compiled(f"void({MATRIX}, {IDS}, {IDS}, {MATRIX}, {ROW}, boolean, boolean, {MATRIX}, {MATRIX})", _SOURCE)
    def forward(
        table: Matrix,
        index: Ids,
        lengths: Ids,
        kernel: Matrix,
        bias: Row,
        backwards: bool,
        differentiable: bool,
        outputs: Matrix,
        kept: Matrix,
    ) -> None:
        order, starts = np.argsort(-lengths, kind="mergesort"), np.cumsum(lengths) - lengths
        output, memory = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        projected, scratch = np.empty((group, width), np.float32), np.empty(kept_width, np.float32)
        for first in range(0, len(order), group):
            members = order[first : first + group]
            active = len(members)
            output[:], memory[:], projected[:] = 0.0, 0.0, 0.0
            for step in range(lengths[members[0]]):
                while lengths[members[active - 1]] <= step:
                    active -= 1
                if step:
                    np.dot(output[:active], kernel, projected[:active])
                for row in range(active):
                    sequence = members[row]
                    place = starts[sequence] + (lengths[sequence] - 1 - step if backwards else step)
                    inputs, state = table[index[place]], output[row]
                    logged = kept[place] if differentiable else scratch
                    if is_lstm:
                        lstm_step(units, inputs, projected[row], state, memory[row], logged)
                    else:
                        gru_step(units, inputs, projected[row], bias, state, logged)
                    target = outputs[place]
                    for j in range(units):
                        target[j] = state[j]

    return forward


@once
def backward_loop(cell: str, units: int) -> Loop:
    """Return the loop that computes gradients.

    Its arguments are those of the forward loop, its results and the gradient of the outputs [elements, units]. It adds
    to the gradients of the table, of the kernel and of the bias.
    """
    is_lstm, width = cell == "lstm", GATES[cell] * units
    group = group_size(units, width)

    @compiled(
        f"void({IDS}, {IDS}, {MATRIX}, boolean, {MATRIX}, {MATRIX}, {MATRIX}, {MATRIX}, {MATRIX}, {ROW})", _SOURCE
    )
    def backward(
        index: Ids,
        lengths: Ids,
        kernel: Matrix,
        backwards: bool,
        outputs: Matrix,
        kept: Matrix,
        grad_outputs: Matrix,
        grad_table: Matrix,
        grad_kernel: Matrix,
        grad_bias: Row,
    ) -> None:
        order, starts = np.argsort(-lengths, kind="mergesort"), np.cumsum(lengths) - lengths
        transposed = np.ascontiguousarray(kernel.T)
        grad_output, grad_memory = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        grad_previous, previous = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        grad_projected, product = np.empty((group, width), np.float32), np.empty((units, width), np.float32)
        for first in range(0, len(order), group):
            members = order[first : first + group]
            active = 0
            grad_output[:], grad_memory[:] = 0.0, 0.0
            for step in range(lengths[members[0]] - 1, -1, -1):
                while active < len(members) and lengths[members[active]] > step:
                    active += 1
                for row in range(active):
                    sequence = members[row]
                    place = starts[sequence] + (lengths[sequence] - 1 - step if backwards else step)
                    before, gradient, change = previous[row], grad_output[row], grad_outputs[place]
                    if step:
                        source = outputs[place + 1 if backwards else place - 1]
                        for j in range(units):
                            before[j] = source[j]
                    else:
                        before[:] = 0.0
                    for j in range(units):
                        gradient[j] += change[j]
                    grad_inputs = grad_table[index[place]]
                    if is_lstm:
                        lstm_gradient(units, kept[place], gradient, grad_memory[row], grad_inputs, grad_projected[row])
                    else:
                        gru_gradient(units, kept[place], before, gradient, grad_inputs, grad_projected[row], grad_bias)
                if step:
                    np.dot(previous[:active].T, grad_projected[:active], product)
                    grad_kernel += product
                    np.dot(grad_projected[:active], transposed, grad_previous[:active])
                    for row in range(active):
                        for j in range(units):
                            grad_output[row, j] += grad_previous[row, j]

    return backward
