"""Where in a text the pieces come from that a function made of it and may have changed, such as a tokenizer that stems.

A piece has a place only where there is evidence for it, by the first of these that applies:

1. The pieces are the text, in order, without some of its white space.
2. The pieces hold all letters and digits of the text, in order, whatever happened to case, width, accents and
   punctuation.
3. The function makes the same of a part of the text alone: of what stands between white space, then of a word. That
   places stems, lemmas and masked numbers, and shows which words a tokenizer leaves out.
4. Between two pieces that have places, the pieces occur as whole words in exactly one way.
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
Place = Span | None
Splitter = Callable[[str], Iterable[str]]
Pattern = re.Pattern[str] | regex.Pattern[str]

_SPACE = re.compile(r"\s*")
_BETWEEN_SPACE = re.compile(r"\s*\S+")
# Marks, and characters that only affect others.
_ATTACHED = ("Mn", "Mc", "Me", "Cf")


def align(
    pieces: Sequence[str], text: str, word: Pattern, function: Splitter | None = None, *, cut: bool = False
) -> list[Place]:
    """Return the place of each piece in the text, or None.

    The time is linear in the length of the text, but for what `function` takes.

    Parameters
    ----------
    pieces : sequence of str
        What was made of the text, in order.
    text : str
    word : compiled pattern
        Matches the words of a text.
    function : callable str -> iterable of str, optional
        What made the pieces, to be called on parts of the text.
    cut : bool, default False
        Whether there were more pieces, of the rest of the text.

    Returns
    -------
    list of (start, end) or None [pieces]
        In order, without overlaps.
    """
    places = _align(pieces, text, () if function is None else (_BETWEEN_SPACE, word), function, cut)
    if None in places:
        _place_between(places, pieces, text, word)
    return places


def _align(
    pieces: Sequence[str], text: str, parts: tuple[Pattern, ...], function: Splitter | None, cut: bool
) -> list[Place]:
    places = _verbatim(pieces, text, cut) or _by_letters(pieces, text, cut)
    if places:
        return places
    if parts and function is not None:
        return _by_parts(pieces, text, parts, function, cut)
    return [None] * len(pieces)


def _verbatim(pieces: Sequence[str], text: str, cut: bool) -> list[Place] | None:
    """Place pieces that are the whole text except for white space between them."""
    places: list[Place] = []
    end = 0
    for piece in pieces:
        start = end if text.startswith(piece, end) else _after_space(text, end)
        if not text.startswith(piece, start):
            return None
        end = start + len(piece)
        places.append((start, end))
    return places if cut or _after_space(text, end) == len(text) else None


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _by_letters(pieces: Sequence[str], text: str, cut: bool) -> list[Place] | None:
    """Place pieces with the same letters and digits as the text; either may have other characters in between."""
    rest = ((folded, index) for index, character in enumerate(text) for folded in _fold(character))
    found, index = next(rest, ("", len(text)))
    places: list[Place] = []
    free = 0
    for piece in pieces:
        matched = []
        for character in piece:
            for wanted in _fold(character):
                while found != wanted and found and not found.isalnum():
                    found, index = next(rest, ("", len(text)))
                if found == wanted:
                    matched.append(index)
                    found, index = next(rest, ("", len(text)))
                elif wanted.isalnum():
                    return None
        if matched and matched[0] >= free:  # half of a ligature has no place
            free = _after_attached(text, matched[-1] + 1)
            places.append((matched[0], free))
        else:
            places.append(None)
    if not cut and (found.isalnum() or any(folded.isalnum() for folded, _ in rest)):
        return None
    return places


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    """Return a character without case, width and accents; nothing for white space, marks and invisible characters."""
    letters = unicodedata.normalize("NFKD", PLAIN.get(character, character)).casefold()
    return "".join(
        PLAIN.get(letter, letter)
        for letter in unicodedata.normalize("NFKD", letters)
        if not letter.isspace() and unicodedata.category(letter) not in _ATTACHED
    )


def _after_attached(text: str, position: int) -> int:
    while position < len(text) and unicodedata.category(text[position]) in _ATTACHED:
        position += 1
    return position


def _by_parts(
    pieces: Sequence[str], text: str, parts: tuple[Pattern, ...], function: Splitter, cut: bool
) -> list[Place]:
    """Place pieces in the parts of the text of which the function makes the same."""
    spans: list[Span] = []
    made: list[tuple[str, int]] = []
    for match in parts[0].finditer(text):
        made += ((piece, len(spans)) for piece in _made_of(match.group(), function))
        spans.append(match.span())
        if cut and len(made) >= len(pieces):
            break
    if cut:
        del made[len(pieces) :]
    owners = _owners(pieces, made)
    counts = [0] * len(spans)
    for _, part in made:
        counts[part] += 1

    places: list[Place] = []
    for owner, group in groupby(zip(pieces, owners, strict=True), key=lambda pair: pair[1]):
        members = [piece for piece, _ in group]
        if owner is None or len(members) < counts[owner]:
            places += [None] * len(members)
            continue
        start, end = spans[owner]
        start = _after_space(text, start)
        found = _align(members, text[start:end], parts[1:], function, cut=False)
        if found == [None]:
            found = [(0, end - start)]
        places += ((start + place[0], start + place[1]) if place else None for place in found)
    return places


def _made_of(part: str, function: Splitter) -> list[str]:
    try:
        return list(function(part))
    except Exception:
        return []


def _owners(pieces: Sequence[str], made: Sequence[tuple[str, int]]) -> list[int | None]:
    """Return the part that each piece was made of, where what the parts give agrees with the pieces."""
    if len(made) == len(pieces):
        return [part if piece == other else None for piece, (other, part) in zip(pieces, made, strict=True)]
    shorter = min(len(made), len(pieces))
    first = next((i for i in range(shorter) if pieces[i] != made[i][0]), shorter)
    last = next((i for i in range(shorter - first) if pieces[-1 - i] != made[-1 - i][0]), shorter - first)
    middle = len(pieces) - first - last
    return [*(part for _, part in made[:first]), *[None] * middle, *(part for _, part in made[len(made) - last :])]


def _place_between(places: list[Place], pieces: Sequence[str], text: str, word: Pattern) -> None:
    """Place pieces without a place that occur as whole words, in exactly one way, between those that have one."""
    position = free = 0
    for missing, group in groupby(list(places), key=lambda place: place is None):
        members = list(group)
        after = position + len(members)
        if not missing:
            free = next(place[1] for place in reversed(members) if place)
        else:
            following = places[after] if after < len(places) else None
            gap = text[free : following[0] if following else len(text)]
            for index, start, end in _only_occurrences(pieces[position:after], gap, word):
                places[position + index] = (free + start, free + end)
        position = after


def _only_occurrences(pieces: Sequence[str], text: str, word: Pattern) -> Iterator[tuple[int, int, int]]:
    """Yield the index, start and end of pieces that have just one place, in order, in the text."""
    spans = [match.span() for match in word.finditer(text)]
    known = {text[start:end] for start, end in spans}
    present = [index for index, piece in enumerate(pieces) if piece and known.issuperset(word.findall(piece))]
    starts, ends = {start for start, _ in spans}, {end for _, end in spans}
    first = _occurrences([pieces[index] for index in present], text, starts, ends)
    # The last occurrences are the first ones in the mirror.
    size = len(text)
    mirrored = _occurrences(
        [pieces[index][::-1] for index in reversed(present)], text[::-1],
        {size - end for end in ends}, {size - start for start in starts},
    )  # fmt: skip
    last = [(size - end, size - start) for start, end in reversed(mirrored)]
    for index, one, other in zip(present, first, last, strict=False):
        if one == other:
            yield index, *one


def _occurrences(pieces: Sequence[str], text: str, starts: set[int], ends: set[int]) -> list[Span]:
    """Return the first occurrences of pieces after one another that start and end where words do; none if one lacks."""
    spans = []
    end = 0
    for piece in pieces:
        start = text.find(piece, end)
        while start >= 0 and not (start in starts and start + len(piece) in ends):
            start = text.find(piece, start + 1)
        if start < 0:
            return []
        end = start + len(piece)
        spans.append((start, end))
    return spans
