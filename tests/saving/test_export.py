"""Exports, run without `han`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import regex

from han import HANClassifier
from han.exceptions import DestinationError, InvalidValueError
from han.text.splitting import DocumentSplitter

SETTINGS = {"embedding_dim": 12, "units": 4, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
TENSORFLOW = """
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
result = model.signatures["serving_default"](input=tf.constant(np.load(sys.argv[2])))
assert not any(name == "han" or name.startswith("han.") for name in sys.modules)
np.save(sys.argv[3], result["probabilities"].numpy())
"""


def test_savedmodel_gives_the_same_probabilities_without_han(fitted, texts, tmp_path):
    folder, _ = fitted.export(tmp_path / "saved")
    np.save(tmp_path / "block.npy", fitted.encode(texts))
    command = [sys.executable, "-c", TENSORFLOW, str(folder), str(tmp_path / "block.npy"), str(tmp_path / "p.npy")]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)  # noqa: S603
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), fitted.predict_proba(texts), atol=1e-5)


def test_documents_can_be_encoded_from_the_tokenizer_settings(fitted, texts, tmp_path):
    _, beside = fitted.export(tmp_path / "model.onnx", format="onnx")
    assert beside.name == "model.tokenizer.json"
    settings = json.loads(beside.read_text(encoding="utf-8"))
    assert settings["classes"] == ["business", "sports"]
    ids = {word: settings["first_word_id"] + index for index, word in enumerate(settings["words"])}
    pattern = regex.compile(settings["word_pattern"], regex.VERSION1)
    rules = settings["normalization"]

    def normalize(word):
        word = unicodedata.normalize("NFD", re.sub(rules["invisible"], "", word))
        word = regex.sub(rules["shapes"], lambda shape: unicodedata.normalize("NFKC", shape[0]), word, flags=regex.V1)
        word = unicodedata.normalize("NFC", word).lower().replace("i\u0307", "i")
        return "".join(rules["plain"].get(letter, letter) for letter in unicodedata.normalize("NFC", word))

    texts = [*texts, "He couldn’t say “ﬁrst” — the GAME\u00ad was over.", "ＩＴ İS ＮＯＴ 10²."]
    for text, row in zip(texts, fitted.encode(texts), strict=True):
        found = [id_ for sentence in row for id_ in sentence if id_ != settings["padding_id"]]
        assert found == [ids.get(normalize(word), settings["unknown_id"]) for word in pattern.findall(text)]
    assert found[:3] == [ids["it"], ids["is"], ids["not"]]


def test_encode_returns_the_input_of_the_network(fitted, texts):
    block = fitted.encode(texts)
    assert block.dtype == np.int32
    np.testing.assert_allclose(fitted.model_(block).numpy(), fitted.predict_proba(texts), atol=1e-6)
    splitter = DocumentSplitter(max_sentences=600)
    for row, text in zip(block, texts, strict=True):
        sentences = [fitted.vocabulary_.encode(words) for words in splitter(text)]
        assert [[int(id_) for id_ in sentence if id_] for sentence in row if sentence.any()] == sentences


def test_half_of_a_surrogate_pair_is_an_ordinary_word(tmp_path):
    classifier = HANClassifier(**SETTINGS).fit(["good \ud83d", "bad film"] * 10, [1, 0] * 10)
    classifier.save(tmp_path / "model")
    assert HANClassifier.load(tmp_path / "model").vocabulary_.words == classifier.vocabulary_.words
    _, beside = classifier.export(tmp_path / "served")
    assert json.loads(beside.read_text(encoding="utf-8"))["words"] == classifier.vocabulary_.words


def test_invalid_exports_are_rejected(fitted, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="format must be one of 'savedmodel', 'onnx', got 'tflite'"):
        fitted.export(tmp_path / "x", format="tflite")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "cat.png").touch()
    with pytest.raises(
        DestinationError, match=r"a SavedModel needs a new folder, got '.*there', which has other contents"
    ):
        fitted.export(tmp_path / "there", overwrite=True)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "model", tmp_path / "file" / "model.onnx"):
        with pytest.raises(DestinationError, match="can be written at"):
            fitted.export(path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[onnx\]'"):
        fitted.export(tmp_path / "x.onnx", format="onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]


@pytest.mark.parametrize(
    ("name", "export_format", "message"),
    [
        ("out.xyz", None, "path must end in .onnx for an ONNX file, or have no suffix for a SavedModel folder"),
        ("out.keras", None, "path must end in .onnx"),
        ("out.onnx", "savedmodel", 'path must not end in .onnx for format="savedmodel"'),
        ("out.pb", "onnx", 'path must end in .onnx for format="onnx"'),
        ("out", "onnx", 'path must end in .onnx for format="onnx"'),
    ],
)
def test_suffixes_must_match_the_format(name, export_format, message, fitted, tmp_path):
    with pytest.raises(InvalidValueError, match=message):
        fitted.export(tmp_path / name, format=export_format)
    assert not list(tmp_path.iterdir())


def test_an_earlier_export_is_replaced_only_with_overwrite(fitted, tmp_path):
    other = HANClassifier(**SETTINGS).fit(["good film", "bad film"] * 10, [1, 0] * 10)
    (tmp_path / "saved" / "lost+found").mkdir(parents=True)  # as in a new volume
    for name in ("Model.ONNX", "saved"):
        first = {path: path.read_bytes() for path in other.export(tmp_path / name) if path.is_file()}
        with pytest.raises(DestinationError, match=f"{name}' exists; use overwrite=True"):
            fitted.export(tmp_path / name)
        assert {path: path.read_bytes() for path in first} == first
        fitted.export(tmp_path / name, overwrite=True)
        assert all(path.read_bytes() != content for path, content in first.items())
        assert json.loads([*first][-1].read_text())["classes"] == ["business", "sports"]
    (tmp_path / "Model.ONNX").unlink()
    with pytest.raises(DestinationError, match=r"Model.tokenizer.json' exists"):
        fitted.export(tmp_path / "Model.ONNX")
