from __future__ import annotations

import pickle
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text import DocumentSplitter, SplitText
from han.text.corpus import Corpus
from han.text.encoding import CHUNK, encode_documents, encode_with_offsets
from han.text.reader import DocumentReader
from han.text.vocabulary import NewWords, Vocabulary

# Characters that are read in different ways, and words around the longest one with a key.
PIECES = st.one_of(
    st.text(st.sampled_from(list("aBz09_'`.!?,-\"\n\r\t \x00\x1c\x7f\u00e9\u2019\u00ad\u4e2d\U0001f600")), max_size=8),
    st.text(st.characters(max_codepoint=127), max_size=8),
    st.text(max_size=4),
    st.sampled_from(["Dr. ", "isn't ", "e'", "''", " ' ", "x" * 15, "Y" * 16, "y" * 17, "y" * 16 + "'s", "word " * 30]),
)
TEXTS = st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=5)
SPLITTERS = st.builds(DocumentSplitter, max_sentences=st.integers(1, 6), max_words=st.integers(1, 9))


def assert_equal(corpus, expected):
    for found, array in zip(astuple(corpus), astuple(expected), strict=True):
        np.testing.assert_array_equal(found, array)


def one_by_one(texts, splitter, encode):
    return Corpus.from_sentences(map(splitter.split, texts), encode)


@given(TEXTS, SPLITTERS)
def test_documents_are_encoded_as_word_by_word(texts, splitter):
    # Every second word, in several spellings, is known.
    words = sorted({word.lower() for text in texts for sentence in splitter(text) for word in sentence})[::2]
    vocabulary = Vocabulary(word for word in words if word == word.lower())
    assert_equal(encode_documents(texts, splitter, vocabulary), one_by_one(texts, splitter, vocabulary.encode))


@given(TEXTS, SPLITTERS)
def test_the_vocabulary_is_learned_as_word_by_word(texts, splitter):
    numbers = {}
    expected = one_by_one(texts, splitter, lambda words: [numbers.setdefault(word, len(numbers)) for word in words])
    words = NewWords()
    corpus = encode_documents(texts, splitter, words)
    names, expected_names = [None, *words.numbers], [*numbers]
    assert [names[number].lower() for number in corpus.word_ids] == [
        expected_names[number].lower() for number in expected.word_ids
    ]
    np.testing.assert_array_equal(corpus.sentence_starts, expected.sentence_starts)
    reader, learned = DocumentReader.learn(texts, splitter, 1, None)
    assert_equal(learned, one_by_one(texts, splitter, reader.vocabulary.encode))


@pytest.mark.parametrize("splitter", [DocumentSplitter(), DocumentSplitter(tokenizer=str.split)])
def test_all_kinds_of_documents_keep_their_order(splitter):
    long = "A long one. " * (CHUNK // 10)
    texts = ["Plain text.", "Un caf\xe9. Then plain.", SplitText([["New York", "wins"]]), "", "\x0b", long, "Last."]
    vocabulary = Vocabulary(["a", "plain", "text", ".", "caf\xe9", "then", "new york", "wins", "last", "long"])
    corpus = encode_documents(texts, splitter, vocabulary)
    assert_equal(corpus, one_by_one(texts, splitter, vocabulary.encode))
    assert corpus.truncated == 1
    assert corpus.sentence_counts.tolist() == [1, 2, 1, 0, 0, 512, 1]


def test_a_vocabulary_is_pickled_without_its_table():
    vocabulary = Vocabulary(f"word{number}" for number in range(1000))
    before = pickle.dumps(vocabulary)
    encode_documents(["word7 is known"], DocumentSplitter(), vocabulary)
    assert len(pickle.dumps(vocabulary)) < len(before) + 1000
    again = pickle.loads(pickle.dumps(vocabulary))  # noqa: S301 - our own
    assert encode_documents(["word7 is known"], DocumentSplitter(), again).word_ids.tolist() == [9, 1, 1]


@given(TEXTS, SPLITTERS)
def test_words_are_located_as_one_by_one(texts, splitter):
    vocabulary = Vocabulary(["word", "x" * 15])
    corpus, words, offsets = encode_with_offsets(texts, splitter, vocabulary)
    assert_equal(corpus, encode_documents(texts, splitter, vocabulary))
    expected = [pair for text in texts for sentence in splitter.split_with_offsets(text)[0] for pair in sentence]
    assert words == [word for word, _ in expected]
    assert offsets.tolist() == [list(span) for _, span in expected]
