from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from han.layers.ngrams import NgramEvidence
from han.text import DocumentSplitter, split_words
from han.text.corpus import Corpus
from han.text.reader import DocumentReader
from han.text.vocabulary import UNKNOWN_ID
from han.training.log_count_ratios import MAX_CLASSES
from han.training.ngrams import C, fit_evidence

ALONE = DocumentSplitter(max_words=10_000, sentence_splitter=lambda text: [text])


def encode(texts, min_count=1):
    reader, corpus = DocumentReader.learn(texts, ALONE, min_count, None)
    return corpus, reader.vocabulary


def logits(evidence, corpus, vocabulary):
    layer = NgramEvidence(len(evidence.keys), vocabulary.size, evidence.table.shape[1])
    layer.build()
    layer.set_weights(evidence)
    return layer(corpus.batch(np.arange(len(corpus)))).numpy()


def reference(occurs, labels, weights, tested):
    """Return logits of `tested` documents from logistic regression over n-grams scaled by their log-count ratios."""
    share = weights[labels].sum() / weights.sum()
    p, q = (2 * pi + (weights * part) @ occurs for part, pi in ((labels, share), (~labels, 1 - share)))
    ratio = np.log((p / p.sum()) / (q / q.sum()))
    rows, others = (part / np.sqrt(part.sum(axis=1, keepdims=True)) * ratio for part in (occurs, tested))
    norm = np.sqrt((rows**2).sum(axis=1).mean())
    model = LogisticRegression(C=C, solver="liblinear", tol=1e-8, max_iter=10_000).fit(
        rows / norm, labels, sample_weight=weights
    )
    return model.decision_function(others / norm)


@pytest.mark.parametrize("classes", [2, 3])
def test_logits_equal_those_of_scikit_learn(news, classes, rng):
    texts, labels = [text[:1500] for text in news[0]], np.arange(len(news[0])) % 3
    targets = np.minimum(labels, classes - 1) if classes == 3 else (news[1] == news[1][0]).astype(np.int64)
    weights = rng.uniform(0.5, 2.0, len(texts)).astype(np.float32)
    corpus, vocabulary = encode(texts)
    evidence = fit_evidence(corpus, targets, weights, classes=classes, vocabulary_size=vocabulary.size)
    vectorizer = CountVectorizer(ngram_range=(1, 2), min_df=2, binary=True, tokenizer=split_words, token_pattern=None)
    occurs = vectorizer.fit_transform(texts).toarray()
    tested = [text[1500:] for text in news[0] if len(text) > 1600]
    found = logits(evidence, DocumentReader(ALONE, vocabulary).encode(tested), vocabulary)
    assert len(evidence.keys) == occurs.shape[1]
    for column, positive in enumerate([1] if classes == 2 else range(3)):
        expected = reference(occurs, targets == positive, weights, vectorizer.transform(tested).toarray())
        np.testing.assert_allclose(found[:, column], expected, atol=0.02 * np.abs(expected).max())


def test_real_documents_are_classified(news):
    corpus, vocabulary = encode(news[0], min_count=2)
    targets = np.searchsorted(["business", "sports"], news[1])
    evidence = fit_evidence(corpus, targets, np.ones(80, np.float32), classes=2, vocabulary_size=vocabulary.size)
    tested = DocumentReader(DocumentSplitter(), vocabulary).encode(news[2])
    assert accuracy_score(news[3] == "sports", logits(evidence, tested, vocabulary)[:, 0] > 0) > 0.9


def test_contributions_sum_to_the_logits_and_a_pair_contributes_half_by_each_word():
    layer = NgramEvidence(2, 10, 1)
    layer.build()
    layer.set_weights([np.array([4, 34]), np.array([[1.0], [6.0]]), np.array([0.5])])
    corpus = Corpus(np.array([3, 4, 4, 3, 4, 3], np.int32), np.array([0, 3, 5, 6]), np.array([0, 2, 3]))
    documents = corpus.batch([0, 1])
    # The document has the word 4 three times and the pair 3, 4 twice: 1 / 3 and 6 / 4 for each word.
    expected = np.array([1.5, 1 / 3 + 1.5, 1 / 3, 1.5, 1 / 3 + 1.5, 0.0])[:, None] / np.sqrt(2)
    np.testing.assert_allclose(layer.shares(documents), expected, atol=1e-6)
    np.testing.assert_allclose(layer(documents), [[7 / np.sqrt(2) + 0.5], [0.5]], atol=1e-6)
    np.testing.assert_array_equal(layer(corpus.block()), layer(documents))


def test_documents_without_weight_and_rare_or_unknown_words_are_ignored():
    texts = ["good good film", "bad film", "good end", "bad end", "film that"]
    corpus, vocabulary = encode(texts, min_count=2)
    targets, weights = np.array([1, 0, 1, 0, 0]), np.array([1, 1, 1, 1, 0], np.float32)
    evidence = fit_evidence(corpus, targets, weights, classes=2, vocabulary_size=vocabulary.size)
    # All known words occur in two documents, no pair does; "that" is unknown.
    assert evidence.keys.tolist() == sorted(vocabulary[word] for word in ("good", "bad", "film", "end"))
    assert UNKNOWN_ID not in evidence.keys
    learned = dict(zip(evidence.keys.tolist(), evidence.table[:, 0].tolist(), strict=True))
    assert learned[vocabulary["good"]] > 0 > learned[vocabulary["bad"]]
    assert learned[vocabulary["film"]] == pytest.approx(
        learned[vocabulary["end"]], abs=1e-3
    )  # the fifth document has no weight


def test_a_class_without_documents_is_unlikely_and_no_model_is_fitted_without_ngrams():
    corpus, vocabulary = encode(["good film", "bad film", "good end"])
    settings = {"weights": np.ones(3, np.float32), "vocabulary_size": vocabulary.size}
    evidence = fit_evidence(corpus, np.array([0, 1, 0]), classes=3, **settings)
    found = logits(evidence, corpus, vocabulary)
    assert (found[:, 2] < -1).all()
    assert fit_evidence(corpus, np.array([0, 1, 0]), classes=MAX_CLASSES + 1, **settings) is None
    corpus, vocabulary = encode(["one two", "three four"])
    settings |= {"weights": np.ones(2, np.float32)}
    assert fit_evidence(corpus, np.array([0, 1]), classes=2, **settings) is None


def test_only_the_most_frequent_ngrams_are_kept_if_there_are_too_many(monkeypatch):
    texts = ["a b c", "a b c", "a b d", "a b d"]
    corpus, vocabulary = encode(texts)
    monkeypatch.setattr("han.training.ngrams.MAX_WEIGHTS", 3)
    evidence = fit_evidence(
        corpus, np.array([0, 1, 0, 1]), np.ones(4, np.float32), classes=2, vocabulary_size=vocabulary.size
    )
    a, b = vocabulary["a"], vocabulary["b"]
    assert evidence.keys.tolist() == sorted([a, b, a * vocabulary.size + b])
