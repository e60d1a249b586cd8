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
from han.text.vocabulary import Vocabulary
from han.text.word_vectors import check_source, find_vectors
from tests.text.vectors import VECTORS, VOCABULARY, assert_expected


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


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_give_the_same_vectors(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FORMATS[name])
    assert_expected(find_vectors(path, VOCABULARY))
    assert_expected(find_vectors(str(path), VOCABULARY))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ["glove.txt", "binary.bin"])
def test_compressed_files_are_read(tmp_path, name, compression):
    path = tmp_path / "vectors"  # recognised by its content, not by its name
    path.write_bytes(COMPRESSIONS[compression](FORMATS[name]))
    assert_expected(find_vectors(path, VOCABULARY))


def test_the_file_of_vectors_in_a_zip_archive_is_read(tmp_path):
    path = tmp_path / "vectors.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LICENSE", "short")
        archive.writestr("folder/glove.txt", glove_text())
    assert_expected(find_vectors(path, VOCABULARY))


def test_an_archive_with_several_files_of_vectors_is_rejected(tmp_path):
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
        (saved_numpy(), "NumPy array, which contains no words; pass a mapping"),
        (struct.pack("<Q", 60) + b'{"weight":{"dtype":"F32"}}', "safetensors"),
        (b'{"film": [1.0, 2.0]}', "JSON file"),
        (b"\x28\xb5\x2f\xfd....", "Zstandard"),
        (b"film,1,2,3\n", "first line"),
        (b"2 300\nfilm 1 2 3\n", "header declares vectors of 300 numbers, but line 2 has 3"),
    ],
)
def test_errors_name_other_formats(tmp_path, content, message):
    path = tmp_path / "vectors.bin"
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match=message):
        check_source(path)


def test_errors_name_files_of_gensim_and_folders(tmp_path):
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(3)
    keyed.add_vectors(["film"], np.ones((1, 3), np.float32))
    keyed.save(str(tmp_path / "vectors.kv"))
    with pytest.raises(InvalidValueError, match=r"vectors\.kv.*KeyedVectors\.load"):
        check_source(tmp_path / "vectors.kv")
    with pytest.raises(InvalidValueError, match="it is a folder, but contains neither"):
        check_source(tmp_path)
    vectors = find_vectors(KeyedVectors.load(str(tmp_path / "vectors.kv")), VOCABULARY)  # as the error advises
    assert vectors.known.tolist() == [False, False, True, False, False]


def test_errors_name_archives_of_arrays(tmp_path):
    np.savez(tmp_path / "vectors.npz", matrix=np.zeros((2, 3)))
    with pytest.raises(InvalidValueError, match="archive of NumPy arrays"):
        check_source(tmp_path / "vectors.npz")


def test_a_binary_file_longer_than_its_header_declares_is_rejected(tmp_path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(word2vec_binary().replace(b"6 3", b"2 3", 1))
    with pytest.raises(InvalidValueError, match="continues after the 2 words"):
        find_vectors(path, VOCABULARY)


def test_a_binary_file_larger_than_the_buffer_is_read(tmp_path):
    rng = np.random.default_rng(0)
    words = [f"w{index}" for index in range(9_000)]
    matrix = rng.normal(size=(len(words), 60)).astype("<f4")
    path = tmp_path / "large.bin"
    records = (word.encode() + b" " + row.tobytes() for word, row in zip(words, matrix, strict=True))
    path.write_bytes(f"{len(words)} 60\n".encode() + b"".join(records))
    chosen = rng.permutation(len(words))[:500]
    vectors = find_vectors(path, Vocabulary([words[index] for index in chosen]))
    np.testing.assert_array_equal(vectors.matrix, matrix[chosen])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line"),
        (b"no numbers here\n", "first line"),
        (b"film 1 2 3\nparis 1 2\n", "line 2 has 2 numbers, expected 3"),
        (b"film 1 2 x\n", "first line"),
        (b"film 1 2 3\nparis 1 2 x\n", "could not convert"),
        (b"film nan 2 3\n", "finite"),
        (b"other 1 2 3\n", "got none"),
        (word2vec_binary()[:-5], "ends within word 6 of 6"),
        (gzip.compress(glove_text())[:-9], "end"),
        (b"PK\x03\x04 no archive", "zip"),
    ],
)
def test_errors_name_unreadable_files(tmp_path, content, message):
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        find_vectors(path, VOCABULARY)
    assert "broken.txt" in str(caught.value)
