r"""The loop that computes the gradients of a level, derived by hand.

It takes the same groups of sequences through the parts of the level in the opposite order. With the incoming gradient
:math:`g` of a sequence's vector :math:`\sum_t \alpha_t h_t`, where :math:`\alpha = \mathrm{softmax}(u \cdot c)` and
:math:`u_t = \tanh(W h_t + b)`,

.. math:: d\alpha_t = h_t \cdot g, \quad d(u_t \cdot c) = \alpha_t (d\alpha_t - \sum_s \alpha_s d\alpha_s), \quad
          dh_t = \alpha_t g + W^\top d(W h_t + b)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from han.backend.kernels import inlined
from han.backend.kernels import kernel as compiled
from han.recurrence.cells import dot, gru_gradient, lstm_gradient
from han.recurrence.loops import (
    ATTENTION,
    GATES,
    ID_MATRIX,
    IDS,
    MATRIX,
    MAX,
    NUMBERS,
    ROW,
    SOURCE,
    STACK,
    Ids,
    Loop,
    Matrix,
    Numbers,
    Row,
    Stack,
    block_size,
    once,
)


@inlined
def add(target: Matrix, change: Matrix) -> None:
    """Add a matrix to another; with `+=`, Numba compiles for seconds: code to format the error of wrong shapes."""
    rows, columns = change.shape
    for row in range(rows):
        for j in range(columns):
            target[row, j] += change[row, j]


@once
def gradient_loop(cell: str, units: int) -> Loop:
    """Return the loop that computes gradients.

    Its arguments are those of the forward loop, but with transposed kernels and without biases; what that filled,
    without the vectors; the gradients of the vectors and of the scores; and the gradients that it fills: of the table
    and of the `han.recurrence.level.Weights`.
    """
    is_lstm, width = cell == "lstm", GATES[cell] * units
    group = block_size(units, width)

    @compiled(
        f"void({MATRIX}, {IDS}, {IDS}, {NUMBERS}, {NUMBERS}, {STACK}, {MATRIX}, {ROW}, "
        f"boolean, int64, boolean, {ROW}, {MATRIX}, {MATRIX}, {MATRIX}, {ID_MATRIX}, {MATRIX}, {ROW}, "
        f"{MATRIX}, {STACK}, {STACK}, {MATRIX}, {ROW}, {ROW})",
        (*SOURCE, Path(__file__)),
    )
    def gradient(
        table: Matrix,
        index: Ids,
        lengths: Ids,
        order: Numbers,
        starts: Numbers,
        transposed: Stack,
        attention_transposed: Matrix,
        context: Row,
        residual: bool,
        pooling: int,
        additive: bool,
        scores: Row,
        kept: Matrix,
        outputs: Matrix,
        attended: Matrix,
        sources: npt.NDArray[np.int32],
        grad_vectors: Matrix,
        grad_scores: Row,
        grad_table: Matrix,
        grad_kernels: Stack,
        grad_biases: Stack,
        grad_attention_kernel: Matrix,
        grad_attention_bias: Row,
        grad_context: Row,
    ) -> None:
        grad_table[:], grad_kernels[:], grad_biases[:] = 0.0, 0.0, 0.0
        grad_attention_kernel[:], grad_attention_bias[:], grad_context[:] = 0.0, 0.0, 0.0
        room = 0
        for sequence in order[:group]:
            room += lengths[sequence]
        states, grad_states = np.empty((room, 2 * units), np.float32), np.empty((room, 2 * units), np.float32)
        attention_units = len(attention_transposed)
        block = block_size(2 * units, attention_units)
        grad_attended = np.empty((room, attention_units), np.float32)
        attention_product = np.zeros((2 * units, attention_units), np.float32)
        through_attention = np.zeros((block, 2 * units), np.float32)
        grad_output, grad_memory = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        grad_previous, previous = np.zeros((group, units), np.float32), np.zeros((group, units), np.float32)
        grad_projected, product = np.zeros((group, width), np.float32), np.zeros((units, width), np.float32)
        offsets = np.empty(group, np.int64)
        for first in range(0, len(order), group):
            members = order[first : first + group]
            count = 0
            for row in range(len(members)):
                offsets[row] = count
                count += lengths[members[row]]

            # Through the pooling to the states and to the projections of attention.
            for row in range(len(members)):
                sequence, start, offset = members[row], starts[members[row]], offsets[row]
                length, grad_vector = lengths[sequence], grad_vectors[sequence]
                for place in range(length):
                    state, source = states[offset + place], outputs[start + place]
                    for j in range(2 * units):
                        state[j] = source[j]
                    if residual:
                        added = table[index[start + place], 2 * width :]
                        for j in range(2 * units):
                            state[j] += added[j]

                if pooling == MAX:
                    grad_states[offset : offset + length] = 0.0
                    if length:
                        for j in range(2 * units):
                            grad_states[offset + sources[sequence, j] - start, j] = grad_vector[j]
                    continue
                weights, change = scores[start : start + length], grad_scores[start : start + length].copy()
                mean_change = np.float32(0.0)
                if pooling == ATTENTION:
                    for place in range(length):
                        values = table[index[start + place], 2 * width :] if additive else states[offset + place]
                        change[place] += dot(2 * units, values, grad_vector)
                        mean_change += weights[place] * change[place]
                for place in range(length):
                    weight = weights[place]
                    values = grad_states[offset + place]
                    if additive:
                        values[:] = 0.0
                        values = grad_table[index[start + place], 2 * width :]
                        for j in range(2 * units):
                            values[j] += weight * grad_vector[j]
                    else:
                        for j in range(2 * units):
                            values[j] = weight * grad_vector[j]
                    if pooling == ATTENTION:
                        grad_logit = weight * (change[place] - mean_change)
                        projection, grad_projection = attended[start + place], grad_attended[offset + place]
                        for j in range(attention_units):
                            grad_context[j] += grad_logit * projection[j]
                            grad_projection[j] = grad_logit * context[j] * (np.float32(1.0) - projection[j] ** 2)
                        for j in range(attention_units):
                            grad_attention_bias[j] += grad_projection[j]

            # Through these projections to the states.
            for done in range(0, count if pooling == ATTENTION else 0, block):
                some = min(block, count - done)
                changes = grad_attended[done : done + some]
                np.dot(states[done : done + some].T, changes, attention_product)
                add(grad_attention_kernel, attention_product)
                np.dot(changes, attention_transposed, through_attention[:some])
                for place in range(some):
                    for j in range(2 * units):
                        grad_states[done + place, j] += through_attention[place, j]

            # Through the residual connection.
            if residual:
                for row in range(len(members)):
                    start = starts[members[row]]
                    for place in range(lengths[members[row]]):
                        target, change = (
                            grad_table[index[start + place], 2 * width :],
                            grad_states[offsets[row] + place],
                        )
                        for j in range(2 * units):
                            target[j] += change[j]

            # Through the recurrence in both directions.
            for direction in range(2):
                columns = slice(direction * units, (direction + 1) * units)
                grad_kernel, grad_bias = grad_kernels[direction], grad_biases[direction]
                active = 0
                grad_output[:], grad_memory[:] = 0.0, 0.0
                for step in range(lengths[members[0]] - 1, -1, -1):
                    while active < len(members) and lengths[members[active]] > step:
                        active += 1
                    for row in range(active):
                        sequence, before, grad_state = members[row], previous[row], grad_output[row]
                        place = lengths[sequence] - 1 - step if direction else step
                        element = starts[sequence] + place
                        if step:
                            source = outputs[element + 1 if direction else element - 1, columns]
                            for j in range(units):
                                before[j] = source[j]
                        else:
                            before[:] = 0.0
                        change = grad_states[offsets[row] + place, columns]
                        for j in range(units):
                            grad_state[j] += change[j]
                        grad_inputs = grad_table[index[element], direction * width : (direction + 1) * width]
                        logged, grad_product = kept[direction * len(index) + element], grad_projected[row]
                        change_memory = grad_memory[row]
                        if is_lstm:
                            lstm_gradient(
                                units, logged, before, grad_state, change_memory, grad_inputs, grad_product, grad_bias
                            )
                        else:
                            gru_gradient(
                                units, logged, before, grad_state, change_memory, grad_inputs, grad_product, grad_bias
                            )
                    if step:
                        np.dot(previous[:active].T, grad_projected[:active], product)
                        add(grad_kernel, product)
                        np.dot(grad_projected[:active], transposed[direction], grad_previous[:active])
                        for row in range(active):
                            for j in range(units):
                                grad_output[row, j] += grad_previous[row, j]

    return gradient
