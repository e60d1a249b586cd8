"""Text to sentences and words, each with its character offsets in the original string."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import TypeVar

import sentencex

T = TypeVar("T")
Span = tuple[int, int]
Splitter = Callable[[str], Iterable[str]]

_SENTENCE_END = re.compile("[.!?。！？]")
# A word is letters, digits and underscores, with apostrophes inside ("don't"); other visible characters stand alone.
_WORD = re.compile(r"\w+(?:['’]\w+)*|\S")


def split_sentences(text: str) -> list[str]:
    """Split English text into sentences, each with the white space that follows it.

    A text with line breaks and without any mark that ends a sentence has a sentence on each line.

    Examples
    --------
    >>> from han.text import split_sentences
    >>> split_sentences("Dr. Smith slept. Nobody minded!")
    ['Dr. Smith slept. ', 'Nobody minded!']
    """
    if "\n" in text and not _SENTENCE_END.search(text):
        return text.splitlines(keepends=True)
    try:
        pieces: list[str] = sentencex.segment("en", text)
    except UnicodeEncodeError:  # half of a surrogate pair, which is not a character; put something else in its place
        lengths = map(len, sentencex.segment("en", text.encode("utf-8", "replace").decode("utf-8")))
        ends = [0, *accumulate(lengths)]
        pieces = [text[start:end] for start, end in pairwise(ends)]
    return pieces


def split_words(sentence: str) -> list[str]:
    """Split a sentence into words and punctuation marks.

    Examples
    --------
    >>> from han.text import split_words
    >>> split_words("It isn't bad, is it?")
    ['It', "isn't", 'bad', ',', 'is', 'it', '?']
    """
    return _WORD.findall(sentence)


class DocumentSplitter:
    """Text to a list of sentences of words, within caps on both.

    Parameters
    ----------
    max_sentences : int, default 512
        Sentences kept of a document; the rest is cut.
    max_words : int, default 50
        Words in a sentence; a longer sentence is continued as a further sentence.
    sentence_splitter : callable str -> iterable of str, default `split_sentences`
    tokenizer : callable str -> iterable of str, default `split_words`
        Splits one sentence into words.

    Examples
    --------
    >>> from han.text import DocumentSplitter
    >>> DocumentSplitter()("Dr. Smith slept. Nobody minded!")
    [['Dr', '.', 'Smith', 'slept', '.'], ['Nobody', 'minded', '!']]
    >>> DocumentSplitter().spans("So. Good!")
    [[(0, 2), (2, 3)], [(4, 8), (8, 9)]]
    """

    def __init__(
        self,
        max_sentences: int = 512,
        max_words: int = 50,
        sentence_splitter: Splitter = split_sentences,
        tokenizer: Splitter = split_words,
    ) -> None:
        self.max_sentences = max_sentences
        self.max_words = max_words
        self.sentence_splitter = _checked(sentence_splitter, "sentence_splitter")
        self.tokenizer = _checked(tokenizer, "tokenizer")

    def __call__(self, text: str) -> list[list[str]]:
        """Return the words of each sentence; sentences without words are left out."""
        return self.split(text)[0]

    def split(self, text: str) -> tuple[list[list[str]], bool]:
        """Return the words of each sentence, and whether the document was cut at `max_sentences`."""
        sentences: list[list[str]] = []
        for sentence in self.sentence_splitter(text):
            words = list(self.tokenizer(sentence))
            if len(words) <= self.max_words:
                if words:
                    sentences.append(words)
            else:
                sentences += _chunks(words, self.max_words)
            if len(sentences) > self.max_sentences:
                return sentences[: self.max_sentences], True
        return sentences, False

    def spans(self, text: str) -> list[list[Span]]:
        """Return the character offsets (start, end) of each word, for the same sentences and words as a call.

        Raises
        ------
        ValueError
            If the sentence splitter or the tokenizer returns something that is not in the text, in order.
        """
        return self.split_spans(text)[0]

    def split_spans(self, text: str) -> tuple[list[list[Span]], bool]:
        """Return the offsets as `spans` does, and whether the document was cut at `max_sentences`."""
        spans: list[list[Span]] = []
        cursor = 0
        for sentence in self.sentence_splitter(text):
            ((start, cursor),) = locate([sentence], text, cursor, "sentence_splitter")
            words = locate(self.tokenizer(sentence), sentence, 0, "tokenizer")
            spans += _chunks([(start + a, start + b) for a, b in words], self.max_words)
            if len(spans) > self.max_sentences:
                return spans[: self.max_sentences], True
        return spans, False


def locate(pieces: Iterable[str], text: str, cursor: int, argument: str) -> list[Span]:
    """Return the offsets in `text` of pieces that follow one another in it, from `cursor` on.

    Raises
    ------
    ValueError
        If a piece does not occur after the piece before it; the message names `argument`.
    """
    spans = []
    for piece in pieces:
        start = text.find(piece, cursor)
        if start < 0:
            raise ValueError(
                f"{argument} must return pieces of the text it was given, in order, for character offsets to exist; "
                f"got {piece!r}, which is not in the rest of the text"
            )
        cursor = start + len(piece)
        spans.append((start, cursor))
    return spans


def _checked(function: Splitter, argument: str) -> Splitter:
    """Return the function, made to raise a TypeError that names `argument` if it returns anything but strings."""
    if function in (split_sentences, split_words):
        return function

    def call(text: str) -> list[str]:
        pieces = function(text)
        if isinstance(pieces, str) or not isinstance(pieces, Iterable):
            raise TypeError(f"{argument} must return an iterable of str, got {type(pieces).__name__}")
        pieces = list(pieces)
        for piece in pieces:
            if not isinstance(piece, str):
                raise TypeError(f"{argument} must return an iterable of str, got one with {type(piece).__name__} in it")
        return pieces

    return call


def _chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Cut a sequence into lists of `size` items, the last of which may be shorter."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
