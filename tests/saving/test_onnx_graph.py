"""Exported ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from han import HANClassifier
from tests.saving.test_export import SETTINGS

VECTORS = {"the": [1.0, 0.0, 3.0], "said": [-1.0, 2.0, 0.0], "goal": [0.0, 1.0, 0.0]}


def onnx_probabilities(path, block):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"input": block})[0]


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({}, "two"),
        pytest.param({"cell": "gru", "residual": False}, "three", marks=pytest.mark.slow),
        pytest.param({"pooling": "max", "ngram_evidence": False}, "two", marks=pytest.mark.slow),
        ({"pooling": "mean", "calibrate": True}, "three"),
        pytest.param({"cell": "gru"}, "multi-label", marks=pytest.mark.slow),
        ({"additive": False, "embeddings": VECTORS, "embedding_training": "freeze"}, "three"),
    ],
    ids=str,
)
def test_onnx_gives_the_same_probabilities(settings, labels, news, texts, tmp_path):
    X, two = news[:2]
    y = {
        "two": two,
        "three": np.where(np.arange(len(two)) % 4 == 0, "other", two),
        "multi-label": [[label, "even"] if index % 2 == 0 else [label] for index, label in enumerate(two)],
    }[labels]
    classifier = HANClassifier(**SETTINGS, **settings).fit(X, y)
    path, _ = classifier.export(tmp_path / "model.onnx", format="onnx")
    expected, block = classifier.predict_proba(texts), classifier.encode(texts)
    np.testing.assert_allclose(onnx_probabilities(path, block), expected, atol=1e-5)
    # One document alone, with more padding.
    for row in (0, len(texts) - 3):
        alone = np.pad(block[[row]], [(0, 0), (0, 3), (0, 2)])
        np.testing.assert_allclose(onnx_probabilities(path, alone), expected[[row]], atol=1e-5)


def test_onnx_has_the_documented_signature(fitted, tmp_path):
    model = onnx.load(fitted.export(tmp_path / "new" / "model.onnx", format="onnx")[0])
    (block,), (probabilities,) = model.graph.input, model.graph.output
    assert (block.name, block.type.tensor_type.elem_type) == ("input", onnx.TensorProto.INT32)
    assert [axis.dim_param for axis in block.type.tensor_type.shape.dim] == ["documents", "sentences", "words"]
    assert (probabilities.name, probabilities.type.tensor_type.shape.dim[1].dim_value) == ("probabilities", 2)


def test_documents_without_words(fitted, tmp_path):
    path, _ = fitted.export(tmp_path / "model.onnx", format="onnx")
    block = fitted.encode([""])
    assert block.shape == (1, 1, 1)
    np.testing.assert_allclose(onnx_probabilities(path, block), fitted.predict_proba([""]), atol=1e-5)
