from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text import DocumentSplitter, split_sentences, split_words

DOCUMENTS = [
    "Dr. Smith paid £3.50. Why? “Because,” he said.\n\nA new paragraph… and 10,000 more!",
    "İstanbul'da hava güzel. Ça va? 你好。 हिन्दी भाषा। 😀😀 ok",
    "no capital letters. no end",
    "   leading and trailing   \n\n",
    "tabs\tand\r\nwindows lines.\r\nNext one.\x00NUL",
    "",
]


@given(st.one_of(st.text(max_size=300), st.sampled_from(DOCUMENTS)))
def test_sentences_are_the_text_in_pieces(text):
    assert "".join(split_sentences(text)) == text


@given(
    st.one_of(st.text(max_size=300), st.sampled_from(DOCUMENTS)),
    st.integers(1, 4),
    st.integers(1, 7),
)
def test_spans_point_at_the_words(text, max_sentences, max_words):
    splitter = DocumentSplitter(max_sentences, max_words)
    spans = splitter.spans(text)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == splitter(text)
    flat = [offset for sentence in spans for span in sentence for offset in span]
    assert flat == sorted(flat)


def test_lines_are_sentences_only_where_nothing_else_ends_one():
    assert split_sentences("the first line  \nthe second\n") == ["the first line  \n", "the second\n"]
    assert split_sentences("A line that\nis wrapped.") == ["A line that\nis wrapped."]


def test_half_a_surrogate_pair_is_a_piece_of_text_like_any_other():
    text = "One \ud83d here. Two."
    assert split_sentences(text) == ["One \ud83d here. ", "Two."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokenizer": lambda sentence: sentence}, "tokenizer must return an iterable of str, got str"),
        ({"tokenizer": lambda _: [1]}, "tokenizer must return an iterable of str, got one with int in it"),
        ({"sentence_splitter": lambda _: None}, "sentence_splitter must return an iterable of str, got NoneType"),
    ],
)
def test_functions_that_return_something_else_are_named(arguments, message):
    with pytest.raises(TypeError, match=message):
        DocumentSplitter(**arguments)("Some text.")


def test_words_and_punctuation():
    assert split_words("Don't stop: it’s 3.5% (_x1)!") == [
        "Don't", "stop", ":", "it’s", "3", ".", "5", "%", "(", "_x1", ")", "!",
    ]  # fmt: skip


def test_abbreviations_do_not_end_a_sentence():
    assert [piece.strip() for piece in split_sentences("Mr. Brown met Dr. Smith at 3 p.m. today. They left.")] == [
        "Mr. Brown met Dr. Smith at 3 p.m. today.",
        "They left.",
    ]


def test_long_sentences_continue_and_lose_nothing():
    words = [f"w{index}" for index in range(3000)]
    sentences, cut = DocumentSplitter(max_words=50).split(" ".join(words))
    assert [word for sentence in sentences for word in sentence] == words
    assert [len(sentence) for sentence in sentences] == [50] * 60
    assert not cut


def test_documents_over_the_cap_are_cut_and_said_to_be():
    text = "One. Two. Three."
    assert DocumentSplitter(max_sentences=3).split(text)[1] is False
    assert DocumentSplitter(max_sentences=2).split(text) == ([["One", "."], ["Two", "."]], True)


def test_sentences_without_words_are_left_out():
    assert DocumentSplitter()("One.\n\n   \n\nTwo.") == [["One", "."], ["Two", "."]]


def test_own_functions_are_located_in_the_text():
    splitter = DocumentSplitter(sentence_splitter=lambda text: text.split("|"), tokenizer=str.split)
    assert splitter("a b|a c") == [["a", "b"], ["a", "c"]]
    assert splitter.spans("a b|a c") == [[(0, 1), (2, 3)], [(4, 5), (6, 7)]]


def test_words_that_are_not_in_the_text_have_no_offsets():
    splitter = DocumentSplitter(tokenizer=lambda sentence: sentence.upper().split())
    assert splitter("so good") == [["SO", "GOOD"]]
    with pytest.raises(ValueError, match=r"tokenizer must return pieces of the text .* got 'SO'"):
        splitter.spans("so good")
