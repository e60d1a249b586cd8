"""Compiled loops of the forward pass: a level of the network, and the linear model of n-grams.

A level takes a few sequences at a time through both directions of the recurrence and the pooling, so that their states
never leave the processor's cache. Training and explanations, which need the states, use `han.recurrence.operation`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from han.backend.kernels import kernel as compiled
from han.recurrence import cells
from han.recurrence.cells import gru_step, lstm_step, tanh
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

Int64 = npt.NDArray[np.int64]

POOLINGS = {"attention": 0, "mean": 1, "max": 2}
# Multiplicative hashing: the golden ratio as a 64-bit fraction (Knuth, The Art of Computer Programming, 6.4).
GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)

_SOURCE = (Path(__file__), Path(cells.__file__))
_BIG_IDS = "int64[::1]"


@once
def level_loop(cell: str, units: int) -> Callable[..., None]:
    """Return the loop that encodes and pools sequences.

    It takes the inputs of both directions and of the residual connection [rows, width] (no columns without one), the
    row of each element [elements], the lengths of the sequences [sequences], the recurrent kernels and the biases of
    the candidates of both directions, the weights of the attention, a number of `POOLINGS`, and whether the residual
    inputs are pooled in place of the states (`additive`). It fills the pooled vectors [sequences, 2 * units] and the
    attention scores [elements].
    """
    is_lstm, width, kept_width = cell == "lstm", GATES[cell] * units, KEPT[cell] * units
    group = group_size(units, width)

    @compiled(
        f"void({MATRIX}, {MATRIX}, {MATRIX}, {IDS}, {IDS}, {MATRIX}, {MATRIX}, {ROW}, {ROW}, {MATRIX}, {ROW}, {ROW}, "
        f"int64, boolean, {MATRIX}, {ROW})",
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
    ) -> None:
        order, starts = np.argsort(-lengths, kind="mergesort"), np.cumsum(lengths) - lengths
        room = 0
        for sequence in order[:group]:
            room += lengths[sequence]
        states = np.empty((room, 2 * units), np.float32)
        output, memory = np.empty((group, units), np.float32), np.empty((group, units), np.float32)
        projected, kept = np.empty((group, width), np.float32), np.empty(kept_width, np.float32)
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
                        if is_lstm:
                            lstm_step(units, inputs, projected[row], state, memory[row], kept)
                        else:
                            gru_step(units, inputs, projected[row], bias, state, kept)
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
                            vector[j] = vector[j] if place and vector[j] >= value else value
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


@once
def hash_loop() -> Callable[..., None]:
    """Return the loop that fills a hash table with the positions of keys [ngrams]; free slots are -1."""

    @compiled(f"void({_BIG_IDS}, int64, {IDS})", _SOURCE)
    def fill(keys: Int64, bits: int, slots: Ids) -> None:
        shift, mask = np.uint64(64 - bits), len(slots) - 1
        for number in range(len(keys)):
            slot = np.int64((np.uint64(keys[number]) * GOLDEN_RATIO) >> shift)
            while slots[slot] >= 0:
                slot = (slot + 1) & mask
            slots[slot] = number

    return fill


@once
def evidence_loop() -> Callable[..., None]:
    """Return the loop that sums the weights of the distinct n-grams of each document.

    It takes the keys [ngrams] and the hash table that `hash_loop` filled, the weights [ngrams, columns], the size of
    the vocabulary, and documents. It fills the evidence without the bias [documents, columns]; see
    `han.layers.NgramEvidence`.
    """

    @compiled(f"void({_BIG_IDS}, int64, {IDS}, {MATRIX}, int64, {IDS}, {IDS}, {IDS}, {MATRIX})", _SOURCE)
    def evidence(
        keys: Int64,
        bits: int,
        slots: Ids,
        weights: Matrix,
        vocabulary_size: int,
        word_ids: Ids,
        sentence_lengths: Ids,
        document_lengths: Ids,
        sums: Matrix,
    ) -> None:
        shift, mask = np.uint64(64 - bits), len(slots) - 1
        columns = weights.shape[1]
        found = np.empty(2 * len(word_ids), np.int32)
        sentence = word = 0
        for document in range(len(document_lengths)):
            count = 0
            for _ in range(document_lengths[document]):
                for place in range(sentence_lengths[sentence]):
                    for pair in range(2 if place else 1):
                        key = np.int64(word_ids[word])
                        if pair:
                            key += np.int64(word_ids[word - 1]) * vocabulary_size
                        slot = np.int64((np.uint64(key) * GOLDEN_RATIO) >> shift)
                        while slots[slot] >= 0:
                            if keys[slots[slot]] == key:
                                found[count] = slots[slot]
                                count += 1
                                break
                            slot = (slot + 1) & mask
                    word += 1
                sentence += 1
            present = np.sort(found[:count])
            distinct = 0
            for number in range(count):
                if not number or present[number] != present[number - 1]:
                    distinct += 1
                    for column in range(columns):
                        sums[document, column] += weights[present[number], column]
            if distinct:
                scale = np.float32(1.0) / np.sqrt(np.float32(distinct))
                for column in range(columns):
                    sums[document, column] *= scale

    return evidence
