"""From raw documents to word ids: a splitter together with a vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from han.text.corpus import Corpus, Int32
from han.text.encoding import encode_documents, encode_with_offsets
from han.text.normalization import normalize
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import PADDING_ID, NewWords, Vocabulary


@dataclass(frozen=True)
class DocumentReader:
    """Splits documents into sentences and words, and encodes the words.

    Attributes
    ----------
    splitter : DocumentSplitter
    vocabulary : Vocabulary
    """

    splitter: DocumentSplitter
    vocabulary: Vocabulary

    @classmethod
    def learn(
        cls, texts: Iterable[str], splitter: DocumentSplitter, min_count: int, max_vocabulary: int | None
    ) -> tuple[DocumentReader, Corpus]:
        """Learn the vocabulary of documents with `Vocabulary.from_counts`.

        Return the reader, and the documents encoded in the same pass.
        """
        # Words have the numbers of `NewWords` until all have been counted.
        words = NewWords()
        corpus = encode_documents(texts, splitter, words)
        occurrences = np.bincount(corpus.word_ids, minlength=len(words.numbers) + 1)
        counts: Counter[str] = Counter()
        for word, count in zip(words.numbers, occurrences[1:].tolist(), strict=True):
            counts[normalize(word)] += count
        vocabulary = Vocabulary.from_counts(counts, min_count, max_vocabulary)
        ids = np.array([PADDING_ID, *vocabulary.encode(words.numbers)], np.int32)
        return cls(splitter, vocabulary), replace(corpus, word_ids=ids[corpus.word_ids])

    def encode(self, texts: Iterable[str]) -> Corpus:
        """Return documents as word ids."""
        return encode_documents(texts, self.splitter, self.vocabulary)

    def encode_with_offsets(self, texts: Iterable[str]) -> tuple[Corpus, list[str], Int32]:
        """Return documents as word ids, their words, and the offsets (start, end) of the words [words, 2].

        Words whose position in the text is unknown have the offsets (-1, -1).
        """
        return encode_with_offsets(texts, self.splitter, self.vocabulary)
