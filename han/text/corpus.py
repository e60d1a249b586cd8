"""Documents encoded as word ids, in flat arrays."""

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

# Offsets of a word whose position in the text is unknown.
NO_OFFSETS = (-1, -1)


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
    cut : int
        Number of documents that were truncated at the maximum number of sentences.
    """

    word_ids: Int32
    sentence_starts: Int64
    document_starts: Int64
    cut: int = 0

    @classmethod
    def encode(cls, texts: Iterable[str], splitter: DocumentSplitter, vocabulary: Vocabulary) -> Corpus:
        """Split texts and encode them with a given vocabulary."""
        return cls._from_texts(texts, splitter.split, vocabulary.encode)

    @classmethod
    def encode_with_offsets(
        cls, texts: Iterable[str], splitter: DocumentSplitter, vocabulary: Vocabulary
    ) -> tuple[Corpus, list[str], Int32]:
        """Encode texts as `encode` does, and also return the words and their offsets (start, end) [words, 2].

        Words whose position in the text is unknown have the offsets (-1, -1).
        """
        words: list[str] = []
        offsets = array("i")

        def split(text: str) -> tuple[list[list[str]], bool]:
            sentences, was_cut = splitter.split_with_offsets(text)
            for word, span in chain.from_iterable(sentences):
                words.append(word)
                offsets.extend(span or NO_OFFSETS)
            return [[word for word, _ in sentence] for sentence in sentences], was_cut

        corpus = cls._from_texts(texts, split, vocabulary.encode)
        return corpus, words, np.array(offsets, np.int32).reshape(-1, 2)

    @classmethod
    def learn(
        cls, texts: Iterable[str], splitter: DocumentSplitter, min_count: int, max_words: int | None
    ) -> tuple[Corpus, Vocabulary]:
        """Split texts, build their vocabulary with `Vocabulary.from_counts`, and encode them, in a single pass."""
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
            sum(corpus.cut for corpus in corpora),
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
