"""The loss that training minimises, and a metric that Keras has for one-hot targets only."""

from __future__ import annotations

from typing import Any

from han.backend import keras, tf


@keras.saving.register_keras_serializable(package="han")
class Crossentropy(keras.losses.Loss):
    """Cross-entropy with class indices as targets, smoothed: a share of each target is spread over all classes.

    (Szegedy et al. 2016, section 7.) Without smoothing it is Keras' sparse categorical cross-entropy. For documents of
    several classes it is the sum of the binary ones, with targets [documents, classes].

    Parameters
    ----------
    label_smoothing : float in [0, 1), default 0.0
    multi_label : bool, default False
    **kwargs
        As for any Keras loss (`name`, ...).
    """

    def __init__(self, label_smoothing: float = 0.0, multi_label: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"name": "crossentropy", **kwargs})
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

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "multi_label": self.multi_label}


@keras.saving.register_keras_serializable(package="han")
class MacroF1(keras.metrics.F1Score):
    """Keras' macro-averaged F1 with class indices as targets, or of probabilities above a half."""

    def __init__(self, classes: int, multi_label: bool = False, name: str = "macro_f1") -> None:
        super().__init__(average="macro", threshold=0.5 if multi_label else None, name=name)
        self.classes, self.multi_label = classes, multi_label

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Count a batch."""
        if not self.multi_label:
            y_true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int64), self.classes)
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"classes": self.classes, "multi_label": self.multi_label, "name": self.name}
