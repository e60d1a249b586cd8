from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zipfile

import numpy as np
import pytest

from han.corpus import Corpus
from han.embeddings import find_vectors, train_vectors
from han.text import DocumentSplitter
from han.vocabulary import FIRST_WORD_ID, Vocabulary

VECTORS = {
    "film": [0.25, -1.5, 3.0],
    "Paris": [1.0, 2.0, -0.125],
    "naïve": [-0.5, 0.0, 8.0],
    ". . .": [9.0, 9.0, 9.0],
    "unused": [7.0, 7.0, 7.0],
    "Film": [5.0, 5.0, 5.0],
    "PARIS": [6.0, 6.0, 6.0],
}
VOCABULARY = Vocabulary(["naïve", "paris", "film", "absent", "."])
EXPECTED = np.array([[-0.5, 0.0, 8.0], [1.0, 2.0, -0.125], [0.25, -1.5, 3.0], [0, 0, 0], [0, 0, 0]], np.float32)


def glove_text():
    return "".join(f"{word} {' '.join(map(str, values))}\n" for word, values in VECTORS.items()).encode()


def word2vec_text():
    return f"{len(VECTORS)} 3\n".encode() + glove_text()


def word2vec_binary(end=b""):
    words = {word: values for word, values in VECTORS.items() if " " not in word}
    records = (word.encode() + b" " + struct.pack("<3f", *values) + end for word, values in words.items())
    return f"{len(words)} 3\n".encode() + b"".join(records)


FORMATS = {
    "glove.txt": glove_text(),
    "fasttext.vec": word2vec_text(),
    "binary.bin": word2vec_binary(),
    "newlines.bin": word2vec_binary(b"\n"),
}
COMPRESSIONS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def assert_expected(vectors):
    np.testing.assert_array_equal(vectors.matrix, EXPECTED)
    assert vectors.known.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_vectors_of_the_vocabulary(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FORMATS[name])
    assert_expected(find_vectors(path, VOCABULARY))
    assert_expected(find_vectors(str(path), VOCABULARY))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ["glove.txt", "binary.bin"])
def test_compressed_files_are_read(tmp_path, name, compression):
    path = tmp_path / "vectors"  # known by its content, not by its name
    path.write_bytes(COMPRESSIONS[compression](FORMATS[name]))
    assert_expected(find_vectors(path, VOCABULARY))


def test_the_largest_file_of_a_zip_archive_is_read(tmp_path):
    path = tmp_path / "vectors.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LICENSE", "short")
        archive.writestr("folder/glove.txt", glove_text())
    assert_expected(find_vectors(path, VOCABULARY))


def test_a_binary_file_larger_than_what_is_read_at_once(tmp_path):
    rng = np.random.default_rng(0)
    words = [f"w{index}" for index in range(9_000)]
    matrix = rng.normal(size=(len(words), 60)).astype("<f4")
    path = tmp_path / "large.bin"
    records = (word.encode() + b" " + row.tobytes() for word, row in zip(words, matrix, strict=True))
    path.write_bytes(f"{len(words)} 60\n".encode() + b"".join(records))
    chosen = rng.permutation(len(words))[:500]
    vectors = find_vectors(path, Vocabulary([words[index] for index in chosen]))
    np.testing.assert_array_equal(vectors.matrix, matrix[chosen])


def test_a_mapping_and_keyed_vectors_give_the_same(tmp_path):
    import gensim.models as gensim_models

    assert_expected(find_vectors(VECTORS, VOCABULARY))
    keyed = gensim_models.KeyedVectors(3)
    words = [word for word in VECTORS if " " not in word]  # the binary format cannot hold others
    keyed.add_vectors(words, np.array([VECTORS[word] for word in words], np.float32))
    assert_expected(find_vectors(keyed, VOCABULARY))
    for binary in (False, True):
        keyed.save_word2vec_format(tmp_path / "gensim", binary=binary)
        assert_expected(find_vectors(tmp_path / "gensim", VOCABULARY))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line"),
        (b"no numbers here\n", "first line"),
        (b"film 1 2 3\nparis 1 2\n", "line 2 has 2 numbers, expected 3"),
        (b"film 1 2 x\n", "first line"),
        (b"film 1 2 3\nparis 1 2 x\n", "could not convert"),
        (b"film nan 2 3\n", "finite"),
        (b"other 1 2 3\n", "none|got none"),
        (word2vec_binary()[:-5], "ends within word 6 of 6"),
        (gzip.compress(glove_text())[:-9], "end"),
        (b"PK\x03\x04 no archive", "zip"),
    ],
)
def test_unreadable_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        find_vectors(path, VOCABULARY)
    assert "broken.txt" in str(caught.value)


def test_a_missing_file_and_vectors_of_two_lengths_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"embeddings.*nowhere\.txt"):
        find_vectors(tmp_path / "nowhere.txt", VOCABULARY)
    with pytest.raises(ValueError, match="one length"):
        find_vectors({"film": [1.0, 2.0], "paris": [1.0]}, VOCABULARY)


def test_glove_puts_related_words_close():
    vectors = find_vectors("glove-50d", Vocabulary(["king", "queen", "cabbage", "qqqqzzzz"]))
    assert vectors.known.tolist() == [True, True, True, False]
    assert vectors.matrix.shape == (4, 50)
    king, queen, cabbage = vectors.matrix[:3] / np.linalg.norm(vectors.matrix[:3], axis=1, keepdims=True)
    assert king @ queen > 0.7 > king @ cabbage


def test_trained_vectors_put_words_of_like_context_close():
    rng = np.random.default_rng(0)
    groups = [[f"{letter}{index}" for index in range(300)] for letter in "ab"]
    # A sentence holds words of one of the groups only.
    texts = [" ".join(rng.choice(groups[index % 2], 30)) + "." for index in range(6000)]
    corpus, vocabulary = Corpus.learn(texts, DocumentSplitter(), 1, None)
    vectors = train_vectors(corpus, vocabulary, 16, seed=1)
    assert vectors.known.all()
    again = train_vectors(corpus, vocabulary, 16, seed=1)
    np.testing.assert_array_equal(again.matrix, vectors.matrix)
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    first, second = (unit[[vocabulary[word] - FIRST_WORD_ID for word in group]] for group in groups)
    assert (first @ first.T).mean() > (first @ second.T).mean() + 0.5
