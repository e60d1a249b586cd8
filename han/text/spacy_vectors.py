"""Read the word vectors of spaCy's pipelines, without spaCy.

A table of vectors (https://spacy.io/api/vectors) is a folder with a matrix, `vectors`, and the row of each word,
`key2row`, in which words are represented by 64-bit keys. In a pruned table, several words share a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from han.exceptions import InvalidValueError, MissingFileError
from han.text.vector_files import errors_with_path, unreadable
from han.text.vocabulary import Vocabulary

Matrix = npt.NDArray[np.floating[Any]]

MATRIX, ROWS, SETTINGS, STRINGS = "vectors", "key2row", "vectors.cfg", "strings.json"
SEED = 1
# The keys of spaCy's symbols are their numbers, not hashes, and some symbols are English words, such as "number". From
# spacy/symbols.pxd, where these are the only ones in lower case; new symbols are added at the end.
_DEPENDENCIES = (
    "acomp advcl advmod agent amod appos attr aux auxpass cc ccomp complm conj cop csubj csubjpass dep det dobj expl "
    "hmod hyph infmod intj iobj mark meta neg nmod nn npadvmod nsubj nsubjpass num number oprd obj obl parataxis "
    "partmod pcomp pobj poss possessive preconj prep prt punct quantmod relcl rcmod root xcomp acl"
)
SYMBOLS = {name: number for number, name in enumerate(_DEPENDENCIES.split(), 398)} | {"_": 456}


def find_table(folder: Path) -> Path | None:
    """Return the folder of a table: `folder` or its `vocab`; None if neither contains any file of a table."""
    for candidate in (folder, folder / "vocab"):
        if any((candidate / name).exists() for name in (MATRIX, ROWS, SETTINGS, STRINGS)):
            return candidate
    return None


def check_table(table: Path) -> None:
    """Raise an error if a table is incomplete, empty or in an unsupported mode, without reading the vectors.

    Raises
    ------
    MissingFileError
        If a file is missing.
    InvalidValueError
        If the table has no vectors, or is in floret mode.
    """
    mode = _read_mode(table / SETTINGS)
    if mode != "default":
        raise unreadable(
            table / SETTINGS,
            f"the mode of the vectors must be 'default', got {mode!r}; to use floret vectors, pass a mapping as "
            "embeddings, such as `{word: nlp.vocab.get_vector(word) for word in words}`",
        )
    for name in (MATRIX, ROWS):
        if not (table / name).is_file():
            raise MissingFileError(
                f"embeddings must be a folder with spaCy's files {MATRIX!r} and {ROWS!r}, got {str(table)!r} without "
                f"{name!r}"
            )
    _open_matrix(table / MATRIX)


def read_table(table: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Matrix]]:
    """Return the words of a table that are in the vocabulary, in any spelling, with their vectors.

    The usual spellings of each word come first. Others are found only if the table comes with `strings.json`.

    Raises
    ------
    InvalidValueError
        If a file is damaged.
    """
    matrix = _open_matrix(table / MATRIX)
    rows = _read_rows(table / ROWS, len(matrix))
    strings = _read_strings(table / STRINGS)
    usual = ((word, word.capitalize(), word.upper()) for word in vocabulary)
    spellings = chain(chain.from_iterable(usual), (word for word in strings if word in vocabulary))
    found = ((word, rows.get(word_key(word))) for word in spellings)
    return ((word, matrix[row]) for word, row in found if row is not None)


def word_key(word: str) -> int:
    """Return the key of a word in spaCy's tables.

    Examples
    --------
    >>> from han.text.spacy_vectors import word_key
    >>> word_key("coffee"), word_key("number")
    (3197928453018144401, 432)
    """
    symbol = SYMBOLS.get(word)
    return murmur_hash(word.encode("utf-8", "surrogatepass")) if symbol is None else symbol


def murmur_hash(data: bytes) -> int:
    """Return the 64-bit hash MurmurHash64A of Austin Appleby's MurmurHash2, with spaCy's seed.

    It is written out here because well-kept packages such as `mmh3` offer other hashes of the family, and spaCy's own
    `murmurhash` offers this one to Cython only.
    """
    mask, multiplier = 0xFFFFFFFFFFFFFFFF, 0xC6A4A7935BD1E995
    value = SEED ^ (len(data) * multiplier & mask)
    end = len(data) & ~7
    for start in range(0, end, 8):
        block = int.from_bytes(data[start : start + 8], "little") * multiplier & mask
        block = (block ^ block >> 47) * multiplier & mask
        value = (value ^ block) * multiplier & mask
    if end < len(data):
        value = (value ^ int.from_bytes(data[end:], "little")) * multiplier & mask
    value = (value ^ value >> 47) * multiplier & mask
    return value ^ value >> 47


def _read_mode(path: Path) -> object:
    if not path.exists():  # as before spaCy 3
        return "default"
    with errors_with_path(path):
        settings = json.loads(path.read_bytes())
        if not isinstance(settings, dict):
            raise InvalidValueError(f"the settings must be a JSON object, got {type(settings).__name__}")
    return settings.get("mode", "default")


def _open_matrix(path: Path) -> Matrix:
    with errors_with_path(path):
        # A plain array, still backed by the file: rows of a memmap take ten times as long.
        matrix = np.asarray(np.lib.format.open_memmap(path, mode="r"))
        if matrix.ndim != 2 or matrix.dtype.kind != "f":
            raise InvalidValueError(f"the vectors must be a matrix of floats, got {matrix.dtype} {matrix.shape}")
        if not matrix.size:
            raise InvalidValueError("the table is empty: spaCy's small and transformer pipelines have no word vectors")
    return matrix


def _read_rows(path: Path, rows: int) -> dict[int, int]:
    """Read the row of each key."""
    import msgpack

    with errors_with_path(path):
        key_rows = msgpack.unpackb(path.read_bytes(), strict_map_key=False)
        if not isinstance(key_rows, dict):
            raise InvalidValueError(f"the rows must be a MessagePack map, got {type(key_rows).__name__}")
        for row in key_rows.values():
            if type(row) is not int or not 0 <= row < rows:
                raise InvalidValueError(f"the rows must be ints in [0, {rows}), the rows of {MATRIX!r}, got {row!r}")
    return key_rows


def _read_strings(path: Path) -> list[str]:
    if not path.exists():
        return []
    with errors_with_path(path):
        strings = json.loads(path.read_bytes())
        if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
            raise InvalidValueError("the strings must be a JSON list of strings")
    return strings
