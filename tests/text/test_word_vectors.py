from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest

from han.exceptions import InvalidValueError
from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import FIRST_WORD_ID, Vocabulary
from han.text.word_vectors import check_source, find_vectors, train_vectors

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
    "tabs.txt": glove_text().replace(b". . .", b"...").replace(b" ", b"\t"),
    "tab_after_the_word.txt": re.sub(rb"(?m)^([^\d-]+?) (?=[\d-])", rb"\1\t", glove_text()),
    "tabs.vec": word2vec_text().replace(b". . .", b"...").replace(b" ", b"\t"),
    "windows.txt": glove_text().replace(b"\n", b"\r\n"),
    "byte_order_mark.vec": codecs.BOM_UTF8 + word2vec_text(),
    "utf16.txt": glove_text().decode().encode("utf-16"),
    "utf16_big_endian.vec": codecs.BOM_UTF16_BE + word2vec_text().decode().encode("utf-16-be"),
    "wrong_count.vec": b"3 3\n" + glove_text(),
    "words_with_spaces.txt": b". . . 9.0 9.0 9.0\nat name@domain.com 1.0 1.0 1.0\n" + glove_text(),
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


def test_an_archive_of_several_files_of_vectors_is_refused(tmp_path):
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("glove.50d.txt", glove_text())
        archive.writestr("glove.100d.txt", glove_text())
    with pytest.raises(InvalidValueError, match=r"several .* glove\.50d\.txt, glove\.100d\.txt; extract one"):
        check_source(path)


def saved_numpy():
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3)))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<12i", 793712314, 12, 3, 5, 5, 1, 5, 1, 2, 1, 2000, 3), r"fastText model .*facebook_vectors"),
        (pickle.dumps({"film": [1.0]}), r"a pickle.*KeyedVectors\.load"),
        (pickle.dumps({"film": [1.0]}, protocol=2), "a pickle"),
        (saved_numpy(), "NumPy array, which holds no words; pass a mapping"),
        (struct.pack("<Q", 60) + b'{"weight":{"dtype":"F32"}}', "safetensors"),
        (b'{"film": [1.0, 2.0]}', "JSON file"),
        (b"\x28\xb5\x2f\xfd....", "Zstandard"),
        (b"film,1,2,3\n", "first line"),
        (b"2 300\nfilm 1 2 3\n", "header says that vectors have 300 numbers, line 2 has 3"),
    ],
)
def test_other_formats_are_named_before_training(tmp_path, content, message):
    path = tmp_path / "vectors.bin"
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match=message):
        check_source(path)


def test_gensims_own_files_and_folders_are_named(tmp_path):
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(3)
    keyed.add_vectors(["film"], np.ones((1, 3), np.float32))
    keyed.save(str(tmp_path / "vectors.kv"))
    with pytest.raises(InvalidValueError, match=r"vectors\.kv.*KeyedVectors\.load"):
        check_source(tmp_path / "vectors.kv")
    with pytest.raises(InvalidValueError, match="it is a folder"):
        check_source(tmp_path)
    vectors = find_vectors(KeyedVectors.load(str(tmp_path / "vectors.kv")), VOCABULARY)  # what the message says to do
    assert vectors.known.tolist() == [False, False, True, False, False]


def test_archives_of_arrays_are_named(tmp_path):
    np.savez(tmp_path / "vectors.npz", matrix=np.zeros((2, 3)))
    with pytest.raises(InvalidValueError, match="archive of NumPy arrays"):
        check_source(tmp_path / "vectors.npz")


def test_a_binary_file_that_holds_more_than_its_header_says(tmp_path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(word2vec_binary().replace(b"6 3", b"2 3", 1))
    with pytest.raises(InvalidValueError, match="goes on after the 2 words"):
        find_vectors(path, VOCABULARY)


@pytest.mark.parametrize("kept", ["mapping", "file"])
def test_vectors_are_found_for_normalised_words(tmp_path, kept):
    vectors = {"Couldn\u2019t": [1.0, 2.0], "cafe\u0301": [3.0, 4.0], "McDonald": [5.0, 6.0], "film": [7.0, 8.0]}
    vectors["\ufb01lm"] = [0.0, 0.0]  # the exact spelling comes first
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{word} {a} {b}\n" for word, (a, b) in vectors.items()), encoding="utf-8")
    found = find_vectors(vectors if kept == "mapping" else path, Vocabulary(["couldn't", "café", "mcdonald", "film"]))
    np.testing.assert_array_equal(found.matrix, [[1, 2], [3, 4], [5, 6], [7, 8]])


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
