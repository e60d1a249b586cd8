"""Find the character offsets of tokens in a text, even if a function such as a stemmer has changed them.

A token gets offsets only where there is evidence for them, from the first of these rules that applies:

1. The tokens are the text itself, in order, except for white space between them.
2. The tokens contain all letters and digits of the text, in order, regardless of case, width, accents and punctuation.
3. The function returns the same tokens for a part of the text: a part between white space, then a single word. This
   rule finds stems, lemmas and masked numbers, and detects the words that a tokenizer drops.
4. Between two tokens with offsets, the remaining tokens occur as whole words in exactly one way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

import regex

from han.text.normalization import PLAIN

Span = tuple[int, int]
Splitter = Callable[[str], Iterable[str]]
Pattern = re.Pattern[str] | regex.Pattern[str]

_SPACE = re.compile(r"\s*")
_BETWEEN_SPACES = re.compile(r"\s*\S+")
# Unicode categories of marks and of format characters, which belong to the character before them.
_ATTACHED = ("Mn", "Mc", "Me", "Cf")


def align(
    tokens: Sequence[str],
    text: str,
    word_pattern: Pattern,
    function: Splitter | None = None,
    *,
    truncated: bool = False,
) -> list[Span | None]:
    """Return the offsets of each token in the text, or None where they are uncertain.

    Runs in linear time in the length of the text, apart from the calls of `function`.

    Parameters
    ----------
    tokens : sequence of str
        Tokens of the text, in order.
    text : str
    word_pattern : compiled pattern
        Matches the words of a text.
    function : callable str -> iterable of str, optional
        The function that returned the tokens; it is called on parts of the text.
    truncated : bool, default False
        Whether the function returned further tokens for the rest of the text.

    Returns
    -------
    list of (start, end) or None [tokens]
        In order and without overlaps.
    """
    spans = _align(tokens, text, () if function is None else (_BETWEEN_SPACES, word_pattern), function, truncated)
    if None in spans:
        _fill_gaps(spans, tokens, text, word_pattern)
    return spans


def _align(
    tokens: Sequence[str], text: str, part_patterns: tuple[Pattern, ...], function: Splitter | None, truncated: bool
) -> list[Span | None]:
    spans = _align_verbatim(tokens, text, truncated) or _align_letters(tokens, text, truncated)
    if spans:
        return spans
    if part_patterns and function is not None:
        return _align_parts(tokens, text, part_patterns, function, truncated)
    return [None] * len(tokens)


def _align_verbatim(tokens: Sequence[str], text: str, truncated: bool) -> list[Span | None] | None:
    """Align tokens that are the whole text except for white space between them."""
    spans: list[Span | None] = []
    end = 0
    for token in tokens:
        start = end if text.startswith(token, end) else _skip_space(text, end)
        if not text.startswith(token, start):
            return None
        end = start + len(token)
        spans.append((start, end))
    return spans if truncated or _skip_space(text, end) == len(text) else None


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _align_letters(tokens: Sequence[str], text: str, truncated: bool) -> list[Span | None] | None:
    """Align tokens with the same letters and digits as the text; both may have other characters in between."""
    rest = ((folded, index) for index, character in enumerate(text) for folded in _fold(character))
    current, index = next(rest, ("", len(text)))
    spans: list[Span | None] = []
    previous_end = 0
    for token in tokens:
        matched = []
        for character in token:
            for expected in _fold(character):
                while current != expected and current and not current.isalnum():
                    current, index = next(rest, ("", len(text)))
                if current == expected:
                    matched.append(index)
                    current, index = next(rest, ("", len(text)))
                elif expected.isalnum():
                    return None
        if matched and matched[0] >= previous_end:  # half of a ligature has no offsets of its own
            previous_end = _skip_attached(text, matched[-1] + 1)
            spans.append((matched[0], previous_end))
        else:
            spans.append(None)
    if not truncated and (current.isalnum() or any(folded.isalnum() for folded, _ in rest)):
        return None
    return spans


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    """Remove case, width and accents from a character; white space, marks and invisible characters become empty."""
    letters = unicodedata.normalize("NFKD", PLAIN.get(character, character)).casefold()
    return "".join(
        PLAIN.get(letter, letter)
        for letter in unicodedata.normalize("NFKD", letters)
        if not letter.isspace() and unicodedata.category(letter) not in _ATTACHED
    )


def _skip_attached(text: str, position: int) -> int:
    while position < len(text) and unicodedata.category(text[position]) in _ATTACHED:
        position += 1
    return position


def _align_parts(
    tokens: Sequence[str], text: str, part_patterns: tuple[Pattern, ...], function: Splitter, truncated: bool
) -> list[Span | None]:
    """Align tokens with the parts of the text for which the function returns the same tokens."""
    part_spans: list[Span] = []
    part_tokens: list[tuple[str, int]] = []
    for match in part_patterns[0].finditer(text):
        part_tokens += ((token, len(part_spans)) for token in _call(function, match.group()))
        part_spans.append(match.span())
        if truncated and len(part_tokens) >= len(tokens):
            break
    if truncated:
        del part_tokens[len(tokens) :]
    parts = _match_parts(tokens, part_tokens)
    counts = [0] * len(part_spans)
    for _, part in part_tokens:
        counts[part] += 1

    spans: list[Span | None] = []
    for part, group in groupby(zip(tokens, parts, strict=True), key=lambda pair: pair[1]):
        members = [token for token, _ in group]
        if part is None or len(members) < counts[part]:
            spans += [None] * len(members)
            continue
        start, end = part_spans[part]
        start = _skip_space(text, start)
        inner = _align(members, text[start:end], part_patterns[1:], function, truncated=False)
        if inner == [None]:
            inner = [(0, end - start)]
        spans += ((start + span[0], start + span[1]) if span else None for span in inner)
    return spans


def _call(function: Splitter, part: str) -> list[str]:
    # A function that expects whole sentences may fail on a part of one.
    try:
        return list(function(part))
    except Exception:
        return []


def _match_parts(tokens: Sequence[str], part_tokens: Sequence[tuple[str, int]]) -> list[int | None]:
    """Return the part that each token comes from, where the tokens of the parts agree with those of the text."""
    if len(part_tokens) == len(tokens):
        return [
            part if token == part_token else None for token, (part_token, part) in zip(tokens, part_tokens, strict=True)
        ]
    shorter = min(len(part_tokens), len(tokens))
    prefix = next((i for i in range(shorter) if tokens[i] != part_tokens[i][0]), shorter)
    suffix = next((i for i in range(shorter - prefix) if tokens[-1 - i] != part_tokens[-1 - i][0]), shorter - prefix)
    return [
        *(part for _, part in part_tokens[:prefix]),
        *[None] * (len(tokens) - prefix - suffix),
        *(part for _, part in part_tokens[len(part_tokens) - suffix :]),
    ]


def _fill_gaps(spans: list[Span | None], tokens: Sequence[str], text: str, word_pattern: Pattern) -> None:
    """Align tokens that occur as whole words, in exactly one way, between tokens with offsets."""
    position = previous_end = 0
    for missing, group in groupby(list(spans), key=lambda span: span is None):
        members = list(group)
        after = position + len(members)
        if not missing:
            previous_end = next(span[1] for span in reversed(members) if span)
        else:
            following = spans[after] if after < len(spans) else None
            gap = text[previous_end : following[0] if following else len(text)]
            for index, start, end in _unique_occurrences(tokens[position:after], gap, word_pattern):
                spans[position + index] = (previous_end + start, previous_end + end)
        position = after


def _unique_occurrences(tokens: Sequence[str], text: str, word_pattern: Pattern) -> Iterator[tuple[int, int, int]]:
    """Yield the index, start and end of each token that can occur at only one position, given the order of tokens."""
    word_spans = [match.span() for match in word_pattern.finditer(text)]
    words = {text[start:end] for start, end in word_spans}
    present = [index for index, token in enumerate(tokens) if token and words.issuperset(word_pattern.findall(token))]
    starts, ends = {start for start, _ in word_spans}, {end for _, end in word_spans}
    earliest = _first_occurrences([tokens[index] for index in present], text, starts, ends)
    # The latest occurrences are the earliest ones in the reversed text.
    size = len(text)
    reversed_spans = _first_occurrences(
        [tokens[index][::-1] for index in reversed(present)], text[::-1],
        {size - end for end in ends}, {size - start for start in starts},
    )  # fmt: skip
    latest = [(size - end, size - start) for start, end in reversed(reversed_spans)]
    for index, first, last in zip(present, earliest, latest, strict=False):
        if first == last:
            yield index, *first


def _first_occurrences(tokens: Sequence[str], text: str, starts: set[int], ends: set[int]) -> list[Span]:
    """Return the first occurrence of each token after the previous one, at word boundaries; empty if one is missing."""
    spans = []
    end = 0
    for token in tokens:
        start = text.find(token, end)
        while start >= 0 and not (start in starts and start + len(token) in ends):
            start = text.find(token, start + 1)
        if start < 0:
            return []
        end = start + len(token)
        spans.append((start, end))
    return spans
