"""The loss that training minimises, and a metric that Keras has for one-hot targets only."""

from __future__ import annotations

from han.backend import keras, tf


class Crossentropy(keras.losses.Loss):
    """Cross-entropy with class indices as targets, smoothed: a share of each target is spread over all classes.

    (Szegedy et al. 2016, section 7.) Without smoothing it is Keras' sparse categorical cross-entropy. For documents of
    several classes it is the sum of the binary ones, with targets [documents, classes].
    """

    def __init__(self, label_smoothing: float = 0.0, multi_label: bool = False) -> None:
        super().__init__(name="crossentropy")
        self.label_smoothing, self.multi_label = label_smoothing, multi_label

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each document."""
        if self.multi_label:
            mean = keras.losses.binary_crossentropy(y_true, y_pred, label_smoothing=self.label_smoothing)
            return mean * y_pred.shape[-1]
        if not self.label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        targets = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int64), y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(targets, y_pred, label_smoothing=self.label_smoothing)


class MacroF1(keras.metrics.F1Score):
    """Keras' macro-averaged F1 with class indices as targets, or of probabilities above a half."""

    def __init__(self, classes: int, multi_label: bool = False) -> None:
        super().__init__(average="macro", threshold=0.5 if multi_label else None, name="macro_f1")
        self.classes, self.multi_label = classes, multi_label

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Count a batch."""
        if not self.multi_label:
            y_true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int64), self.classes)
        super().update_state(y_true, y_pred, sample_weight)
