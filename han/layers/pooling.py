"""Layers that pool a sequence of states into one vector: attention, mean and maximum."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from han.backend import keras, tf
from han.exceptions import InvalidValueError
from han.layers.packing import Packing


class _Sequences(ABC):
    """A layout of sequences, with the operations over each sequence that a pooling consists of.

    Each pooling states its equation once in terms of these operations; the layout computes them with or without
    padding. Below, values are [elements, ...] or [..., positions, ...], reduced values [sequences, ...] or [..., ...].
    """

    @abstractmethod
    def zero_padding(self, values: tf.Tensor) -> tf.Tensor:
        """Return `values` with zeros at padding."""

    @abstractmethod
    def maximum(self, values: tf.Tensor) -> tf.Tensor:
        """Return the maximum over each sequence; the lowest float or minus infinity for an empty sequence."""

    @abstractmethod
    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sum over each sequence, zero for an empty sequence; `values` must be zero at padding."""

    @abstractmethod
    def broadcast(self, reduced: tf.Tensor) -> tf.Tensor:
        """Repeat one number per sequence for each of its elements, with infinity at padding."""


class _PackedSequences(_Sequences):
    """Sequences in element order, without padding: values are [elements, ...]."""

    def __init__(self, packing: Packing) -> None:
        self.rows, self.count = packing.rows, tf.size(packing.lengths)

    def zero_padding(self, values: tf.Tensor) -> tf.Tensor:
        return values

    def maximum(self, values: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_max(values, self.rows, self.count)

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        # The sorted segment sum is four times as fast as the unsorted one, but its output ends at the last sequence
        # that has an element.
        sums = tf.math.segment_sum(values, self.rows)
        missing = self.count - tf.shape(sums)[0]
        return tf.pad(sums, [[0, missing]] + [[0, 0]] * (len(values.shape) - 1))

    def broadcast(self, reduced: tf.Tensor) -> tf.Tensor:
        return tf.gather(reduced, self.rows)


class _PaddedSequences(_Sequences):
    """Padded sequences: values are [..., positions] or [..., positions, features]."""

    def __init__(self, states: tf.Tensor, mask: tf.Tensor | None) -> None:
        self.axis = len(states.shape) - 2
        self.mask = None if mask is None else tf.cast(mask, tf.bool)

    def zero_padding(self, values: tf.Tensor) -> tf.Tensor:
        return self._replace_padding(values, 0.0)

    def maximum(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(self._replace_padding(values, values.dtype.min), axis=self.axis)

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        # In half precision, a running sum stops growing after some thousand terms.
        exact = tf.cast(values, tf.float32) if values.dtype.size < tf.float32.size else values
        return tf.cast(tf.reduce_sum(exact, axis=self.axis), values.dtype)

    def broadcast(self, reduced: tf.Tensor) -> tf.Tensor:
        # exp(x - inf) and x / inf are zero and have a gradient of zero, so padding gets no attention, even if a whole
        # sequence is padding.
        return self._replace_padding(tf.expand_dims(reduced, self.axis), float("inf"))

    def _replace_padding(self, values: tf.Tensor, by: float) -> tf.Tensor:
        if self.mask is None:
            return values
        mask = self.mask if len(values.shape) == self.axis + 1 else self.mask[..., None]
        return tf.where(mask, values, tf.constant(by, values.dtype))


class _Pooling(keras.layers.Layer, ABC):
    """Base class of layers that pool [..., positions, features] into [..., features]."""

    kind: str  # a key of `POOLINGS`

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def pool(
        self, states: tf.Tensor, packing: Packing, values: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Pool sequences without padding.

        Parameters
        ----------
        states : float tensor [elements, features]
            The states of all sequences, one sequence after another.
        packing : Packing
            Maps elements to sequences, see `han.layers.packing.pack`.
        values : float tensor [elements, features], optional
            What is averaged with the attention scores of the states, as in attention with keys and values. By default,
            the states themselves.

        Returns
        -------
        pooled : float tensor [sequences, features]
            Zeros for an empty sequence.
        attention_scores : float tensor [elements] or None
            None for `MaxPooling`, which ignores `values`.
        """
        return self._pool(states, _PackedSequences(packing), values)

    def _pool_padded(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Pool [..., positions, features]; return the pooled states and the attention scores."""
        sequences = _PaddedSequences(inputs, mask)
        # Padding may hold anything, even NaN, which multiplication by a score of zero would not remove.
        return self._pool(sequences.zero_padding(inputs), sequences)

    @abstractmethod
    def _pool(
        self, states: tf.Tensor, sequences: _Sequences, values: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return the pooled values and the attention scores; `states` must be zero at padding."""

    def compute_mask(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> None:
        """Return None: the output has no positions to mask."""
        return

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [..., features]."""
        return (*input_shape[:-2], input_shape[-1])


class _WeightedPooling(_Pooling):
    """Base class of poolings that are a weighted mean of the states; the weights are the attention scores."""

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None, return_attention_scores: bool = False) -> Any:
        """Pool padded sequences.

        Parameters
        ----------
        inputs : float tensor [..., positions, features]
        mask : bool tensor [..., positions], optional
            True at real positions, False at padding. By default, every position is real.
        return_attention_scores : bool, default False
            Also return the attention scores.

        Returns
        -------
        pooled : float tensor [..., features]
            Zeros for a sequence that is all padding.
        attention_scores : float tensor [..., positions]
            Only if `return_attention_scores` is True. The scores of a sequence sum to one; padding has zeros.
        """
        pooled, scores = self._pool_padded(inputs, mask)
        return (pooled, scores) if return_attention_scores else pooled

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the call, since `compute_output_shape` describes only the first of two outputs."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def _pool(
        self, states: tf.Tensor, sequences: _Sequences, values: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        scores = self._attend(states, sequences)
        return sequences.sum((states if values is None else values) * scores[..., None]), scores

    @abstractmethod
    def _attend(self, states: tf.Tensor, sequences: _Sequences) -> tf.Tensor:
        """Return the attention scores."""


@keras.saving.register_keras_serializable(package="han")
class AttentionPooling(_WeightedPooling):
    r"""Pool states into their mean weighted by learned attention: HN-ATT in Yang et al. 2016.

    Implements equations 5-7 (words) and 8-10 (sentences) of the paper. Over the real positions t of a sequence with the
    states h:

    .. math:: u_t = \tanh(W h_t + b), \quad \alpha_t = \mathrm{softmax}_t(u_t \cdot c), \quad
              s = \sum_t \alpha_t h_t

    The softmax is taken over as many positions as a sequence has, so the number of positions need not be fixed. A
    sequence without real positions pools to zeros.

    Parameters
    ----------
    units : int or None, default None
        Width of the projection u. None uses the width of the states.
    l2 : float, default 0.0
        L2 penalty on the projection kernel W and on the context vector c.
    seed : int or None, default None
        Seed of the initial weights.
    **kwargs
        Arguments of `keras.layers.Layer` (`name`, `dtype`, ...).

    Raises
    ------
    ValueError
        If `units` is below 1, `l2` is negative, or the input has fewer than two axes.

    References
    ----------
    Yang et al. 2016, Hierarchical Attention Networks for Document Classification,
    https://aclanthology.org/N16-1174/

    Examples
    --------
    >>> import numpy as np
    >>> from han.layers import AttentionPooling
    >>> states = np.random.default_rng(0).normal(size=(2, 7, 10))
    >>> mask = np.array([[True] * 7, [True] * 4 + [False] * 3])
    >>> pooled, scores = AttentionPooling()(states, mask=mask, return_attention_scores=True)
    >>> pooled.shape, scores.shape
    (TensorShape([2, 10]), TensorShape([2, 7]))
    >>> scores[1, 4:].numpy()
    array([0., 0., 0.], dtype=float32)
    """

    kind = "attention"

    def __init__(self, units: int | None = None, l2: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        if units is not None and units < 1:
            raise InvalidValueError(f"units must be None or at least 1, got {units!r}")
        if l2 < 0:
            raise InvalidValueError(f"l2 must not be negative, got {l2!r}")
        super().__init__(**kwargs)
        self.units = units
        self.l2 = l2
        self.seed = seed

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
            # Large enough that the initial scores differ: if the softmax is nearly flat, the context vector gets almost
            # no signal and attention stays flat (with a tenth of this, each sentence of a review kept the same score).
            initializer=keras.initializers.RandomNormal(stddev=0.3, seed=context_seed),
            regularizer=penalty,
        )

    def logits(self, states: tf.Tensor) -> tf.Tensor:
        """Return u . c, the scores before the softmax [...], of states [..., features]."""
        projected = keras.ops.tanh(keras.ops.matmul(states, self.kernel) + self.bias)
        return keras.ops.matmul(projected, self.context)

    def _attend(self, states: tf.Tensor, sequences: _Sequences) -> tf.Tensor:
        logits = self.logits(states)
        # Subtracting the maximum leaves the softmax unchanged and keeps exp from overflowing.
        peak = tf.stop_gradient(sequences.maximum(logits))
        raised = tf.exp(logits - sequences.broadcast(peak))
        return raised / sequences.broadcast(sequences.sum(raised))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "l2": self.l2, "seed": self.seed}


@keras.saving.register_keras_serializable(package="han")
class MeanPooling(_WeightedPooling):
    r"""Pool states into their mean: HN-AVE in Yang et al. 2016.

    Over the T real positions of a sequence with the states h:

    .. math:: \alpha_t = \frac{1}{T}, \quad s = \sum_t \alpha_t h_t

    A sequence without real positions pools to zeros.

    Parameters
    ----------
    **kwargs
        Arguments of `keras.layers.Layer` (`name`, `dtype`, ...).

    References
    ----------
    Yang et al. 2016, Hierarchical Attention Networks for Document Classification,
    https://aclanthology.org/N16-1174/

    Examples
    --------
    >>> import numpy as np
    >>> from han.layers import MeanPooling
    >>> states = np.array([[[1.0], [3.0], [0.0]], [[4.0], [5.0], [6.0]]])
    >>> mask = np.array([[True, True, False], [True, True, True]])
    >>> MeanPooling()(states, mask=mask).numpy()
    array([[2.],
           [5.]], dtype=float32)
    """

    kind = "mean"

    def _attend(self, states: tf.Tensor, sequences: _Sequences) -> tf.Tensor:
        ones = sequences.zero_padding(tf.ones_like(states[..., 0]))
        return ones / sequences.broadcast(sequences.sum(ones))


@keras.saving.register_keras_serializable(package="han")
class MaxPooling(_Pooling):
    r"""Pool states into the maximum of each feature: HN-MAX in Yang et al. 2016.

    Over the real positions t of a sequence with the states h, for each feature i:

    .. math:: s_i = \max_t h_{ti}

    There are no attention scores. A sequence without real positions pools to zeros.

    Parameters
    ----------
    **kwargs
        Arguments of `keras.layers.Layer` (`name`, `dtype`, ...).

    References
    ----------
    Yang et al. 2016, Hierarchical Attention Networks for Document Classification,
    https://aclanthology.org/N16-1174/

    Examples
    --------
    >>> import numpy as np
    >>> from han.layers import MaxPooling
    >>> states = np.array([[[1.0], [3.0], [9.0]], [[4.0], [5.0], [6.0]]])
    >>> mask = np.array([[True, True, False], [True, True, True]])
    >>> MaxPooling()(states, mask=mask).numpy()
    array([[3.],
           [6.]], dtype=float32)
    """

    kind = "max"

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Pool padded sequences.

        Parameters
        ----------
        inputs : float tensor [..., positions, features]
        mask : bool tensor [..., positions], optional
            True at real positions, False at padding. By default, every position is real.

        Returns
        -------
        float tensor [..., features]
            Zeros for a sequence that is all padding.
        """
        return self._pool_padded(inputs, mask)[0]

    def _pool(
        self, states: tf.Tensor, sequences: _Sequences, values: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, None]:
        pooled = sequences.maximum(states)
        # The maximum over no elements is the lowest float, or minus infinity.
        return tf.where(pooled > states.dtype.min, pooled, tf.zeros_like(pooled)), None


POOLINGS = {layer.kind: layer for layer in (AttentionPooling, MeanPooling, MaxPooling)}
