from __future__ import annotations

import json

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from han.exceptions import InvalidValueError, MissingFileError
from han.text.vocabulary import Vocabulary
from han.text.word_encoders import BATCH_WORDS
from han.text.word_vectors import check_source, find_vectors
from tests.text.vectors import EXPECTED, VOCABULARY, assert_expected

PIECES = {"[UNK]": 0, "film": 1, "##s": 2, "good": 3, "bad": 4, "##ly": 5, "the": 6}
VECTORS = np.random.default_rng(0).normal(size=(len(PIECES), 5)).astype(np.float32)
WORDS = ["films", "good", "badly", "qqqq", "the"]
TOKENS = [[1, 2], [3], [4, 5], [], [6]]


class Encoder:
    """A model that looks words up."""

    def __init__(self):
        self.batches = []

    def encode(self, words):
        self.batches.append(words)
        rows = dict(zip(VOCABULARY.words, EXPECTED, strict=True))
        return np.array([rows.get(word, np.zeros(3)) for word in words])


def static_model(**settings):
    tokenizer = Tokenizer(models.WordPiece(PIECES, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return StaticModel(settings.pop("vectors", VECTORS), tokenizer, **settings)


def assert_encodes(folder, model):
    """Check the vectors of the words against those of the model, one by one."""
    found = find_vectors(folder, Vocabulary(WORDS))
    assert found.known.tolist() == [True, True, True, False, True]
    np.testing.assert_array_equal(found.matrix, np.concatenate([model.encode([word]) for word in WORDS]))


def test_a_word_has_the_mean_vector_of_its_pieces(tmp_path):
    static_model().save_pretrained(tmp_path)
    found = find_vectors(tmp_path, Vocabulary(WORDS))
    means = [VECTORS[ids].mean(axis=0) if ids else np.zeros(5) for ids in TOKENS]
    np.testing.assert_allclose(found.matrix, means, rtol=1e-6)
    assert found.known.tolist() == [bool(ids) for ids in TOKENS]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"normalize": True},
        {"vectors": VECTORS.astype(np.float16)},
        {
            "vectors": VECTORS[:4],
            "token_mapping": np.array([0, 1, 2, 3, 3, 2, 1]),
            "weights": np.linspace(0.5, 2, 7, dtype=np.float32),
        },
    ],
    ids=["plain", "normalized", "half", "quantized"],
)
def test_static_models_give_the_vectors_that_they_encode(tmp_path, settings):
    model = static_model(**settings)
    model.save_pretrained(tmp_path)
    assert_encodes(tmp_path, model)
    assert_encodes(str(tmp_path), model)
    assert_encodes(model, model)


@pytest.mark.parametrize("module", [".", "0_StaticEmbedding"])
def test_static_models_of_sentence_transformers_are_read(tmp_path, module):
    model = static_model()
    model.save_pretrained(tmp_path / module)
    tensors = load_file(tmp_path / module / "model.safetensors")
    save_file({"embedding.weight": tensors["embeddings"]}, tmp_path / module / "model.safetensors")
    (tmp_path / module / "config.json").rename(tmp_path / "config_sentence_transformers.json")
    assert_encodes(tmp_path, model)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_errors_name_missing_files(tmp_path, name):
    static_model().save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingFileError, match=f"embeddings must be a folder with .* without '{name}'"):
        check_source(tmp_path)


def test_other_models_are_rejected_before_they_are_read(tmp_path):
    static_model().save_pretrained(tmp_path)
    save_file({"encoder.layer.0": np.zeros((2, 3), np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(InvalidValueError, match=r"a tensor 'embeddings', but this file has 'encoder\.layer\.0'; if it"):
        check_source(tmp_path)


def test_errors_name_damaged_files(tmp_path):
    static_model().save_pretrained(tmp_path)
    tokenizer = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": "unknown"}))
    with pytest.raises(InvalidValueError, match="embeddings must be a readable file"):
        find_vectors(tmp_path, Vocabulary(WORDS))
    (tmp_path / "tokenizer.json").write_text(tokenizer)
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-9])
    with pytest.raises(InvalidValueError, match=r"model\.safetensors'"):
        check_source(tmp_path)


def test_an_object_encodes_the_words_of_the_vocabulary():
    encoder = Encoder()
    assert_expected(find_vectors(encoder, VOCABULARY))
    assert encoder.batches == [VOCABULARY.words]


def test_many_words_are_encoded_in_batches():
    encoder = Encoder()
    words = [*VOCABULARY.words, *map(str, range(2 * BATCH_WORDS))]
    found = find_vectors(encoder, Vocabulary(words))
    np.testing.assert_array_equal(found.matrix[:5], EXPECTED)
    assert np.flatnonzero(found.known).tolist() == [0, 1, 2]
    assert [len(batch) for batch in encoder.batches] == [BATCH_WORDS, BATCH_WORDS, 5]
    assert [word for batch in encoder.batches for word in batch] == words


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.ones(5), r"embeddings\.encode must return an array .* for 5 words, got the shape \(5,\)"),
        (np.ones((4, 3)), r"got the shape \(4, 3\)"),
        (np.ones((5, 0)), r"got the shape \(5, 0\)"),
        ([{"film": 1.0}] * 5, "for 5 words, got list: "),
        (None, r"embeddings\.encode must return an array .* got "),
        (np.full((5, 3), np.nan), "embeddings must have finite vectors, but the vector of 'naïve'"),
        (np.zeros((5, 3)), "embeddings must contain at least one of the 5 words"),
    ],
)
def test_results_that_are_no_vectors_are_rejected(result, message):
    encoder = Encoder()
    encoder.encode = lambda _: result
    with pytest.raises(InvalidValueError, match=message):
        find_vectors(encoder, VOCABULARY)


def test_batches_of_different_widths_are_rejected():
    encoder = Encoder()
    encoder.encode = lambda words: np.ones((len(words), 2 + (len(words) == 5)))
    with pytest.raises(InvalidValueError, match=r"equal length, got 2 and, for '\d+', \(3,\)"):
        find_vectors(encoder, Vocabulary(map(str, range(BATCH_WORDS + 5))))
