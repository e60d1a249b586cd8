from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text import splitting as text_module
from han.text.normalization import INVISIBLE
from han.text.splitting import DocumentSplitter, SplitText, iterate_sentences, split_sentences, split_words


def visible(text):
    return re.sub(INVISIBLE, "", "".join(text.split()))


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


PARAGRAPHS = st.lists(st.text(st.sampled_from("ab.!\"(' A1\n\r。é"), max_size=12), max_size=12)


@given(st.lists(st.tuples(PARAGRAPHS.map("".join), st.integers(2, 5)), max_size=12), st.sampled_from([40, 70]))
def test_a_long_text_in_pieces_has_the_sentences_that_it_has_as_a_whole(paragraphs, size):
    text = "".join(paragraph[:30].strip("\n") + "\n" * breaks for paragraph, breaks in paragraphs)
    whole = split_sentences(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "PIECE", size)
        assert split_sentences(text) == whole


@given(st.text(st.sampled_from('ab.!"( A\n\r\u2028é'), max_size=300), st.integers(1, 30))
def test_no_word_is_lost_where_long_paragraphs_are_read_in_pieces(text, size):
    words = DocumentSplitter(10_000, 10_000)(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "PIECE", size)
        patch.setattr(text_module, "LONGEST_PIECE", 4 * size)
        pieces = DocumentSplitter(10_000, 10_000)
        found = pieces(text)
        spans = pieces.spans(text)
    assert "".join(word for sentence in found for word in sentence) == "".join(word for part in words for word in part)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == found


@pytest.mark.parametrize("breaks", range(2, 8))
def test_a_piece_does_not_end_between_two_line_breaks_that_belong_together(breaks, monkeypatch):
    end = "Two more.\n\nThe third one. And a fourth." + "\n\nb" * 20
    texts = ["a" * before + "\n" * breaks + end for before in range(4, 14)]
    whole = [split_sentences(text) for text in texts]
    monkeypatch.setattr(text_module, "PIECE", 10)
    assert [split_sentences(text) for text in texts] == whole


def test_a_sentence_may_be_longer_than_a_piece(monkeypatch):
    monkeypatch.setattr(text_module, "PIECE", 10)
    monkeypatch.setattr(text_module, "LONGEST_PIECE", 40)
    assert split_sentences(f"A {'b ' * 20}end. Next one.") == [f"A {'b ' * 20}end. ", "Next one."]
    assert split_sentences("x" * 200 + " y" * 50)[0] == "x" * 200 + " "
    assert split_sentences("y " * 100)[0] == "y " * 41
    assert split_sentences("One. " + "y " * 100)[0] == "One. "


def test_a_sentence_ends_with_the_word_after_400_000_characters():
    assert split_sentences("y " * 190_000) == ["y " * 190_000]
    assert [len(sentence) for sentence in split_sentences("y " * 250_000)] == [400_002, 99_998]


LONG = {
    "sentences": "The film was good. Dr. Smith did not like it! ",
    "one word": "a",
    "one word that is not ASCII": "é",
    "nothing that ends a sentence": "word and more ",
    "lines": "a line of text\n",
    "NULs": "\0",
    "no spaces": "我爱北京的课。",
    "quotes that do not close": "\"One. Two three. '",
}


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG)
def test_of_a_long_document_no_more_is_read_than_is_kept(unit):
    text = unit * (5_000_000 // len(unit))
    started = time.perf_counter()
    sentences, cut = DocumentSplitter().split(text)
    # A tenth of that, here; the whole of it, one sentence beside the other, is minutes for some of them.
    assert time.perf_counter() - started < 5
    assert (len(sentences), cut) == ((1, False) if len(unit) == 1 and unit != "\0" else (512, True))
    assert [[word.lower() for word in sentence] for sentence in sentences[:10]] == [
        [word.lower() for word in sentence] for sentence in DocumentSplitter()(text[:20_000])[:10]
    ] or len(sentences) == 1


def test_white_space_takes_no_time():
    started = time.perf_counter()
    assert DocumentSplitter().split("One. " + "\n" * 5_000_000 + "Two.") == ([["One", "."], ["Two", "."]], False)
    assert time.perf_counter() - started < 5


def test_sentences_are_found_as_they_are_asked_for():
    asked = iter(iterate_sentences("One. Two. " * 1_000_000))
    started = time.perf_counter()
    assert [next(asked), next(asked)] == ["One. ", "Two. "]
    assert time.perf_counter() - started < 1


LINES = ["The first line", 'and the second: "it', 'goes on"', "", "A new paragraph", "a\u0301 end"]


@pytest.mark.parametrize("stop", ["", ".", " !"])
@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\u2028", "\u2029"])
def test_line_breaks_are_all_alike(line_break, stop):
    lines = [line + stop if line else "" for line in LINES]
    expected = DocumentSplitter()("\n".join(lines))
    text = line_break.join(lines)
    assert len(expected) > 1
    assert DocumentSplitter()(text) == expected
    spans = DocumentSplitter().spans(text)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == expected
    mixed = "".join(line + ending for line, ending in zip(lines, ["\n", "\r\n", "\r", "\n", "\u2028", ""], strict=True))
    assert DocumentSplitter()(mixed) == expected


def test_a_nul_is_a_character_that_stands_alone():
    assert DocumentSplitter()("One\0two. Three\0") == [["One", "\0", "two", "."], ["Three", "\0"]]


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
    assert visible("".join(split_words(text))) == visible(text)


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
    assert DocumentSplitter()(" ".join(words)) == sentences
    assert not cut


def test_documents_over_the_cap_are_cut_and_said_to_be():
    text = "One. Two. Three."
    assert DocumentSplitter(max_sentences=3).split(text)[1] is False
    assert DocumentSplitter(max_sentences=2).split(text) == ([["One", "."], ["Two", "."]], True)
    assert DocumentSplitter(max_sentences=3).split_located(text)[1] is False
    located = [[("One", (0, 3)), (".", (3, 4))], [("Two", (5, 8)), (".", (8, 9))]]
    assert DocumentSplitter(max_sentences=2).split_located(text) == (located, True)


def test_sentences_without_words_are_left_out():
    assert DocumentSplitter()("One.\n\n   \n\nTwo.") == [["One", "."], ["Two", "."]]


def test_white_space_is_left_to_an_own_tokenizer():
    assert split_sentences("a.\n\nb") == ["a.", "\n\n", "b"]
    assert DocumentSplitter(tokenizer=list)("a.\n\nb") == [["a", "."], ["\n", "\n"], ["b"]]


def test_own_functions_are_located_in_the_text():
    splitter = DocumentSplitter(sentence_splitter=lambda text: text.split("|"), tokenizer=str.split)
    assert splitter("a b|a c") == [["a", "b"], ["a", "c"]]
    assert splitter.spans("a b|a c") == [[(0, 1), (2, 3)], [(4, 5), (6, 7)]]


def test_changed_words_have_the_offsets_of_what_they_were_made_from():
    splitter = DocumentSplitter(tokenizer=lambda sentence: sentence.upper().split())
    assert splitter("so good") == [["SO", "GOOD"]]
    assert splitter.spans("so good") == [[(0, 2), (3, 7)]]


def test_words_from_nowhere_have_no_offsets():
    splitter = DocumentSplitter(tokenizer=lambda sentence: ["<start>", *sentence.split()])
    assert splitter.spans("so good") == [[None, (0, 2), (3, 7)]]


def test_words_of_a_sentence_that_was_changed_have_offsets():
    def lines(text):
        return [" ".join(line.lower().split()) for line in text.split("|")]

    splitter = DocumentSplitter(sentence_splitter=lines)
    text = "A  FILM,\tyes|Not  Bad"
    assert splitter(text) == [["a", "film", ",", "yes"], ["not", "bad"]]
    assert [[text[slice(*span)] for span in sentence] for sentence in splitter.spans(text)] == [
        ["A", "FILM", ",", "yes"],
        ["Not", "Bad"],
    ]
