"""A hash table from words to ids that looks up many words at once."""

from __future__ import annotations

import numpy as np

from han.text.ascii_words import Keys
from han.text.corpus import Int32, Int64

# The table has at least this many places for each word: with fewer, more words are not at the first place of theirs.
_PLACES = 4
_MIN_BITS = 10
# Odd random numbers.
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)


class WordTable:
    """A hash table with open addressing and linear probing (Knuth 1998, The Art of Computer Programming 3, 6.4).

    It holds the whole key of a word, so different words are never confused.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(_MIN_BITS)

    def find(self, keys: Keys) -> Int32:
        """Return the id of each word, 0 for those that are not in the table.

        Parameters
        ----------
        keys : uint64 [2, words]
            See `AsciiWords.keys`.
        """
        places = self._first_places(keys)
        ids: Int32 = self._ids[places]
        differs = (self._keys[0][places] != keys[0]) | (self._keys[1][places] != keys[1])
        # Another word took the place.
        words = np.flatnonzero(differs & (ids > 0))
        ids[differs] = 0
        places = places[words]
        while len(words):
            places = (places + 1) & (len(self._ids) - 1)
            found = self._ids[places]
            differs = (self._keys[0][places] != keys[0][words]) | (self._keys[1][places] != keys[1][words])
            ids[words] = np.where(differs, 0, found)
            go_on = differs & (found > 0)
            words, places = words[go_on], places[go_on]
        return ids

    def add(self, keys: Keys, ids: Int32) -> None:
        """Add distinct words that are not in the table; their ids are positive."""
        count = self._count + len(ids)
        if count * _PLACES > len(self._ids):
            taken = self._ids > 0
            keys = np.concatenate([self._keys[:, taken], keys], axis=1)
            ids = np.concatenate([self._ids[taken], ids])
            self._allocate((count * _PLACES - 1).bit_length())
        self._count = count
        places, words = self._first_places(keys), np.arange(len(ids))
        while len(words):
            is_free = self._ids[places] == 0
            # Of several words at one free place, one takes it: it is the one whose number can be read there.
            self._ids[places[is_free]] = words[is_free] + 1
            placed = is_free & (self._ids[places] == words + 1)
            self._ids[places[placed]] = ids[words[placed]]
            self._keys[:, places[placed]] = keys[:, words[placed]]
            words, places = words[~placed], (places[~placed] + 1) & (len(self._ids) - 1)

    def _allocate(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._keys = np.zeros((2, 1 << bits), np.uint64)
        self._ids = np.zeros(1 << bits, np.int32)

    def _first_places(self, keys: Keys) -> Int64:
        """Return where the search for each word starts: the highest bits of a product (Knuth's method)."""
        hashes = keys[1] * _FACTORS[1]
        hashes ^= keys[0]
        hashes *= _FACTORS[0]
        hashes >>= self._shift
        places: Int64 = hashes.view(np.int64)
        return places
