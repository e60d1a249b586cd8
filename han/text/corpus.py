"""Documents encoded as word ids, in flat arrays."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class Documents(NamedTuple):
    """A batch of documents without padding, as arrays or tensors.

    Attributes
    ----------
    word_ids : int32 [words]
        Concatenated words of all sentences of all documents.
    sentence_lengths : int32 [sentences]
        Number of words of each sentence of all documents, at least one.
    document_lengths : int32 [documents]
        Number of sentences of each document.
    """

    word_ids: Any
    sentence_lengths: Any
    document_lengths: Any


@dataclass(frozen=True)
class Corpus:
    """Documents as word ids in one flat array, 4 bytes a word.

    Attributes
    ----------
    word_ids : int32 [words]
        Concatenated words of all sentences of all documents.
    sentence_starts : int64 [sentences + 1]
        Start of each sentence in `word_ids`, followed by the end of the last one.
    document_starts : int64 [documents + 1]
        Start of each document in `sentence_starts`, followed by the end of the last one. A document may be empty.
    truncated : int
        Number of documents that were truncated at the maximum number of sentences.
    """

    word_ids: Int32
    sentence_starts: Int64
    document_starts: Int64
    truncated: int = 0

    @classmethod
    def from_sentences(
        cls, documents: Iterable[tuple[list[list[str]], bool]], encode: Callable[[Iterable[str]], list[int]]
    ) -> Corpus:
        """Encode documents, each given as its sentences of words and whether it was truncated."""
        word_ids, sentence_lengths, document_lengths = array("i"), array("i"), array("i")
        truncated = 0
        for sentences, was_truncated in documents:
            truncated += was_truncated
            document_lengths.append(len(sentences))
            sentence_lengths.extend(map(len, sentences))
            word_ids.extend(encode(chain.from_iterable(sentences)))
        return cls(np.array(word_ids, np.int32), _starts(sentence_lengths), _starts(document_lengths), truncated)

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.document_starts) - 1

    @property
    def sentence_counts(self) -> Int64:
        """Number of sentences of each document [documents]."""
        return np.diff(self.document_starts)

    @property
    def word_counts(self) -> Int64:
        """Number of words of each document [documents]."""
        return np.diff(self.sentence_starts[self.document_starts])

    def take(self, documents: Sequence[int] | Int64) -> Corpus:
        """Return a corpus of the given documents, in the given order."""
        # Called for every batch, so no array here is as large as the whole corpus.
        documents = np.asarray(documents, np.int64)
        counts = self.document_starts[documents + 1] - self.document_starts[documents]
        sentences = ranges(self.document_starts[documents], counts)
        lengths = self.sentence_starts[sentences + 1] - self.sentence_starts[sentences]
        words = ranges(self.sentence_starts[sentences], lengths)
        return Corpus(self.word_ids[words], _starts(lengths), _starts(counts))

    @classmethod
    def concatenate(cls, corpora: Sequence[Corpus]) -> Corpus:
        """Return a corpus with the documents of several corpora, in order."""
        return cls(
            np.concatenate([corpus.word_ids for corpus in corpora]),
            _starts(np.concatenate([np.diff(corpus.sentence_starts) for corpus in corpora])),
            _starts(np.concatenate([corpus.sentence_counts for corpus in corpora])),
            sum(corpus.truncated for corpus in corpora),
        )

    def block(self) -> Int32:
        """Return the documents padded with zeros, [documents, sentences, words]; no axis is empty."""
        lengths, counts = np.diff(self.sentence_starts), self.sentence_counts
        document = np.repeat(np.arange(len(self)), counts)
        sentence = ranges(np.zeros_like(counts), counts)
        word = ranges(np.zeros_like(lengths), lengths)
        block = np.zeros((len(self), counts.max(initial=1), lengths.max(initial=1)), np.int32)
        block[np.repeat(document, lengths), np.repeat(sentence, lengths), word] = self.word_ids
        return block

    def keep_words(self, kept: npt.NDArray[np.bool_]) -> Corpus:
        """Return the documents with only the words where `kept` [words] is true; empty sentences are dropped."""
        kept_before = np.concatenate([[0], np.cumsum(kept)])
        lengths = np.diff(kept_before[self.sentence_starts])
        sentences = np.concatenate([[0], np.cumsum(lengths > 0)])
        return Corpus(self.word_ids[kept], _starts(lengths[lengths > 0]), sentences[self.document_starts])

    def batch(self, documents: Sequence[int] | Int64) -> Documents:
        """Return the given documents as input of the network; all arrays are int32."""
        part = self.take(documents)
        return Documents(
            part.word_ids, np.diff(part.sentence_starts).astype(np.int32), part.sentence_counts.astype(np.int32)
        )


def _starts(lengths: Iterable[int] | Int64) -> Int64:
    """Return the start of each of consecutive sequences and the end of the last one [sequences + 1]."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))])


def ranges(starts: Int64, lengths: Int64) -> Int64:
    """Return the concatenation of `range(start, start + length)` for each pair of a start and a length."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
