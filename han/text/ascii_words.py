"""Find the words of many ASCII sentences at once, in a few NumPy passes over their bytes.

The words are those of `han.text.words.split_words` in lower case. Finding them and looking them up one at a time takes
four times as long, and holds Python's interpreter lock all the while.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from han.text.corpus import Int64

UInt8 = npt.NDArray[np.uint8]
# Two numbers [2, words] that hold the bytes of each word.
Keys = npt.NDArray[np.uint64]

# Longer words have no key.
KEY_CHARACTERS = 16
_HALF = KEY_CHARACTERS // 2
_PADDED = f"S{KEY_CHARACTERS}"

_SPACE, _LETTER, _APOSTROPHE, _SYMBOL = range(4)
_ASCII = [chr(code) for code in range(128)]
_KINDS = np.full(len(_ASCII), _SYMBOL, np.uint8)
_KINDS[[char.isspace() for char in _ASCII]] = _SPACE
_KINDS[[char.isalnum() or char == "_" for char in _ASCII]] = _LETTER
_KINDS[ord("'")] = _APOSTROPHE
_LOWER = np.array([ord(char.lower()) for char in _ASCII], np.uint8)
# The lowest bytes of a number, by how many of them belong to the word.
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(_HALF + 1)], np.uint64)


def is_plain(text: str) -> bool:
    """Return whether `find_words` reads a text: it is ASCII, without backticks (apostrophes to `normalize`) and NUL."""
    return text.isascii() and "`" not in text and "\0" not in text


@dataclass(frozen=True)
class AsciiWords:
    """The words of consecutive sentences.

    Attributes
    ----------
    text : uint8 [bytes]
        The sentences in lower case, followed by `KEY_CHARACTERS` zeros.
    starts, lengths : int64 [words]
        Where each word starts in `text`, and its number of characters.
    sentence_lengths : int64 [sentences]
        Number of words of each sentence.
    """

    text: UInt8
    starts: Int64
    lengths: Int64
    sentence_lengths: Int64

    @cached_property
    def keys(self) -> Keys:
        """The bytes of each word as two numbers, padded with zeros [2, words]; the start of one without a key."""
        # All runs of eight bytes as numbers, wherever they start.
        numbers = np.ndarray(len(self.text) - _HALF + 1, "<u8", self.text, strides=(1,))
        keys = np.zeros((2, len(self.starts)), np.uint64)
        np.bitwise_and(numbers[self.starts], _MASKS[np.minimum(self.lengths, _HALF)], out=keys[0])
        longer = np.flatnonzero(self.lengths > _HALF)
        rest = np.minimum(self.lengths[longer] - _HALF, _HALF)
        keys[1, longer] = numbers[self.starts[longer] + _HALF] & _MASKS[rest]
        return keys

    def without_key(self) -> tuple[Int64, list[str]]:
        """Return the indices of the words that are too long for a key, and these words."""
        indices = np.flatnonzero(self.lengths > KEY_CHARACTERS)
        spans = zip(self.starts[indices].tolist(), self.lengths[indices].tolist(), strict=True)
        return indices, [self.text[start : start + length].tobytes().decode("ascii") for start, length in spans]


def find_words(sentences: list[str]) -> AsciiWords:
    """Find the words of sentences that are plain, see `is_plain`."""
    joined = "\n".join(sentences) + "\n" + "\0" * KEY_CHARACTERS
    text = np.frombuffer(joined.encode("ascii"), np.uint8)
    kinds = _KINDS.take(text[:-KEY_CHARACTERS])  # which ends with white space
    is_letter = kinds == _LETTER
    apostrophes = np.flatnonzero(kinds == _APOSTROPHE)
    inside = apostrophes[is_letter[apostrophes - 1] & is_letter[apostrophes + 1]]
    is_letter[inside], kinds[inside] = True, _LETTER
    is_symbol = kinds >= _APOSTROPHE
    begins, ends = is_symbol.copy(), is_symbol
    begins[0] |= is_letter[0]
    begins[1:] |= is_letter[1:] > is_letter[:-1]
    ends[:-1] |= is_letter[:-1] > is_letter[1:]
    starts = np.flatnonzero(begins)
    sentence_ends = np.cumsum([len(sentence) + 1 for sentence in sentences])
    words_before = np.searchsorted(starts, sentence_ends)
    return AsciiWords(
        text=_LOWER.take(text),
        starts=starts,
        lengths=np.flatnonzero(ends) - starts + 1,
        sentence_lengths=np.diff(words_before, prepend=0),
    )


def key_words(words: list[str]) -> tuple[Keys, list[str]]:
    """Return the keys of those words that have one, and these words, which are in lower case."""
    kept = [word for word in words if 0 < len(word) <= KEY_CHARACTERS and is_plain(word)]
    return _keys_of(np.array([word.encode("ascii") for word in kept], _PADDED)), kept


def distinct_words(keys: Keys) -> tuple[Keys, list[str]]:
    """Return distinct keys, and their words."""
    padded = np.unique(np.ascontiguousarray(keys.T, "<u8").view(_PADDED))
    return _keys_of(padded), [word.decode("ascii") for word in padded.tolist()]


def _keys_of(padded: npt.NDArray[np.bytes_]) -> Keys:
    return np.ascontiguousarray(padded.view("<u8").reshape(-1, 2).T, np.uint64)
