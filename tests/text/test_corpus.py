from __future__ import annotations

from collections import Counter
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text.batches import consecutive, drop_sentences, prediction_batches, training_batches
from han.text.corpus import Corpus, Documents
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import UNKNOWN_ID, Vocabulary


def from_lists(documents):
    """A corpus of documents given as lists of lists of word ids."""
    sentences = [sentence for document in documents for sentence in document]
    return Corpus(
        np.array([id_ for sentence in sentences for id_ in sentence], np.int32),
        np.cumsum([0, *map(len, sentences)]),
        np.cumsum([0, *map(len, documents)]),
    )


DOCUMENTS = st.lists(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=6), max_size=5), min_size=1, max_size=9)


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_a_batch_is_the_documents_end_to_end(documents, random):
    chosen = random.choices(range(len(documents)), k=random.randint(0, 5))
    batch = from_lists(documents).batch(chosen)
    assert {part.dtype for part in batch} == {np.dtype(np.int32)}
    sentences = [sentence for k in chosen for sentence in documents[k]]
    assert batch.word_ids.tolist() == [id_ for sentence in sentences for id_ in sentence]
    assert batch.sentence_lengths.tolist() == [len(sentence) for sentence in sentences]
    assert batch.document_lengths.tolist() == [len(documents[k]) for k in chosen]


@given(DOCUMENTS)
def test_a_block_is_the_documents_padded_with_zeros(documents):
    block = from_lists(documents).block()
    sentences = max(1, *map(len, documents), 0)
    words = max([1, *(len(sentence) for document in documents for sentence in document)])
    assert block.shape == (len(documents), sentences, words)
    assert block.dtype == np.int32
    for rows, document in zip(block.tolist(), documents, strict=True):
        padded = [sentence + [0] * (words - len(sentence)) for sentence in document]
        assert rows == padded + [[0] * words] * (sentences - len(document))


@given(DOCUMENTS, st.data())
def test_words_that_are_left_out_take_their_sentences_with_them(documents, data):
    size = sum(len(sentence) for document in documents for sentence in document)
    kept = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    stays = iter(kept)
    expected = [[[id_ for id_ in sentence if next(stays)] for sentence in document] for document in documents]
    found = from_lists(documents).keep_words(np.array(kept, bool))
    for part, wanted in zip(
        astuple(found),
        astuple(from_lists([[sentence for sentence in document if sentence] for document in expected])),
        strict=True,
    ):
        np.testing.assert_array_equal(part, wanted)


@given(DOCUMENTS)
def test_counts(documents):
    corpus = from_lists(documents)
    assert len(corpus) == len(documents)
    assert corpus.sentence_counts.tolist() == [len(document) for document in documents]
    assert corpus.word_counts.tolist() == [sum(map(len, document)) for document in documents]


def test_learning_is_counting_then_encoding(news):
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


def test_at_most_five_bytes_a_word(news):
    corpus, _ = Corpus.learn(news[0], DocumentSplitter(), 1, None)
    size = corpus.word_ids.nbytes + corpus.sentence_starts.nbytes + corpus.document_starts.nbytes
    assert size <= 5 * len(corpus.word_ids)


@given(DOCUMENTS, DOCUMENTS)
def test_concatenated_corpora_hold_the_documents_of_one_after_those_of_the_other(first, last):
    joined = Corpus.concatenate([from_lists(first), from_lists(last)])
    for expected, found in zip(astuple(from_lists([*first, *last])), astuple(joined), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_cut_documents_are_counted():
    corpus = Corpus.encode(
        ["One. Two. Three.", "One.", "One. Two."], DocumentSplitter(max_sentences=1), Vocabulary(["a"])
    )
    assert corpus.cut == 2
    assert corpus.sentence_counts.tolist() == [1, 1, 1]
    assert Corpus.encode(["One."], DocumentSplitter(max_sentences=1), Vocabulary(["a"])).cut == 0
    assert Corpus.concatenate([corpus, from_lists([[[1]]]), corpus]).cut == 4
    with pytest.raises(AttributeError):
        corpus.cut = 0


def test_words_are_encoded_with_their_places_in_the_text():
    texts, splitter = ["So it is. Good!", "", "A film"], DocumentSplitter(max_sentences=1)
    vocabulary = Vocabulary(["so", "film"])
    corpus, words, offsets = Corpus.encode_with_offsets(texts, splitter, vocabulary)
    for expected, found in zip(astuple(Corpus.encode(texts, splitter, vocabulary)), astuple(corpus), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert corpus.cut == 1
    assert words == ["So", "it", "is", ".", "A", "film"]
    assert offsets.tolist() == [[0, 2], [3, 5], [6, 8], [8, 9], [0, 1], [2, 6]]
    assert Corpus.encode_with_offsets([], splitter, vocabulary)[2].shape == (0, 2)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_training_batches_hold_every_document_once(rng, batch_size):
    corpus = from_lists([[[1] * 3] * count for count in rng.integers(0, 30, 300)])
    batches = training_batches(corpus, batch_size, rng)
    assert sorted(np.concatenate(batches)) == list(range(300))
    assert len(batches) == -(-300 // batch_size)
    assert max(map(len, batches)) == min(batch_size, 300)


def test_training_batches_differ_between_epochs_and_are_of_similar_length(rng):
    corpus = from_lists([[[1] * 3] * count for count in rng.integers(0, 30, 640)])
    first, second = (training_batches(corpus, 32, rng) for _ in range(2))
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    counts = corpus.sentence_counts
    assert np.mean([np.ptp(counts[batch]) for batch in first]) < 3


def test_prediction_batches_hold_every_document_once_within_bounds(rng):
    corpus = from_lists([[[1] * rng.integers(1, 9)] * count for count in rng.integers(0, 30, 300)] + [[[1] * 9] * 500])
    batches = list(prediction_batches(corpus, max_words=1000, max_documents=50))
    assert np.concatenate(batches).tolist() == list(range(301))
    counts = corpus.word_counts
    for batch, after in zip(batches, [*batches[1:], None], strict=True):
        # A batch takes what fits, and ends where the next document would be too much.
        assert after is None or len(batch) == 50 or counts[batch].sum() + counts[after[0]] > 1000
    for batch in batches:
        assert len(batch) <= 50
        assert len(batch) == 1 or len(corpus.batch(batch).word_ids) <= 1000
    assert np.concatenate(list(prediction_batches(from_lists([[], []])))).tolist() == [0, 1]
    assert list(prediction_batches(from_lists([]))) == []


def test_consecutive_items_fill_what_they_may_fill():
    sizes = np.array([3, 4, 3, 1, 11, 9, 1, 0, 0, 2])
    assert [part.tolist() for part in consecutive(sizes, 10)] == [[0, 1, 2], [3], [4], [5, 6, 7, 8], [9]]
    assert [part.tolist() for part in consecutive(sizes, 10, 2)] == [[0, 1], [2, 3], [4], [5, 6], [7, 8], [9]]
    assert [len(part) for part in consecutive(np.ones(500, int), 400)] == [400, 100]


def test_dropped_sentences_are_left_out_whole_and_never_the_last_one():
    rng = np.random.default_rng(0)
    lengths = np.array([2, 1, 3, 1, 2, 2], np.int32)
    # Every word is numbered by its sentence; the third document is empty.
    documents = Documents(np.repeat(np.arange(6, dtype=np.int32), lengths), lengths, np.array([3, 1, 0, 2], np.int32))
    stayed = np.zeros(6)
    for _ in range(4000):
        dropped = drop_sentences(documents, 0.4, rng)
        sentences = dropped.word_ids[np.cumsum(dropped.sentence_lengths) - 1]
        assert dropped.word_ids.tolist() == [word for word in documents.word_ids if word in sentences]
        assert dropped.sentence_lengths.tolist() == lengths[sentences].tolist()
        counts = [np.isin(part, sentences).sum() for part in ([0, 1, 2], [3], [], [4, 5])]
        assert dropped.document_lengths.tolist() == counts
        assert [count > 0 for count in counts] == [True, True, False, True]
        stayed[sentences] += 1
    # One alone always stays; of n sentences each stays by itself, or is the one spared if all were to go.
    expected = [0.6 + 0.4**3 / 3] * 3 + [1.0] + [0.6 + 0.4**2 / 2] * 2
    np.testing.assert_allclose(stayed / 4000, expected, atol=0.03)
