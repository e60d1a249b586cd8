"""Class probabilities of raw texts, by a trained network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import numpy.typing as npt

from han import forked
from han.corpus import Corpus, prediction_batches
from han.model import HierarchicalAttentionNetwork, Projection
from han.text import DocumentSplitter
from han.vocabulary import Vocabulary

# Characters of text that are worked on together.
CHUNK = 550_000
# For many texts the words of the whole vocabulary are projected once, if there are no more than this.
LARGEST_TABLE = 100_000


def predict(
    model: HierarchicalAttentionNetwork, texts: list[str], splitter: DocumentSplitter, vocabulary: Vocabulary
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the probabilities [documents, classes], and how many documents were over the cap on sentences."""
    probabilities = np.empty((len(texts), model.get_config()["classes"]), np.float32)

    one_at_a_time = Lock()

    def encode(start: int, end: int) -> Corpus:
        # A user's splitter need not be made for threads; and Python runs one at a time anyway.
        with one_at_a_time:
            return Corpus.encode(texts[start:end], splitter, vocabulary)

    chunks = divide([len(text) for text in texts], CHUNK)
    everything = None
    here = not forked.was_forked()
    if here and len(chunks) > 1 and vocabulary.size <= LARGEST_TABLE:
        everything = model.project(np.arange(vocabulary.size, dtype=np.int32))

    def work(chunk: tuple[int, int]) -> int:
        corpus = encode(*chunk)
        probabilities[slice(*chunk)] = classify(model, corpus, everything)
        return corpus.cut

    if len(chunks) == 1:
        return probabilities, work(chunks[0])
    if here:
        # Threads that call the network for the first time together would each trace its graph.
        model.project.get_concrete_function()
        model.read.get_concrete_function()
    # One chunk is split into words while the network works on two others: a tenth faster than one at a time. A fourth
    # waits, so that none of these has to.
    with ThreadPoolExecutor(max_workers=4) as executor:
        return probabilities, sum(executor.map(work, chunks))


def classify(
    model: HierarchicalAttentionNetwork, corpus: Corpus, projection: Projection | None = None
) -> npt.NDArray[np.float32]:
    """Return the probabilities [documents, classes] of encoded documents.

    `projection` is that of the whole vocabulary, if it has been projected.
    """
    if forked.was_forked():
        return forked.ask(classify, model, corpus)
    probabilities = np.empty((len(corpus), model.classifier.units), np.float32)
    for part in prediction_batches(corpus):
        documents = corpus.batch(part)
        inputs = model.project_distinct(documents) if projection is None else (documents, projection)
        probabilities[part] = model.read(*inputs)[0]
    return probabilities


def divide(lengths: list[int], size: int) -> list[tuple[int, int]]:
    """Divide consecutive documents into ranges (start, end) of about `size` characters, and at least one document."""
    parts = np.cumsum([0, *lengths[:-1]]) // size
    starts = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(lengths)], strict=True))
