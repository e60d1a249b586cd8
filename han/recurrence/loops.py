r"""Loops of a level of the network over sequences of different lengths: both directions of a recurrence, and a pooling.

Sequences are laid one after another, without padding: their elements are [elements, ...]. A loop sorts them by length
and takes a few at a time through all parts of the level, so that their states stay in the processor's cache. In the
recurrence, these run in lockstep: a step is one small matrix product and arithmetic on rows. A sequence that has ended
leaves its group.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

from han.backend.kernels import either
from han.backend.kernels import kernel as compiled
from han.recurrence import cells
from han.recurrence.cells import gru_step, lstm_step, tanh

GATES = {"gru": 3, "lstm": 4}
# The widths of what is kept of a step, in units.
KEPT = {"gru": 4, "lstm": 6}
ATTENTION, MEAN, MAX = range(3)
POOLINGS = {"attention": ATTENTION, "mean": MEAN, "max": MAX}
# OpenBLAS divides a product among threads if it has more multiplications. The loops run in as many threads as there are
# cores, so the threads of each product would wait for one another, and prediction would take half as long again. Fewer
# rows than `MIN_GROUP` are slower still.
MAX_PRODUCT = 262_144
MIN_GROUP, MAX_GROUP = 8, 64

Loop = Callable[..., Any]
Stack = npt.NDArray[np.float32]  # of two matrices, for the forward and the backward direction
Matrix = npt.NDArray[np.float32]
Row = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]
# The same types, as Numba writes them.
STACK, MATRIX, ROW = "float32[:, :, ::1]", "float32[:, ::1]", "float32[::1]"
IDS, ID_MATRIX, NUMBERS = "int32[::1]", "int32[:, ::1]", "int64[::1]"
SOURCE = (Path(__file__), Path(cells.__file__))
_lock = RLock()


def once(compile_loop: Callable[..., Loop]) -> Callable[..., Loop]:
    """Compile a loop once for the same arguments, even if several threads ask for it."""
    cached = cache(compile_loop)

    @wraps(compile_loop)
    def loop(*arguments: Any) -> Loop:
        with _lock:
            return cached(*arguments)

    return loop


@either
def block_size(inner: int, columns: int) -> int:
    """Return the number of rows that are multiplied at once by a matrix of this shape."""
    return max(MIN_GROUP, min(MAX_GROUP, MAX_PRODUCT // max(1, inner * columns)))


@once
def forward_loop(cell: str, units: int) -> Loop:
    """Return the loop that encodes and pools sequences.

    Its arguments are the fields of `Inputs`, see `han.recurrence.level`; the sequences by decreasing length, and their
    first elements; the fields of `Weights`; whether there is a residual connection, a number of `POOLINGS`, and whether
    residual inputs are pooled (`additive`). It fills the vectors [sequences, 2 * units], the scores [elements], and the
    fields of a `Trace` that have rows.
    """
    is_lstm, width, kept_width = cell == "lstm", GATES[cell] * units, KEPT[cell] * units
    group = block_size(units, width)

    @compiled(
        f"void({MATRIX}, {IDS}, {IDS}, {NUMBERS}, {NUMBERS}, {STACK}, {STACK}, {MATRIX}, {ROW}, {ROW}, "
        f"boolean, int64, boolean, {MATRIX}, {ROW}, {MATRIX}, {MATRIX}, {MATRIX}, {ID_MATRIX})",
        SOURCE,
    )
    def forward(
        table: Matrix,
        index: Ids,
        lengths: Ids,
        order: Numbers,
        starts: Numbers,
        kernels: Stack,
        biases: Stack,
        attention_kernel: Matrix,
        attention_bias: Row,
        context: Row,
        residual: bool,
        pooling: int,
        additive: bool,
        vectors: Matrix,
        scores: Row,
        kept: Matrix,
        outputs: Matrix,
        attended: Matrix,
        sources: npt.NDArray[np.int32],
    ) -> None:
        # A product into memory that holds NaN may be NaN.
        attended[:], scores[:] = 0.0, 0.0
        room = 0
        for sequence in order[:group]:
            room += lengths[sequence]
        states = np.empty((room, 2 * units), np.float32)
        output, memory = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        projected, unkept = np.empty((group, width), np.float32), np.empty(kept_width, np.float32)
        attention_units = attention_kernel.shape[1]
        block = block_size(2 * units, attention_units)
        unattended = np.zeros((block, attention_units), np.float32)
        offsets = np.empty(group, np.int64)
        for first in range(0, len(order), group):
            members = order[first : first + group]
            count = 0
            for row in range(len(members)):
                offsets[row] = count
                count += lengths[members[row]]

            # The recurrence in both directions, whose outputs become the states.
            for direction in range(2):
                kernel, bias = kernels[direction], biases[direction]
                output[:], memory[:], projected[:] = 0.0, 0.0, 0.0
                active = len(members)
                for step in range(lengths[members[0]]):
                    while lengths[members[active - 1]] <= step:
                        active -= 1
                    if step:
                        np.dot(output[:active], kernel, projected[:active])
                    for row in range(active):
                        sequence, state = members[row], output[row]
                        place = lengths[sequence] - 1 - step if direction else step
                        element = starts[sequence] + place
                        inputs = table[index[element], direction * width : (direction + 1) * width]
                        logged = kept[direction * len(index) + element] if len(kept) else unkept
                        # Numba keeps no loop for the next process if its closure holds a function.
                        if is_lstm:
                            lstm_step(units, inputs, projected[row], bias, state, memory[row], logged)
                        else:
                            gru_step(units, inputs, projected[row], bias, state, memory[row], logged)
                        target = states[offsets[row] + place, direction * units : (direction + 1) * units]
                        for j in range(units):
                            target[j] = state[j]

            # The residual connection.
            for row in range(len(members)):
                start = starts[members[row]]
                for place in range(lengths[members[row]]):
                    state = states[offsets[row] + place]
                    if len(outputs):
                        target = outputs[start + place]
                        for j in range(2 * units):
                            target[j] = state[j]
                    if residual:
                        added = table[index[start + place], 2 * width :]
                        for j in range(2 * units):
                            state[j] += added[j]

            # The pooling.
            for row in range(len(members)):
                sequence, start, offset = members[row], starts[members[row]], offsets[row]
                length, vector = lengths[sequence], vectors[sequence]
                vector[:] = 0.0
                if pooling == MAX:
                    for place in range(length):
                        for j in range(2 * units):
                            value = states[offset + place, j]
                            # NaN, which training has to notice, is the maximum.
                            if not place or value > vector[j] or np.isnan(value):
                                vector[j] = value
                                if len(sources):
                                    sources[sequence, j] = start + place
                    continue
                weights = scores[start : start + length]
                if pooling == MEAN:
                    weights[:] = np.float32(1.0) / np.float32(max(length, 1))
                else:
                    for done in range(0, length, block):
                        some = min(block, length - done)
                        target = attended[start + done : start + done + some] if len(attended) else unattended[:some]
                        np.dot(states[offset + done : offset + done + some], attention_kernel, target)
                        for place in range(some):
                            projection = target[place]
                            for j in range(attention_units):
                                projection[j] = tanh(projection[j] + attention_bias[j])
                        np.dot(target, context, weights[done : done + some])
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
                    values = table[index[start + place], 2 * width :] if additive else states[offset + place]
                    for j in range(2 * units):
                        vector[j] += weights[place] * values[j]

    return forward
