"""Documents that are nearly the same, found by the words that they share.

Each document is a set of sequences of three words. The share of sequences that two documents have in common, the
Jaccard index, is estimated by MinHash (Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900), and only documents
that fall together in locality-sensitive hashing are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from han.exceptions import missing_extra

# Of sequences that near duplicates have in common, estimated from this many hash functions.
THRESHOLD, HASHES = 0.8, 64
SEQUENCE = 3
# Shorter documents are often the same by chance.
MIN_WORDS = 8


class Pair(NamedTuple):
    """Two documents that are nearly the same.

    Attributes
    ----------
    first, second : int
        Their positions; the first comes before the second.
    similarity : float
        The estimated share of sequences of three words that they have in common.
    """

    first: int
    second: int
    similarity: float


def near_duplicates(texts: Sequence[str]) -> list[Pair]:
    """Return each document that is nearly the same as an earlier one, with the most similar of these.

    Parameters
    ----------
    texts : sequence of str

    Raises
    ------
    MissingExtraError
        If datasketch is not installed (the extra `report`).
    """
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise missing_extra("the search for near duplicates", "datasketch", "report") from error
    index = MinHashLSH(threshold=THRESHOLD, num_perm=HASHES)
    known: dict[int, MinHash] = {}
    pairs: list[Pair] = []
    for position, text in enumerate(texts):
        sequences = _sequences(text)
        if not sequences:
            continue
        signature = MinHash(num_perm=HASHES, hashfunc=crc32)
        signature.update_batch(sequences)
        found = [(signature.jaccard(known[other]), -other) for other in index.query(signature)]
        similarity, other = max(found, default=(0.0, 0))
        if similarity >= THRESHOLD:
            pairs.append(Pair(-other, position, similarity))
        known[position] = signature
        index.insert(position, signature)
    return pairs


def _sequences(text: str) -> list[bytes]:
    words = re.findall(r"\w+", text.lower())
    if len(words) < MIN_WORDS:
        return []
    parts: Iterable[tuple[str, ...]] = zip(*(words[start:] for start in range(SEQUENCE)), strict=False)
    return [" ".join(part).encode("utf-8", "surrogatepass") for part in dict.fromkeys(parts)]
