"""Adam that updates only the rows of an embedding that a batch used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from han.backend import keras, tf

Gradient = Any  # a tensor, or tf.IndexedSlices


@keras.saving.register_keras_serializable(package="han")
class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) that touches only the rows of an embedding that a batch used.

    Keras' own Adam turns the sparse gradient of an embedding into a dense one, to clip it and to update every row at
    every step, for the momentum of each row goes on moving it. That takes longer than the rest of the optimizer
    together. Here the rows of a sparse gradient are updated without momentum, exactly as by Keras' Adam with
    `beta_1=0`, whose unused rows do not move: a row goes as far for a gradient, at once instead of over the next steps.
    (To keep the momentum but leave out the steps in between would take a rare word a tenth as far.)

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

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the moments, and for each row the step of its last sparse update."""
        if self.built:
            return
        super().build(variables)
        self._updated = [
            self.add_variable(shape=variable.shape[:1], dtype=variable.dtype, name=f"updated_{index}")
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
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        values, rows = gradient.values, gradient.indices
        step = tf.cast(self.iterations + 1, values.dtype)
        rate = tf.cast(learning_rate, values.dtype) * tf.sqrt(1.0 - self.beta_2**step)
        index = self._get_variable_index(variable)
        velocity, updated = self._velocities[index], self._updated[index]
        # What the steps since a row's last update would have left of its second moment.
        left = self.beta_2 ** (step - tf.gather(updated.value, rows))
        velocity_rows = tf.gather(velocity.value, rows) * left[:, None] + tf.square(values) * (1.0 - self.beta_2)
        change = -self.sparse_rate * rate * values / (tf.sqrt(velocity_rows) + self.epsilon)
        self.assign(velocity, tf.IndexedSlices(velocity_rows, rows))
        self.assign(updated, tf.IndexedSlices(tf.fill([tf.size(rows)], step), rows))
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
