from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from han.text.ascii_words import distinct_words, key_words
from han.text.word_table import WordTable

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="`"), min_size=1, max_size=16)


@given(st.lists(st.lists(WORDS, max_size=30), max_size=4), st.lists(WORDS))
def test_words_are_found_as_in_a_dictionary(added, others):
    table, expected = WordTable(), {}
    for words in added:
        new = [word for word in dict.fromkeys(words) if word not in expected]
        ids = np.arange(len(expected) + 1, len(expected) + len(new) + 1, dtype=np.int32)
        expected.update(zip(new, ids.tolist(), strict=True))
        table.add(key_words(new)[0], ids)
    words = [*others, *expected, *others]
    assert table.find(key_words(words)[0]).tolist() == [expected.get(word, 0) for word in words]


def test_a_full_table_is_enlarged(rng):
    numbers = rng.permutation(200_000)
    words = [f"w{number:x}" for number in numbers]
    table = WordTable()
    for start in range(0, len(words), 30_000):
        part = words[start : start + 30_000]
        table.add(key_words(part)[0], np.arange(start + 1, start + len(part) + 1, dtype=np.int32))
    np.testing.assert_array_equal(table.find(key_words(words)[0]), np.arange(1, len(words) + 1))
    assert not table.find(key_words([f"v{number:x}" for number in numbers])[0]).any()


def test_words_that_start_at_one_place_are_distinguished(monkeypatch):
    monkeypatch.setattr(WordTable, "_first_places", lambda self, keys: np.full(keys.shape[1], len(self._ids) - 2))
    words = [f"word{number}" for number in range(50)]
    table = WordTable()
    table.add(key_words(words)[0], np.arange(1, 51, dtype=np.int32))
    assert table.find(key_words([*words, "other"])[0]).tolist() == [*range(1, 51), 0]


def test_keys_keep_words():
    words = ["b", "a", "abcdefgh", "abcdefghi", "abcdefghijklmnop"]
    keys, kept = key_words([*words, "", "abcdefghijklmnopq", "caf\xe9", "a`b", "a\0"])
    assert kept == words
    again, found = distinct_words(np.concatenate([keys, keys], axis=1))
    assert found == sorted(words)
    assert sorted(map(tuple, again.T.tolist())) == sorted(map(tuple, keys.T.tolist()))
