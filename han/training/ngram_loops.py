"""Compiled loops that find the n-grams of documents, without a list of all their occurrences in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from han.backend.kernels import inlined
from han.backend.kernels import kernel as compiled
from han.inference import kernels
from han.inference.kernels import GOLDEN_RATIO, find
from han.recurrence.loops import IDS, NUMBERS, Ids, Loop, Numbers, once
from han.text.vocabulary import FIRST_WORD_ID

_SOURCE = (Path(__file__), Path(kernels.__file__))
_DOCUMENTS = f"{IDS}, {NUMBERS}, {NUMBERS}, int64"


@inlined
def key_of(word_ids: Ids, word: int, is_pair: int, vocabulary_size: int) -> np.int64:
    """Return the key of a word, or of it and the one before; -1 if a word is unknown."""
    key = np.int64(word_ids[word])
    if key < FIRST_WORD_ID:
        return np.int64(-1)
    if is_pair:
        before = np.int64(word_ids[word - 1])
        return before * vocabulary_size + key if before >= FIRST_WORD_ID else np.int64(-1)
    return key


@once
def frequency_loop() -> Loop:
    """Return the loop that counts the documents that contain each n-gram.

    It takes the word ids, the starts of sentences and of documents of a `Corpus`, the size of the vocabulary, and a
    hash table: keys, frequencies and last documents [slots], all -1, of a power of two. It returns the number of
    n-grams, or -1 if these fill more than two thirds of the table.
    """

    @compiled(f"int64({_DOCUMENTS}, {NUMBERS}, {IDS}, {IDS})", _SOURCE)
    def count(
        word_ids: Ids,
        sentence_starts: Numbers,
        document_starts: Numbers,
        vocabulary_size: int,
        keys: Numbers,
        frequencies: Ids,
        last: Ids,
    ) -> int:
        mask, bits = len(keys) - 1, 0
        while 1 << bits < len(keys):
            bits += 1
        shift, room, distinct = np.uint64(64 - bits), 2 * len(keys) // 3, 0
        for document in range(len(document_starts) - 1):
            for sentence in range(document_starts[document], document_starts[document + 1]):
                start = sentence_starts[sentence]
                for word in range(start, sentence_starts[sentence + 1]):
                    for is_pair in range(2 if word > start else 1):
                        key = key_of(word_ids, word, is_pair, vocabulary_size)
                        if key < 0:
                            continue
                        slot = np.int64((np.uint64(key) * GOLDEN_RATIO) >> shift)
                        while keys[slot] >= 0 and keys[slot] != key:
                            slot = (slot + 1) & mask
                        if keys[slot] < 0:
                            distinct += 1
                            if distinct > room:
                                return -1
                            keys[slot], frequencies[slot] = key, 0
                        if last[slot] != document:
                            last[slot] = document
                            frequencies[slot] += 1
        return distinct

    return count


@once
def presence_loop() -> Loop:
    """Return the loop that lists the distinct n-grams of each document.

    It takes a corpus as `frequency_loop` does, sorted keys, and the hash table that `han.inference.kernels.hash_loop`
    filled. It fills the end of each document's n-grams [documents], and their positions among the keys.
    """

    @compiled(f"void({_DOCUMENTS}, {NUMBERS}, int64, {IDS}, {NUMBERS}, {IDS})", _SOURCE)
    def presence(
        word_ids: Ids,
        sentence_starts: Numbers,
        document_starts: Numbers,
        vocabulary_size: int,
        keys: Numbers,
        bits: int,
        slots: Ids,
        ends: Numbers,
        positions: Ids,
    ) -> None:
        last = np.full(len(keys), -1, np.int32)
        count = 0
        for document in range(len(document_starts) - 1):
            for sentence in range(document_starts[document], document_starts[document + 1]):
                start = sentence_starts[sentence]
                for word in range(start, sentence_starts[sentence + 1]):
                    for is_pair in range(2 if word > start else 1):
                        key = key_of(word_ids, word, is_pair, vocabulary_size)
                        if key < 0:
                            continue
                        ngram = find(keys, bits, slots, key)
                        if ngram >= 0 and last[ngram] != document:
                            last[ngram] = document
                            positions[count] = ngram
                            count += 1
            ends[document] = count

    return presence
