"""The check that every layer passes, against NumPy in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import han.layers
from han.backend import keras, tf
from han.layers import AttentionPooling, BidirectionalEncoder, MaxPooling, MeanPooling, NgramEvidence
from tests.layers.layer_check import CHECKS, LayerCase
from tests.plain import attention, encode, shares


def for_each_sequence(function):
    """Turn a function of one sequence, its states and its mask, into one of [..., positions, features] and a mask."""

    def reference(layer, inputs, mask):
        flat, flat_mask = inputs.reshape(-1, *inputs.shape[-2:]), mask.reshape(-1, mask.shape[-1])
        results = [function(layer, sequence, real) for sequence, real in zip(flat, flat_mask, strict=True)]
        parts = [np.array(part).reshape(*inputs.shape[:-2], *part[0].shape) for part in zip(*results, strict=True)]
        return tuple(parts) if len(parts) > 1 else parts[0]

    return reference


def at(real, values):
    """Return values at real positions, and zeros at the others."""
    result = np.zeros((len(real), *values.shape[1:]))
    result[real] = values
    return result


@for_each_sequence
def attention_reference(layer, sequence, real):
    weights = (weight.numpy().astype(np.float64) for weight in (layer.kernel, layer.bias, layer.context))
    pooled, scores = attention(sequence[real], *weights)
    return pooled, at(real, scores)


@for_each_sequence
def mean_reference(_, sequence, real):
    count = max(real.sum(), 1)
    return sequence[real].sum(axis=0) / count, at(real, np.full(real.sum(), 1 / count))


@for_each_sequence
def max_reference(_, sequence, real):
    return (sequence[real].max(axis=0) if real.any() else np.zeros(sequence.shape[1]),)


@for_each_sequence
def encoder_reference(layer, sequence, real):
    return (at(real, encode(layer, sequence[real])),)


def evidence_reference(layer, inputs, mask):
    model = SimpleNamespace(evidence=layer, evidence_columns=layer.columns)
    documents = [
        [sentence[real] for sentence, real in zip(*document, strict=True)]
        for document in zip(inputs, mask, strict=True)
    ]
    sums = [np.sum([words.sum(axis=0) for words in shares(model, document)], axis=0) for document in documents]
    return np.array(sums) + layer.bias.numpy()


def pooled_shape(shape):
    return (*shape[:-2], shape[-1])


CASES = {
    "attention": LayerCase(AttentionPooling, attention_reference, pooled_shape, trainable=3, scores=True),
    "narrow attention": LayerCase(
        AttentionPooling, attention_reference, pooled_shape, {"units": 3, "seed": 4}, trainable=3, scores=True
    ),
    "mean": LayerCase(MeanPooling, mean_reference, pooled_shape, scores=True),
    "max": LayerCase(MaxPooling, max_reference, pooled_shape),
    **{
        f"{cell} encoder": LayerCase(
            BidirectionalEncoder,
            encoder_reference,
            lambda shape: (*shape[:-1], 8),
            {"units": 4, "cell": cell, "seed": 4, "recurrent_dropout": 0.25, "residual": residual},
            trainable=6 + residual,
            dtype="float32",
            half=None,
            keeps_positions=True,
        )
        for cell, residual in (("lstm", True), ("gru", False))
    },
    "evidence": LayerCase(
        NgramEvidence,
        evidence_reference,
        lambda shape: (shape[0], 3),
        {"ngrams": 12, "vocabulary_size": 5, "columns": 3},
        frozen=3,
        half="float32",
        vocabulary_size=5,
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_layer(case, check):
    check(case)


def test_every_layer_is_checked():
    assert {case.layer.__name__ for case in CASES.values()} == set(han.layers.__all__)


@pytest.mark.parametrize("pooling", [AttentionPooling(l2=0.1, seed=2), MeanPooling(), MaxPooling()], ids=type)
def test_layers_train_in_a_keras_model_with_an_embedding_that_masks_padding(pooling, tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(20, 5, mask_zero=True)(inputs)
    states = BidirectionalEncoder(3, seed=1)(embedded)
    model = keras.Model(inputs, keras.layers.Dense(2)(pooling(states)))
    model.compile("adam", "mse", jit_compile=False)
    ids = np.array([[4, 9, 0, 0, 0], [3, 3, 8, 1, 2]])
    model.fit(ids, np.ones((2, 2)), verbose=0)
    np.testing.assert_allclose(model(ids)[:1], model(ids[:1, :2]), atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(ids), model(ids))


def test_models_with_the_layers_can_be_exported(tmp_path, rng):
    inputs = keras.Input((None, 4))
    states = BidirectionalEncoder(3, seed=1)(inputs)
    pooled = [layer(states) for layer in (AttentionPooling(seed=2), MeanPooling(), MaxPooling())]
    model = keras.Model(inputs, pooled)
    model.export(tmp_path / "model", verbose=False)
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    exported = tf.saved_model.load(tmp_path / "model")
    for found, expected in zip(exported.serve(x), model(x), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
