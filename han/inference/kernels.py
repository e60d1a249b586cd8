"""Compiled loops of the forward pass: a level of the network, and the linear model of n-grams.

A level takes a few sequences at a time through both directions of the recurrence and the pooling, so that their states
never leave the processor's cache. Training and integrated gradients, which need the states, use
`han.recurrence.operation`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from han.backend.kernels import kernel as compiled
from han.backend.kernels import reduction
from han.recurrence import cells
from han.recurrence.cells import gru_contribution, gru_step, lstm_contribution, lstm_step, tanh
from han.recurrence.loops import (
    GATES,
    IDS,
    KEPT,
    MATRIX,
    MAX_PRODUCT,
    MIN_GROUP,
    ROW,
    Ids,
    Matrix,
    Row,
    group_size,
    once,
)

POOLINGS = {"attention": 0, "mean": 1, "max": 2}

_SOURCE = (Path(__file__), Path(cells.__file__))


@once
def level_loop(cell: str, units: int) -> Callable[..., None]:
    """Return the loop that encodes and pools sequences.

    It takes the inputs of both directions and of the residual connection [rows, width] (no columns without one), the
    row of each element [elements], the lengths of the sequences [sequences], the recurrent kernels and the biases of
    the candidates of both directions, the weights of the attention, a number of `POOLINGS`, and whether the residual
    inputs are pooled in place of the states (`additive`). It fills the pooled vectors [sequences, 2 * units] and the
    attention scores [elements]. Unless `kept` has no rows, it also fills what `contributions_loop` needs: what each
    step kept [2 * elements, kept * units], the forward direction first, and, with max pooling, the element that each
    feature of a vector comes from [sequences, 2 * units].
    """
    is_lstm, width, kept_width = cell == "lstm", GATES[cell] * units, KEPT[cell] * units
    group = group_size(units, width)

    @compiled(
        f"void({MATRIX}, {MATRIX}, {MATRIX}, {IDS}, {IDS}, {MATRIX}, {MATRIX}, {ROW}, {ROW}, {MATRIX}, {ROW}, {ROW}, "
        f"int64, boolean, {MATRIX}, {ROW}, {MATRIX}, int32[:, ::1])",
        _SOURCE,
    )
    def level(
        forward_table: Matrix,
        backward_table: Matrix,
        residual: Matrix,
        index: Ids,
        lengths: Ids,
        forward_kernel: Matrix,
        backward_kernel: Matrix,
        forward_bias: Row,
        backward_bias: Row,
        attention_kernel: Matrix,
        attention_bias: Row,
        context: Row,
        pooling: int,
        additive: bool,
        vectors: Matrix,
        scores: Row,
        kept: Matrix,
        sources: npt.NDArray[np.int32],
    ) -> None:
        order, starts = np.argsort(-lengths, kind="mergesort"), np.cumsum(lengths) - lengths
        room = 0
        for sequence in order[:group]:
            room += lengths[sequence]
        states = np.empty((room, 2 * units), np.float32)
        output, memory = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        projected, scratch = np.empty((group, width), np.float32), np.empty(kept_width, np.float32)
        traced = len(kept) > 0
        attention_units = attention_kernel.shape[1]
        block = max(MIN_GROUP, min(group, MAX_PRODUCT // max(1, attention_kernel.size)))
        attended = np.empty((block, attention_units), np.float32)
        offsets = np.empty(group, np.int64)
        for first in range(0, len(order), group):
            members = order[first : first + group]
            count = 0
            for row in range(len(members)):
                offsets[row] = count
                count += lengths[members[row]]

            for direction in range(2):
                table = backward_table if direction else forward_table
                kernel = backward_kernel if direction else forward_kernel
                bias = backward_bias if direction else forward_bias
                output[:], memory[:], projected[:] = 0.0, 0.0, 0.0
                active = len(members)
                for step in range(lengths[members[0]]):
                    while lengths[members[active - 1]] <= step:
                        active -= 1
                    if step:
                        np.dot(output[:active], kernel, projected[:active])
                    for row in range(active):
                        sequence = members[row]
                        place = lengths[sequence] - 1 - step if direction else step
                        inputs, state = table[index[starts[sequence] + place]], output[row]
                        logged = kept[direction * len(index) + starts[sequence] + place] if traced else scratch
                        if is_lstm:
                            lstm_step(units, inputs, projected[row], state, memory[row], logged)
                        else:
                            gru_step(units, inputs, projected[row], bias, state, logged)
                        target = states[offsets[row] + place, direction * units : (direction + 1) * units]
                        for j in range(units):
                            target[j] = state[j]

            if residual.shape[1]:
                for row in range(len(members)):
                    start = starts[members[row]]
                    for place in range(lengths[members[row]]):
                        state, added = states[offsets[row] + place], residual[index[start + place]]
                        for j in range(2 * units):
                            state[j] += added[j]

            for row in range(len(members)):
                sequence, start, offset = members[row], starts[members[row]], offsets[row]
                length = lengths[sequence]
                vector = vectors[sequence]
                vector[:] = 0.0
                if pooling == 2:
                    for place in range(length):
                        for j in range(2 * units):
                            value = states[offset + place, j]
                            # NaN stays: it is what no comparison is true for.
                            if not (place and vector[j] >= value):
                                vector[j] = value
                                if traced:
                                    sources[sequence, j] = start + place
                    continue
                weights = scores[start : start + length]
                if pooling == 1:
                    weights[:] = np.float32(1.0) / np.float32(max(length, 1))
                else:
                    for done in range(0, length, block):
                        some = min(block, length - done)
                        np.dot(states[offset + done : offset + done + some], attention_kernel, attended[:some])
                        for other in range(some):
                            projection = attended[other]
                            for j in range(attention_units):
                                projection[j] = tanh(projection[j] + attention_bias[j])
                        np.dot(attended[:some], context, weights[done : done + some])
                    peak = np.float32(-np.inf)
                    for place in range(length):
                        peak = max(peak, weights[place])
                    total = np.float32(0.0)
                    for place in range(length):
                        weights[place] = np.exp(weights[place] - peak)
                        total += weights[place]
                    for place in range(length):
                        weights[place] /= total
                for place in range(length):
                    values = residual[index[start + place]] if additive else states[offset + place]
                    for j in range(2 * units):
                        vector[j] += weights[place] * values[j]

    return level


@reduction
def dot(units: int, left: Row, right: Row) -> np.float32:
    """Return the product of two vectors; `np.dot` takes longer for short ones."""
    total = np.float32(0.0)
    for j in range(units):
        total += left[j] * right[j]
    return total


@once
def contributions_loop(cell: str, units: int) -> Callable[..., None]:
    r"""Return the loop that divides weighted sums of pooled vectors among the elements of their sequences.

    A cell's memory is what each step has written, multiplied by what later steps retained of it, and the output exposes
    a part of the memory. With the weights :math:`v` of the outputs, the gates :math:`r` that retain and :math:`e` that
    expose, and what was written, :math:`w`, step t contributes

    .. math:: g_t \cdot w_t, \quad g_t = e_t v_t + r_{t+1} g_{t+1}

    in each direction, and :math:`v` times its residual input. Murdoch & Szlam 2017, https://arxiv.org/abs/1702.02540,
    decompose the last output of an LSTM in a similar way.

    The loop takes the residual inputs [rows, width], the row of each element [elements], the lengths [sequences],
    whether the pooling is max pooling, the scores, what was kept and the sources of features, as `level_loop` filled
    them, and the weights of the vectors [sequences, 2 * units]. It fills the contributions [elements].
    """
    is_lstm = cell == "lstm"

    @compiled(
        f"void({MATRIX}, {IDS}, {IDS}, boolean, {ROW}, {MATRIX}, int32[:, ::1], {MATRIX}, {ROW})",
        _SOURCE,
    )
    def contributions(
        residual: Matrix,
        index: Ids,
        lengths: Ids,
        maxima: bool,
        scores: Row,
        kept: Matrix,
        sources: npt.NDArray[np.int32],
        weights: Matrix,
        totals: Row,
    ) -> None:
        later, shared = np.empty(units, np.float32), np.empty(units, np.float32)
        totals[:] = 0.0
        start = 0
        for sequence in range(len(lengths)):
            length = lengths[sequence]
            for direction in range(2):
                columns = slice(direction * units, (direction + 1) * units)
                pooled = weights[sequence, columns]
                later[:] = 0.0
                for step in range(length - 1, -1, -1):
                    place = start + (length - 1 - step if direction else step)
                    if maxima:
                        source = sources[sequence, columns]
                        for j in range(units):
                            shared[j] = pooled[j] if source[j] == place else np.float32(0.0)
                    else:
                        for j in range(units):
                            shared[j] = scores[place] * pooled[j]
                    step_kept = kept[direction * len(index) + place]
                    if is_lstm:
                        totals[place] += lstm_contribution(units, step_kept, shared, later)
                    else:
                        totals[place] += gru_contribution(units, step_kept, shared, later)
                    if residual.shape[1]:
                        totals[place] += dot(units, shared, residual[index[place], columns])
            start += length

    return contributions


@once
def product_loop() -> Callable[..., None]:
    """Return the loop that multiplies rows [rows, features] by a kernel, adds a bias, and fills [rows, width]."""

    @compiled(f"void({MATRIX}, {MATRIX}, {ROW}, {MATRIX})", _SOURCE)
    def product(rows: Matrix, kernel: Matrix, bias: Row, results: Matrix) -> None:
        block = max(MIN_GROUP, MAX_PRODUCT // max(1, kernel.size))
        for first in range(0, len(rows), block):
            np.dot(rows[first : first + block], kernel, results[first : first + block])
            results[first : first + block] += bias

    return product
