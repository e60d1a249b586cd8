"""Adam that updates only the rows of an embedding that a batch used."""

from __future__ import annotations

from han.backend import keras, tf


@keras.saving.register_keras_serializable(package="han")
class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) whose moments of unused embedding rows stay as they are.

    Keras' own Adam turns the sparse gradient of an embedding into a dense one and updates every row at every step,
    which takes longer than the rest of the optimizer together and keeps moving words that do not occur. Takes the
    arguments of `keras.optimizers.Adam`, but for `amsgrad`.
    """

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: keras.Variable, learning_rate: float
    ) -> None:
        """Update one variable; the rows of a sparse gradient only."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rows, position = tf.unique(gradient.indices)
        values = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))

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
