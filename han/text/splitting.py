"""Split a document into sentences of words, with their character offsets in the original text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import filterfalse, islice
from typing import Self, TypeVar

from han.exceptions import InvalidTypeError
from han.text.alignment import Span, Splitter, align
from han.text.sentences import iterate_sentences
from han.text.words import WORD, iterate_words

T = TypeVar("T")


class SplitText(str):
    """A document that is already split into sentences, or into sentences of words.

    As a string, it has one sentence per line and a space between words.

    Parameters
    ----------
    sentences : sequence of str, or of sequences of str
        The sentences, or the words of each sentence.

    Examples
    --------
    >>> from han.text import DocumentSplitter, SplitText
    >>> text = SplitText([["New York", "wins"], ["Again", "!"]])
    >>> print(text)
    New York wins
    Again !
    >>> DocumentSplitter()(text)
    [['New York', 'wins'], ['Again', '!']]
    """

    # Each sentence with its words, or with None if they are not given.
    sentences: list[tuple[str, list[str] | None]]

    def __new__(cls, sentences: Sequence[str] | Sequence[Sequence[str]]) -> Self:
        """Join the sentences."""
        pairs: list[tuple[str, list[str] | None]] = [
            (sentence, None) if isinstance(sentence, str) else (" ".join(sentence), [word for word in sentence if word])
            for sentence in sentences
        ]
        self = super().__new__(cls, "\n".join(sentence for sentence, _ in pairs))
        self.sentences = pairs
        return self


class DocumentSplitter:
    """Split a document into sentences of words, with a maximum number of both.

    A `SplitText` keeps its sentences, and its words if it has them.

    Parameters
    ----------
    max_sentences : int, default 512
        Number of sentences to keep; the rest of the document is truncated.
    max_words : int, default 50
        Number of words in a sentence; a longer sentence continues as another sentence.
    sentence_splitter : callable str -> iterable of str or None, default None
        Splits a document into sentences. None uses `split_sentences`.
    tokenizer : callable str -> iterable of str or None, default None
        Splits a sentence into words. None uses `split_words`.
    language : str, default "en"
        Language of `split_sentences`.

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
        sentence_splitter: Splitter | None = None,
        tokenizer: Splitter | None = None,
        language: str = "en",
    ) -> None:
        self.max_sentences = max_sentences
        self.max_words = max_words
        self.sentence_splitter: Splitter = partial(iterate_sentences, language=language)
        self._custom_sentences = sentence_splitter is not None
        if sentence_splitter is not None:
            self.sentence_splitter = _check_strings(sentence_splitter, "sentence_splitter")
        self.tokenizer: Splitter = iterate_words if tokenizer is None else _check_strings(tokenizer, "tokenizer")
        # A sentence with this many words fills the document on its own: the rest of it need not be read.
        self._word_limit = (max_sentences + 1) * max_words

    @property
    def is_default(self) -> bool:
        """Whether it calls none of the user's functions, which may not be thread-safe."""
        return self.tokenizer is iterate_words and not self._custom_sentences

    def __call__(self, text: str) -> list[list[str]]:
        """Return the words of each sentence; sentences without words are dropped."""
        return self.split(text)[0]

    def split(self, text: str) -> tuple[list[list[str]], bool]:
        """Return the words of each sentence, and whether the document was truncated at `max_sentences`."""
        sentences: list[list[str]] = []
        for sentence, given_words in self._sentences(text):
            words = self._tokenize(sentence) if given_words is None else given_words
            if len(words) <= self.max_words:
                if words:
                    sentences.append(words)
            else:
                sentences += _chunks(words, self.max_words)
            if len(sentences) > self.max_sentences:
                return sentences[: self.max_sentences], True
        return sentences, False

    def spans(self, text: str) -> list[list[Span | None]]:
        """Return the character offsets (start, end) of each word that calling the splitter returns.

        A word that a custom function has changed has the offsets of its source in the text, or None where they are
        uncertain; see `han.text.alignment`.
        """
        return [[span for _, span in sentence] for sentence in self.split_with_offsets(text)[0]]

    def split_with_offsets(self, text: str) -> tuple[list[list[tuple[str, Span | None]]], bool]:
        """Return the result of `split`, where each word is paired with its offsets or None."""
        result: list[list[tuple[str, Span | None]]] = []
        cached_tokenizer = lru_cache(maxsize=None)(lambda part: tuple(self.tokenizer(part)))
        for sentence, given_words, sentence_span in self._sentences_with_offsets(text):
            words = self._tokenize(sentence) if given_words is None else given_words
            spans: list[Span | None] = [None] * len(words)
            if sentence_span is not None:
                start, end = sentence_span
                if given_words is not None or (sentence == text[start:end] and self.tokenizer is iterate_words):
                    found: Sequence[Span | None] = find_in_order(words, sentence)
                else:
                    truncated = len(words) == self._word_limit
                    found = align(words, text[start:end], WORD, cached_tokenizer, truncated=truncated)
                spans = [span and (start + span[0], start + span[1]) for span in found]
            result += _chunks([*zip(words, spans, strict=True)], self.max_words)
            if len(result) > self.max_sentences:
                return result[: self.max_sentences], True
        return result, False

    def _tokenize(self, sentence: str) -> list[str]:
        return list(islice(self.tokenizer(sentence), self._word_limit))

    def _sentences_with_offsets(self, text: str) -> Iterator[tuple[str, list[str] | None, Span | None]]:
        """Yield each sentence, its words if they are given, and its offsets or None."""
        if self._custom_sentences and not isinstance(text, SplitText):
            sentences = list(self.sentence_splitter(text))
            for sentence, span in zip(sentences, align(sentences, text, WORD), strict=True):
                yield sentence, None, span
            return
        end = 0
        for sentence, given_words in self._sentences(text):
            ((start, end),) = find_in_order([sentence], text, end)
            yield sentence, given_words, (start, end)

    def _sentences(self, text: str) -> Iterator[tuple[str, list[str] | None]]:
        """Yield each sentence, and its words if they are given."""
        if isinstance(text, SplitText):
            yield from text.sentences
        else:
            sentences: Iterable[str] = self.sentence_splitter(text)
            if self.tokenizer is iterate_words:  # white space, of which there may be a lot, has no words
                sentences = filterfalse(str.isspace, sentences)
            for sentence in sentences:
                yield sentence, None


def find_in_order(parts: Iterable[str], text: str, end: int = 0) -> list[Span]:
    """Return the offsets of parts of a text that follow one another, searching from `end` on."""
    return [((start := text.index(part, end)), (end := start + len(part))) for part in parts]


def _check_strings(function: Splitter, argument: str) -> Splitter:
    """Wrap a user's function so that it raises a TypeError if it returns anything but strings."""

    def call(text: str) -> list[str]:
        parts = function(text)
        if isinstance(parts, str) or not isinstance(parts, Iterable):
            raise InvalidTypeError(f"{argument} must return an iterable of str, got {type(parts).__name__}")
        parts = list(parts)
        for part in parts:
            if not isinstance(part, str):
                raise InvalidTypeError(
                    f"{argument} must return an iterable of str, got an iterable that contains {type(part).__name__}"
                )
        return parts

    return call


def _chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Cut a sequence into lists of `size` items; the last one may be shorter."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
