"""Word vectors, n-grams, class weights and calibration in `fit`."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from han import HANClassifier
from han.exceptions import MemoryLimitError
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import FIRST_WORD_ID
from han.training.calibration import fit_temperature, prior_weights
from han.training.ngrams import fit_evidence

SMALL = {"embedding_dim": 8, "units": 4, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
ALL = {**SMALL, "validation_fraction": 0}
TEXTS = ["A fine film. I liked it.", "A dull film. I slept."] * 10
LABELS = ["good", "bad"] * 10
VECTORS = {"film": [1.0, 0.0, 3.0], "dull": [-1.0, 2.0, 0.0], "fine": [0.0, 1.0, 0.0]}


def rows(classifier, layer="embedding"):
    return getattr(classifier.model_, layer).embeddings.numpy()[
        [FIRST_WORD_ID + classifier.vocabulary_.words.index(word) for word in VECTORS]
    ]


def test_frozen_word_vectors_are_centred_and_scaled():
    settings = {**SMALL, "embeddings": VECTORS, "embedding_training": "freeze", "trained_dim": 2}
    classifier = HANClassifier(**settings).fit(TEXTS, LABELS)
    given = np.array([*VECTORS.values()])
    expected = given - given.mean(axis=0)
    found = rows(classifier, "frozen_embedding")
    assert found.shape == (3, 3)
    assert rows(classifier).shape == (3, 2)
    slept = classifier.vocabulary_["slept"]
    assert not classifier.model_.frozen_embedding.embeddings.numpy()[slept].any()
    np.testing.assert_allclose(found, expected * (found.std() / expected.std()), atol=1e-6)
    # Of the 15 tokens of the two documents, two are "film", one is "fine" and one "dull".
    assert classifier.embedding_coverage_ == pytest.approx(4 / 15)


@pytest.mark.parametrize(("features", "frozen"), [(199, False), (200, True)])
def test_wide_word_vectors_are_frozen_and_less_regularised(features, frozen, rng):
    vectors = {word: rng.normal(size=features) for word in VECTORS}
    classifier = HANClassifier(**SMALL | {"epochs": 1}, embeddings=vectors).fit(TEXTS, LABELS)
    config = classifier.model_.get_config()
    assert (config["frozen_dim"], config["embedding_dim"]) == ((features, 16) if frozen else (0, features))
    assert (config["embedding_dropout"], config["word_dropout"]) == ((0.3, 0.2) if frozen else (0.5, 0.4))


@pytest.mark.slow
def test_word_vectors_are_tuned_unless_frozen():
    tuned, delayed, frozen = (
        HANClassifier(**ALL, embeddings=VECTORS, embedding_training=how).fit(TEXTS, LABELS)
        for how in ("tune", "delay", "freeze")
    )
    assert rows(tuned).shape == (3, 8)  # the vectors and five random columns
    assert rows(frozen).shape == (3, 16)
    again = clone(frozen).set_params(warm_start=True).fit(TEXTS, LABELS).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(rows(again, "frozen_embedding"), rows(frozen, "frozen_embedding"))
    start = rows(HANClassifier(**ALL | {"learning_rate": 1e-9}, embeddings=VECTORS).fit(TEXTS, LABELS))
    assert 0 < np.abs(rows(delayed) - start).max() < np.abs(rows(tuned) - start).max()


def test_without_held_out_documents_logits_are_weighted_by_the_prior():
    alone, both = (
        HANClassifier(**SMALL, validation_fraction=0, ngram_evidence=evidence).fit(TEXTS, LABELS)
        for evidence in (False, True)
    )
    assert alone.model_.evidence is None
    network, together = (np.log(classifier.predict_proba(TEXTS)) for classifier in (alone, both))
    corpus = DocumentReader(DocumentSplitter(), both.vocabulary_).encode(TEXTS)
    ngram_logits = both.model_.evidence(corpus.batch(np.arange(len(TEXTS)))).numpy()[:, 0]
    assert (np.sign(ngram_logits) == np.where(np.array(LABELS) == "good", 1, -1)).all()
    weight, _ = prior_weights(len(TEXTS))
    margins = [logits[:, 1] - logits[:, 0] for logits in (network, together)]
    np.testing.assert_allclose(margins[1], weight * margins[0] + ngram_logits, atol=1e-5)


def test_ngrams_are_refitted_on_held_out_documents_but_not_on_validation_data(news):
    train, labels, test, test_labels = news

    def keys(classifier, texts):
        size = classifier.vocabulary_.size
        reader, targets = DocumentReader(DocumentSplitter(), classifier.vocabulary_), np.arange(len(texts)) % 2
        return fit_evidence(reader.encode(texts), targets, np.ones(len(texts)), classes=2, vocabulary_size=size).keys

    split = HANClassifier(**SMALL).fit(train, labels)
    given = HANClassifier(**SMALL).fit(train, labels, validation_data=(test, test_labels))
    for classifier in (split, given):
        np.testing.assert_array_equal(classifier.model_.evidence.keys, keys(classifier, train))
    # Fitted on fewer documents, the model has fewer n-grams.
    assert len(keys(split, train[: len(train) * 9 // 10])) < len(keys(split, train))


def test_unlabelled_documents_add_words_and_vectors():
    classifier = HANClassifier(**SMALL, embeddings="word2vec")
    classifier.fit(TEXTS, LABELS, unlabelled=["A strange plot. A strange end."] * 3)
    assert "strange" in classifier.vocabulary_
    assert classifier.embedding_coverage_ == 1.0
    assert "strange" not in classifier.fit(TEXTS, LABELS).vocabulary_
    with pytest.raises(TypeError, match="unlabelled must be a list"):
        classifier.fit(TEXTS, LABELS, unlabelled="A strange plot.")


def test_missing_word_vectors_are_an_error_before_training(monkeypatch):
    monkeypatch.setattr("han.training.fit.hold_out", lambda *_: pytest.fail("training started"))
    with pytest.raises(FileNotFoundError, match=r"embeddings must be a file.*nowhere\.txt"):
        HANClassifier(**SMALL, embeddings="nowhere.txt").fit(TEXTS, LABELS)


def test_word_vectors_too_wide_for_the_memory_are_an_error_before_training(monkeypatch):
    monkeypatch.setattr("han.training.network_fitter.TrainingNetwork", lambda **_: pytest.fail("a network was built"))
    settings = {"embeddings": {"film": np.ones(500_000)}, "embedding_training": "tune", "memory_limit": "500MB"}
    with pytest.raises(MemoryLimitError, match="sufficient for the word vectors and the documents"):
        HANClassifier(**SMALL, **settings).fit(TEXTS, LABELS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* documents have the same text as another one")
def test_class_weights_equal_sample_weights():
    labels = ["good"] + ["bad", "good", "bad", "bad"] * 4 + ["bad"] * 3
    counts = {label: labels.count(label) for label in set(labels)}
    balanced = {label: len(labels) / (2 * count) for label, count in counts.items()}
    expected = HANClassifier(**SMALL).fit(TEXTS, labels, sample_weight=[balanced[label] for label in labels])
    for class_weight in ("balanced", balanced):
        found = HANClassifier(**SMALL, class_weight=class_weight).fit(TEXTS, labels)
        np.testing.assert_allclose(found.predict_proba(TEXTS), expected.predict_proba(TEXTS), atol=1e-6)
    plain = HANClassifier(**SMALL).fit(TEXTS, labels)
    assert np.abs(plain.predict_proba(TEXTS) - expected.predict_proba(TEXTS)).max() > 1e-3


@pytest.mark.parametrize("ngram_evidence", [pytest.param(False, marks=pytest.mark.slow), True])
def test_calibration_divides_the_logits_by_the_temperature(news, ngram_evidence):
    train, labels, test, test_labels = news
    # If all predictions were correct, the best temperature would be 0.
    test_labels = [test_labels[-1], *test_labels[1:-1], test_labels[0]]
    settings = SMALL | {"learning_rate": 0.02, "epochs": 6, "ngram_evidence": ngram_evidence, "log_count_ratios": False}
    plain, calibrated = (
        HANClassifier(**settings, calibrate=calibrate).fit(train, labels, validation_data=(test, test_labels))
        for calibrate in (False, True)
    )
    assert plain.temperature_ == 1.0
    before = plain.predict_proba(test).astype(np.float64)
    expected = fit_temperature(before, np.searchsorted(plain.classes_, test_labels))
    assert calibrated.temperature_ == pytest.approx(expected, rel=1e-3)
    if not ngram_evidence:  # the weights of the mixture already calibrate the probabilities
        assert abs(np.log(expected)) > 0.05
    raised = before ** (1 / expected)
    np.testing.assert_allclose(calibrated.predict_proba(test), raised / raised.sum(axis=1, keepdims=True), atol=1e-4)


def test_results_are_reproducible_with_every_source_of_randomness():
    noisy = SMALL | {"recurrent_dropout": 0.2, "sentence_dropout": 0.3, "label_smoothing": 0.1, "averaging": 0.9}
    first, second = (HANClassifier(**noisy).fit(TEXTS, LABELS).predict_proba(TEXTS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_bias_starts_at_the_shares_of_the_classes(multi_label):
    labels = [["bad", "fine"], ["good"]] * 10 if multi_label else LABELS
    settings = {**ALL, "learning_rate": 1e-12, "averaging": 0.0, "ngram_evidence": False}
    classifier = HANClassifier(**settings).fit(TEXTS, labels, sample_weight=[3.0, 1.0] * 10)
    odds = np.log(30.5 / 10.5)  # of bad, fine, good; or, under a softmax, half of it for good and against bad
    expected = [odds, odds, -odds] if multi_label else [-odds / 2, odds / 2]
    np.testing.assert_allclose(classifier.model_.classifier.bias.numpy(), expected, atol=1e-6)
