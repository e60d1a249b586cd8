from __future__ import annotations

import re
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from han.text.normalization import APOSTROPHES, INVISIBLE, PLAIN, normalize
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter

TEXT = (
    "“I couldn't sleep,” she said — O'Brien's co-op re-opened at 5:30. 'Not bad!' Él dijo: ¿qué? Naïve café. "
    "L'été à Besançon, l'été d'Aïda. İstanbul'da hava güzel. Ǆ. П'ять хвилин. हिन्दी में. ג'ורג' ב-5."
)


@pytest.fixture(scope="module")
def learned():
    return DocumentReader.learn([TEXT], DocumentSplitter(), 1, None)


def assert_same(corpus, expected):
    assert corpus.word_ids.tolist() == expected.word_ids.tolist()
    assert corpus.sentence_starts.tolist() == expected.sentence_starts.tolist()


@pytest.mark.parametrize("variant", PLAIN)
def test_typographic_variants_are_equivalent(learned, variant):
    reader, corpus = learned
    text = TEXT.translate(str.maketrans(PLAIN)).replace(PLAIN[variant], variant)
    assert text.count(variant) >= 2
    assert_same(reader.encode([text]), corpus)
    other, again = DocumentReader.learn([text], DocumentSplitter(), 1, None)
    assert other.vocabulary.words == reader.vocabulary.words
    assert_same(again, corpus)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_letters_are_equivalent(learned, form):
    reader, corpus = learned
    assert_same(reader.encode([unicodedata.normalize(form, TEXT)]), corpus)


@given(
    st.lists(st.tuples(st.integers(0, len(TEXT)), st.sampled_from("\u00ad\u200b\u200d\u2060\ufeff\ufe0f\u200e\u034f")))
)
def test_invisible_characters_are_ignored(learned, insertions):
    reader, corpus = learned
    text = TEXT
    for position, character in sorted(insertions, reverse=True):
        text = text[:position] + character + text[position:]
    splitter = DocumentSplitter()
    assert_same(reader.encode([text]), corpus)
    spans = splitter.spans(text)
    assert [[text[start:end] for start, end in sentence] for sentence in spans] == splitter(text)


@pytest.mark.parametrize(
    ("variant", "word"),
    [
        ("ﬁlm", "film"), ("ＦＩＬＭ", "film"), ("𝐅𝐢𝐥𝐦", "film"), ("ﻡﺭﺤﺒﺎ", "مرحبا"), ("ｶﾞﾑ", "ガム"), ("⼈", "人"),
        ("cafe\u0301", "café"), ("İSTANBUL", "istanbul"), ("i\u0307stanbul", "istanbul"), ("STRAẞE", "straße"),
        ("New\u00a0York", "new york"), ("ϒ\u0301", "ύ"), ("ŉ", "'n"), ("！", "!"), ("❤\ufe0f", "❤"),
        ("10\u2011year", "10-year"),
    ],
)  # fmt: skip
def test_shapes_of_the_same_letter_are_equivalent(variant, word):
    assert normalize(variant) == normalize(word) == word


def test_distinct_characters_stay_distinct():
    words = ["10²", "102", "½", "1⁄2", "№", "no", "①", "1", "maße", "masse", "™", "tm", "а", "a", "«", '"', "…", "."]
    words += ["🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "🏴", "👩‍👧", "👩"]
    assert len({normalize(word) for word in words}) == len(words)


@given(st.text())
def test_normalisation_is_idempotent(word):
    normalised = normalize(word)
    assert normalize(normalised) == normalised == normalised.lower() == unicodedata.normalize("NFC", normalised)
    assert normalize(unicodedata.normalize("NFD", word)) == normalised
    assert not re.search(INVISIBLE, normalised)


def test_invisible_characters_are_those_of_unicode_except_tags():
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    ignorable = set(regex.findall(r"\p{Default_Ignorable_Code_Point}", everything))
    assert set(re.findall(INVISIBLE, everything)) == ignorable - set(map(chr, range(0xE0020, 0xE0080)))


def test_every_apostrophe_joins_a_word():
    for apostrophe in APOSTROPHES:
        assert DocumentSplitter()(f"I couldn{apostrophe}t") == [["I", f"couldn{apostrophe}t"]]
