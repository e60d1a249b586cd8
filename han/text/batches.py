"""Batches of documents of similar length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from han.text.corpus import Corpus, Documents, Int64

# Training batches are cut from a sorted pool of this many batches, so that the documents of a batch are of similar
# length. The recurrence over sentences then wastes fewer steps, and on BBC News the accuracy varies half as much
# between seeds as with unsorted batches, at the same validation loss.
POOL_BATCHES = 32
# Larger batches predict no faster.
MAX_BATCH_WORDS = 32_768
MAX_BATCH_DOCUMENTS = 2048


def drop_sentences(documents: Documents, rate: float, rng: np.random.Generator) -> Documents:
    """Drop each sentence with probability `rate`, but keep at least one sentence of each document."""
    lengths = documents.sentence_lengths
    starts = np.cumsum(documents.document_lengths) - documents.document_lengths
    non_empty = documents.document_lengths > 0
    kept = rng.random(len(lengths)) >= rate
    # A random sentence of each document, which is kept if all others are dropped.
    offsets = (rng.random(non_empty.sum()) * documents.document_lengths[non_empty]).astype(np.int64)
    fallback = starts[non_empty] + offsets
    document_of = np.repeat(np.arange(len(documents.document_lengths)), documents.document_lengths)
    emptied = np.bincount(document_of, kept, len(non_empty))[non_empty] == 0
    kept[fallback[emptied]] = True
    counts = np.bincount(document_of, kept, len(non_empty)).astype(np.int32)
    return Documents(documents.word_ids[np.repeat(kept, lengths)], lengths[kept], counts)


def training_batches(corpus: Corpus, batch_size: int, rng: np.random.Generator) -> list[Int64]:
    """Return the batches of one epoch in random order, each with documents of similar length."""
    documents = rng.permutation(len(corpus))
    word_counts, sentence_counts = corpus.word_counts, corpus.sentence_counts
    pool = batch_size * POOL_BATCHES
    batches = []
    for start in range(0, len(documents), pool):
        part = documents[start : start + pool]
        # Sorted by sentences first, since these are the sequential steps of the upper level.
        part = part[np.lexsort((word_counts[part], sentence_counts[part]))]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def prediction_batches(
    corpus: Corpus, max_words: int = MAX_BATCH_WORDS, max_documents: int = MAX_BATCH_DOCUMENTS
) -> Iterator[Int64]:
    """Yield batches of consecutive documents with at most `max_words` words, or of a single longer document."""
    return consecutive(corpus.word_counts, max_words, max_documents)


def consecutive(sizes: Int64, max_size: int, max_items: int = 2**31) -> Iterator[Int64]:
    """Yield groups of indices of consecutive items: at most `max_items` with a total size of at most `max_size`.

    An item that is larger than `max_size` is a group of its own.
    """
    ends = np.cumsum(sizes)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + max_size, side="right"))
        end = min(max(end, start + 1), start + max_items)
        yield np.arange(start, end)
        start = end
