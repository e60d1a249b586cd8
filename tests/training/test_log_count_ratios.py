"""Log-count ratios against slow counts in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from han import HANClassifier
from han.text.corpus import Corpus
from han.text.vocabulary import FIRST_WORD_ID
from han.training.log_count_ratios import MAX_CLASSES, MAX_NORM, MAX_SCALE, SCALE, LogCountRatios
from han.training.pipeline import Examples

VOCABULARY = 12
# The third class of the multi-label targets has no documents.
TARGETS = {
    "two classes": (np.array([0, 1, 1, 0, 1, 0, 1, 0]), 2, [1]),
    "three classes": (np.array([0, 1, 2, 0, 1, 2, 2, 0]), 3, [0, 1, 2]),
    "labels": (np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]] * 2, np.float32), 3, [0, 1, 2]),
}


@pytest.fixture
def corpus(rng):
    """Eight documents of two sentences, in which words occur more than once; the words 0 and 1 are no words."""
    lengths = rng.integers(1, 7, 16)
    words = rng.integers(1, VOCABULARY, lengths.sum()).astype(np.int32)
    return Corpus(words, np.concatenate([[0], np.cumsum(lengths)]), np.arange(0, 17, 2))


def counts(corpus, targets, weights, column, rows):
    """Return the weight of the documents of a class, and of the others, that contain each word, [2, words]."""
    found = np.zeros((2, VOCABULARY))
    for row in rows:
        belongs = targets[row] == column if targets.ndim == 1 else targets[row, column] == 1
        for word in set(corpus.batch([row]).word_ids.tolist()):
            found[int(not belongs), word] += weights[row]
    return found


def shares(targets, weights, column):
    belongs = targets == column if targets.ndim == 1 else targets[:, column] == 1
    share = (weights * belongs).sum() / weights.sum()
    return np.array([share, 1 - share])[:, None]


@pytest.mark.parametrize("kind", TARGETS)
def test_features_are_scaled_ratios(corpus, rng, kind):
    targets, classes, columns = TARGETS[kind]
    weights = rng.uniform(0.5, 2.0, 8)
    _, features = LogCountRatios.learn(Examples(corpus, targets, weights), classes, VOCABULARY)
    assert features.shape == (VOCABULARY, len(columns))
    for found, column in zip(features.T, columns, strict=True):
        share = shares(targets, weights, column)
        if share.min() == 0:
            assert not found.any()
            continue
        p, q = 2 * share + counts(corpus, targets, weights, column, range(8))
        ratios = np.log(p / p.sum()) - np.log(q / q.sum())
        ratios[:FIRST_WORD_ID] = 0.0
        expected = ratios * SCALE / np.sqrt((ratios[corpus.word_ids] ** 2).mean())
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_words_that_say_nothing_stay_small_without_the_documents_of_a_batch():
    """Each word occurs in one document of either class, so only leaving one of them out makes a difference."""
    corpus = Corpus(np.repeat(np.arange(2, 12), 2).astype(np.int32), np.arange(21), np.arange(21))
    targets, weights = np.tile([0, 1], 10), np.ones(20, np.float32)
    ratios, features = LogCountRatios.learn(Examples(corpus, targets, weights), 2, VOCABULARY)
    np.testing.assert_allclose(features, 0.0, atol=1e-6)
    batch = [0, 3, 4, 7, 8]
    left_out = ratios.without(corpus.batch(batch), targets[batch], weights[batch]).numpy()
    assert 0.1 < np.abs(left_out).max() < MAX_SCALE * np.log(3)  # the smoothed count of a word, 2 shares + 1, loses 1


@pytest.mark.parametrize("kind", TARGETS)
def test_a_batch_is_left_out_of_the_counts(corpus, rng, kind):
    targets, classes, columns = TARGETS[kind]
    weights = rng.uniform(0.5, 2.0, 8).astype(np.float32)
    ratios, features = LogCountRatios.learn(Examples(corpus, targets, weights), classes, VOCABULARY)
    batch, others = [1, 4, 5], [0, 2, 3, 6, 7]
    documents = corpus.batch(batch)
    found = ratios.without(documents, targets[batch], weights[batch]).numpy()
    words = list(dict.fromkeys(documents.word_ids.tolist()))  # in the order of their first occurrence
    factor = weights.sum() / weights[others].sum()
    for index, column in enumerate(columns):
        share = shares(targets, weights, column)
        if share.min() == 0:
            assert not found[:, index].any()
            continue
        p, q = 2 * share + counts(corpus, targets, weights, column, range(8))
        ratio = np.log(p / p.sum()) - np.log(q / q.sum())
        scale = (features[:, index] / ratio)[FIRST_WORD_ID:].mean()
        left = 2 * share + factor * counts(corpus, targets, weights, column, others)
        expected = scale * (np.log(left[0] / p.sum()) - np.log(left[1] / q.sum()))
        expected[:FIRST_WORD_ID] = 0.0
        np.testing.assert_allclose(found[:, index], expected[words], rtol=1e-4, atol=1e-6)


def test_features_are_finite_if_a_class_has_nearly_no_weight(corpus):
    targets, weights = np.array([0, 1] * 4), np.array([1e-8, 1.0] * 4, np.float32)
    ratios, features = LogCountRatios.learn(Examples(corpus, targets, weights), 2, VOCABULARY)
    assert np.isfinite(features).all()
    assert np.isfinite(ratios.without(corpus.batch([0, 1]), targets[:2], weights[:2])).all()


def test_a_word_of_one_document_tells_nothing_about_it():
    corpus = Corpus(np.array([2, 3, 2, 4, 2, 5, 2, 6], np.int32), np.arange(0, 9, 2), np.arange(5))
    examples = Examples(corpus, np.array([0, 1, 0, 1]), np.ones(4, np.float32))
    ratios, features = LogCountRatios.learn(examples, 2, 7)
    assert (np.sign(features[3:, 0]) == [-1, 1, -1, 1]).all()
    for row in range(4):
        found = ratios.without(corpus.batch([row]), examples.targets[[row]], examples.weights[[row]]).numpy()
        assert abs(found[1, 0]) < 1e-6


SMALL = {"embedding_dim": 8, "units": 4, "epochs": 1, "batch_size": 8, "random_state": 0, "verbose": 0}
TEXTS = ["A fine film. I liked it.", "A dull film. I slept."] * 10


def ratio_features(classifier, word):
    layer = classifier.model_.log_count_ratios
    return None if layer is None else layer.embeddings.numpy()[classifier.vocabulary_[word]]


def test_fit_learns_the_features_of_its_documents():
    classifier = HANClassifier(**SMALL, validation_fraction=0).fit(TEXTS, ["good", "bad"] * 10)
    fine, dull, film = (ratio_features(classifier, word)[0] for word in ("fine", "dull", "film"))
    assert classifier.classes_[1] == "good"
    assert dull < film < fine
    again = HANClassifier(**SMALL | {"warm_start": True}).fit(TEXTS, ["good", "bad"] * 10)
    before = ratio_features(again, "fine")
    again.fit(TEXTS, ["bad", "good"] * 10)  # they are kept
    np.testing.assert_array_equal(ratio_features(again, "fine"), before)


def test_partial_fit_learns_the_features_in_its_first_call():
    classifier = HANClassifier(**SMALL).partial_fit(TEXTS, ["good", "bad"] * 10, classes=["bad", "good"])
    before = ratio_features(classifier, "fine")
    assert before[0] > 0
    classifier.partial_fit(TEXTS * 2, ["bad", "good"] * 20)  # these documents are not counted
    np.testing.assert_array_equal(ratio_features(classifier, "fine"), before)


def test_networks_without_features():
    for settings in ({"residual": False}, {"log_count_ratios": False}):
        assert HANClassifier(**SMALL, **settings).fit(TEXTS, ["good", "bad"] * 10).model_.log_count_ratios is None
    many = [f"{index}" for index in range(MAX_CLASSES + 1)]
    assert HANClassifier(**SMALL).fit(many * 2, many * 2).model_.log_count_ratios is None
    # A batch would leave out more than half of the documents.
    few = HANClassifier(**SMALL | {"batch_size": 16}, validation_fraction=0).fit(TEXTS, ["good", "bad"] * 10)
    assert not few.model_.log_count_ratios.embeddings.numpy().any()


def test_the_norm_of_many_features_is_limited(rng):
    words = rng.integers(2, VOCABULARY, 500).astype(np.int32)
    corpus = Corpus(words, np.arange(0, 501, 5), np.arange(101))
    examples = Examples(corpus, np.arange(100) % 50, np.ones(100, np.float32))
    features = LogCountRatios.learn(examples, 50, VOCABULARY)[1][corpus.word_ids]
    assert np.sqrt((features**2).sum(axis=1).mean()) == pytest.approx(MAX_NORM)
    assert MAX_NORM / np.sqrt(50) < SCALE
