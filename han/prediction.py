"""Class probabilities of raw texts, by a trained network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from han.corpus import Corpus, prediction_batches
from han.layers import Tables
from han.model import HierarchicalAttentionNetwork
from han.text import DocumentSplitter
from han.vocabulary import Vocabulary

# Characters of text that are worked on together.
CHUNK = 300_000


def predict(
    model: HierarchicalAttentionNetwork, texts: list[str], splitter: DocumentSplitter, vocabulary: Vocabulary
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the probabilities [documents, classes], and how many documents were over the cap on sentences."""
    probabilities = np.empty((len(texts), model.classifier.units), np.float32)

    def encode(start: int, end: int) -> Corpus:
        return Corpus.encode(texts[start:end], splitter, vocabulary)

    def classify(start: int, corpus: Corpus, tables: Tables) -> int:
        for part in prediction_batches(corpus):
            probabilities[start + part] = model.probabilities(corpus.batch(part), tables)
        return corpus.cut

    chunks = divide([len(text) for text in texts], CHUNK)
    if len(chunks) == 1:
        corpus = encode(0, len(texts))
        words, word_ids = np.unique(corpus.word_ids, return_inverse=True)
        return probabilities, classify(0, replace(corpus, word_ids=word_ids.astype(np.int32)), model.project(words))
    # Threads that call the network for the first time together would each trace its graph.
    model.probabilities.get_concrete_function()
    tables = model.project(np.arange(vocabulary.size, dtype=np.int32))
    # One chunk is split into words while the network works on two others: a tenth faster than one at a time.
    with ThreadPoolExecutor(max_workers=3) as executor:
        cut = sum(executor.map(lambda chunk: classify(chunk[0], encode(*chunk), tables), chunks))
    return probabilities, cut


def divide(lengths: list[int], size: int) -> list[tuple[int, int]]:
    """Divide consecutive documents into ranges (start, end) of about `size` characters, and at least one document."""
    parts = np.cumsum([0, *lengths[:-1]]) // size
    starts = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(lengths)], strict=True))
