"""Split a sentence into words."""

from __future__ import annotations

import re
from collections.abc import Iterable

import regex

from han.text.normalization import APOSTROPHES

# A word consists of letters, digits and underscores, with apostrophes inside ("don't"). Any other visible character is
# a token of its own.
_ASCII_WORD = re.compile(r"\w+(?:['`]\w+)*|\S")
# The same for all scripts. Marks (such as the vowel signs of Hindi) and invisible characters belong to the letter
# before them. A token of its own is a grapheme cluster, such as an emoji with its modifiers, and a letter of a script
# without spaces between words (except katakana, the script of Japanese loanwords).
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
# Unicode classifies some apostrophes and some invisible characters as letters.
_NOT_LETTERS = r"\u02b9\u02bb-\u02bd\ua78c\u115f\u1160\u3164\uffa0"
_LETTER = rf"[[\p{{L}}\p{{N}}_]--[{_UNSPACED}{_NOT_LETTERS}]]"
_LETTERS = rf"{_LETTER}[{_LETTER}||[\p{{M}}\p{{DI}}]]*"
# \x1c to \x1f are white space in `str` but not in `regex`.
WORD_PATTERN = rf"{_LETTERS}(?:[{APOSTROPHES}]\p{{DI}}*{_LETTERS})*|(?![\s\x1c-\x1f\p{{DI}}])\X"
WORD = regex.compile(WORD_PATTERN, regex.VERSION1)
# Words of longer sentences are found one at a time, so that a truncated sentence is not read to its end.
MAX_EAGER_CHARACTERS = 25_000


def split_words(sentence: str) -> list[str]:
    """Split a sentence into words and punctuation marks: the default tokenizer.

    In Chinese, Japanese, Thai and other scripts without spaces between words, each letter is a word.

    Examples
    --------
    >>> from han.text import split_words
    >>> split_words("It isn't bad, is it?")
    ['It', "isn't", 'bad', ',', 'is', 'it', '?']
    >>> split_words("हिन्दी में NLP: 我爱北京。")
    ['हिन्दी', 'में', 'NLP', ':', '我', '爱', '北', '京', '。']
    """
    return list(iterate_words(sentence))


def iterate_words(sentence: str) -> Iterable[str]:
    """Return the words of `split_words`, lazily if the sentence is long."""
    pattern = _ASCII_WORD if sentence.isascii() else WORD
    if len(sentence) > MAX_EAGER_CHARACTERS:
        return (match.group() for match in pattern.finditer(sentence))
    words: list[str] = pattern.findall(sentence)
    return words
