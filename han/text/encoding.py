"""Encode documents as word ids: ASCII sentences many at a time, other sentences word by word."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from typing import Protocol

import numpy as np
import numpy.typing as npt

from han.text.ascii_words import AsciiWords, find_words, is_plain
from han.text.corpus import Corpus, Int32, Int64, ranges
from han.text.splitting import DocumentSplitter, SplitText, find_in_order
from han.text.words import iterate_words

# Number of characters that are encoded at once; the arrays of many more would not fit into a processor's cache.
CHUNK = 100_000
# Offsets of a word whose position in the text is unknown.
NO_OFFSETS = (-1, -1)


class WordIds(Protocol):
    """Gives each word an id."""

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word."""

    def encode_ascii(self, words: AsciiWords) -> Int32:
        """Return the id of each word [words]."""


def encode_documents(texts: Iterable[str], splitter: DocumentSplitter, ids: WordIds) -> Corpus:
    """Split documents into sentences and words, and replace the words with their ids."""
    return Corpus.concatenate([_encode_chunk(chunk, splitter, ids) for chunk in _chunks(texts)])


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of documents, each of some `CHUNK` characters; at least one list, which may be empty."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text)
    yield chunk


def _is_short(text: str) -> bool:
    """Return whether a document is to be read at once: a longer one is only read until it is truncated."""
    return len(text) <= CHUNK and not isinstance(text, SplitText)


def _encode_chunk(texts: list[str], splitter: DocumentSplitter, ids: WordIds) -> Corpus:
    plain: list[str] = []  # sentences for `find_words`
    others: list[list[str]] = []  # the words of the other sentences
    is_in_plain: list[bool] = []  # for each sentence, in which of the two it is
    sentence_counts, truncated = [], 0
    for text in texts:
        before = len(is_in_plain)
        if splitter.tokenizer is not iterate_words or not _is_short(text):
            words, was_truncated = splitter.split(text)
            others += words
            is_in_plain += [False] * len(words)
            truncated += was_truncated
        elif is_plain(text):
            sentences = [*splitter.sentence_splitter(text)]
            plain += sentences
            is_in_plain += [True] * len(sentences)
        else:
            for sentence in splitter.sentence_splitter(text):
                is_in_plain.append(is_plain(sentence))
                if is_in_plain[-1]:
                    plain.append(sentence)
                else:
                    others.append([*iterate_words(sentence)])
        sentence_counts.append(len(is_in_plain) - before)

    found = find_words(plain)
    choice = np.array(is_in_plain, bool)
    lengths = _interleave(choice, found.sentence_lengths, [len(words) for words in others])
    word_ids = _interleave(
        np.repeat(choice, lengths), ids.encode_ascii(found), ids.encode(chain.from_iterable(others))
    ).astype(np.int32)
    corpus = _cut(word_ids, lengths, np.array(sentence_counts, np.int64), splitter)
    return replace(corpus, truncated=corpus.truncated + truncated)


def encode_with_offsets(
    texts: Iterable[str], splitter: DocumentSplitter, ids: WordIds
) -> tuple[Corpus, list[str], Int32]:
    """Return documents as word ids, their words, and the offsets (start, end) of the words [words, 2].

    Words whose position in the text is unknown have the offsets (-1, -1).
    """
    # The first of each is the result if there are no texts.
    corpora, words, offsets = [_encode_chunk([], splitter, ids)], [], [np.zeros((0, 2), np.int32)]

    def is_located_at_once(text: str) -> bool:
        return splitter.is_default and _is_short(text)

    for chunk in _chunks(texts):
        for at_once, group in groupby(chunk, is_located_at_once):
            corpus, found, positions = (_locate if at_once else _locate_each)([*group], splitter, ids)
            corpora.append(corpus)
            words += found
            offsets.append(positions)
    return Corpus.concatenate(corpora), words, np.concatenate(offsets)


def _locate(texts: list[str], splitter: DocumentSplitter, ids: WordIds) -> tuple[Corpus, list[str], Int32]:
    """Return what `encode_with_offsets` does, for short texts and a splitter that calls none of the user's functions.

    Such a splitter returns the whole text as sentences, and parts of these as words.
    """
    parts = [[*splitter.sentence_splitter(text)] for text in texts]
    sentences = [*chain.from_iterable(parts)]
    plain = [sentence for sentence in sentences if is_plain(sentence)]
    others = [(sentence, [*iterate_words(sentence)]) for sentence in sentences if not is_plain(sentence)]
    spans = [span for sentence, words in others for span in find_in_order(words, sentence)]

    found = find_words(plain)
    choice = np.array([is_plain(sentence) for sentence in sentences], bool)
    counts = _interleave(choice, found.sentence_lengths, [len(words) for _, words in others])
    choice = np.repeat(choice, counts)
    word_ids = _interleave(
        choice, ids.encode_ascii(found), ids.encode(chain.from_iterable(words for _, words in others))
    )
    # `find_words` adds a character to each sentence.
    begins = np.cumsum([0, *(len(sentence) + 1 for sentence in plain)])[:-1]
    starts = _interleave(
        choice, found.starts - np.repeat(begins, found.sentence_lengths), [start for start, _ in spans]
    )
    lengths = _interleave(choice, found.lengths, [end - start for start, end in spans])
    starts += np.repeat(np.cumsum([0, *map(len, sentences)])[:-1], counts)

    sentence_counts = np.array([len(part) for part in parts], np.int64)
    kept = _cut(np.arange(len(starts), dtype=np.int32), counts, sentence_counts, splitter)
    starts, lengths = starts[kept.word_ids], lengths[kept.word_ids]
    together = "".join(texts)
    words = [together[start:end] for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True)]
    starts -= np.repeat(np.cumsum([0, *map(len, texts)])[:-1], kept.word_counts)
    corpus = replace(kept, word_ids=word_ids[kept.word_ids].astype(np.int32))
    return corpus, words, np.stack([starts, starts + lengths], axis=1).astype(np.int32)


def _interleave(choice: npt.NDArray[np.bool_], first: npt.ArrayLike, second: npt.ArrayLike) -> Int64:
    """Return an array with the elements of `first` where `choice` is true and those of `second` elsewhere."""
    merged = np.empty(len(choice), np.int64)
    merged[choice], merged[~choice] = first, second
    return merged


def _locate_each(texts: list[str], splitter: DocumentSplitter, ids: WordIds) -> tuple[Corpus, list[str], Int32]:
    """Return what `encode_with_offsets` does, word by word."""
    words: list[str] = []
    offsets = array("i")

    def split() -> Iterator[tuple[list[list[str]], bool]]:
        for text in texts:
            sentences, truncated = splitter.split_with_offsets(text)
            for word, span in chain.from_iterable(sentences):
                words.append(word)
                offsets.extend(span or NO_OFFSETS)
            yield [[word for word, _ in sentence] for sentence in sentences], truncated

    corpus = Corpus.from_sentences(split(), ids.encode)
    return corpus, words, np.array(offsets, np.int32).reshape(-1, 2)


def _cut(word_ids: Int32, lengths: Int64, counts: Int64, splitter: DocumentSplitter) -> Corpus:
    """Cut sentences that are too long into several, drop those without words, and truncate documents.

    Parameters
    ----------
    word_ids : int32 [words]
    lengths : int64 [sentences]
        Number of words of each sentence.
    counts : int64 [documents]
        Number of sentences of each document.
    splitter : DocumentSplitter
        With the maximum of both.
    """
    parts = -(-lengths // splitter.max_words)
    ends = np.cumsum(parts)
    starts = np.concatenate([[0], ends])
    part_lengths = np.full(starts[-1], splitter.max_words)
    part_lengths[ends[parts > 0] - 1] = (lengths - (parts - 1) * splitter.max_words)[parts > 0]
    sentence_starts = np.concatenate([[0], np.cumsum(part_lengths)])
    corpus = Corpus(word_ids, sentence_starts, starts[np.concatenate([[0], np.cumsum(counts)])])
    counts = corpus.sentence_counts
    truncated = int(np.count_nonzero(counts > splitter.max_sentences))
    if truncated:
        kept = ranges(np.zeros_like(counts), counts) < splitter.max_sentences
        corpus = corpus.keep_words(np.repeat(kept, part_lengths))
    return replace(corpus, truncated=truncated)
