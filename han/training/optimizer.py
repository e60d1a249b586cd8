"""Adam with sparse updates of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from han.backend import keras, tf
from han.backend.variables import shared_kernels

Gradient = Any  # a tensor, or tf.IndexedSlices


@keras.saving.register_keras_serializable(package="han")
class LazyAdam(keras.optimizers.Adam):
    """Adam that updates only the embedding rows of the words in the batch.

    Keras' Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980) converts the sparse gradient of an embedding to a
    dense one, and its momentum moves every row at every step, which takes longer than the rest of the optimizer. Here,
    each row of a sparse gradient is updated on its own, by Adam without momentum (`beta_1=0`) that counts only the
    steps in which the row has a gradient.

    A rare word therefore moves by about the learning rate, as any weight does in its first step. With Adam it would
    move about thirty times as far, because its second moment has decayed since the last update, and the network would
    memorise documents by their rare words.

    Parameters
    ----------
    learning_rate : float or schedule, default 0.001
    global_clipnorm : float or None, default None
        Maximum of the global norm; larger gradients are scaled down to it.
    **kwargs
        Passed to `keras.optimizers.Adam`. `amsgrad` and other kinds of clipping are not supported.
    """

    def __init__(self, learning_rate: Any = 0.001, global_clipnorm: float | None = None, **kwargs: Any) -> None:
        super().__init__(learning_rate, **{"name": "lazy_adam", **kwargs})
        self.max_norm = global_clipnorm
        # Factor on the learning rate of sparse updates. Keras would add it to `variables`, which checkpoints store.
        self.__dict__["sparse_rate"] = keras.Variable(1.0, trainable=False)

    @shared_kernels(any_rows=True)
    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the moments, and a count of sparse updates for each row."""
        if self.built:
            return
        super().build(variables)
        self._steps = [
            self.add_variable(shape=variable.shape[:1], dtype=variable.dtype, name=f"steps_{index}")
            for index, variable in enumerate(variables)
        ]

    def apply(self, grads: Sequence[Gradient], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """Apply the gradients, given in the order of the variables."""
        index_variables(self)
        grads = [_distinct(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in grads]
        if self.max_norm is not None:
            grads, _ = tf.clip_by_global_norm(grads, self.max_norm)
        # Once for all variables, since the graph is not rewritten.
        step = tf.cast(self.iterations.value + 1, tf.float32)
        self.__dict__["powers"] = self.beta_1**step, self.beta_2**step
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Gradient, variable: keras.Variable, learning_rate: float) -> None:
        """Update one variable; of an embedding, only the rows with a gradient."""
        index = self._get_variable_index(variable)
        velocity, steps = self._velocities[index], self._steps[index]
        if not isinstance(gradient, tf.IndexedSlices):
            # One fused operation instead of Keras' forty, so that tracing takes a third less time.
            beta1_power, beta2_power = (tf.cast(power, gradient.dtype) for power in self.powers)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._momentums[index].value.handle,
                v=velocity.value.handle,
                beta1_power=beta1_power,
                beta2_power=beta2_power,
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


def index_variables(optimizer: keras.optimizers.Optimizer) -> None:
    """Let an optimizer find its variables by their values, as Keras does, although `Graph` has replaced them."""
    variables = enumerate(optimizer._trainable_variables)
    optimizer._trainable_variables_indices = {optimizer._var_key(variable): index for index, variable in variables}


def _distinct(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Sum the values of repeated rows."""
    rows, position = tf.unique(gradient.indices)
    values = tf.cond(
        tf.size(rows) < tf.size(position),
        lambda: tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows)),
        lambda: gradient.values,
    )
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
