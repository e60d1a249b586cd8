"""From raw documents to word ids: a splitter together with a vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import Vocabulary


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
        cls, texts: list[str], splitter: DocumentSplitter, min_count: int, max_vocabulary: int | None
    ) -> tuple[DocumentReader, Corpus]:
        """Learn the vocabulary of documents; return the reader, and the documents encoded in the same pass."""
        corpus, vocabulary = Corpus.learn(texts, splitter, min_count, max_vocabulary)
        return cls(splitter, vocabulary), corpus

    def encode(self, texts: list[str]) -> Corpus:
        """Return documents as word ids."""
        return Corpus.encode(texts, self.splitter, self.vocabulary)

    def encode_with_offsets(self, texts: list[str]) -> tuple[Corpus, list[str], npt.NDArray[np.int32]]:
        """Return documents as word ids, their words, and the offsets of the words [words, 2]; -1 where unknown."""
        return Corpus.encode_with_offsets(texts, self.splitter, self.vocabulary)
