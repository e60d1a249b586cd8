from __future__ import annotations

import pytest

from han.data.near_duplicates import THRESHOLD, near_duplicates


def jaccard(one, other):
    """The share of sequences of three words that two texts have in common."""

    def sequences(text):
        words = text.lower().split()
        return {tuple(words[start : start + 3]) for start in range(len(words) - 2)}

    first, second = sequences(one), sequences(other)
    return len(first & second) / len(first | second)


@pytest.fixture(scope="module")
def originals(news):
    return [" ".join("".join(c if c.isalnum() else " " for c in text).split()) for text in news[0][:40]]


def test_copies_with_a_few_changed_words_are_found(originals):
    copies = []
    for text in originals[:10]:
        words = text.split()
        words[len(words) // 2] = "changed"
        copies.append(" ".join(words).upper())
    pairs = near_duplicates([*originals, *copies])
    assert [(pair.first, pair.second) for pair in pairs] == [(number, 40 + number) for number in range(10)]
    for pair in pairs:
        assert pair.similarity == pytest.approx(jaccard(originals[pair.first], copies[pair.second - 40]), abs=0.15)


def test_different_documents_are_not(originals):
    assert max(jaccard(one, other) for one in originals[:8] for other in originals[8:16]) < THRESHOLD
    assert not near_duplicates(originals)


def test_short_and_empty_documents_are_left_out():
    assert not near_duplicates(["", "", "good film", "good film", "!", "!"])
