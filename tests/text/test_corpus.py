from __future__ import annotations

from collections import Counter
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import UNKNOWN_ID, Vocabulary
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


def test_learning_counts_words_then_encodes_them(news):
    texts = news[0]
    splitter = DocumentSplitter()
    corpus, vocabulary = Corpus.learn(texts, splitter, min_count=3, max_words=500)
    counts = Counter(word.lower() for text in texts for sentence in splitter(text) for word in sentence)
    assert vocabulary.words == Vocabulary.from_counts(counts, 3, 500).words
    encoded = Corpus.encode(texts, splitter, vocabulary)
    assert np.array_equal(corpus.word_ids, encoded.word_ids)
    assert np.array_equal(corpus.sentence_starts, encoded.sentence_starts)
    assert np.array_equal(corpus.document_starts, encoded.document_starts)
    assert (corpus.word_ids == UNKNOWN_ID).any()


def test_a_corpus_takes_at_most_five_bytes_per_word(news):
    corpus, _ = Corpus.learn(news[0], DocumentSplitter(), 1, None)
    size = corpus.word_ids.nbytes + corpus.sentence_starts.nbytes + corpus.document_starts.nbytes
    assert size <= 5 * len(corpus.word_ids)


@given(DOCUMENTS, DOCUMENTS)
def test_concatenation_keeps_the_order_of_documents(first, last):
    joined = Corpus.concatenate([corpus_from_lists(first), corpus_from_lists(last)])
    for expected, found in zip(astuple(corpus_from_lists([*first, *last])), astuple(joined), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_truncated_documents_are_counted():
    corpus = Corpus.encode(
        ["One. Two. Three.", "One.", "One. Two."], DocumentSplitter(max_sentences=1), Vocabulary(["a"])
    )
    assert corpus.cut == 2
    assert corpus.sentence_counts.tolist() == [1, 1, 1]
    assert Corpus.encode(["One."], DocumentSplitter(max_sentences=1), Vocabulary(["a"])).cut == 0
    assert Corpus.concatenate([corpus, corpus_from_lists([[[1]]]), corpus]).cut == 4
    with pytest.raises(AttributeError):
        corpus.cut = 0


def test_words_are_encoded_with_their_offsets():
    texts, splitter = ["So it is. Good!", "", "A film"], DocumentSplitter(max_sentences=1)
    vocabulary = Vocabulary(["so", "film"])
    corpus, words, offsets = Corpus.encode_with_offsets(texts, splitter, vocabulary)
    for expected, found in zip(astuple(Corpus.encode(texts, splitter, vocabulary)), astuple(corpus), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert corpus.cut == 1
    assert words == ["So", "it", "is", ".", "A", "film"]
    assert offsets.tolist() == [[0, 2], [3, 5], [6, 8], [8, 9], [0, 1], [2, 6]]
    assert Corpus.encode_with_offsets([], splitter, vocabulary)[2].shape == (0, 2)
