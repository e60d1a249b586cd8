"""The loop that divides the results of a level among what it read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from han.backend.kernels import kernel as compiled
from han.recurrence.cells import dot, gru_contribution, lstm_contribution
from han.recurrence.loops import GATES, ID_MATRIX, IDS, MATRIX, MAX, ROW, SOURCE, Ids, Loop, Matrix, Row, once


@once
def contributions_loop(cell: str, units: int) -> Loop:
    r"""Return the loop that divides weighted sums of pooled vectors among the elements of their sequences.

    A cell's memory is what each step has written, multiplied by what later steps retained of it, and the output exposes
    a part of the memory. With the weights :math:`v` of the outputs, the gates :math:`r` that retain and :math:`e` that
    expose, and what was written, :math:`w`, step t contributes

    .. math:: g_t \cdot w_t, \quad g_t = e_t v_t + r_{t+1} g_{t+1}

    in each direction, and :math:`v` times its residual input. Murdoch & Szlam 2017, https://arxiv.org/abs/1702.02540,
    decompose the last output of an LSTM in a similar way.

    Its arguments are the `han.recurrence.level.Inputs`, whether there is a residual connection, a number of `POOLINGS`,
    what the forward loop filled (scores, kept, sources), and the weights of the vectors [sequences, 2 * units]. It
    fills the contributions [elements].
    """
    is_lstm, width = cell == "lstm", GATES[cell] * units

    @compiled(
        f"void({MATRIX}, {IDS}, {IDS}, boolean, int64, {ROW}, {MATRIX}, {ID_MATRIX}, {MATRIX}, {ROW})",
        (*SOURCE, Path(__file__)),
    )
    def contributions(
        table: Matrix,
        index: Ids,
        lengths: Ids,
        residual: bool,
        pooling: int,
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
                    if pooling == MAX:
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
                    if residual:
                        inputs = table[index[place], 2 * width + direction * units :]
                        totals[place] += dot(units, shared, inputs)
            start += length

    return contributions
