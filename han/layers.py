"""The layers of the network: attention pooling and the bidirectional sequence encoder, usable alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from han.backend import keras, tf
from han.exceptions import InvalidValueError
from han.packing import Packing, pack, pad_rows
from han.recurrence import CELLS, recurrence

# Projected inputs: for the forward direction, for the backward direction, and for the residual connection.
Tables = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


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
    >>> from han.layers import AttentionPooling
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


@keras.saving.register_keras_serializable(package="han")
class BidirectionalEncoder(keras.layers.Layer):
    """Read sequences from both ends with an LSTM or a GRU; no arithmetic is spent on padding.

    Holds the weights of `keras.layers.Bidirectional(LSTM(units, return_sequences=True))`, or of the same with
    `GRU`, in Keras' layout, and computes the same outputs.

    Parameters
    ----------
    units : int
        Width of the state in each direction; the output has twice as many features.
    cell : {"lstm", "gru"}, default "lstm"
    seed : int or None, default None
        Seed of the initial weights and of dropout.
    recurrent_dropout : float in [0, 1), default 0.0
        Rate for the weights of the recurrent kernels while training: one mask for all steps of a batch (the
        weight-dropped LSTM of Merity et al. 2018).
    residual : bool, default False
        Add to each state a linear projection of its input, W x (He et al. 2016, equation 2): what is above the encoder
        reads the input itself beside what the recurrence makes of it.
    **kwargs
        As for any Keras layer (`name`, ...). The dtype is float32, whatever Keras' global policy is.

    Raises
    ------
    ValueError
        If `units` is below 1, `cell` is unknown, or the dtype is not float32.
    """

    def __init__(
        self,
        units: int,
        cell: str = "lstm",
        seed: int | None = None,
        recurrent_dropout: float = 0.0,
        residual: bool = False,
        **kwargs: Any,
    ) -> None:
        if units < 1:
            raise InvalidValueError(f"units must be at least 1, got {units!r}")
        if cell not in CELLS:
            raise InvalidValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}")
        super().__init__(**{**kwargs, "dtype": kwargs.get("dtype") or "float32"})
        if self.dtype_policy.name != "float32":
            raise InvalidValueError(
                f"dtype must be float32, which the compiled recurrence is for, got {self.dtype_policy.name!r}"
            )
        self.units = units
        self.cell = cell
        self.seed = seed
        self.recurrent_dropout = recurrent_dropout
        self.residual = residual
        self.weight_dropout = keras.layers.Dropout(
            recurrent_dropout, seed=None if seed is None else seed + 4, dtype=self.dtype_policy
        )
        self.supports_masking = True
        self.supports_jit = False  # the recurrence is compiled already; shapes around it depend on the mask's values

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the two directions' weights for inputs of width `input_shape[-1]`."""
        if input_shape[-1] is None:
            raise InvalidValueError(f"the last axis of inputs must be known, got {input_shape!r}")
        seeds = [None] * 4 if self.seed is None else range(self.seed, self.seed + 4)
        self.forward_weights = self._add_direction("forward", input_shape[-1], *seeds[:2])
        self.backward_weights = self._add_direction("backward", input_shape[-1], *seeds[2:])
        if self.residual:
            self.residual_kernel = self.add_weight(
                name="residual_kernel",
                shape=(input_shape[-1], 2 * self.units),
                initializer=keras.initializers.GlorotUniform(None if self.seed is None else self.seed + 5),
            )

    def _add_direction(
        self, direction: str, features: int, seed: int | None, recurrent_seed: int | None
    ) -> list[keras.Variable]:
        """Create one direction's kernel, recurrent kernel and bias, shaped and initialised as Keras' LSTM or GRU."""
        lstm = self.cell == "lstm"
        width = CELLS[self.cell].gates * self.units

        def lstm_bias(_shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
            # The forget gate starts open (Jozefowicz et al. 2015).
            return tf.repeat(tf.constant([0.0, 1.0, 0.0, 0.0], dtype), self.units)

        return [
            self.add_weight(
                name=f"{direction}_kernel",
                shape=(features, width),
                initializer=keras.initializers.GlorotUniform(seed),
            ),
            self.add_weight(
                name=f"{direction}_recurrent_kernel",
                shape=(self.units, width),
                initializer=keras.initializers.Orthogonal(seed=recurrent_seed),
            ),
            self.add_weight(
                name=f"{direction}_bias",
                shape=(width,) if lstm else (2, width),
                initializer=lstm_bias if lstm else "zeros",
            ),
        ]

    def project(self, features: tf.Tensor) -> Tables:
        """Project inputs [rows, features] through the input kernels of the two directions, and the residual one.

        An input is projected once, however often it occurs: a batch of 16,800 words of English holds some 3,300
        distinct ones.
        """
        cell = CELLS[self.cell]
        forward, backward = (
            pad_rows(tf.matmul(features, cell.arrange(tf.convert_to_tensor(weights[0]))))
            for weights in (self.forward_weights, self.backward_weights)
        )
        width = 2 * self.units
        return forward, backward, tf.matmul(features, self.residual_kernel) if self.residual else tf.zeros([0, width])

    def encode(
        self,
        tables: Tables,
        packing: Packing,
        index: tf.Tensor,
        differentiable: bool = True,
        training: bool = False,
    ) -> tf.Tensor:
        """Encode sequences without padding.

        Parameters
        ----------
        tables : tuple of three float tensors [rows, width]
            The projected inputs, as `project` returns them.
        packing : Packing
        index : int32 tensor [elements]
            The row of each element's input.
        differentiable : bool, default True
            Whether a gradient will be asked for.
        training : bool, default False
            Apply dropout.

        Returns
        -------
        float tensor [elements, 2 * units]
            The states in element order, forward direction first.
        """
        cell = CELLS[self.cell]
        # Steps of a lane that hold no element read any row; their outputs are never looked at.
        slots = tf.gather(tf.pad(index, [[0, 1]]), packing.elements)
        outputs = []
        for direction, weights in enumerate((self.forward_weights, self.backward_weights)):
            _, kernel, bias = map(tf.convert_to_tensor, weights)
            kernel = cell.arrange(self.weight_dropout(kernel, training=training))
            steps = recurrence(
                cell,
                tables[direction],
                slots,
                packing.carry[direction],
                packing.steps,
                direction == 1,
                kernel,
                tf.reshape(cell.arrange(bias), [cell.biases, -1]),
                differentiable,
            )
            outputs.append(_in_element_order(steps, packing.places, packing.elements))
        states = tf.ensure_shape(tf.concat(outputs, axis=1), [None, 2 * self.units])
        return states + tf.gather(tables[2], index) if self.residual else states

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Encode padded sequences.

        Parameters
        ----------
        inputs : float tensor [sequences, positions, features]
        mask : bool tensor [sequences, positions], optional
            True at real elements.
        training : bool, default False
            Apply dropout.

        Returns
        -------
        float tensor [sequences, positions, 2 * units]
            Zeros at padding.
        """
        if mask is None:
            mask = tf.ones(tf.shape(inputs)[:2], tf.bool)
        lengths = tf.math.count_nonzero(mask, axis=1, dtype=tf.int32)
        elements = tf.boolean_mask(inputs, mask)
        index = tf.range(tf.shape(elements)[0])
        states = self.encode(self.project(elements), pack(lengths), index, training=training)
        shape = tf.concat([tf.shape(mask), [2 * self.units]], axis=0)
        return tf.scatter_nd(tf.where(mask), states, tf.cast(shape, tf.int64))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [sequences, positions, 2 * units]."""
        return (*input_shape[:-1], 2 * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "cell": self.cell,
            "seed": self.seed,
            "recurrent_dropout": self.recurrent_dropout,
            "residual": self.residual,
        }


# Traced once: TensorFlow keeps the graph that a `tf.custom_gradient` stands in for as long as the process lives.
@tf.function(
    autograph=False,
    input_signature=[tf.TensorSpec([None] * 3), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int32)],
)
def _in_element_order(outputs: tf.Tensor, places: tf.Tensor, elements: tf.Tensor) -> tf.Tensor:
    """Collect one direction's outputs [steps_allocated, lanes, units] of the elements, [elements, units].

    `places` and `elements` are those of a `Packing`.
    """

    @tf.custom_gradient
    def collect(outputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(at_states: tf.Tensor) -> tf.Tensor:
            # Every output is read at most once: the gradient is again a collection, not a sum.
            return tf.gather(tf.pad(at_states, [[0, 1], [0, 0]]), elements)

        return tf.gather(tf.reshape(outputs, [-1, tf.shape(outputs)[-1]]), places), gradient

    return collect(outputs)


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
