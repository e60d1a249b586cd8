from __future__ import annotations

import numpy as np
import pytest

from han.inference.compiled import CompiledNetwork
from han.model import HierarchicalAttentionNetwork
from tests import plain
from tests.explain.documents import as_lists, random_corpus

NETWORKS = {
    "additive": {"residual": True, "additive": True, "ngrams": 30},
    "mean": {"residual": True, "pooling": "mean"},
    "residual": {"residual": True, "ngrams": 30},
    "paper": {"cell": "gru"},
    "max": {"pooling": "max"},
    "multi-label": {"residual": True, "additive": True, "multi_label": True, "ngrams": 30},
}


def build(rng, **arguments):
    model = HierarchicalAttentionNetwork(40, 3, embedding_dim=6, units=4, seed=5, **arguments)
    model.build((None, None, None))
    for weight in model.trainable_weights:  # large enough for logits and attention that differ
        weight.assign(weight.numpy() + rng.normal(0, 0.4, weight.shape))
    if model.evidence is not None:
        keys = np.sort([*rng.choice(40, 15, replace=False), *(rng.choice(1600, 15, replace=False) + 40)])
        model.evidence.set_weights([keys, rng.normal(0, 2, (30, 3)), np.array([0.3, 0.0, -0.2])])
    return model


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def network(request, rng):
    return build(rng, **request.param)


def contributions(network, corpus, targets=None):
    compiled = CompiledNetwork(network)
    documents = corpus.batch(np.arange(len(corpus)))
    targets = np.full(len(corpus), -1) if targets is None else targets
    found = compiled.contributions(*compiled.with_projection(documents), targets)
    return found._make(part.astype(np.float64) for part in found)


def document_sums(corpus, values):
    before = np.concatenate([[0.0], np.cumsum(values)])
    return np.diff(before[corpus.sentence_starts[corpus.document_starts]])


def margin(logits, target, multi_label):
    """The logit of the target minus the mean of the others, weighted by their softmax."""
    if multi_label:
        return logits[target]
    others = np.delete(logits, target)
    weights = np.exp(others - others.max())
    return logits[target] - weights @ others / weights.sum()


def test_contributions_and_base_values_sum_to_the_margins(network, rng):
    corpus = random_corpus(rng)
    targets = rng.integers(0, 3, len(corpus))
    found = contributions(network, corpus, targets)
    config = network.get_config()
    probabilities = np.clip(found.probabilities, 1e-30, 1)
    logits = np.log(probabilities / (1 - probabilities)) if config["multi_label"] else np.log(probabilities)
    expected = [margin(*pair, config["multi_label"]) for pair in zip(logits, targets, strict=True)]
    np.testing.assert_allclose(found.margins, expected, rtol=1e-3, atol=1e-3)
    sums = found.base_values + document_sums(corpus, found.network_scores + found.ngram_scores)
    if config["additive"]:
        np.testing.assert_allclose(sums, found.margins, atol=1e-4)
    else:
        assert np.abs(sums - found.margins).max() > 1e-3
    assert found.ngram_scores.any() == (config["ngrams"] > 0)


def test_contributions_in_float64(rng):
    network = build(rng, **NETWORKS["additive"])
    corpus = random_corpus(rng)
    found = contributions(network, corpus)
    kernel = network.sentence_encoder.residual_kernel.numpy().astype(float) @ network.classifier.kernel.numpy()
    embeddings = network.embedding.embeddings.numpy().astype(float)
    expected, of_ngrams = [], []
    for document in as_lists(corpus):
        shares = plain.shares(network, document)
        logits, word_scores, sentence_scores = plain.read(network, [embeddings[ids] for ids in document], shares)
        target = logits.argmax()
        others = np.exp(logits - logits.max()) * (np.arange(3) != target)
        weights = (np.arange(3) == target) - others / others.sum()
        for ids, alpha, beta, share in zip(document, word_scores, sentence_scores, shares, strict=True):
            of_states = alpha[:, None] * beta * (kernel @ weights)
            expected += plain.divide(network.word_encoder, embeddings[ids], of_states).tolist()
            of_ngrams += (share @ weights).tolist()
    np.testing.assert_allclose(found.network_scores, expected, atol=1e-4)
    np.testing.assert_allclose(found.ngram_scores, of_ngrams, atol=1e-4)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("name", ["residual", "paper", "max"])
def test_without_an_additive_network_contributions_sum_to_slopes(name, rng):
    """The contributions of a sentence's words sum to the rate of the margin when its vector grows."""
    network = build(rng, **NETWORKS[name])
    corpus = random_corpus(rng)
    targets = rng.integers(0, 3, len(corpus))
    found = contributions(network, corpus, targets)
    compiled = CompiledNetwork(network)
    documents, projection = compiled.with_projection(corpus.batch(np.arange(len(corpus))))
    vectors = network.encode_sentences(documents, projection.table)[0].numpy()
    evidence = compiled.document_evidence(documents, projection)
    sums = np.diff(np.concatenate([[0.0], np.cumsum(found.network_scores)])[corpus.sentence_starts])
    document_of = np.repeat(np.arange(len(corpus)), corpus.sentence_counts)
    index, h = np.arange(len(vectors), dtype=np.int32), 1e-2

    def margins(moved):
        pooled, _ = network.encode_documents(moved, index, documents.document_lengths)
        return network.logits(pooled, evidence).numpy().astype(float)

    others = np.where(np.arange(3) == targets[:, None], -np.inf, margins(vectors))
    others = np.exp(others - others.max(axis=1, keepdims=True))
    weights = (np.arange(3) == targets[:, None]) - others / others.sum(axis=1, keepdims=True)
    for sentence in range(len(vectors)):
        up, down = vectors.copy(), vectors.copy()
        up[sentence] *= 1 + h
        down[sentence] *= 1 - h
        document = document_of[sentence]
        slope = (margins(up) - margins(down))[document] @ weights[document] / (2 * h)
        np.testing.assert_allclose(sums[sentence], slope, atol=2e-3)


def test_documents_without_words_have_the_base_value(rng):
    network = build(rng, **NETWORKS["additive"])
    corpus = random_corpus(rng)
    empty = np.flatnonzero(corpus.word_counts == 0)
    assert len(empty)
    found = contributions(network, corpus)
    np.testing.assert_allclose(found.margins[empty], found.base_values[empty], atol=1e-6)
