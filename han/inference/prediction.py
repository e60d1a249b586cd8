"""Class probabilities of raw texts, by a trained network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import numpy.typing as npt

from han.backend import tf
from han.backend.isolation import isolated
from han.inference import forked
from han.memory.planning import PredictionPlan
from han.model import HierarchicalAttentionNetwork, Projection
from han.text.batches import MAX_BATCH_WORDS, consecutive, prediction_batches
from han.text.corpus import Corpus, Documents
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import Vocabulary

# Characters of text that are worked on together.
CHUNK = 550_000
# For many texts the words of the whole vocabulary are projected once, if there are no more than this.
LARGEST_TABLE = 100_000


def predict(
    model: HierarchicalAttentionNetwork,
    texts: list[str],
    splitter: DocumentSplitter,
    vocabulary: Vocabulary,
    plan: PredictionPlan = PredictionPlan(),  # noqa: B008 it cannot be changed
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the probabilities [documents, classes], and how many documents were over the cap on sentences.

    `plan` is how much is worked on at once.
    """
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
        probabilities[slice(*chunk)] = classify(model, corpus, everything, plan.words)
        return corpus.cut

    if len(chunks) == 1:
        return probabilities, work(chunks[0])
    if here:
        # Threads that call the network for the first time together would each trace its graph.
        model.project.trace()
        model.read.trace()
    # One chunk is split into words while the network works on two others: a tenth faster than one at a time. A fourth
    # waits, so that none of these has to.
    with ThreadPoolExecutor(max_workers=plan.threads) as executor:
        return probabilities, sum(executor.map(work, chunks))


def classify(
    model: HierarchicalAttentionNetwork,
    corpus: Corpus,
    projection: Projection | None = None,
    max_words: int = MAX_BATCH_WORDS,
) -> npt.NDArray[np.float32]:
    """Return the probabilities [documents, classes] of encoded documents.

    `projection` is that of the whole vocabulary, if it has been projected. No more than `max_words` are read at once: a
    document that has more is read in groups of sentences.
    """
    if forked.was_forked():
        return forked.ask(classify, model, corpus, None, max_words)
    probabilities = np.empty((len(corpus), model.classifier.units), np.float32)
    with isolated():
        for part in prediction_batches(corpus, max_words):
            documents = corpus.batch(part)
            inputs = model.project_distinct(documents) if projection is None else (documents, projection)
            if len(documents.word_ids) > max_words:
                probabilities[part] = _read_in_groups(model, *inputs, max_words)
            else:
                probabilities[part] = model.read(*inputs)[0]
    return probabilities


def _read_in_groups(
    model: HierarchicalAttentionNetwork, documents: Documents, projection: Projection, max_words: int
) -> tf.Tensor:
    """Return the probabilities [documents, classes], with the sentences read in groups of at most `max_words`."""
    lengths = documents.sentence_lengths
    starts = np.concatenate([[0], np.cumsum(lengths)])
    vectors = []
    for group in consecutive(lengths, max_words):
        words = documents.word_ids[starts[group[0]] : starts[group[-1] + 1]]
        # Which documents the sentences are of makes no difference to their vectors.
        vectors.append(model.sentence_vectors(Documents(words, lengths[group], lengths[:0]), projection))
    evidence = model.document_evidence(documents, projection)
    index = np.arange(len(lengths), dtype=np.int32)
    return model.read_vectors(tf.concat(vectors, axis=0), index, documents.document_lengths, evidence)


def divide(lengths: list[int], size: int) -> list[tuple[int, int]]:
    """Divide consecutive documents into ranges (start, end) of about `size` characters, and at least one document."""
    parts = np.cumsum([0, *lengths[:-1]]) // size
    starts = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(lengths)], strict=True))
