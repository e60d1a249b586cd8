"""The layers of the network: attention pooling and the bidirectional sequence encoder, usable alone."""

from __future__ import annotations

from typing import Any

from han.backend import keras, tf
from han.exceptions import InvalidValueError
from han.layers.packing import Packing


@keras.saving.register_keras_serializable(package="han")
class AttentionPooling(keras.layers.Layer):
    r"""Pool a sequence of states into one vector, weighted by a learned attention.

    Yang et al. 2016, equations 5-7 (words) and 8-10 (sentences), over the real positions t of one sequence:

    .. math:: u_t = \tanh(W h_t + b), \quad \alpha_t = \mathrm{softmax}_t(u_t \cdot c), \quad
              s = \sum_t \alpha_t h_t

    The number of positions is free: the softmax is over however many states there are. A sequence without real
    positions pools to zeros.

    Parameters
    ----------
    units : int or None, default None
        Width of the projection u; None takes the width of the states.
    l2 : float, default 0.0
        Weight of the L2 penalty on the projection kernel W and on the context vector c.
    seed : int or None, default None
        Seed of the initial weights.
    **kwargs
        As for any Keras layer (`name`, `dtype`, ...).

    Raises
    ------
    ValueError
        If `units` is below 1, `l2` is negative, or the input has fewer than two axes.

    Examples
    --------
    >>> import numpy as np
    >>> from han.layers.pooling import AttentionPooling
    >>> states = np.ones((2, 7, 10), dtype="float32")
    >>> pooled, scores = AttentionPooling()(states, return_attention_scores=True)
    >>> pooled.shape, scores.shape
    (TensorShape([2, 10]), TensorShape([2, 7]))
    """

    def __init__(self, units: int | None = None, l2: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        if units is not None and units < 1:
            raise InvalidValueError(f"units must be None or at least 1, got {units!r}")
        if l2 < 0:
            raise InvalidValueError(f"l2 must not be negative, got {l2!r}")
        super().__init__(**kwargs)
        self.units = units
        self.l2 = l2
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W, b and c for states of width `input_shape[-1]`."""
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise InvalidValueError(f"inputs must have the shape [..., positions, features], got {input_shape!r}")
        units = self.units or input_shape[-1]
        penalty = keras.regularizers.L2(self.l2) if self.l2 else None
        kernel_seed, context_seed = (None, None) if self.seed is None else (self.seed, self.seed + 1)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], units),
            initializer=keras.initializers.GlorotUniform(kernel_seed),
            regularizer=penalty,
        )
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.context = self.add_weight(
            name="context",
            shape=(units,),
            # Large enough that the scores differ from the start: near a flat softmax the context vector learns from
            # noise alone, and attention stays flat (a tenth of this left every sentence of a review at 1 / sentences).
            initializer=keras.initializers.RandomNormal(stddev=0.3, seed=context_seed),
            regularizer=penalty,
        )

    def logits(self, states: tf.Tensor) -> tf.Tensor:
        """Return u . c for states [..., features]: the scores before the softmax, [...]."""
        projected = keras.ops.tanh(keras.ops.matmul(states, self.kernel) + self.bias)
        return keras.ops.matmul(projected, self.context)

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None, return_attention_scores: bool = False) -> Any:
        """Pool padded sequences.

        Parameters
        ----------
        inputs : float tensor [..., positions, features]
        mask : bool tensor [..., positions], optional
            True at real positions.
        return_attention_scores : bool, default False
            Also return the weights alpha.

        Returns
        -------
        pooled : float tensor [..., features]
        attention_scores : float tensor [..., positions]
            Only if asked for. Zero at padding; the rest sum to one.
        """
        logits = self.logits(inputs)
        real = keras.ops.ones_like(logits) if mask is None else keras.ops.cast(mask, logits.dtype)
        # The softmax does not depend on the peak, which keeps exp from overflowing.
        peak = keras.ops.max(keras.ops.where(real > 0, logits, logits.dtype.min), axis=-1, keepdims=True)
        raised = keras.ops.exp(keras.ops.minimum(logits - keras.ops.stop_gradient(peak), 0.0)) * real
        total = keras.ops.sum(raised, axis=-1, keepdims=True)
        scores = raised / keras.ops.where(total > 0, total, 1.0)
        pooled = keras.ops.sum(inputs * scores[..., None], axis=-2)
        return (pooled, scores) if return_attention_scores else pooled

    def pool(self, states: tf.Tensor, packing: Packing) -> tuple[tf.Tensor, tf.Tensor]:
        """Pool states in element order [elements, features], without padding.

        Returns the pooled vectors [sequences, features] and the attention scores [elements].
        """
        logits = self.logits(states)
        peak = tf.stop_gradient(tf.math.unsorted_segment_max(logits, packing.rows, packing.sequences))
        raised = tf.exp(logits - tf.gather(peak, packing.rows))
        total = _segment_sum(raised, packing)
        scores = raised / tf.gather(total, packing.rows)
        return _segment_sum(states * scores[:, None], packing), scores

    def compute_mask(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> None:
        """Return None: the positions are gone."""
        return

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [..., features]."""
        return _pooled_shape(input_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the call: with attention scores there are two outputs, which `compute_output_shape` cannot say."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "l2": self.l2, "seed": self.seed}


@keras.saving.register_keras_serializable(package="han")
class MeanPooling(keras.layers.Layer):
    """Pool states into their mean: HN-AVE in Yang et al. 2016. Every position has the same attention score."""

    def pool(self, states: tf.Tensor, packing: Packing) -> tuple[tf.Tensor, tf.Tensor]:
        """Pool states in element order; see `AttentionPooling.pool`."""
        ones = tf.ones_like(states[:, 0])
        counts = _segment_sum(ones, packing)
        scores = ones / tf.gather(counts, packing.rows)
        return _segment_sum(states * scores[:, None], packing), scores

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [..., features]."""
        return _pooled_shape(input_shape)


@keras.saving.register_keras_serializable(package="han")
class MaxPooling(keras.layers.Layer):
    """Pool states into their largest value for each feature: HN-MAX in Yang et al. 2016. It has no attention scores."""

    def pool(self, states: tf.Tensor, packing: Packing) -> tuple[tf.Tensor, None]:
        """Pool states in element order; see `AttentionPooling.pool`. A sequence without elements pools to zeros."""
        pooled = tf.math.unsorted_segment_max(states, packing.rows, packing.sequences)
        # The identity of the maximum, which an empty segment is left with, is the lowest float.
        return tf.where(pooled > states.dtype.min, pooled, tf.zeros_like(pooled)), None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [..., features]."""
        return _pooled_shape(input_shape)


POOLINGS = {"attention": AttentionPooling, "mean": MeanPooling, "max": MaxPooling}


def _pooled_shape(input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Return the shape of states [..., positions, features] without the axis of positions."""
    return (*input_shape[:-2], input_shape[-1])


def _segment_sum(values: tf.Tensor, packing: Packing) -> tf.Tensor:
    """Sum values in element order [elements, ...] over each sequence, [sequences, ...].

    The sorted segment sum is four times as fast as the unsorted one, but stops at the last sequence with an element.
    """
    sums = tf.math.segment_sum(values, packing.rows)
    missing = packing.sequences - tf.shape(sums)[0]
    return tf.pad(sums, [[0, missing]] + [[0, 0]] * (len(values.shape) - 1))
