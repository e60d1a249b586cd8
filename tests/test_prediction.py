from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from han.prediction import divide, predict
from han.text import DocumentSplitter


def test_many_documents_are_predicted_in_their_order(fitted, news, monkeypatch):
    texts = [*news[2], "", *news[0][:10]]
    arguments = DocumentSplitter(), fitted.vocabulary_
    expected, _ = predict(fitted.model_, texts, *arguments)
    monkeypatch.setattr("han.prediction.CHUNK", 3000)
    probabilities, cut = predict(fitted.model_, texts, *arguments)
    assert len(divide([len(text) for text in texts], 3000)) > 10
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert cut == 0


def test_cut_documents_are_counted_over_all_chunks(fitted, monkeypatch):
    monkeypatch.setattr("han.prediction.CHUNK", 10)
    texts = ["One. Two. Three."] * 3 + ["One."] * 2
    assert predict(fitted.model_, texts, DocumentSplitter(max_sentences=2), fitted.vocabulary_)[1] == 3


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(1, 50))
def test_chunks_hold_every_document_once_and_are_of_about_a_size(lengths, size):
    chunks = divide(lengths, size)
    assert [index for start, end in chunks for index in range(start, end)] == list(range(len(lengths)))
    for start, end in chunks:
        assert start < end
        assert sum(lengths[start : end - 1]) < size
