"""Scores of words and sentences for a network's predictions, by one of several methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from han.explain.explanation import Explanation
from han.explain.occlusion import Occlusion
from han.explain.scores import Float32, Scores, predict_targets
from han.inference.compiled import CompiledNetwork, Projection
from han.inference.inference import Network, inference_of
from han.inference.prediction import CHUNK, divide, over_chunks
from han.memory.planning import PredictionPlan
from han.text.batches import MAX_BATCH_WORDS, prediction_batches
from han.text.corpus import Corpus, Documents, Int32, Int64
from han.text.reader import DocumentReader

# Documents as word ids, their words, and the offsets of the words.
Encoded = tuple[Corpus, list[str], Int32]

# The memory that methods take for each word, relative to prediction: all but attention keep what a gradient needs.
GRADIENT_COST = 5
# A gradient takes about 5 kB for each word at 50 units, and occlusion encodes about twenty words for each word.
BATCH_WORDS = 16_384


def attribute(
    network: Network,
    corpus: Corpus,
    method: str,
    targets: Int64 | None = None,
    n_steps: int = 32,
    max_words: int = MAX_BATCH_WORDS,
) -> Scores:
    """Score the words and sentences of encoded documents.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork or StoredNetwork
    corpus : Corpus
        At least one document.
    method : str
        A key of `METHODS`.
    targets : int64 [documents] or None, default None
        The index of each document's target class; None selects the most probable one.
    n_steps : int, default 32
        The number of points at which integrated gradients evaluates the gradient.
    max_words : int, default 131072
        The maximum number of words that prediction would read at once with the available memory. Documents are not
        divided, so a longer document forms a batch of its own.
    """
    return inference_of(network).run(_attribute, corpus, None, method, targets, n_steps, max_words)


def _attribute(
    network: CompiledNetwork,
    corpus: Corpus,
    projection: Projection | None,
    method: str,
    targets: Int64 | None,
    n_steps: int,
    max_words: int,
) -> Scores:
    """Return the scores of `attribute`; `projection` is of the whole vocabulary, None projects each batch's words."""
    size = max_words if method == "attention" else max_words // GRADIENT_COST
    if method not in FORWARD_METHODS:
        size = min(size, BATCH_WORDS)
    batches = []
    for batch in prediction_batches(corpus, max_words=size):
        documents = corpus.batch(batch)
        chosen = None if targets is None else targets[batch]
        if method in FORWARD_METHODS:
            inputs = network.with_projection(documents, projection)
            batches.append(FORWARD_METHODS[method](network, *inputs, chosen))
        else:
            batches.append(SLOW_METHODS[method](network, documents, chosen, n_steps))
    return Scores(*(np.concatenate(arrays).astype(np.float32) for arrays in zip(*batches, strict=True)))


def contributions(
    network: CompiledNetwork, documents: Documents, projection: Projection, targets: Int64 | None
) -> Scores:
    """Score by the contributions to the margin of the target class, see `han.inference.contributions`."""
    if targets is None:
        targets = np.full(len(documents.document_lengths), -1)
    found = network.contributions(documents, projection, targets)
    probabilities, margins, base_values, network_scores, ngram_scores = found
    scores = _additive_scores(documents, probabilities, network_scores + ngram_scores)
    sums = _group_sums(scores.sentence_scores, documents.document_lengths)
    return scores._replace(
        completeness_errors=np.abs(base_values + sums - margins), base_values=base_values, ngram_scores=ngram_scores
    )


def attention(
    network: CompiledNetwork,
    documents: Documents,
    projection: Projection,
    targets: Int64 | None,  # noqa: ARG001 - the weights are the same for all classes
) -> Scores:
    """Score by the attention weights with which the prediction was made.

    N-gram evidence has no part in these scores.
    """
    return Scores.without_parts(*network.forward(documents, projection))


def gradient_x_input(
    network: CompiledNetwork,
    documents: Documents,
    targets: Int64 | None,
    n_steps: int,  # noqa: ARG001 - all slow methods have the same signature
) -> Scores:
    """Score by the gradient of the target's probability with respect to each word vector, times the vector."""
    probabilities, targets = predict_targets(network, documents, targets)
    ((_, words),) = network.gradients_times_inputs(documents, targets, [1.0])
    return _additive_scores(documents, probabilities, words.numpy())


def integrated_gradients(network: CompiledNetwork, documents: Documents, targets: Int64 | None, n_steps: int) -> Scores:
    """Score by integrated gradients along the straight path from zero vectors to the word vectors.

    This is equation 1 of Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365, integrated by Gauss-Legendre
    quadrature. Zero vectors are what word dropout replaces words with, so the network has learned to read them as
    missing words. N-gram evidence is scaled from zero to its value along the same path.
    """
    probabilities, targets = predict_targets(network, documents, targets)
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    (baseline, _), *steps = network.gradients_times_inputs(documents, targets, [0.0, *((nodes + 1) / 2)])
    words = sum(weight / 2 * scores.numpy() for weight, (_, scores) in zip(weights, steps, strict=True))
    difference = (probabilities - baseline.numpy())[np.arange(len(targets)), targets]
    scores = _additive_scores(documents, probabilities, words)
    sums = _group_sums(scores.sentence_scores, documents.document_lengths)
    return scores._replace(completeness_errors=np.abs(sums - difference))


def occlusion(
    network: CompiledNetwork,
    documents: Documents,
    targets: Int64 | None,
    n_steps: int,  # noqa: ARG001
) -> Scores:
    """Score by how much deleting a word, or a sentence, decreases the target's probability; see `Occlusion`."""
    return Occlusion(network, documents, targets).scores()


# Methods that take one forward pass, over words that are projected, which is fastest in large batches.
FORWARD_METHODS: dict[str, Callable[[CompiledNetwork, Documents, Projection, Int64 | None], Scores]] = {
    "contributions": contributions,
    "attention": attention,
}
# Methods that take several passes; the last argument is `n_steps`.
SLOW_METHODS: dict[str, Callable[[CompiledNetwork, Documents, Int64 | None, int], Scores]] = {
    "gradient_x_input": gradient_x_input,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}
METHODS = (*FORWARD_METHODS, *SLOW_METHODS)


def explain(
    network: Network,
    texts: list[str],
    reader: DocumentReader,
    classes: list[Any],
    *,
    method: str,
    targets: Int64 | None,
    n_steps: int,
    plan: PredictionPlan,
) -> tuple[list[Explanation], int]:
    """Return the explanations of texts, and the number of documents truncated to the maximum number of sentences.

    See `attribute` and `han.inference.prediction.predict` for the parameters.
    """
    inference = inference_of(network)
    chunks = divide([len(text) for text in texts], CHUNK)
    projection = None
    if len(chunks) > 1 and method in FORWARD_METHODS:
        projection = inference.project_vocabulary(reader.vocabulary.size)

    def work(part: slice, encoded: Encoded) -> tuple[list[Explanation], int]:
        chosen = None if targets is None else targets[part]
        scores = inference.run(_attribute, encoded[0], projection, method, chosen, n_steps, plan.words)
        if chosen is None:
            chosen = scores.probabilities.argmax(axis=1)
        labels = [classes[target] for target in chosen]
        return [*_explanations(texts[part], encoded, scores, method, tuple(classes), labels)], encoded[0].truncated

    parts = over_chunks(chunks, texts, reader.splitter, reader.encode_with_offsets, work, plan.threads)
    return [each for explanations, _ in parts for each in explanations], sum(truncated for _, truncated in parts)


def _explanations(
    texts: list[str],
    encoded: Encoded,
    scores: Scores,
    method: str,
    classes: tuple[Any, ...],
    targets: list[Any],
) -> Iterator[Explanation]:
    """Yield the explanation of each document, with copies of its scores so that those of the corpus can be freed."""
    corpus, words, offsets = encoded
    for document, text in enumerate(texts):
        sentences = slice(*corpus.document_starts[document : document + 2])
        starts = corpus.sentence_starts[sentences.start : sentences.stop + 1]
        positions = slice(starts[0], starts[-1])
        by_contributions = method == "contributions"
        is_sum = by_contributions or method == "integrated_gradients"
        yield Explanation(
            text=str(text),
            method=method,
            classes=classes,
            probabilities=scores.probabilities[document].copy(),
            target=targets[document],
            words=tuple(words[positions]),
            offsets=offsets[positions].copy(),
            sentence_starts=(starts - starts[0]).astype(np.int32),
            word_scores=scores.word_scores[positions].copy(),
            sentence_scores=scores.sentence_scores[sentences].copy(),
            completeness_error=float(scores.completeness_errors[document]) if is_sum else None,
            base_value=float(scores.base_values[document]) if by_contributions else None,
            ngram_scores=scores.ngram_scores[positions].copy() if by_contributions else None,
        )


def _additive_scores(documents: Documents, probabilities: Float32, words: npt.NDArray[Any]) -> Scores:
    """Return scores in which the score of a sentence is the sum of its words' scores."""
    sentences = _group_sums(words, documents.sentence_lengths)
    return Scores.without_parts(probabilities, words, sentences)


def _group_sums(values: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sums of consecutive groups of values; the sum of an empty group is 0."""
    sums: npt.NDArray[Any] = np.diff(
        np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])[np.concatenate([[0], np.cumsum(lengths)])]
    )
    return sums
