from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text import sentences as sentences_module
from han.text.sentences import iterate_sentences, split_sentences
from tests.text.documents import DOCUMENTS


@given(st.one_of(st.text(max_size=300), st.sampled_from(DOCUMENTS)))
def test_sentences_joined_together_are_the_text(text):
    assert "".join(split_sentences(text)) == text


def test_lines_are_sentences_only_without_punctuation():
    assert split_sentences("the first line  \nthe second\n") == ["the first line  \n", "the second\n"]
    assert split_sentences("A line that\nis wrapped.") == ["A line that\nis wrapped."]


def test_abbreviations_do_not_end_a_sentence():
    assert [
        sentence.strip() for sentence in split_sentences("Mr. Brown met Dr. Smith at 3 p.m. today. They left.")
    ] == [
        "Mr. Brown met Dr. Smith at 3 p.m. today.",
        "They left.",
    ]


def test_the_region_of_a_language_is_ignored():
    text = "Am 3. Oktober kam Dr. Vogt an. Warum nicht früher?"
    assert split_sentences(text, "de-AT") == split_sentences(text, "de")
    assert len(split_sentences(text, "de")) == 2


PARAGRAPHS = st.lists(st.text(st.sampled_from("ab.!\"(' A1\n\r。é"), max_size=12), max_size=12)


@given(st.lists(st.tuples(PARAGRAPHS.map("".join), st.integers(2, 5)), max_size=12), st.sampled_from([40, 70]))
def test_splitting_in_chunks_finds_the_same_sentences(paragraphs, size):
    text = "".join(paragraph[:30].strip("\n") + "\n" * breaks for paragraph, breaks in paragraphs)
    whole = split_sentences(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences_module, "CHUNK_SIZE", size)
        assert split_sentences(text) == whole


@pytest.mark.parametrize("breaks", range(2, 8))
def test_a_chunk_does_not_end_between_paired_line_breaks(breaks, monkeypatch):
    end = "Two more.\n\nThe third one. And a fourth." + "\n\nb" * 20
    texts = ["a" * before + "\n" * breaks + end for before in range(4, 14)]
    whole = [split_sentences(text) for text in texts]
    monkeypatch.setattr(sentences_module, "CHUNK_SIZE", 10)
    assert [split_sentences(text) for text in texts] == whole


def test_a_sentence_may_be_longer_than_a_chunk(monkeypatch):
    monkeypatch.setattr(sentences_module, "CHUNK_SIZE", 10)
    monkeypatch.setattr(sentences_module, "MAX_CHUNK_SIZE", 40)
    assert split_sentences(f"A {'b ' * 20}end. Next one.") == [f"A {'b ' * 20}end. ", "Next one."]
    assert split_sentences("x" * 200 + " y" * 50)[0] == "x" * 200 + " "
    assert split_sentences("y " * 100)[0] == "y " * 41
    assert split_sentences("One. " + "y " * 100)[0] == "One. "


def test_a_sentence_ends_after_400_000_characters():
    assert split_sentences("y " * 190_000) == ["y " * 190_000]
    assert [len(sentence) for sentence in split_sentences("y " * 250_000)] == [400_002, 99_998]


def test_sentences_are_found_lazily(segmented):
    found = iterate_sentences("One. Two. " * 1_000_000)
    assert [next(found), next(found)] == ["One. ", "Two. "]
    assert segmented == [2 * sentences_module.CHUNK_SIZE]


def test_texts_may_contain_unpaired_surrogates():
    text = "One \ud83d here. Two."
    assert split_sentences(text) == ["One \ud83d here. ", "Two."]
