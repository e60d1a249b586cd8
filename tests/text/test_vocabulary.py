from __future__ import annotations

import pytest

from han.text.vocabulary import FIRST_WORD_ID, PADDING_ID, UNKNOWN_ID, Vocabulary


def test_no_word_has_a_reserved_id():
    vocabulary = Vocabulary(["a", "b"])
    assert len({PADDING_ID, UNKNOWN_ID, *vocabulary.values()}) == 4
    assert min(vocabulary.values()) == FIRST_WORD_ID
    assert vocabulary.size == 4


def test_words_are_sorted_by_count_then_alphabetically():
    counts = {"rare": 1, "b": 2, "a": 2, "often": 9}
    assert Vocabulary.from_counts(counts, min_count=2).words == ["often", "a", "b"]
    assert Vocabulary.from_counts(counts, min_count=1, max_words=2).words == ["often", "a"]
    assert Vocabulary.from_counts(counts, min_count=10).words == []


def test_case_is_ignored_and_unknown_words_share_an_id():
    vocabulary = Vocabulary(["straße", "film"])
    assert vocabulary.encode(["FILM", "Film", "film", "Straße", "movie", ""]) == [3, 3, 3, 2, UNKNOWN_ID, UNKNOWN_ID]
    assert vocabulary["FILM"] == 3
    assert "movie" not in vocabulary
    assert dict(vocabulary) == {"straße": 2, "film": 3}


def test_variants_of_a_word_have_its_id():
    vocabulary = Vocabulary(["couldn't", "café", "film"])
    words = ["Couldn’t", "couldnʼt", "cafe\u0301", "CAFÉ", "fi\u00adlm", "ﬁlm", "ＦＩＬＭ", "films"]
    assert vocabulary.encode(words) == [2, 2, 3, 3, 4, 4, 4, UNKNOWN_ID]
    assert [vocabulary[word] for word in words[:-1]] == [2, 2, 3, 3, 4, 4, 4]
    assert "films" not in vocabulary


def test_a_vocabulary_that_is_not_normalised_keeps_its_words():
    vocabulary = Vocabulary(["couldn’t", "couldn't", "ﬁlm"])  # as saved by earlier versions
    words = ["Couldn’t", "couldn't", "couldn`t", "couldn\u00ad’t", "ﬁlm", "film"]
    assert vocabulary.encode(words) == [2, 3, 3, 3, 4, 4]
    assert vocabulary.words == ["couldn’t", "couldn't", "ﬁlm"]


def test_unknown_words_are_not_cached():
    vocabulary = Vocabulary(["film"])
    vocabulary.encode(f"unknown{index}" for index in range(1000))
    vocabulary.encode(["Film", "FILM"])
    assert len(vocabulary._spellings) == 3


def test_repeated_and_upper_case_words_are_rejected():
    with pytest.raises(ValueError, match="distinct"):
        Vocabulary(["a", "a"])
    with pytest.raises(ValueError, match="lower case, got 'Film'"):
        Vocabulary(["Film"])
    assert 3 not in Vocabulary(["film"])
