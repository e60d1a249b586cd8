"""Adam that updates only the rows of an embedding that a batch used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from han.backend import keras, tf

Gradient = Any  # a tensor, or tf.IndexedSlices


@keras.saving.register_keras_serializable(package="han")
class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) whose moments of unused embedding rows stay as they are.

    Keras' own Adam turns the sparse gradient of an embedding into a dense one, to clip it and to update every row at
    every step, which takes longer than the rest of the optimizer together and keeps moving words that do not occur.

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

    def apply(self, grads: Sequence[Gradient], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """Take one step: the gradients in the order of the variables."""
        grads = [_distinct(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in grads]
        if self.max_norm is not None:
            grads, _ = tf.clip_by_global_norm(grads, self.max_norm)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Gradient, variable: keras.Variable, learning_rate: float) -> None:
        """Update one variable; the rows of a sparse gradient only."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        values, rows = gradient.values, gradient.indices
        step = tf.cast(self.iterations + 1, values.dtype)
        rate = tf.cast(learning_rate, values.dtype)
        rate *= tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        index = self._get_variable_index(variable)
        mean, variance = self._momentums[index], self._velocities[index]
        mean_rows = tf.gather(mean.value, rows)
        mean_rows += (values - mean_rows) * (1.0 - self.beta_1)
        variance_rows = tf.gather(variance.value, rows)
        variance_rows += (tf.square(values) - variance_rows) * (1.0 - self.beta_2)
        change = -rate * mean_rows / (tf.sqrt(variance_rows) + self.epsilon)
        self.assign(mean, tf.IndexedSlices(mean_rows, rows))
        self.assign(variance, tf.IndexedSlices(variance_rows, rows))
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
