"""The forward pass on arrays, against the Keras model and against plain NumPy in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from han.inference.compiled import CompiledNetwork, compiled
from han.inference.forward import LevelPass, Ngrams
from han.layers.encoder import BidirectionalEncoder
from han.layers.level import Level
from han.layers.ngrams import Evidence, NgramEvidence
from han.layers.pooling import POOLINGS
from han.model import HierarchicalAttentionNetwork
from han.recurrence.level import Inputs
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
    keys = np.sort(rng.choice(np.arange(1, words + words * words), size, replace=False)).astype(np.int64)
    weights = rng.normal(size=(size, columns)).astype(np.float32)
    layer = NgramEvidence(size, words, columns)
    layer.build()
    layer.set_weights([keys, weights, np.array([0.5, 0.0, -0.5])])
    ngrams = Ngrams.of(layer)
    assert sorted(ngrams.slots[ngrams.slots >= 0]) == list(range(size))
    documents = [
        [rng.integers(2, words, rng.integers(1, 20)).tolist() for _ in range(rng.integers(0, 6))] for _ in range(30)
    ]
    logits = ngrams.logits(batch(documents))
    for document, found in zip(documents, logits, strict=True):
        known = {word for sentence in document for word in sentence}
        known |= {a * words + b for sentence in document for a, b in pairwise(sentence)}
        rows = np.flatnonzero(np.isin(keys, list(known)))
        expected = weights[rows].sum(axis=0, dtype=np.float64) / np.sqrt(max(len(rows), 1))
        np.testing.assert_allclose(found - layer.bias.numpy(), expected, atol=1e-5)
    shares = ngrams.shares(batch(documents))
    np.testing.assert_allclose(shares, layer.shares(batch(documents)), atol=1e-6)
    owner = np.repeat(np.arange(30), [sum(map(len, document)) for document in documents])
    sums = np.stack([np.bincount(owner, column, 30) for column in shares.T], axis=1)
    np.testing.assert_allclose(sums, logits - layer.bias.numpy(), atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_contributions_divide_a_weighted_sum_of_the_vectors(cell, pooling, rng):
    encoder = BidirectionalEncoder(3, cell, 1, residual=True)
    encoder.build((None, None, 5))
    layer = POOLINGS[pooling]()
    layer.build((None, None, 6))
    for weight in (*encoder.weights, *layer.weights):
        weight.assign(weight.numpy() + rng.normal(0, 0.5, weight.shape))
    lengths = np.array([4, 0, 1, 7, 2], np.int32)
    features = rng.normal(size=(9, 5)).astype(np.float32)
    index = rng.integers(0, 9, lengths.sum(), np.int32)
    level = LevelPass(Level(encoder, layer))
    inputs = Inputs(level.project(features), index, lengths)
    pooled = level.pool(inputs, for_contributions=True)
    np.testing.assert_array_equal(pooled.vectors, level.pool(inputs).vectors)
    weights = rng.normal(0, 8, pooled.vectors.shape).astype(np.float32)
    found = level.contributions(inputs, pooled, weights)
    places = np.split(np.arange(len(index)), np.cumsum(lengths)[:-1])
    for number, part in enumerate(places):
        states = plain.encode(encoder, features[index[part]].astype(float))
        if pooling == "max":
            shared = weights[number] * (states == states.max(axis=0)) if len(part) else states
        else:
            shared = weights[number] * pooled.scores[part, None]
        expected = plain.divide(encoder, features[index[part]].astype(float), shared)
        np.testing.assert_allclose(found[part], expected, atol=1e-4)
        np.testing.assert_allclose(found[part].sum(), weights[number] @ pooled.vectors[number], atol=1e-4)
        # A word that is only carried along gets nothing, unlike the state at its place.
        assert len(part) < 4 or np.abs(found[part] - (shared * states).sum(axis=1)).max() > 0.1
