from __future__ import annotations

import numpy as np
import pytest

from han.text.batches import consecutive, drop_sentences, prediction_batches, training_batches
from han.text.corpus import Documents
from tests.text.documents import corpus_from_lists


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_training_batches_contain_every_document_once(rng, batch_size):
    corpus = corpus_from_lists([[[1] * 3] * count for count in rng.integers(0, 30, 300)])
    batches = training_batches(corpus, batch_size, rng)
    assert sorted(np.concatenate(batches)) == list(range(300))
    assert len(batches) == -(-300 // batch_size)
    assert max(map(len, batches)) == min(batch_size, 300)


def test_training_batches_differ_between_epochs_and_group_similar_lengths(rng):
    corpus = corpus_from_lists([[[1] * 3] * count for count in rng.integers(0, 30, 640)])
    first, second = (training_batches(corpus, 32, rng) for _ in range(2))
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    counts = corpus.sentence_counts
    assert np.mean([np.ptp(counts[batch]) for batch in first]) < 3


def test_prediction_batches_contain_every_document_once_within_their_limits(rng):
    short = [[[1] * rng.integers(1, 9)] * count for count in rng.integers(0, 30, 300)]
    corpus = corpus_from_lists([*short, [[1] * 9] * 500])
    batches = list(prediction_batches(corpus, max_words=1000, max_documents=50))
    assert np.concatenate(batches).tolist() == list(range(301))
    counts = corpus.word_counts
    for batch, after in zip(batches, [*batches[1:], None], strict=True):
        # A batch ends only if the next document does not fit.
        assert after is None or len(batch) == 50 or counts[batch].sum() + counts[after[0]] > 1000
    for batch in batches:
        assert len(batch) <= 50
        assert len(batch) == 1 or len(corpus.batch(batch).word_ids) <= 1000
    assert np.concatenate(list(prediction_batches(corpus_from_lists([[], []])))).tolist() == [0, 1]
    assert list(prediction_batches(corpus_from_lists([]))) == []


def test_groups_of_consecutive_items_are_filled_up_to_their_limits():
    sizes = np.array([3, 4, 3, 1, 11, 9, 1, 0, 0, 2])
    assert [part.tolist() for part in consecutive(sizes, 10)] == [[0, 1, 2], [3], [4], [5, 6, 7, 8], [9]]
    assert [part.tolist() for part in consecutive(sizes, 10, 2)] == [[0, 1], [2, 3], [4], [5, 6], [7, 8], [9]]
    assert [len(part) for part in consecutive(np.ones(500, int), 400)] == [400, 100]


def test_sentences_are_dropped_whole_but_never_all_of_a_document():
    rng = np.random.default_rng(0)
    lengths = np.array([2, 1, 3, 1, 2, 2], np.int32)
    # Each word id is the index of its sentence; the third document is empty.
    documents = Documents(np.repeat(np.arange(6, dtype=np.int32), lengths), lengths, np.array([3, 1, 0, 2], np.int32))
    kept_counts = np.zeros(6)
    for _ in range(4000):
        dropped = drop_sentences(documents, 0.4, rng)
        sentences = dropped.word_ids[np.cumsum(dropped.sentence_lengths) - 1]
        assert dropped.word_ids.tolist() == [word for word in documents.word_ids if word in sentences]
        assert dropped.sentence_lengths.tolist() == lengths[sentences].tolist()
        counts = [np.isin(part, sentences).sum() for part in ([0, 1, 2], [3], [], [4, 5])]
        assert dropped.document_lengths.tolist() == counts
        assert [count > 0 for count in counts] == [True, True, False, True]
        kept_counts[sentences] += 1
    # P(kept) = (1 - rate) + rate**n / n for each of n sentences; a single sentence is always kept.
    expected = [0.6 + 0.4**3 / 3] * 3 + [1.0] + [0.6 + 0.4**2 / 2] * 2
    np.testing.assert_allclose(kept_counts / 4000, expected, atol=0.03)
