from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.inference.compiled import compiled
from han.inference.prediction import classify, divide, predict
from han.memory.planning import PredictionPlan
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter, SplitText


def test_chunks_give_the_same_predictions_in_the_same_order(fitted, news, monkeypatch):
    texts = [*news[2], "", *news[0][:10]]
    reader = DocumentReader(DocumentSplitter(), fitted.vocabulary_)
    expected, _ = predict(fitted.model_, texts, reader)
    monkeypatch.setattr("han.inference.prediction.CHUNK", 3000)
    probabilities, truncated = predict(fitted.model_, texts, reader)
    assert len(divide([len(text) for text in texts], 3000)) > 10
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert truncated == 0


def test_a_large_vocabulary_is_projected_chunk_by_chunk(fitted, news, monkeypatch):
    arguments = fitted.model_, news[2][:40], DocumentReader(DocumentSplitter(), fitted.vocabulary_)
    monkeypatch.setattr("han.inference.prediction.CHUNK", 5000)
    expected, _ = predict(*arguments)
    monkeypatch.setattr("han.inference.inference.LARGEST_TABLE", 10)
    np.testing.assert_allclose(predict(*arguments)[0], expected, atol=1e-6)


def test_a_chunk_can_consist_of_documents_without_words(fitted, monkeypatch):
    monkeypatch.setattr("han.inference.prediction.CHUNK", 2)
    probabilities, _ = predict(fitted.model_, ["  "] * 5, DocumentReader(DocumentSplitter(), fitted.vocabulary_))
    np.testing.assert_allclose(probabilities, fitted.predict_proba([""]).repeat(5, axis=0), atol=1e-6)


def test_a_splitter_is_never_called_concurrently(fitted, monkeypatch):
    monkeypatch.setattr("han.inference.prediction.CHUNK", 10)
    active = []

    def split(text):
        active.append(text)
        assert len(active) == 1
        time.sleep(0.001)
        active.pop()
        return [text]

    reader = DocumentReader(DocumentSplitter(sentence_splitter=split), fitted.vocabulary_)
    predict(fitted.model_, ["A film. A play."] * 30, reader)


def test_truncated_documents_are_counted_over_all_chunks(fitted, monkeypatch):
    monkeypatch.setattr("han.inference.prediction.CHUNK", 10)
    texts = ["One. Two. Three."] * 3 + ["One."] * 2
    assert predict(fitted.model_, texts, DocumentReader(DocumentSplitter(max_sentences=2), fitted.vocabulary_))[1] == 3


@pytest.mark.slow
def test_a_huge_document_is_processed_in_groups_of_sentences(fitted, rng):
    words = list(fitted.vocabulary_)
    sentences = [rng.choice(words, rng.integers(1, 6)).tolist() for _ in range(20_000)]
    splitter = DocumentSplitter(max_sentences=10**6)
    texts = ["A short one.", SplitText(sentences)]
    corpus = DocumentReader(splitter, fitted.vocabulary_).encode(texts)
    assert corpus.sentence_counts.tolist() == [1, 20_000]
    network = compiled(fitted.model_)
    expected = network.forward(*network.with_projection(corpus.batch([0, 1])))[0]
    for max_words in (700, 10**6):
        np.testing.assert_allclose(classify(fitted.model_, corpus, max_words=max_words), expected, atol=1e-6)
    plan = PredictionPlan(words=5000, threads=1)
    probabilities, truncated = predict(fitted.model_, texts, DocumentReader(splitter, fitted.vocabulary_), plan)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert truncated == 0


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(1, 50))
def test_chunks_contain_each_document_once_and_have_about_the_same_size(lengths, size):
    chunks = divide(lengths, size)
    assert [index for start, end in chunks for index in range(start, end)] == list(range(len(lengths)))
    for start, end in chunks:
        assert start < end
        assert sum(lengths[start : end - 1]) < size


def test_chunks_are_of_similar_sizes():
    assert divide([10] * 12, 100) == [(0, 6), (6, 12)]
