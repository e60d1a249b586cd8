"""The arithmetic that a word costs, and how many words a second that allows.

Only matrix products are counted, a multiplication and an addition as two operations: the rest is linear in the states.
A training step takes three times the arithmetic of a prediction, for each product has two gradients.
"""

from __future__ import annotations

import time
from functools import cache
from statistics import median

import numpy as np

from benchmarks.speed.contender import BATCH_SIZE, EMBEDDING_DIM, UNITS, VOCABULARY
from han import load_dataset
from han.text.batches import training_batches
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter

FORMS = {
    "as in the paper": "every word is projected",
    "distinct words": "each distinct word of a batch is projected once; at prediction, the vocabulary once for all",
    "padded": "every word is projected, and padding up to the fixed maxima of `keras_han` too",
}


def encoder() -> float:
    """Return the operations of one step of a bidirectional LSTM, without projecting the input, and of its attention."""
    return 2 * UNITS * 4 * UNITS * 2 + 2 * (2 * UNITS) ** 2


def projection(features: int) -> float:
    """Return the operations of projecting one input for both directions."""
    return 2 * features * 4 * UNITS * 2


@cache
def proportions() -> tuple[float, float, float]:
    """Return, for a word of IMDB, its share of distinct words of a batch, of sentences and of documents."""
    dataset = load_dataset("imdb")
    _, corpus = DocumentReader.learn(dataset.X_train, DocumentSplitter(), 2, VOCABULARY)
    batches = [corpus.batch(part) for part in training_batches(corpus, BATCH_SIZE, np.random.default_rng(0))]
    distinct = sum(len(np.unique(batch.word_ids)) for batch in batches) / len(corpus.word_ids)
    return distinct, len(corpus.sentence_starts) / len(corpus.word_ids), len(corpus) / len(corpus.word_ids)


def operations(form: str, action: str) -> float:
    """Return the operations that one word costs in training ("train") or at prediction ("predict")."""
    from benchmarks.speed.keras_han import MAX_SENTENCES, MAX_WORDS

    distinct, sentences, documents = proportions()
    sentence = encoder() + projection(2 * UNITS)
    if form == "padded":
        rows = documents * MAX_SENTENCES
        forward = rows * (MAX_WORDS * (encoder() + projection(EMBEDDING_DIM)) + sentence)
    else:
        projected = {"as in the paper": 1.0, "distinct words": distinct if action == "train" else 0.0}[form]
        forward = encoder() + projected * projection(EMBEDDING_DIM) + sentences * sentence
    return forward * (3 if action == "train" else 1)


def ceiling(form: str, action: str, rate: float) -> tuple[float, float]:
    """Return the operations of a word, and the words a second at a rate of operations a second."""
    return operations(form, action), rate / operations(form, action)


def matrix_product_rate(size: int = 2048, repeats: int = 9) -> float:
    """Return the operations a second of large matrix products, by TensorFlow."""
    from han.backend import tf

    matrix = tf.random.normal([size, size])
    tf.matmul(matrix, matrix)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        tf.matmul(matrix, matrix).numpy()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / median(times)
