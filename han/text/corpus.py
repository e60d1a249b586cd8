"""Encoded documents in flat arrays, and batches of documents of similar length."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.text.normalization import normalize
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import Vocabulary

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

# The offsets of a word whose place in the text is not known.
NO_PLACE = (-1, -1)


class Documents(NamedTuple):
    """Documents without padding: arrays, or tensors.

    Attributes
    ----------
    word_ids : int32 [words]
        The words of all sentences of all documents, one after another.
    sentence_lengths : int32 [sentences]
        Words in each sentence of all documents, at least one.
    document_lengths : int32 [documents]
        Sentences in each document.
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
        The words of all sentences of all documents, one after another.
    sentence_starts : int64 [sentences + 1]
        Where each sentence starts in `word_ids`, and the end.
    document_starts : int64 [documents + 1]
        Where each document starts in `sentence_starts`, and the end. A document may have no sentences.
    cut : int
        How many documents were over the cap on sentences.
    """

    word_ids: Int32
    sentence_starts: Int64
    document_starts: Int64
    cut: int = 0

    @classmethod
    def encode(cls, texts: Iterable[str], splitter: DocumentSplitter, vocabulary: Vocabulary) -> Corpus:
        """Split texts and encode them with a known vocabulary."""
        return cls._from_texts(texts, splitter.split, vocabulary.encode)

    @classmethod
    def encode_with_offsets(
        cls, texts: Iterable[str], splitter: DocumentSplitter, vocabulary: Vocabulary
    ) -> tuple[Corpus, list[str], Int32]:
        """Do as `encode`, and also return the words, and where each starts and ends in its text [words, 2].

        A word whose place is not known has -1 and -1.
        """
        words: list[str] = []
        offsets = array("i")

        def split(text: str) -> tuple[list[list[str]], bool]:
            located, was_cut = splitter.split_located(text)
            for word, place in chain.from_iterable(located):
                words.append(word)
                offsets.extend(place or NO_PLACE)
            return [[word for word, _ in sentence] for sentence in located], was_cut

        corpus = cls._from_texts(texts, split, vocabulary.encode)
        return corpus, words, np.array(offsets, np.int32).reshape(-1, 2)

    @classmethod
    def learn(
        cls, texts: Iterable[str], splitter: DocumentSplitter, min_count: int, max_words: int | None
    ) -> tuple[Corpus, Vocabulary]:
        """Split texts, learn their vocabulary (see `Vocabulary.from_counts`) and encode them, in one pass over them."""
        spellings: defaultdict[str, int] = defaultdict()
        spellings.default_factory = spellings.__len__
        corpus = cls._from_texts(texts, splitter.split, lambda words: [*map(spellings.__getitem__, words)])
        counts: Counter[str] = Counter()
        for spelling, count in zip(spellings, np.bincount(corpus.word_ids).tolist(), strict=True):
            counts[normalize(spelling)] += count
        vocabulary = Vocabulary.from_counts(counts, min_count, max_words)
        ids = np.array(vocabulary.encode(spellings), np.int32)
        return replace(corpus, word_ids=ids[corpus.word_ids]), vocabulary

    @classmethod
    def _from_texts(
        cls,
        texts: Iterable[str],
        split: Callable[[str], tuple[list[list[str]], bool]],
        encode: Callable[[Iterable[str]], list[int]],
    ) -> Corpus:
        word_ids, sentence_lengths, document_lengths = array("i"), array("i"), array("i")
        cut = 0
        for text in texts:
            sentences, was_cut = split(text)
            cut += was_cut
            document_lengths.append(len(sentences))
            sentence_lengths.extend(map(len, sentences))
            word_ids.extend(encode(chain.from_iterable(sentences)))
        return cls(np.array(word_ids, np.int32), _starts(sentence_lengths), _starts(document_lengths), cut)

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
        """Return a corpus of the given documents, in that order."""
        # Nothing here is of the size of the whole corpus: it is done for every batch.
        documents = np.asarray(documents, np.int64)
        counts = self.document_starts[documents + 1] - self.document_starts[documents]
        sentences = ranges(self.document_starts[documents], counts)
        lengths = self.sentence_starts[sentences + 1] - self.sentence_starts[sentences]
        words = ranges(self.sentence_starts[sentences], lengths)
        return Corpus(self.word_ids[words], _starts(lengths), _starts(counts))

    @classmethod
    def concatenate(cls, corpora: Sequence[Corpus]) -> Corpus:
        """Return a corpus with the documents of several, one after another."""
        return cls(
            np.concatenate([corpus.word_ids for corpus in corpora]),
            _starts(np.concatenate([np.diff(corpus.sentence_starts) for corpus in corpora])),
            _starts(np.concatenate([corpus.sentence_counts for corpus in corpora])),
            sum(corpus.cut for corpus in corpora),
        )

    def block(self) -> Int32:
        """Return the documents as one block [documents, sentences, words], padded with zeros; no axis is empty."""
        lengths, counts = np.diff(self.sentence_starts), self.sentence_counts
        document = np.repeat(np.arange(len(self)), counts)
        sentence = ranges(np.zeros_like(counts), counts)
        word = ranges(np.zeros_like(lengths), lengths)
        block = np.zeros((len(self), counts.max(initial=1), lengths.max(initial=1)), np.int32)
        block[np.repeat(document, lengths), np.repeat(sentence, lengths), word] = self.word_ids
        return block

    def keep_words(self, kept: npt.NDArray[np.bool_]) -> Corpus:
        """Return the same documents with only some words [words]; sentences without any are left out."""
        before = np.concatenate([[0], np.cumsum(kept)])
        lengths = np.diff(before[self.sentence_starts])
        sentences = np.concatenate([[0], np.cumsum(lengths > 0)])
        return Corpus(self.word_ids[kept], _starts(lengths[lengths > 0]), sentences[self.document_starts])

    def batch(self, documents: Sequence[int] | Int64) -> Documents:
        """Return the given documents as the network takes them, int32 throughout."""
        part = self.take(documents)
        return Documents(
            part.word_ids, np.diff(part.sentence_starts).astype(np.int32), part.sentence_counts.astype(np.int32)
        )


def _starts(lengths: Iterable[int] | Int64) -> Int64:
    """Return where each of consecutive pieces starts, and the end [pieces + 1]."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))])


def ranges(starts: Int64, lengths: Int64) -> Int64:
    """Return the concatenation of range(start, start + length) over all pieces."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
