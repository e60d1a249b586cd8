from __future__ import annotations

from collections import Counter
from dataclasses import astuple

import numpy as np

from han.text import DocumentSplitter
from han.text.reader import DocumentReader
from han.text.vocabulary import UNKNOWN_ID, Vocabulary


def assert_equal(corpus, expected):
    for found, array in zip(astuple(corpus), astuple(expected), strict=True):
        np.testing.assert_array_equal(found, array)


def test_the_vocabulary_is_learned_from_word_counts(news):
    texts, splitter = news[0], DocumentSplitter()
    reader, corpus = DocumentReader.learn(texts, splitter, min_count=3, max_vocabulary=500)
    counts = Counter(word.lower() for text in texts for sentence in splitter(text) for word in sentence)
    assert reader.vocabulary.words == Vocabulary.from_counts(counts, 3, 500).words
    assert_equal(corpus, reader.encode(texts))
    assert (corpus.word_ids == UNKNOWN_ID).any()


def test_encoded_documents_take_at_most_five_bytes_per_word(news):
    _, corpus = DocumentReader.learn(news[0], DocumentSplitter(), 1, None)
    size = corpus.word_ids.nbytes + corpus.sentence_starts.nbytes + corpus.document_starts.nbytes
    assert size <= 5 * len(corpus.word_ids)


def test_truncated_documents_are_counted():
    reader = DocumentReader(DocumentSplitter(max_sentences=1), Vocabulary(["a"]))
    corpus = reader.encode(["One. Two. Three.", "One.", "One. Two."])
    assert corpus.truncated == 2
    assert corpus.sentence_counts.tolist() == [1, 1, 1]
    assert reader.encode(["One."]).truncated == 0


def test_words_are_encoded_with_their_offsets():
    texts = ["So it is. Good!", "", "A film"]
    reader = DocumentReader(DocumentSplitter(max_sentences=1), Vocabulary(["so", "film"]))
    corpus, words, offsets = reader.encode_with_offsets(texts)
    assert_equal(corpus, reader.encode(texts))
    assert corpus.truncated == 1
    assert words == ["So", "it", "is", ".", "A", "film"]
    assert offsets.tolist() == [[0, 2], [3, 5], [6, 8], [8, 9], [0, 1], [2, 6]]
    assert reader.encode_with_offsets([])[2].shape == (0, 2)
