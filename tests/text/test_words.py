from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from han.text.words import split_words
from tests.text.documents import visible


def test_words_and_punctuation_are_separated():
    assert split_words("Don't stop: it’s 3.5% (_x1)!") == [
        "Don't", "stop", ":", "it’s", "3", ".", "5", "%", "(", "_x1", ")", "!",
    ]  # fmt: skip


@given(st.text(max_size=80))
def test_no_visible_character_is_lost(text):
    assert visible("".join(split_words(text))) == visible(text)


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_ascii_text_has_the_same_words_next_to_other_scripts(text):
    assert split_words(text + " é") == [*split_words(text), "é"]


def test_grapheme_clusters_are_not_split():
    assert split_words("👨‍👩‍👧 e\u0301tude 👍🏽!") == ["👨‍👩‍👧", "e\u0301tude", "👍🏽", "!"]
