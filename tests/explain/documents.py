"""Random encoded documents."""

from __future__ import annotations

import numpy as np

from han.text.corpus import Corpus


def random_corpus(rng, documents=(3, 1, 0, 2)):
    lengths = rng.integers(1, 6, sum(documents))
    lengths[0] = 1
    return Corpus(
        rng.integers(1, 40, lengths.sum()).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([[0], np.cumsum(documents)]),
    )


def as_lists(corpus):
    """Return each document as a list of sentences, each an array of word ids."""
    words = np.split(corpus.word_ids, corpus.sentence_starts[1:-1])
    return [
        words[start:end] for start, end in zip(corpus.document_starts[:-1], corpus.document_starts[1:], strict=True)
    ]
