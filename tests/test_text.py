from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text import DocumentSplitter, SplitText, split_sentences, split_words

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


# Two sentences each, written for the test, and the words of the first.
LANGUAGES = {
    "de": ("Am 3. Oktober kam Dr. Vogt an. Warum nicht früher?", "Am 3 . Oktober kam Dr . Vogt an ."),
    "fr": ("L’été dernier, il n'a pas plu. Et après ?", "L’été dernier , il n'a pas plu ."),
    "zh": ("我爱北京的NLP课。今天天气很好！", "我 爱 北 京 的 NLP 课 。"),
    "ja": ("東京タワーに行きました。楽しかったですか？", "東 京 タワー に 行 き ま し た 。"),
    "ar": ("ذهبَ الولدُ إلى المدرسة. هل رأيته؟", "ذهبَ الولدُ إلى المدرسة ."),
    "hi": ("मैं हिन्दी पढ़ रहा हूँ। क्या तुम आओगे?", "मैं हिन्दी पढ़ रहा हूँ ।"),
    "th": ("น้ำดี", "น้ำ ดี"),
    "fa": ("می\u200cخواهم بروم. چرا؟", "می\u200cخواهم بروم ."),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_and_words_of_other_languages(language):
    text, words = LANGUAGES[language]
    first, *rest = DocumentSplitter(language=language)(text)
    assert first == words.split(" ")
    assert len(rest) == (language != "th")  # Thai has no mark that ends a sentence
    for sentence in DocumentSplitter(language=language).spans(text):
        assert all(text[start:end].strip() == text[start:end] for start, end in sentence)


def test_a_region_changes_nothing_about_a_language():
    text = LANGUAGES["de"][0]
    assert split_sentences(text, "de-AT") == split_sentences(text, "de")
    assert len(split_sentences(text, "de")) == 2


@given(st.text(max_size=80))
def test_no_visible_character_is_lost_and_only_words_are_joined(text):
    assert "".join(split_words(text)) == "".join(text.split())


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_ascii_has_the_same_words_beside_other_scripts(text):
    assert split_words(text + " é") == [*split_words(text), "é"]


def test_what_readers_see_as_one_character_is_one():
    assert split_words("👨‍👩‍👧 e\u0301tude 👍🏽!") == ["👨‍👩‍👧", "e\u0301tude", "👍🏽", "!"]


SENTENCES = st.lists(st.lists(st.sampled_from(["a", "New York", "ä", "", " b", "!"]), max_size=5), max_size=4)


@given(SENTENCES, st.integers(1, 4), st.integers(1, 3))
def test_documents_that_are_split_keep_their_sentences_and_words(sentences, max_sentences, max_words):
    splitter = DocumentSplitter(max_sentences, max_words, sentence_splitter=lambda _: [], tokenizer=lambda _: [])
    whole = DocumentSplitter(10_000, 10_000, sentence_splitter=lambda _: [], tokenizer=lambda _: [])
    words = [[word for word in sentence if word] for sentence in sentences]
    assert whole(SplitText(sentences)) == [sentence for sentence in words if sentence]
    spans = splitter.spans(SplitText(sentences))
    text = str(SplitText(sentences))
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == splitter(SplitText(sentences))


def test_sentences_that_are_given_are_split_into_words():
    assert DocumentSplitter()(SplitText(["One. Two!", "", "Three"])) == [["One", ".", "Two", "!"], ["Three"]]


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
