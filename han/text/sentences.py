"""Split a text into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise

import sentencex

from han.text.normalization import INVISIBLE_BMP, PLAIN

_SENTENCE_END = re.compile("[.!?。！？।॥؟۔]")
# Sentences are found in a plain copy of the text, in which these characters are replaced, and invisible ones and the
# first half of "\r\n" removed. Invisible characters outside the basic multilingual plane stay: they occur only within
# words, and searching for them is slow.
_REPLACEMENTS = {**PLAIN, **dict.fromkeys("\r\u2028\u2029", "\n")}
_NOT_PLAIN = re.compile(f"[{INVISIBLE_BMP}{''.join(_REPLACEMENTS)}]")
_SPACE = re.compile(r"\s")
# A text of up to twice this many characters is split in one call, a longer one in chunks, so that a truncated document
# is not read to its end: without punctuation, finding sentences takes quadratic time.
CHUNK_SIZE = 25_000
# A sentence of more than twice this many characters ends after its next word.
MAX_CHUNK_SIZE = 8 * CHUNK_SIZE


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split text into sentences, each with the white space that follows it.

    If a text has line breaks but no punctuation that ends a sentence, each line is a sentence.

    Parameters
    ----------
    text : str
    language : str, default "en"
        ISO 639 code of the language, whose abbreviations do not end a sentence. A region after a hyphen is ignored.

    Examples
    --------
    >>> from han.text import split_sentences
    >>> split_sentences("Dr. Smith slept. Nobody minded!")
    ['Dr. Smith slept. ', 'Nobody minded!']
    >>> split_sentences("Am 3. Oktober kam z. B. Dr. Vogt. Warum?", language="de")
    ['Am 3. Oktober kam z. B. Dr. Vogt. ', 'Warum?']
    """
    return list(iterate_sentences(text, language))


def iterate_sentences(text: str, language: str = "en") -> Iterator[str]:
    """Yield the sentences of `split_sentences`, reading a long text only as far as needed.

    All line breaks are equivalent: those of Unix, Windows and classic Mac OS, and Unicode's line and paragraph
    separators. So are typographic quotes, apostrophes and dashes and their ASCII counterparts. Invisible characters are
    ignored. Paragraphs of more than 50,000 characters are read in chunks; a quotation that spans two chunks does not
    keep its sentences together.
    """
    is_plain = "\r" not in text and "`" not in text if text.isascii() else not _NOT_PLAIN.search(text)
    return _iterate_plain(text, language) if is_plain else _iterate_with_replacements(text, language)


def _iterate_with_replacements(text: str, language: str) -> Iterator[str]:
    """Yield the sentences of a text, as found in a plain copy of it."""
    plain = _NOT_PLAIN.sub(_replacement, text)
    removed = []
    if len(plain) < len(text):
        removed = [match.start() for match in _NOT_PLAIN.finditer(text) if not _replacement(match)]
    removed_before = end = 0
    for sentence in _iterate_plain(plain, language):
        offsets = []
        for offset in (start := plain.index(sentence, end), end := start + len(sentence)):
            while removed_before < len(removed) and removed[removed_before] - removed_before < offset:
                removed_before += 1
            offsets.append(offset + removed_before)
        if end == len(plain):
            offsets[1] = len(text)
        yield text[slice(*offsets)]
    if text and not plain:  # invisible characters only
        yield text


def _replacement(match: re.Match[str]) -> str:
    if match.group() == "\r" and match.string.startswith("\n", match.end()):
        return ""
    return _REPLACEMENTS.get(match.group(), "")


def _iterate_plain(text: str, language: str) -> Iterator[str]:
    """Yield the sentences of a text without characters to replace."""
    code = language.partition("-")[0]
    by_line = "\n" in text and not _SENTENCE_END.search(text)
    start, size = 0, CHUNK_SIZE
    while start < len(text):
        if by_line:
            end = text.find("\n", start + size) + 1 or len(text)
            sentences = text[start:end].splitlines(keepends=True)
        elif end := _paragraph_end(text, start, size):
            sentences = _segment(code, text[start:end])
        else:
            end = start + 2 * size
            sentences = _segment(code, text[start:end])
            if len(sentences) > 1:  # the last one may continue in the next chunk
                end = text.rindex(sentences.pop(), start, end)
            elif size < MAX_CHUNK_SIZE:
                size *= 2
                continue
            else:
                space = _SPACE.search(text, end)
                end = space.end() if space else len(text)
                sentences = [text[start:end]]
        yield from sentences
        start, size = end, CHUNK_SIZE


def _paragraph_end(text: str, start: int, size: int) -> int:
    """Return the end of a paragraph between `size` and twice as many characters after `start`, or 0 if there is none.

    A sentence never spans two line breaks in a row. In a longer run, line breaks count in pairs: the first and the
    second, the third and the fourth, and so on.
    """
    if len(text) - start <= 2 * size:
        return len(text)
    found = text.find("\n\n", start + size, start + 2 * size)
    if found < 0:
        return 0
    breaks_before = found - start - len(text[start:found].rstrip("\n"))
    return found + 2 - breaks_before % 2


def _segment(code: str, text: str) -> list[str]:
    try:
        sentences: list[str] = sentencex.segment(code, text)
    except UnicodeEncodeError:  # an unpaired surrogate, which UTF-8 cannot encode; "?" takes its place for the search
        lengths = map(len, sentencex.segment(code, text.encode("utf-8", "replace").decode("utf-8")))
        ends = [0, *accumulate(lengths)]
        sentences = [text[start:end] for start, end in pairwise(ends)]
    return sentences
