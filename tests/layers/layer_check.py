"""What every layer of `han.layers` must do; a new layer needs one `LayerCase` in `tests/layers/test_layers.py`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from han.backend import keras, tf

# Padding at the end, at the start and between real positions, none, and nothing but padding.
MASK = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
FEATURES = 6


@dataclass(frozen=True)
class LayerCase:
    """A layer and what is expected of it.

    Attributes
    ----------
    layer : type
    reference : callable
        `reference(layer, inputs, mask)` returns the expected outputs, from NumPy in float64; with scores, a tuple of
        the outputs and the scores.
    output_shape : callable
        `output_shape(input_shape)` returns the expected shape.
    arguments : dict
        The constructor's arguments.
    trainable, frozen : int
        The numbers of trainable and of other weights.
    dtype : str
        The most precise dtype that the layer supports.
    half : str or None
        The dtype of the outputs under the policy "mixed_float16"; None if the layer refuses the policy.
    scores : bool
        Whether the layer returns attention scores.
    keeps_positions : bool
        Whether the outputs have a mask: that of the inputs.
    vocabulary_size : int or None
        For inputs that are word ids [documents, sentences, words]; None for states [..., positions, features].
    """

    layer: type
    reference: Callable[..., Any]
    output_shape: Callable[[tuple[int | None, ...]], tuple[int | None, ...]]
    arguments: dict[str, Any] = field(default_factory=dict)
    trainable: int = 0
    frozen: int = 0
    dtype: str = "float64"
    half: str | None = "float16"
    scores: bool = False
    keeps_positions: bool = False
    vocabulary_size: int | None = None

    def make(self, **arguments):
        return self.layer(**{"dtype": self.dtype, **self.arguments, **arguments})

    def built(self, shape):
        """Return a layer with random weights, so that each of them matters."""
        layer = self.make()
        layer.build(shape)
        rng = np.random.default_rng(1)
        for weight in layer.weights:
            if "int" in weight.dtype:
                weight.assign(np.sort(rng.choice(self.vocabulary_size**2, weight.shape, replace=False)))
            else:
                weight.assign(rng.normal(0, 0.5, weight.shape))
        return layer

    def inputs(self):
        """Return inputs and their mask."""
        rng = np.random.default_rng(0)
        if self.vocabulary_size:
            mask = np.stack([MASK[:2], MASK[2:4], MASK[4:], MASK[[4, 4]]]).astype(bool)
            return rng.integers(1, self.vocabulary_size, mask.shape).astype(np.int32), mask
        return rng.normal(size=(*MASK.shape, FEATURES)).astype(self.dtype), MASK.astype(bool)

    def with_padding(self, inputs, mask, padding):
        """Return the inputs with a number at padding."""
        return np.where(mask if self.vocabulary_size else mask[..., None], inputs, padding).astype(inputs.dtype)

    @property
    def tolerance(self):
        return 1e-12 if self.dtype == "float64" and not self.vocabulary_size else 1e-6

    def assert_close(self, layer, inputs, mask, expected_for=None):
        """Compare with the reference, which looks at real positions only."""
        options = {"return_attention_scores": True} if self.scores else {}
        found = layer(inputs, mask=None if mask is None else tf.constant(mask), **options)
        every = np.ones(inputs.shape if self.vocabulary_size else inputs.shape[:-1], bool)
        plain = inputs.astype(np.float64) if inputs.dtype.kind == "f" else inputs
        expected = self.reference(layer, plain, every if mask is None else mask)
        for one, other in zip(*((part if self.scores else [part]) for part in (found, expected)), strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=self.tolerance)


def check_outputs(case):
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    case.assert_close(layer, inputs, mask)
    case.assert_close(layer, inputs, None)
    case.assert_close(layer, inputs[:, :1], mask[:, :1])
    if not case.vocabulary_size:
        for axes in [(2, 3), (3, 1, 2), (1, 6)]:
            case.assert_close(layer, inputs.reshape(*axes, *inputs.shape[1:]), mask.reshape(*axes, mask.shape[-1]))
        for sequence in range(len(inputs)):
            case.assert_close(layer, inputs[sequence], mask[sequence])


def check_empty_inputs(case):
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    for some in (np.s_[:0], np.s_[:, :0], np.s_[:0, :0]):
        outputs = layer(inputs[some], mask=tf.constant(mask[some]))
        assert outputs.shape == case.output_shape(inputs[some].shape)
        assert np.isfinite(outputs.numpy()).all()


def check_padding(case):
    """Nothing depends on what padding holds, nor on how much there is."""
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    outputs = layer(inputs, mask=tf.constant(mask)).numpy()
    for padding in (0, 3) if case.vocabulary_size else (0.0, 1e6, np.inf, np.nan):
        other = case.with_padding(inputs, mask, padding)
        np.testing.assert_array_equal(layer(other, mask=tf.constant(mask)), outputs)
    axis = mask.ndim - 1
    width = [(0, 2 if index == axis else 0) for index in range(inputs.ndim)]
    wider = np.pad(inputs, width), np.pad(mask, width[: mask.ndim])
    case.assert_close(layer, *wider)
    if not case.keeps_positions:
        np.testing.assert_allclose(layer(wider[0], mask=tf.constant(wider[1])), outputs, atol=case.tolerance)


def check_shapes(case):
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    for shape in [
        inputs.shape,
        (None, *inputs.shape[1:]),
        (None, *(None for _ in mask.shape[1:]), *inputs.shape[mask.ndim :]),
    ]:
        expected = case.output_shape(shape)
        # The number of documents follows from the values of flat inputs, so it is left open.
        assert layer.compute_output_shape(shape)[1:] == expected[1:]
        symbolic = keras.Input(batch_shape=shape, dtype=inputs.dtype.name)
        output = layer(symbolic)
        assert output.shape[1:] == expected[1:]
        assert output.dtype == layer(inputs).dtype.name == case.dtype
        if case.scores:
            pooled, scores = layer(symbolic, return_attention_scores=True)
            assert (pooled.shape, scores.shape) == (expected, shape[:-1])
    assert layer(inputs).shape == case.output_shape(inputs.shape)


def check_mask(case):
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    assert layer.supports_masking
    assert layer.compute_mask(inputs, mask) is (mask if case.keeps_positions else None)
    if case.vocabulary_size:
        return
    masked = keras.layers.Masking(9.0, dtype=case.dtype)(case.with_padding(inputs, mask, 9.0))
    outputs = layer(masked)
    np.testing.assert_array_equal(outputs, layer(inputs, mask=tf.constant(mask)))
    assert hasattr(outputs, "_keras_mask") == case.keeps_positions


def check_weights(case):
    layer = case.built(case.inputs()[0].shape)
    assert len(layer.trainable_weights) == case.trainable
    assert len(layer.non_trainable_weights) == case.frozen
    assert len({weight.path for weight in layer.weights}) == len(layer.weights)
    assert not layer.losses


def check_serialisation(case):
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    expected = layer(inputs, mask=tf.constant(mask))

    config = layer.get_config()
    own = inspect.signature(case.layer).parameters.keys() - {"kwargs"}
    assert own <= config.keys()
    assert {name: config[name] for name in case.arguments} == case.arguments
    copy = case.layer.from_config(config)
    assert copy.get_config() == config
    copy.build(inputs.shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(inputs, mask=tf.constant(mask)), expected)

    assert keras.saving.get_registered_name(case.layer) == f"han>{case.layer.__name__}"
    shape = (*(None for _ in mask.shape[1:]), *inputs.shape[mask.ndim :])
    arguments = keras.Input(shape, dtype=inputs.dtype.name), keras.Input((*mask.shape[1:-1], None), dtype="bool")
    model = keras.Model(arguments, layer(arguments[0], mask=arguments[1]))
    with TemporaryDirectory() as folder:
        path = f"{folder}/layer.keras"
        model.save(path)
        loaded = keras.saving.load_model(path, safe_mode=True)
    np.testing.assert_array_equal(loaded([inputs, mask]), expected)


def check_gradients(case):
    """Along a random direction in the inputs and in each weight, central differences are the slope."""
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    rng = np.random.default_rng(2)
    factors = rng.normal(size=case.output_shape(inputs.shape))
    states = None if case.vocabulary_size else tf.Variable(inputs)

    def loss():
        outputs = layer(inputs if states is None else states, mask=tf.constant(mask))
        return tf.reduce_sum(outputs * tf.cast(factors, outputs.dtype))

    variables = [weight.value for weight in layer.weights if "float" in weight.dtype]
    variables += [] if states is None else [states]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = loss()
    step, tolerance = (1e-5, 1e-7) if case.dtype == "float64" else (1e-2, 5e-3)
    for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        if variable is states:
            assert not gradient[~mask].any()
        before = variable.numpy()
        direction = rng.normal(size=before.shape)
        losses = []
        for sign in (1, -1):
            variable.assign(before + sign * step * direction)
            losses.append(float(loss()))
        variable.assign(before)
        assert np.sum(gradient * direction) == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=tolerance)


def check_graphs(case):
    """A traced function gives the same outputs; so does one compiled by XLA, if the layer claims to support it."""
    inputs, mask = case.inputs()
    layer = case.built(inputs.shape)
    expected = layer(inputs, mask=tf.constant(mask))
    signature = [tf.TensorSpec([None] * array.ndim, array.dtype) for array in (inputs, mask)]
    signature[0] = tf.TensorSpec([*[None] * mask.ndim, *inputs.shape[mask.ndim :]], inputs.dtype)
    for compiled in (False, True) if layer.supports_jit else (False,):
        function = tf.function(
            lambda inputs, mask: layer(inputs, mask=mask), input_signature=signature, jit_compile=compiled
        )
        np.testing.assert_allclose(function(inputs, mask), expected, atol=case.tolerance)


def check_mixed_precision(case):
    inputs, mask = case.inputs()
    if case.half is None:
        with pytest.raises(ValueError, match=r"dtype must be float32.* got 'mixed_float16'"):
            case.make(dtype="mixed_float16")
        return
    layer, precise = case.make(dtype="mixed_float16"), case.built(inputs.shape)
    layer.build(inputs.shape)
    layer.set_weights(precise.get_weights())
    outputs = layer(inputs, mask=tf.constant(mask))
    assert outputs.dtype.name == layer(keras.Input(inputs.shape[1:], dtype=inputs.dtype.name)).dtype == case.half
    np.testing.assert_allclose(outputs, precise(inputs, mask=tf.constant(mask)), atol=1e-2)


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]
