from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text.corpus import Corpus
from tests.text.documents import corpus_from_lists

DOCUMENTS = st.lists(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=6), max_size=5), min_size=1, max_size=9)


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_a_batch_concatenates_its_documents(documents, random):
    chosen = random.choices(range(len(documents)), k=random.randint(0, 5))
    batch = corpus_from_lists(documents).batch(chosen)
    assert {part.dtype for part in batch} == {np.dtype(np.int32)}
    sentences = [sentence for k in chosen for sentence in documents[k]]
    assert batch.word_ids.tolist() == [id_ for sentence in sentences for id_ in sentence]
    assert batch.sentence_lengths.tolist() == [len(sentence) for sentence in sentences]
    assert batch.document_lengths.tolist() == [len(documents[k]) for k in chosen]


@given(DOCUMENTS)
def test_a_block_pads_documents_with_zeros(documents):
    block = corpus_from_lists(documents).block()
    sentences = max(1, *map(len, documents), 0)
    words = max([1, *(len(sentence) for document in documents for sentence in document)])
    assert block.shape == (len(documents), sentences, words)
    assert block.dtype == np.int32
    for rows, document in zip(block.tolist(), documents, strict=True):
        padded = [sentence + [0] * (words - len(sentence)) for sentence in document]
        assert rows == padded + [[0] * words] * (sentences - len(document))


@given(DOCUMENTS, st.data())
def test_dropping_words_drops_sentences_without_words(documents, data):
    size = sum(len(sentence) for document in documents for sentence in document)
    kept = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    keep = iter(kept)
    expected = [[[id_ for id_ in sentence if next(keep)] for sentence in document] for document in documents]
    found = corpus_from_lists(documents).keep_words(np.array(kept, bool))
    for part, wanted in zip(
        astuple(found),
        astuple(corpus_from_lists([[sentence for sentence in document if sentence] for document in expected])),
        strict=True,
    ):
        np.testing.assert_array_equal(part, wanted)


@given(DOCUMENTS)
def test_sentences_and_words_are_counted(documents):
    corpus = corpus_from_lists(documents)
    assert len(corpus) == len(documents)
    assert corpus.sentence_counts.tolist() == [len(document) for document in documents]
    assert corpus.word_counts.tolist() == [sum(map(len, document)) for document in documents]


@given(DOCUMENTS, DOCUMENTS)
def test_concatenation_keeps_the_order_of_documents(first, last):
    joined = Corpus.concatenate([corpus_from_lists(first), corpus_from_lists(last)])
    for expected, found in zip(astuple(corpus_from_lists([*first, *last])), astuple(joined), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_corpus_is_immutable_and_counts_truncated_documents():
    documents = [([["One"]], True), ([], False), ([["One", "."]], True)]
    corpus = Corpus.from_sentences(documents, lambda words: [1 for _ in words])
    assert corpus.truncated == 2
    assert corpus.word_counts.tolist() == [1, 0, 2]
    assert Corpus.concatenate([corpus, corpus_from_lists([[[1]]]), corpus]).truncated == 4
    with pytest.raises(AttributeError):
        corpus.truncated = 0
