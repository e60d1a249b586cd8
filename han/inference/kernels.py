"""Compiled loops of prediction outside the levels: products, and the linear model of n-grams, found in a hash table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from han.backend.kernels import inlined
from han.backend.kernels import kernel as compiled
from han.recurrence.loops import IDS, MATRIX, MAX_PRODUCT, MIN_GROUP, Ids, Loop, Matrix, once

Int64 = npt.NDArray[np.int64]

# Multiplicative hashing: the golden ratio as a 64-bit fraction (Knuth, The Art of Computer Programming, 6.4).
GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)

_SOURCE = (Path(__file__),)
_KEYS = "int64[::1]"


@once
def product_loop() -> Loop:
    """Return the loop that multiplies rows [rows, features] by a kernel and fills [rows, columns]."""

    @compiled(f"void({MATRIX}, {MATRIX}, {MATRIX})", _SOURCE)
    def product(rows: Matrix, kernel: Matrix, results: Matrix) -> None:
        block = max(MIN_GROUP, MAX_PRODUCT // max(1, kernel.size))
        for first in range(0, len(rows), block):
            np.dot(rows[first : first + block], kernel, results[first : first + block])

    return product


def hash_table(keys: Int64) -> tuple[int, Ids]:
    """Return a hash table of the positions of keys: the logarithm of its size, and its slots; free ones are -1."""
    # A third to two thirds of the slots are free.
    bits = max(int(np.ceil(np.log2(1.5 * len(keys)))), 1)
    slots = np.full(1 << bits, -1, np.int32)
    hash_loop()(keys, bits, slots)
    return bits, slots


@once
def hash_loop() -> Loop:
    """Return the loop of `hash_table`."""

    @compiled(f"void({_KEYS}, int64, {IDS})", _SOURCE)
    def fill(keys: Int64, bits: int, slots: Ids) -> None:
        shift, mask = np.uint64(64 - bits), len(slots) - 1
        for number in range(len(keys)):
            slot = np.int64((np.uint64(keys[number]) * GOLDEN_RATIO) >> shift)
            while slots[slot] >= 0:
                slot = (slot + 1) & mask
            slots[slot] = number

    return fill


@inlined
def find(keys: Int64, bits: int, slots: Ids, key: np.int64) -> np.int32:
    """Return the position of a key; -1 if it is unknown."""
    mask = len(slots) - 1
    slot = np.int64((np.uint64(key) * GOLDEN_RATIO) >> np.uint64(64 - bits))
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + 1) & mask
    position: np.int32 = slots[slot]
    return position


@once
def evidence_loop() -> Loop:
    """Return the loop that sums the weights of the distinct n-grams of each document.

    It takes the keys [ngrams] and the hash table that `hash_loop` filled, the weights [ngrams, columns], the size of
    the vocabulary, and documents. It adds to the evidence without the bias [documents, columns], and to the share of
    each word [words, columns], unless that has no rows; see `han.layers.NgramEvidence`.
    """

    @compiled(f"void({_KEYS}, int64, {IDS}, {MATRIX}, int64, {IDS}, {IDS}, {IDS}, {MATRIX}, {MATRIX})", _SOURCE)
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
        shares: Matrix,
    ) -> None:
        columns = weights.shape[1]
        # The known n-grams of a document, the last word of each, and how often each occurs.
        found, ends = np.empty(2 * len(word_ids), np.int64), np.empty(2 * len(word_ids), np.int64)
        occurrences = np.zeros(len(keys), np.int32)
        sentence = word = 0
        for document in range(len(document_lengths)):
            count = distinct = 0
            for _ in range(document_lengths[document]):
                for place in range(sentence_lengths[sentence]):
                    for is_pair in range(2 if place else 1):
                        key = np.int64(word_ids[word])
                        if is_pair:
                            key += np.int64(word_ids[word - 1]) * vocabulary_size
                        ngram = find(keys, bits, slots, key)
                        if ngram >= 0:
                            found[count], ends[count] = ngram, word
                            count += 1
                            occurrences[ngram] += 1
                            if occurrences[ngram] == 1:
                                distinct += 1
                                for column in range(columns):
                                    sums[document, column] += weights[ngram, column]
                    word += 1
                sentence += 1

            scale = np.float32(1.0) / np.sqrt(np.float32(max(distinct, 1)))
            for column in range(columns):
                sums[document, column] *= scale
            if len(shares):
                for number in range(count):
                    ngram, last = found[number], ends[number]
                    first = last - (1 if keys[ngram] >= vocabulary_size else 0)
                    part = np.float32(0.5) * scale / np.float32(occurrences[ngram])
                    for column in range(columns):
                        shares[first, column] += part * weights[ngram, column]
                        shares[last, column] += part * weights[ngram, column]
            for number in range(count):
                occurrences[found[number]] = 0

    return evidence
