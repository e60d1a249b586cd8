"""A bidirectional LSTM or GRU encoder that skips padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from han.backend import keras, tf
from han.exceptions import InvalidValueError
from han.layers.packing import Packing, pack
from han.recurrence.loops import GATES
from han.recurrence.plain import plain_recurrence


@keras.saving.register_keras_serializable(package="han")
class BidirectionalEncoder(keras.layers.Layer):
    """Encode sequences in both directions with an LSTM or a GRU, without computing on padding.

    The weights are those of `keras.layers.Bidirectional(LSTM(units, return_sequences=True))`, or `GRU`, in Keras'
    layout, and so are the outputs.

    Parameters
    ----------
    units : int
        Width of the state in each direction; the output has twice as many features.
    cell : {"lstm", "gru"}, default "lstm"
        The recurrent cell (Hochreiter & Schmidhuber 1997; Cho et al. 2014).
    seed : int or None, default None
        Seed of the initial weights and of dropout.
    recurrent_dropout : float in [0, 1), default 0.0
        Fraction of the recurrent kernels' weights to drop during training, with one mask for all steps of a batch (the
        weight-dropped LSTM of Merity et al. 2018).
    residual : bool, default False
        Add a linear projection of its input to each state: W x in equation 2 of He et al. 2016.
    **kwargs
        Arguments of `keras.layers.Layer` (`name`, ...). The dtype is float32, whatever Keras' global policy is.

    Raises
    ------
    ValueError
        If `units` is below 1, `cell` is unknown, or the dtype is not float32.

    References
    ----------
    Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation,
    https://aclanthology.org/D14-1179/

    He et al. 2016, Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385

    Hochreiter & Schmidhuber 1997, Long Short-Term Memory, https://doi.org/10.1162/neco.1997.9.8.1735

    Merity et al. 2018, Regularizing and Optimizing LSTM Language Models, https://arxiv.org/abs/1708.02182

    Examples
    --------
    >>> import numpy as np
    >>> from han.layers import BidirectionalEncoder
    >>> embedded = np.random.default_rng(0).normal(size=(2, 7, 10))
    >>> mask = np.array([[True] * 7, [True] * 4 + [False] * 3])
    >>> states = BidirectionalEncoder(units=5, seed=0)(embedded, mask=mask)
    >>> states.shape
    TensorShape([2, 7, 10])
    >>> bool(np.any(states[1, 4:]))
    False
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
        if cell not in GATES:
            raise InvalidValueError(f"cell must be one of {sorted(GATES)}, got {cell!r}")
        super().__init__(**{**kwargs, "dtype": kwargs.get("dtype") or "float32"})
        if self.dtype_policy.name != "float32":
            raise InvalidValueError(
                f"dtype must be float32, as the compiled recurrence supports no other, got {self.dtype_policy.name!r}"
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
        self.supports_jit = False  # shapes depend on the mask's values

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of both directions for inputs of width `input_shape[-1]`."""
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
        """Create the kernel, recurrent kernel and bias of one direction, with Keras' shapes and initialisers."""
        lstm = self.cell == "lstm"
        width = GATES[self.cell] * self.units

        def lstm_bias(_shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
            # The forget gate starts open (Jozefowicz et al. 2015, https://proceedings.mlr.press/v37/jozefowicz15.html).
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

    def project(self, features: tf.Tensor) -> tf.Tensor:
        """Multiply inputs by the input kernels of both directions and by the residual kernel.

        Parameters
        ----------
        features : float tensor [rows, features]
            The distinct inputs. Each is projected once, however often it occurs: a batch of 16,800 English words has
            about 3,300 distinct ones.

        Returns
        -------
        float tensor [rows, columns]
            See `han.recurrence.level.Inputs`.
        """
        return tf.matmul(features, self.input_kernel())

    def input_kernel(self) -> tf.Tensor:
        """Return the input kernels of both directions and the residual kernel, side by side [features, columns]."""
        kernels = [
            self.forward_weights[0],
            self.backward_weights[0],
            *([self.residual_kernel] if self.residual else []),
        ]
        return tf.concat([tf.convert_to_tensor(kernel) for kernel in kernels], axis=1)

    def recurrent_weights(self, training: bool = False) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yield the recurrent kernel [units, gates * units] and the bias [1 or 2, gates * units] of each direction."""
        for _, kernel, bias in (self.forward_weights, self.backward_weights):
            both = tf.convert_to_tensor(bias)
            dropped = self.weight_dropout(tf.convert_to_tensor(kernel), training=training)
            yield dropped, both if self.cell == "gru" else both[None]

    def encode(self, table: tf.Tensor, packing: Packing, index: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Encode sequences without padding, in operations that can be exported.

        Parameters
        ----------
        table : float tensor [rows, columns]
            The projected inputs returned by `project`.
        packing : Packing
            The sequences, see `han.layers.packing.pack`.
        index : int32 tensor [elements]
            The row of `table` that holds each element's input.
        training : bool, default False
            Apply dropout.

        Returns
        -------
        float tensor [elements, 2 * units]
            The states of all sequences, one sequence after another; the forward direction comes first.
        """
        width = GATES[self.cell] * self.units
        outputs = [
            plain_recurrence(
                self.cell,
                table[:, number * width :][:, :width],
                index,
                packing.lengths,
                *weights,
                backwards=number == 1,
            )
            for number, weights in enumerate(self.recurrent_weights(training))
        ]
        states = tf.concat(outputs, axis=1)
        return states + self.residual_inputs(table, index) if self.residual else states

    def residual_inputs(self, table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Return the projected inputs that are added to the states [elements, 2 * units]."""
        return tf.gather(table[:, 2 * GATES[self.cell] * self.units :], index)

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Encode padded sequences, in operations that can be exported.

        Parameters
        ----------
        inputs : float tensor [..., positions, features]
        mask : bool tensor [..., positions], optional
            True at real positions, False at padding. By default, every position is real.
        training : bool, default False
            Apply dropout.

        Returns
        -------
        float tensor [..., positions, 2 * units]
            Zeros at padding.
        """
        mask = tf.ones(tf.shape(inputs)[:-1], tf.bool) if mask is None else tf.cast(mask, tf.bool)
        lengths = tf.reshape(tf.math.count_nonzero(mask, axis=-1, dtype=tf.int32), [-1])
        elements = tf.boolean_mask(inputs, mask)
        index = tf.range(tf.shape(elements)[0])
        states = self.encode(self.project(elements), pack(lengths), index, training)
        shape = tf.concat([tf.shape(mask), [2 * self.units]], axis=0)
        padded = tf.scatter_nd(tf.where(mask), states, tf.cast(shape, tf.int64))
        return tf.ensure_shape(padded, self.compute_output_shape(inputs.shape))

    def compute_mask(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor | None:
        """Return the mask of the inputs, which is that of the states."""
        return mask

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [..., positions, 2 * units]."""
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
