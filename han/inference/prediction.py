"""Predict class probabilities of raw texts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Lock
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from han.inference.compiled import CompiledNetwork, Projection
from han.inference.inference import Network, inference_of
from han.memory.planning import PredictionPlan
from han.text.batches import MAX_BATCH_WORDS, prediction_batches
from han.text.corpus import Corpus, Documents
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter

Probabilities = npt.NDArray[np.float32]
Encoded = TypeVar("Encoded")
Result = TypeVar("Result")

# Number of characters of text that a thread processes at once.
CHUNK = 200_000


def predict(
    network: Network,
    texts: list[str],
    reader: DocumentReader,
    plan: PredictionPlan = PredictionPlan(),  # noqa: B008 immutable
) -> tuple[Probabilities, int]:
    """Return probabilities [documents, classes] and the number of truncated documents.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork or StoredNetwork
    texts : list of str
    reader : DocumentReader
    plan : PredictionPlan
        Number of words per batch, and of threads.
    """
    inference = inference_of(network)
    probabilities = np.empty((len(texts), network.get_config()["classes"]), np.float32)
    chunks = divide([len(text) for text in texts], CHUNK)
    projection = None
    if len(chunks) > 1:
        projection = inference.project_vocabulary(reader.vocabulary.size)

    def work(part: slice, corpus: Corpus) -> int:
        probabilities[part] = inference.run(classify_corpus, corpus, projection, plan.words)
        return corpus.truncated

    return probabilities, sum(over_chunks(chunks, texts, reader.splitter, reader.encode, work, plan.threads))


def over_chunks(
    chunks: list[tuple[int, int]],
    texts: list[str],
    splitter: DocumentSplitter,
    encode: Callable[[list[str]], Encoded],
    work: Callable[[slice, Encoded], Result],
    threads: int,
) -> list[Result]:
    """Encode the texts of each chunk, and return the results of `work(part, encoded)` in the order of the chunks.

    Some threads split chunks into words while the network processes others. The user's functions, which may not be
    thread-safe, are called by one thread at a time.
    """
    splitting = nullcontext() if splitter.is_default else Lock()

    def run(chunk: tuple[int, int]) -> Result:
        part = slice(*chunk)
        with splitting:
            encoded = encode(texts[part])
        return work(part, encoded)

    if len(chunks) == 1:
        return [run(chunks[0])]
    with ThreadPoolExecutor(max_workers=threads) as executor:
        return [*executor.map(run, chunks)]


def classify(network: Network, corpus: Corpus, max_words: int = MAX_BATCH_WORDS) -> Probabilities:
    """Return the probabilities [documents, classes] of encoded documents, in batches of `max_words`."""
    return inference_of(network).run(classify_corpus, corpus, None, max_words)


def classify_corpus(
    network: CompiledNetwork, corpus: Corpus, projection: Projection | None = None, max_words: int = MAX_BATCH_WORDS
) -> Probabilities:
    """Return the probabilities [documents, classes] of encoded documents.

    Parameters
    ----------
    network : CompiledNetwork
    corpus : Corpus
    projection : Projection or None
        The projection of the whole vocabulary; None projects the words of each batch.
    max_words : int
        Maximum number of words per batch, unless a single document has more.
    """
    probabilities = np.empty((len(corpus), network.network.classifier.units), np.float32)
    for part in prediction_batches(corpus, max_words):
        probabilities[part] = classify_documents(network, corpus.batch(part), projection)
    return probabilities


def classify_documents(
    network: CompiledNetwork, documents: Documents, projection: Projection | None = None
) -> Probabilities:
    """Return the probabilities [documents, classes] of one batch; see `classify_corpus` for the parameters."""
    return network.forward(*network.with_projection(documents, projection)).probabilities


def divide(lengths: list[int], size: int) -> list[tuple[int, int]]:
    """Divide documents into ranges (start, end) of similar numbers of characters, about `size` at most.

    A range contains at least one document, however long.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if lengths else 0
    target = max(1.0, total / max(1, -(-total // size)))
    parts = (ends - lengths) // target
    starts = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(lengths)], strict=True))
