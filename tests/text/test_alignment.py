from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from han.text.alignment import align
from han.text.splitting import DocumentSplitter
from han.text.words import WORD


def without_accents(word):
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


def stem(word):
    return re.sub(r"(ies|ing|ed|ly|s|y|e)$", "", word.lower()) or word.lower()


# Changes of a word; None drops it.
CHANGES = {
    "lower": str.lower,
    "upper": str.upper,
    "stem": stem,
    "accents": without_accents,
    "nfkc": lambda word: unicodedata.normalize("NFKC", word),
    "nfd": lambda word: unicodedata.normalize("NFD", word),
    "numbers": lambda word: re.sub(r"\d", "0", word),
    "punctuation": lambda word: word if word.isalnum() else None,
    "stop words": lambda word: None if word.lower() in {"a", "as", "the", "was", "love"} else word.lower(),
    "lemmas": lambda word: {"was": "be", "loved": "love", "better": "good"}.get(word.lower(), word),
    "drops and stems": lambda word: None if len(word) == 2 else stem(word),
    "letters": lambda word: word[:1],
}
WORDS = st.sampled_from(
    ["a", "as", "the", "was", "Love", "loved", "lovely", "loves", "better", "Café", "cafe\u0301", "ﬁlm", "FILM",
     "İstanbul", "10", "1²", "...", "“", "don’t", "l'été", "co-op", "हिन्दी", "我", "爱", "①", "ß", "\u00ad", "x\u200by"]
)  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@given(st.lists(st.tuples(WORDS, st.sampled_from([" ", "  ", ", ", "\n"]))))
def test_a_token_with_offsets_comes_from_there(name, parts):
    text = "".join(word + space for word, space in parts)
    change = CHANGES[name]

    def tokenizer(part):
        return [made for word in WORD.findall(part) if (made := change(word)) is not None]

    tokens = tokenizer(text)
    spans = align(tokens, text, WORD, tokenizer)
    assert len(spans) == len(tokens)
    end = 0
    for token, span in zip(tokens, spans, strict=True):
        if span is not None:
            assert span[0] >= end
            end = span[1]
            assert change(WORD.findall(text[slice(*span)])[0]) == token


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"letters"}))
def test_every_word_of_an_ordinary_sentence_has_offsets(name):
    text = "As the Café was better, I loved 10 lovely films; they don't love a thing."
    words = [match.span() for match in WORD.finditer(text)]
    change = CHANGES[name]

    def tokenizer(part):
        return [made for word in WORD.findall(part) if (made := change(word)) is not None]

    expected = [span for span in words if change(text[slice(*span)]) is not None]
    assert align(tokenizer(text), text, WORD, tokenizer) == expected


def test_marked_subwords_have_offsets():
    text = "Unbelievable Films!"
    tokens = ["un", "##believ", "##able", "film", "##s", "!"]
    spans = align(tokens, text, WORD)
    assert [text[slice(*span)] for span in spans] == ["Un", "believ", "able", "Film", "s", "!"]
    spans = align(["▁Unbeliev", "able", "▁Films!"], text, WORD)
    assert [text[slice(*span)] for span in spans] == ["Unbeliev", "able", "Films!"]


def test_a_token_is_not_found_inside_a_dropped_word():
    def tokenizer(part):
        return [word for word in part.split() if word != "as"]

    assert align(["a", "cat"], "as a cat", WORD, tokenizer) == [(3, 4), (5, 8)]
    assert align(["a", "cat"], "as a cat", WORD) == [(3, 4), (5, 8)]
    assert align(["cat"], "concatenate", WORD) == [None]


def test_functions_of_whole_sentences_are_supported():
    def tokenizer(sentence):
        return sentence.split(":")[1].split()

    assert align(["b", "c"], "a a: b c", WORD, tokenizer) == [(5, 6), (7, 8)]
    assert align(["zz"], "a a: b c", WORD, lambda _: 1 / 0) == [None]


def test_context_dependent_lemmas_do_not_shift_other_words():
    def tokenizer(part):
        return [("leave" if word == "left" and "he" in part else word) for word in part.split() if word != "so"]

    text = "so he left the house so late"
    spans = align(tokenizer(text), text, WORD, tokenizer)
    assert [span and text[slice(*span)] for span in spans] == ["he", None, "the", "house", "late"]


def test_chinese_words_are_found_between_dropped_ones():
    assert align(["我们", "北京"], "我们爱北京。", WORD, lambda part: [part]) == [(0, 2), (3, 5)]


@pytest.mark.parametrize("change", [str.upper, str.split, stem, lambda word: None if word == "b" else word])
def test_long_sentences_take_linear_time(change):
    calls = 0

    def tokenizer(part):
        nonlocal calls
        calls += len(part)
        return [made for word in part.split() if (made := change(word))] if change is not str.split else part.split()

    text = "ab b ed " * 20_000
    spans = align(tokenizer(text), text, WORD, tokenizer)
    assert None not in spans
    assert calls <= 4 * len(text)


def test_truncated_documents_have_offsets():
    splitter = DocumentSplitter(max_sentences=2, max_words=3, tokenizer=lambda text: text.lower().split())
    assert splitter.spans("A B C D E F G H I J") == [[(0, 1), (2, 3), (4, 5)], [(6, 7), (8, 9), (10, 11)]]
