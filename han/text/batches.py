"""Batches of documents of similar length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from han.text.corpus import Corpus, Documents, Int64

# Documents in a training batch are of similar length because batches are cut from a sorted pool of this many batches.
# That fills the lanes of the sentences' recurrence; and the accuracy on BBC News varies half as much from seed to seed
# as with batches of any lengths, at the same validation loss.
POOL_BATCHES = 32
# Larger batches predict no faster.
MAX_BATCH_WORDS = 131_072
MAX_BATCH_DOCUMENTS = 2048


def drop_sentences(documents: Documents, rate: float, rng: np.random.Generator) -> Documents:
    """Leave out sentences at random, each with probability `rate`, but no document's last one."""
    lengths = documents.sentence_lengths
    starts = np.cumsum(documents.document_lengths) - documents.document_lengths
    filled = documents.document_lengths > 0
    kept = rng.random(len(lengths)) >= rate
    # The sentence that a document keeps in any case; where another one stays too, it is dropped like any other.
    spared = starts[filled] + (rng.random(filled.sum()) * documents.document_lengths[filled]).astype(np.int64)
    document_of = np.repeat(np.arange(len(documents.document_lengths)), documents.document_lengths)
    emptied = np.bincount(document_of, kept, len(filled))[filled] == 0
    kept[spared[emptied]] = True
    counts = np.bincount(document_of, kept, len(filled)).astype(np.int32)
    return Documents(documents.word_ids[np.repeat(kept, lengths)], lengths[kept], counts)


def training_batches(corpus: Corpus, batch_size: int, rng: np.random.Generator) -> list[Int64]:
    """Return one epoch's batches in random order: every document once, similar lengths together."""
    documents = rng.permutation(len(corpus))
    word_counts, sentence_counts = corpus.word_counts, corpus.sentence_counts
    pool = batch_size * POOL_BATCHES
    batches = []
    for start in range(0, len(documents), pool):
        part = documents[start : start + pool]
        # Sentences decide first: they are the steps that the upper level takes one after another.
        part = part[np.lexsort((word_counts[part], sentence_counts[part]))]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def prediction_batches(
    corpus: Corpus, max_words: int = MAX_BATCH_WORDS, max_documents: int = MAX_BATCH_DOCUMENTS
) -> Iterator[Int64]:
    """Yield batches of consecutive documents, of at most `max_words` words together or a single document."""
    return consecutive(corpus.word_counts, max_words, max_documents)


def consecutive(sizes: Int64, most: int, most_items: int = 2**31) -> Iterator[Int64]:
    """Yield indices of consecutive items: at most `most_items`, of sizes that sum to `most` at most, or one alone."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + most, side="right"))
        end = min(max(end, start + 1), start + most_items)
        yield np.arange(start, end)
        start = end
