"""The vocabulary: a mapping from words to ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from han.exceptions import InvalidValueError
from han.text.ascii_words import AsciiWords, distinct_words, key_words
from han.text.corpus import Int32
from han.text.normalization import normalize
from han.text.word_table import WordTable

PADDING_ID = 0
UNKNOWN_ID = 1
FIRST_WORD_ID = 2


class Vocabulary(Mapping[str, int]):
    """A mapping from words to ids from 2 up; id 0 stands for padding and id 1 for unknown words.

    A word is looked up in lower case and, if that is unknown, in its normalised form (see `han.text.normalization`), so
    that "couldn't" is found with any kind of apostrophe.

    Parameters
    ----------
    words : iterable of str
        Distinct words in lower case, in the order of their ids. They need not be normalised, since earlier versions
        saved vocabularies that are not. If several words share a normalised form, other variants get the id of the
        first one.

    Raises
    ------
    ValueError
        If a word is repeated or not in lower case.

    Examples
    --------
    >>> from han.text.vocabulary import Vocabulary
    >>> vocabulary = Vocabulary(["the", "film"])
    >>> vocabulary["Film"], vocabulary.encode(["The", "best", "film"])
    (3, [2, 1, 3])
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = list(words)
        ids = {word: id_ for id_, word in enumerate(self.words, FIRST_WORD_ID)}
        if len(ids) != len(self.words):
            raise InvalidValueError("words must be distinct")
        for word in self.words:
            if word != word.lower():
                raise InvalidValueError(f"words must be in lower case, got {word!r}")
        self._ids = ids.copy()
        for word, id_ in ids.items():
            self._ids.setdefault(normalize(word), id_)
        self._spellings = _Spellings(self._ids)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], min_count: int = 1, max_words: int | None = None) -> Vocabulary:
        """Build a vocabulary of the `max_words` most frequent words that occur at least `min_count` times.

        Words are ordered by decreasing count, then alphabetically.
        """
        frequent = sorted((-count, word) for word, count in counts.items() if count >= min_count)
        return cls(word for _, word in frequent[:max_words])

    @property
    def size(self) -> int:
        """Number of ids, including those of padding and unknown words."""
        return FIRST_WORD_ID + len(self.words)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word, in any spelling, or `UNKNOWN_ID`."""
        return [*map(self._spellings.__getitem__, words)]

    def encode_ascii(self, words: AsciiWords) -> Int32:
        """Return the id of each word, or `UNKNOWN_ID` [words]."""
        ids = self._table.find(words.keys)
        ids[ids == PADDING_ID] = UNKNOWN_ID
        indices, long_words = words.without_key()
        ids[indices] = self.encode(long_words)
        return ids

    @cached_property
    def _table(self) -> WordTable:
        table = WordTable()
        keys, words = key_words([*self._ids])
        table.add(keys, np.array([self._ids[word] for word in words], np.int32))
        return table

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_table"}

    def __getitem__(self, word: str) -> int:
        if not isinstance(word, str):
            raise KeyError(word)
        id_ = self._spellings[word]
        if id_ == UNKNOWN_ID:
            raise KeyError(word)
        return id_

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.words)} words)"


class _Spellings(dict[str, int]):
    """A mapping from spellings to ids that caches each new spelling of a known word.

    Normalising a word takes longer than looking it up. Unknown words are not cached, because their number is unbounded.
    """

    def __init__(self, ids: dict[str, int]) -> None:
        super().__init__(ids)
        self._ids = ids

    def __missing__(self, word: str) -> int:
        lower = word.lower()
        id_ = self._ids.get(lower, UNKNOWN_ID)
        if id_ == UNKNOWN_ID and (not lower.isascii() or "`" in lower):  # any other word is normalised already
            id_ = self._ids.get(normalize(word), UNKNOWN_ID)
        if id_ != UNKNOWN_ID:
            self[word] = id_
        return id_


class NewWords:
    """Numbers words from 1 up, in the order in which they are found first.

    Words of ASCII sentences come in lower case, others in the spelling of the text.
    """

    def __init__(self) -> None:
        self.numbers: defaultdict[str, int] = defaultdict(count(1).__next__)
        self._table = WordTable()

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the number of each word."""
        return [*map(self.numbers.__getitem__, words)]

    def encode_ascii(self, words: AsciiWords) -> Int32:
        """Return the number of each word [words]."""
        numbers = self._table.find(words.keys)
        indices, long_words = words.without_key()
        numbers[indices] = self.encode(long_words)
        new = np.flatnonzero(numbers == 0)
        if len(new):
            keys, new_words = distinct_words(words.keys[:, new])
            self._table.add(keys, np.array(self.encode(new_words), np.int32))
            numbers[new] = self._table.find(words.keys[:, new])
        return numbers
