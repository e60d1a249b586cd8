"""The forward pass on arrays, against the Keras model and against plain NumPy in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from han.inference.compiled import CompiledNetwork, compiled
from han.inference.kernels import evidence_loop, hash_loop
from han.layers.ngrams import Evidence
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Corpus
from tests import plain

DOCUMENTS = [[[2, 3, 4, 5], [6], [7, 8, 9]], [[3] * 40, [4, 5, 3, 2]], [], [[9, 9]], [[k % 8 + 2] for k in range(70)]]
NGRAMS = Evidence(
    np.array([2, 3, 9, 3 * 10 + 4, 9 * 10 + 9]),
    np.linspace(-1, 1, 15).reshape(5, 3).astype(np.float32),
    np.ones(3, np.float32),
)


def network(rng, ngrams=None, **settings):
    model = HierarchicalAttentionNetwork(
        **{"vocabulary_size": 10, "classes": 3, "embedding_dim": 6, "units": 5, "seed": 1, **settings}
    )
    model.build((None, None, None))
    for weight in model.weights:
        weight.assign(weight.numpy() + rng.normal(0, 0.4, weight.shape))
    return model.with_evidence(ngrams)


def batch(documents):
    sentences = [sentence for document in documents for sentence in document]
    return Corpus(
        np.array([word for sentence in sentences for word in sentence], np.int32),
        np.cumsum([0, *map(len, sentences)]),
        np.cumsum([0, *map(len, documents)]),
    ).batch(np.arange(len(documents)))


def forward(model, documents):
    compiled_network = compiled(model)
    return compiled_network.forward(*compiled_network.with_projection(batch(documents)))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    ("pooling", "settings"),
    [
        *((pooling, {"residual": residual}) for pooling in ("attention", "mean", "max") for residual in (False, True)),
        ("attention", {"residual": True, "additive": True}),
        ("attention", {"multi_label": True, "frozen_dim": 4, "ratio_dim": 2}),
    ],
    ids=str,
)
def test_results_equal_those_of_the_keras_model(rng, cell, pooling, settings):
    model = network(rng, NGRAMS, cell=cell, pooling=pooling, **settings)
    found = forward(model, DOCUMENTS)
    documents = tuple(batch(DOCUMENTS))
    if pooling == "max":
        expected = (model(documents),)
        assert not found.word_scores.any()
    else:
        expected = model(documents, return_attention_scores=True)
    for ours, keras in zip(found, expected, strict=False):
        np.testing.assert_allclose(ours, keras, atol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_results_equal_plain_numpy(rng, cell):
    model = network(rng, NGRAMS, cell=cell, residual=True, additive=True)
    found = forward(model, DOCUMENTS)
    words, sentences = [], []
    for document, probabilities in zip(DOCUMENTS, found.probabilities, strict=True):
        expected, word_scores, sentence_scores = plain.classify(model, document)
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)
        words += word_scores
        sentences.append(sentence_scores)
    np.testing.assert_allclose(found.word_scores, np.concatenate(words), atol=1e-6)
    np.testing.assert_allclose(found.sentence_scores, np.concatenate(sentences), atol=1e-6)


def test_a_changed_weight_counts_at_once(rng):
    model = network(rng)
    before = forward(model, DOCUMENTS).probabilities
    assert compiled(model).forward_pass() is compiled(model).forward_pass()
    model.embedding.embeddings.assign(model.embedding.embeddings + 1.0)
    after = forward(model, DOCUMENTS).probabilities
    assert not np.allclose(before, after)
    np.testing.assert_array_equal(after, CompiledNetwork(model).forward(*inputs(model)).probabilities)


def inputs(model):
    return CompiledNetwork(model).with_projection(batch(DOCUMENTS))


def test_weights_that_are_not_finite_give_nan_and_no_warning(rng):
    model = network(rng)
    model.classifier.kernel.assign(np.full(model.classifier.kernel.shape, np.inf))
    assert np.isnan(forward(model, DOCUMENTS).probabilities).any()
    model.word_encoder.forward_weights[1].assign(np.full((5, 20), np.nan))
    assert np.isnan(forward(model, DOCUMENTS).probabilities[0]).all()


def test_the_evidence_is_that_of_the_distinct_known_ngrams(rng):
    words, columns, size = 50, 3, 2_000
    keys = np.sort(rng.choice(words + words * words, size, replace=False)).astype(np.int64)
    weights = rng.normal(size=(size, columns)).astype(np.float32)
    documents = [
        [rng.integers(2, words, rng.integers(1, 20)).tolist() for _ in range(rng.integers(0, 6))] for _ in range(30)
    ]
    slots = np.full(4096, -1, np.int32)
    hash_loop()(keys, 12, slots)
    assert sorted(slots[slots >= 0]) == list(range(size))
    sums = np.zeros((30, columns), np.float32)
    evidence_loop()(keys, 12, slots, weights, words, *batch(documents), sums)
    for document, found in zip(documents, sums, strict=True):
        known = {word for sentence in document for word in sentence}
        known |= {a * words + b for sentence in document for a, b in pairwise(sentence)}
        rows = np.flatnonzero(np.isin(keys, list(known)))
        expected = weights[rows].sum(axis=0, dtype=np.float64) / np.sqrt(max(len(rows), 1))
        np.testing.assert_allclose(found, expected, atol=1e-5)
