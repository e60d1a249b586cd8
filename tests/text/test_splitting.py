from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text import sentences as sentences_module
from han.text import words as words_module
from han.text.sentences import split_sentences
from han.text.splitting import DocumentSplitter, SplitText
from tests.text.documents import DOCUMENTS


@given(
    st.one_of(st.text(max_size=300), st.sampled_from(DOCUMENTS)),
    st.integers(1, 4),
    st.integers(1, 7),
)
def test_offsets_point_at_the_words(text, max_sentences, max_words):
    splitter = DocumentSplitter(max_sentences, max_words)
    spans = splitter.spans(text)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == splitter(text)
    flat = [offset for sentence in spans for span in sentence for offset in span]
    assert flat == sorted(flat)


@given(st.text(st.sampled_from('ab.!"( A\n\r\u2028é'), max_size=300), st.integers(1, 30))
def test_no_word_is_lost_when_long_paragraphs_are_read_in_chunks(text, size):
    words = DocumentSplitter(10_000, 10_000)(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences_module, "CHUNK_SIZE", size)
        patch.setattr(sentences_module, "MAX_CHUNK_SIZE", 4 * size)
        patch.setattr(words_module, "MAX_EAGER_CHARACTERS", size)
        chunked = DocumentSplitter(10_000, 10_000)
        found = chunked(text)
        spans = chunked.spans(text)
    assert "".join(word for sentence in found for word in sentence) == "".join(word for part in words for word in part)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == found


LONG = {
    "sentences": "The film was good. Dr. Smith did not like it! ",
    "one word": "a",
    "one non-ASCII word": "é",
    "no punctuation": "word and more ",
    "lines": "a line of text\n",
    "NULs": "\0",
    "no spaces": "我爱北京的课。",
    "unclosed quotes": "\"One. Two three. '",
}


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG)
def test_a_long_document_is_read_only_as_far_as_it_is_kept(unit, segmented):
    text = unit * (5_000_000 // len(unit))
    sentences, cut = DocumentSplitter().split(text)
    assert sum(segmented) < 1_000_000
    assert (len(sentences), cut) == ((1, False) if len(unit) == 1 and unit != "\0" else (512, True))
    assert [[word.lower() for word in sentence] for sentence in sentences[:10]] == [
        [word.lower() for word in sentence] for sentence in DocumentSplitter()(text[:20_000])[:10]
    ] or len(sentences) == 1


def test_long_white_space_is_read_once(segmented):
    assert DocumentSplitter().split("One. " + "\n" * 5_000_000 + "Two.") == ([["One", "."], ["Two", "."]], False)
    assert sum(segmented) == 5_000_009


LINES = ["The first line", 'and the second: "it', 'goes on"', "", "A new paragraph", "a\u0301 end"]


@pytest.mark.parametrize("stop", ["", ".", " !"])
@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\u2028", "\u2029"])
def test_all_kinds_of_line_breaks_are_equivalent(line_break, stop):
    lines = [line + stop if line else "" for line in LINES]
    expected = DocumentSplitter()("\n".join(lines))
    text = line_break.join(lines)
    assert len(expected) > 1
    assert DocumentSplitter()(text) == expected
    spans = DocumentSplitter().spans(text)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == expected
    mixed = "".join(line + ending for line, ending in zip(lines, ["\n", "\r\n", "\r", "\n", "\u2028", ""], strict=True))
    assert DocumentSplitter()(mixed) == expected


def test_a_nul_character_is_a_word():
    assert DocumentSplitter()("One\0two. Three\0") == [["One", "\0", "two", "."], ["Three", "\0"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokenizer": lambda sentence: sentence}, "tokenizer must return an iterable of str, got str"),
        ({"tokenizer": lambda _: [1]}, "tokenizer must return an iterable of str, got an iterable that contains int"),
        ({"sentence_splitter": lambda _: None}, "sentence_splitter must return an iterable of str, got NoneType"),
    ],
)
def test_custom_functions_must_return_strings(arguments, message):
    with pytest.raises(TypeError, match=message):
        DocumentSplitter(**arguments)("Some text.")


# Two sentences in each language, and the words of the first one.
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
def test_other_languages_are_split_into_sentences_and_words(language):
    text, words = LANGUAGES[language]
    first, *rest = DocumentSplitter(language=language)(text)
    assert first == words.split(" ")
    assert len(rest) == (language != "th")  # Thai does not mark the end of a sentence
    for sentence in DocumentSplitter(language=language).spans(text):
        assert all(text[start:end].strip() == text[start:end] for start, end in sentence)


SENTENCES = st.lists(st.lists(st.sampled_from(["a", "New York", "ä", "", " b", "!"]), max_size=5), max_size=4)


@given(SENTENCES, st.integers(1, 4), st.integers(1, 3))
def test_split_documents_keep_their_sentences_and_words(sentences, max_sentences, max_words):
    splitter = DocumentSplitter(max_sentences, max_words, sentence_splitter=lambda _: [], tokenizer=lambda _: [])
    whole = DocumentSplitter(10_000, 10_000, sentence_splitter=lambda _: [], tokenizer=lambda _: [])
    words = [[word for word in sentence if word] for sentence in sentences]
    assert whole(SplitText(sentences)) == [sentence for sentence in words if sentence]
    spans = splitter.spans(SplitText(sentences))
    text = str(SplitText(sentences))
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == splitter(SplitText(sentences))


def test_given_sentences_are_split_into_words():
    assert DocumentSplitter()(SplitText(["One. Two!", "", "Three"])) == [["One", ".", "Two", "!"], ["Three"]]


def test_long_sentences_continue_as_further_sentences():
    words = [f"w{index}" for index in range(3000)]
    sentences, cut = DocumentSplitter(max_words=50).split(" ".join(words))
    assert [word for sentence in sentences for word in sentence] == words
    assert [len(sentence) for sentence in sentences] == [50] * 60
    assert DocumentSplitter()(" ".join(words)) == sentences
    assert not cut


def test_truncated_documents_are_reported():
    text = "One. Two. Three."
    assert DocumentSplitter(max_sentences=3).split(text)[1] is False
    assert DocumentSplitter(max_sentences=2).split(text) == ([["One", "."], ["Two", "."]], True)
    assert DocumentSplitter(max_sentences=3).split_with_offsets(text)[1] is False
    located = [[("One", (0, 3)), (".", (3, 4))], [("Two", (5, 8)), (".", (8, 9))]]
    assert DocumentSplitter(max_sentences=2).split_with_offsets(text) == (located, True)


def test_sentences_without_words_are_dropped():
    assert DocumentSplitter()("One.\n\n   \n\nTwo.") == [["One", "."], ["Two", "."]]


def test_a_custom_tokenizer_receives_white_space():
    assert split_sentences("a.\n\nb") == ["a.", "\n\n", "b"]
    assert DocumentSplitter(tokenizer=list)("a.\n\nb") == [["a", "."], ["\n", "\n"], ["b"]]


def test_words_of_custom_functions_have_offsets():
    splitter = DocumentSplitter(sentence_splitter=lambda text: text.split("|"), tokenizer=str.split)
    assert splitter("a b|a c") == [["a", "b"], ["a", "c"]]
    assert splitter.spans("a b|a c") == [[(0, 1), (2, 3)], [(4, 5), (6, 7)]]


def test_changed_words_have_the_offsets_of_their_source():
    splitter = DocumentSplitter(tokenizer=lambda sentence: sentence.upper().split())
    assert splitter("so good") == [["SO", "GOOD"]]
    assert splitter.spans("so good") == [[(0, 2), (3, 7)]]


def test_inserted_words_have_no_offsets():
    splitter = DocumentSplitter(tokenizer=lambda sentence: ["<start>", *sentence.split()])
    assert splitter.spans("so good") == [[None, (0, 2), (3, 7)]]


def test_words_of_a_changed_sentence_have_offsets():
    def lines(text):
        return [" ".join(line.lower().split()) for line in text.split("|")]

    splitter = DocumentSplitter(sentence_splitter=lines)
    text = "A  FILM,\tyes|Not  Bad"
    assert splitter(text) == [["a", "film", ",", "yes"], ["not", "bad"]]
    assert [[text[slice(*span)] for span in sentence] for sentence in splitter.spans(text)] == [
        ["A", "FILM", ",", "yes"],
        ["Not", "Bad"],
    ]
