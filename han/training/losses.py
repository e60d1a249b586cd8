"""The training loss, and a macro-averaged F1 score for class indices."""

from __future__ import annotations

from typing import Any

from han.backend import keras, tf


@keras.saving.register_keras_serializable(package="han")
class Crossentropy(keras.losses.Loss):
    """Cross-entropy with class indices as targets and optional label smoothing.

    Label smoothing (Szegedy et al. 2016, section 7, https://arxiv.org/abs/1512.00567) spreads a share of each target
    over all classes. Without it, this is Keras' sparse categorical cross-entropy. For multi-label classification,
    targets are [documents, classes] and the loss is the sum of the binary cross-entropies.

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
    """Keras' macro-averaged F1 score, for class indices or, with `multi_label`, multi-hot targets."""

    def __init__(self, classes: int, multi_label: bool = False, name: str = "macro_f1") -> None:
        super().__init__(average="macro", threshold=0.5 if multi_label else None, name=name)
        self.classes, self.multi_label = classes, multi_label

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Accumulate the counts of a batch."""
        if not self.multi_label:
            y_true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int64), self.classes)
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"classes": self.classes, "multi_label": self.multi_label, "name": self.name}
