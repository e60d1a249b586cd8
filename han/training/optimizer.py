"""Adam that updates only the rows of an embedding that a batch used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from han.backend import keras, tf
from han.backend.variables import shared_kernels

Gradient = Any  # a tensor, or tf.IndexedSlices


@keras.saving.register_keras_serializable(package="han")
class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) that touches only the rows of an embedding that a batch used.

    Keras' own Adam turns the sparse gradient of an embedding into a dense one, to clip it and to update every row at
    every step, for the momentum of each row goes on moving it. That takes longer than the rest of the optimizer
    together. Here each row of a sparse gradient is updated as if it were alone, by Adam without momentum (`beta_1=0`)
    whose steps are those in which the row has a gradient. So a word that a single document holds moves by the learning
    rate for it, as any weight does at its first step. Adam takes it some thirty times as far, for the second moment has
    all but forgotten the last time: the network learns its documents by heart by their rare words.

    Parameters
    ----------
    learning_rate : float or schedule, default 0.001
    global_clipnorm : float or None, default None
        Gradients are scaled down together so that their norm does not exceed this.
    **kwargs
        As for `keras.optimizers.Adam`, but for `amsgrad` and other ways to clip.
    """

    def __init__(self, learning_rate: Any = 0.001, global_clipnorm: float | None = None, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.max_norm = global_clipnorm
        # The learning rate of sparse updates, as a share of the rest's.
        self.sparse_rate = tf.Variable(1.0, trainable=False)

    @shared_kernels(any_rows=True)
    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the moments, and for each row the number of its sparse updates."""
        if self.built:
            return
        super().build(variables)
        self._steps = [
            self.add_variable(shape=variable.shape[:1], dtype=variable.dtype, name=f"steps_{index}")
            for index, variable in enumerate(variables)
        ]

    def apply(self, grads: Sequence[Gradient], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """Take one step: the gradients in the order of the variables."""
        grads = [_distinct(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in grads]
        if self.max_norm is not None:
            grads, _ = tf.clip_by_global_norm(grads, self.max_norm)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Gradient, variable: keras.Variable, learning_rate: float) -> None:
        """Update one variable; the rows of a sparse gradient [rows, width] only."""
        index = self._get_variable_index(variable)
        velocity, steps = self._velocities[index], self._steps[index]
        if not isinstance(gradient, tf.IndexedSlices):
            # What Keras does in forty operations: a network of 23 variables is traced in two thirds of the time.
            step = tf.cast(self.iterations.value + 1, gradient.dtype)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._momentums[index].value.handle,
                v=velocity.value.handle,
                beta1_power=self.beta_1**step,
                beta2_power=self.beta_2**step,
                lr=tf.cast(learning_rate, gradient.dtype),
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
            )
            return
        values, rows = gradient.values, gradient.indices
        step = tf.gather(steps.value, rows) + 1.0
        velocity_rows = tf.gather(velocity.value, rows) * self.beta_2 + tf.square(values) * (1.0 - self.beta_2)
        rate = self.sparse_rate * tf.cast(learning_rate, values.dtype) * tf.sqrt(1.0 - self.beta_2**step)[:, None]
        change = -rate * values / (tf.sqrt(velocity_rows) + self.epsilon)
        self.assign(velocity, tf.IndexedSlices(velocity_rows, rows))
        self.assign(steps, tf.IndexedSlices(step, rows))
        self.assign_add(variable, tf.IndexedSlices(change, rows))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "global_clipnorm": self.max_norm}


def _distinct(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Sum up the rows that come more than once."""
    rows, position = tf.unique(gradient.indices)
    values = tf.cond(
        tf.size(rows) < tf.size(position),
        lambda: tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows)),
        lambda: gradient.values,
    )
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
