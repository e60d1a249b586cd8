"""Text to sentences and words, each with its character offsets in the original string."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate, filterfalse, islice, pairwise
from typing import Self, TypeVar

import regex
import sentencex

from han.exceptions import InvalidTypeError
from han.text.alignment import Place, Span, Splitter, align
from han.text.normalization import APOSTROPHES, INVISIBLE_BMP, PLAIN

T = TypeVar("T")

_SENTENCE_END = re.compile("[.!?。！？।॥؟۔]")
# A word is letters, digits and underscores, with apostrophes inside ("don't"); other visible characters stand alone.
_ASCII_WORD = re.compile(r"\w+(?:['`]\w+)*|\S")
# The same for all scripts: marks (Hindi's vowels) and invisible characters belong to the letter before them. What
# stands alone is what readers see as one character, such as an emoji with its modifiers; and, where words are not set
# apart by spaces, each letter (but for Japanese loanwords, in katakana).
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
# To Unicode, some apostrophes and some invisible characters are letters.
_NO_LETTER = r"\u02b9\u02bb-\u02bd\ua78c\u115f\u1160\u3164\uffa0"
_LETTER = rf"[[\p{{L}}\p{{N}}_]--[{_UNSPACED}{_NO_LETTER}]]"
_LETTERS = rf"{_LETTER}[{_LETTER}||[\p{{M}}\p{{DI}}]]*"
# What Python takes for white space is more than `regex` does.
WORD_PATTERN = rf"{_LETTERS}(?:[{APOSTROPHES}]\p{{DI}}*{_LETTERS})*|(?![\s\x1c-\x1f\p{{DI}}])\X"
_WORD = regex.compile(WORD_PATTERN, regex.VERSION1)
# When sentences are found, these characters are read as others, and invisible ones are skipped, as is the first half of
# "\r\n". Those outside the basic multilingual plane are not: they stand within words, and take long to look for.
_READ_AS = {**PLAIN, **dict.fromkeys("\r\u2028\u2029", "\n")}
_NOT_PLAIN = re.compile(f"[{INVISIBLE_BMP}{''.join(_READ_AS)}]")
_SPACE = re.compile(r"\s")
# A text of twice as many characters is split in one go, longer ones in pieces, so that what is cut need not be read:
# where nothing stands between words, finding sentences takes time with the square of the length.
PIECE = 25_000
# A sentence of twice as many characters ends with its next word.
LONGEST_PIECE = 8 * PIECE


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split text into sentences, each with the white space that follows it.

    A text with line breaks and without any mark that ends a sentence has a sentence on each line.

    Parameters
    ----------
    text : str
    language : str, default "en"
        ISO 639 code of the language, whose abbreviations do not end a sentence; a region after a hyphen is let go.

    Examples
    --------
    >>> from han.text.splitting import split_sentences
    >>> split_sentences("Dr. Smith slept. Nobody minded!")
    ['Dr. Smith slept. ', 'Nobody minded!']
    >>> split_sentences("Am 3. Oktober kam z. B. Dr. Vogt. Warum?", language="de")
    ['Am 3. Oktober kam z. B. Dr. Vogt. ', 'Warum?']
    """
    return list(iterate_sentences(text, language))


def iterate_sentences(text: str, language: str = "en") -> Iterator[str]:
    """Yield what `split_sentences` returns, without reading much more of a long text than is asked for.

    Line breaks are all alike: those of Windows and of old Macs, and Unicode's separators of lines and paragraphs. So
    are a keyboard's quotes, apostrophes and dashes and their typographic variants; invisible characters are skipped.
    Paragraphs of more than 50,000 characters are read in pieces, and a quotation that continues from one piece into the
    next does not hold its sentences together.
    """
    is_plain = "\r" not in text and "`" not in text if text.isascii() else not _NOT_PLAIN.search(text)
    return _iterate(text, language) if is_plain else _iterate_plain(text, language)


def _iterate_plain(text: str, language: str) -> Iterator[str]:
    """Yield the sentences of a text, found in its plain form: plain line breaks and quotes, nothing invisible."""
    plain = _NOT_PLAIN.sub(_plain, text)
    skipped = []
    if len(plain) < len(text):
        skipped = [match.start() for match in _NOT_PLAIN.finditer(text) if not _plain(match)]
    before = end = 0
    for piece in _iterate(plain, language):
        offsets = []
        for offset in (start := plain.index(piece, end), end := start + len(piece)):
            while before < len(skipped) and skipped[before] - before < offset:
                before += 1
            offsets.append(offset + before)
        if end == len(plain):
            offsets[1] = len(text)
        yield text[slice(*offsets)]
    if text and not plain:  # nothing in it is visible
        yield text


def _plain(match: re.Match[str]) -> str:
    if match.group() == "\r" and match.string.startswith("\n", match.end()):
        return ""
    return _READ_AS.get(match.group(), "")


def _iterate(text: str, language: str) -> Iterator[str]:
    """Yield the sentences of a text with plain line breaks."""
    code = language.partition("-")[0]
    by_line = "\n" in text and not _SENTENCE_END.search(text)
    start, size = 0, PIECE
    while start < len(text):
        if by_line:
            end = text.find("\n", start + size) + 1 or len(text)
            sentences = text[start:end].splitlines(keepends=True)
        elif end := _end_of_paragraph(text, start, size):
            sentences = _segment(code, text[start:end])
        else:
            end = start + 2 * size
            sentences = _segment(code, text[start:end])
            if len(sentences) > 1:  # the last one may go on
                end = text.rindex(sentences.pop(), start, end)
            elif size < LONGEST_PIECE:
                size *= 2
                continue
            else:
                space = _SPACE.search(text, end)
                end = space.end() if space else len(text)
                sentences = [text[start:end]]
        yield from sentences
        start, size = end, PIECE


def _end_of_paragraph(text: str, start: int, size: int) -> int:
    """Return where a paragraph ends that ends between `size` and twice as many characters from `start`, or else 0.

    Sentences do not reach beyond two line breaks. Of more in a row, the first and the second belong together, the third
    and the fourth, and so on.
    """
    if len(text) - start <= 2 * size:
        return len(text)
    found = text.find("\n\n", start + size, start + 2 * size)
    if found < 0:
        return 0
    before = found - start - len(text[start:found].rstrip("\n"))
    return found + 2 - before % 2


def _segment(code: str, text: str) -> list[str]:
    try:
        pieces: list[str] = sentencex.segment(code, text)
    except UnicodeEncodeError:  # half of a surrogate pair, which is not a character; put something else in its place
        lengths = map(len, sentencex.segment(code, text.encode("utf-8", "replace").decode("utf-8")))
        ends = [0, *accumulate(lengths)]
        pieces = [text[start:end] for start, end in pairwise(ends)]
    return pieces


def split_words(sentence: str) -> list[str]:
    """Split a sentence into words and punctuation marks.

    In Chinese, Japanese, Thai and other scripts without spaces between words, each letter is a word of its own.

    Examples
    --------
    >>> from han.text.splitting import split_words
    >>> split_words("It isn't bad, is it?")
    ['It', "isn't", 'bad', ',', 'is', 'it', '?']
    >>> split_words("हिन्दी में NLP: 我爱北京。")
    ['हिन्दी', 'में', 'NLP', ':', '我', '爱', '北', '京', '。']
    """
    return list(_find_words(sentence))


def _find_words(sentence: str) -> Iterable[str]:
    """Return what `split_words` does, of a long sentence one word after the other."""
    pattern = _ASCII_WORD if sentence.isascii() else _WORD
    if len(sentence) > PIECE:
        return (match.group() for match in pattern.finditer(sentence))
    words: list[str] = pattern.findall(sentence)
    return words


class SplitText(str):
    """A document that came in sentences, or in sentences of words: as a string, a sentence a line, words with spaces.

    Parameters
    ----------
    sentences : sequence of str, or of sequences of str
        Sentences; or the words of each.

    Examples
    --------
    >>> from han.text.splitting import DocumentSplitter, SplitText
    >>> text = SplitText([["New York", "wins"], ["Again", "!"]])
    >>> print(text)
    New York wins
    Again !
    >>> DocumentSplitter()(text)
    [['New York', 'wins'], ['Again', '!']]
    """

    pieces: list[tuple[str, list[str] | None]]

    def __new__(cls, sentences: Sequence[str] | Sequence[Sequence[str]]) -> Self:
        """Join the sentences."""
        pieces: list[tuple[str, list[str] | None]] = [
            (part, None) if isinstance(part, str) else (" ".join(part), [word for word in part if word])
            for part in sentences
        ]
        self = super().__new__(cls, "\n".join(text for text, _ in pieces))
        self.pieces = pieces
        return self


class DocumentSplitter:
    """Text to a list of sentences of words, within caps on both.

    A `SplitText` keeps its sentences, and its words if it has any.

    Parameters
    ----------
    max_sentences : int, default 512
        Sentences kept of a document; the rest is cut.
    max_words : int, default 50
        Words in a sentence; a longer sentence is continued as a further sentence.
    sentence_splitter : callable str -> iterable of str or None, default None
        None is `split_sentences`.
    tokenizer : callable str -> iterable of str or None, default None
        Splits one sentence into words. None is `split_words`.
    language : str, default "en"
        Of `split_sentences`.

    Examples
    --------
    >>> from han.text.splitting import DocumentSplitter
    >>> DocumentSplitter()("Dr. Smith slept. Nobody minded!")
    [['Dr', '.', 'Smith', 'slept', '.'], ['Nobody', 'minded', '!']]
    >>> DocumentSplitter().spans("So. Good!")
    [[(0, 2), (2, 3)], [(4, 8), (8, 9)]]
    """

    def __init__(
        self,
        max_sentences: int = 512,
        max_words: int = 50,
        sentence_splitter: Splitter | None = None,
        tokenizer: Splitter | None = None,
        language: str = "en",
    ) -> None:
        self.max_sentences = max_sentences
        self.max_words = max_words
        self.sentence_splitter: Splitter = partial(iterate_sentences, language=language)
        self._own_sentences = sentence_splitter is not None
        if sentence_splitter is not None:
            self.sentence_splitter = _checked(sentence_splitter, "sentence_splitter")
        self.tokenizer: Splitter = _find_words if tokenizer is None else _checked(tokenizer, "tokenizer")
        # Words of one sentence that are enough for the document to be cut.
        self._most_words = (max_sentences + 1) * max_words

    def __call__(self, text: str) -> list[list[str]]:
        """Return the words of each sentence; sentences without words are left out."""
        return self.split(text)[0]

    def split(self, text: str) -> tuple[list[list[str]], bool]:
        """Return the words of each sentence, and whether the document was cut at `max_sentences`."""
        sentences: list[list[str]] = []
        for sentence, given in self._sentences(text):
            words = list(islice(self.tokenizer(sentence), self._most_words)) if given is None else given
            if len(words) <= self.max_words:
                if words:
                    sentences.append(words)
            else:
                sentences += _chunks(words, self.max_words)
            if len(sentences) > self.max_sentences:
                return sentences[: self.max_sentences], True
        return sentences, False

    def spans(self, text: str) -> list[list[Place]]:
        """Return the character offsets (start, end) of each word, for the same sentences and words as a call.

        A word that a splitter changed has the offsets of what it was made from, or None where they are not certain; see
        `han.text.alignment`.
        """
        return [[place for _, place in sentence] for sentence in self.split_located(text)[0]]

    def split_located(self, text: str) -> tuple[list[list[tuple[str, Place]]], bool]:
        """Return what `split` does, each word with its offsets or None."""
        located: list[list[tuple[str, Place]]] = []
        tokenize = lru_cache(maxsize=None)(lambda part: tuple(self.tokenizer(part)))
        for sentence, given, place in self._located_sentences(text):
            words = list(islice(self.tokenizer(sentence), self._most_words)) if given is None else given
            places: list[Place] = [None] * len(words)
            if place is not None:
                start, end = place
                if given is not None or (sentence == text[start:end] and self.tokenizer is _find_words):
                    found: Sequence[Place] = _in_order(words, sentence)
                else:
                    found = align(words, text[start:end], _WORD, tokenize, cut=len(words) == self._most_words)
                places = [span and (start + span[0], start + span[1]) for span in found]
            located += _chunks([*zip(words, places, strict=True)], self.max_words)
            if len(located) > self.max_sentences:
                return located[: self.max_sentences], True
        return located, False

    def _located_sentences(self, text: str) -> Iterator[tuple[str, list[str] | None, Place]]:
        """Yield what `_sentences` does, each with its offsets or None."""
        if self._own_sentences and not isinstance(text, SplitText):
            sentences = list(self.sentence_splitter(text))
            for sentence, place in zip(sentences, align(sentences, text, _WORD), strict=True):
                yield sentence, None, place
            return
        end = 0
        for sentence, given in self._sentences(text):
            ((start, end),) = _in_order([sentence], text, end)
            yield sentence, given, (start, end)

    def _sentences(self, text: str) -> Iterator[tuple[str, list[str] | None]]:
        """Yield each sentence, with its words if they are given."""
        if isinstance(text, SplitText):
            yield from text.pieces
        else:
            sentences: Iterable[str] = self.sentence_splitter(text)
            if self.tokenizer is _find_words:  # which finds nothing in white space, of which there may be a lot
                sentences = filterfalse(str.isspace, sentences)
            for sentence in sentences:
                yield sentence, None


def _in_order(pieces: Iterable[str], text: str, end: int = 0) -> list[Span]:
    """Return the offsets of pieces of a text that follow one another in it, from `end` on."""
    return [((start := text.index(piece, end)), (end := start + len(piece))) for piece in pieces]


def _checked(function: Splitter, argument: str) -> Splitter:
    """Return the function, made to raise a TypeError that names `argument` if it returns anything but strings."""

    def call(text: str) -> list[str]:
        pieces = function(text)
        if isinstance(pieces, str) or not isinstance(pieces, Iterable):
            raise InvalidTypeError(f"{argument} must return an iterable of str, got {type(pieces).__name__}")
        pieces = list(pieces)
        for piece in pieces:
            if not isinstance(piece, str):
                raise InvalidTypeError(
                    f"{argument} must return an iterable of str, got one with {type(piece).__name__} in it"
                )
        return pieces

    return call


def _chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Cut a sequence into lists of `size` items, the last of which may be shorter."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
