"""A training run of a few seconds, for tests that interrupt and resume it."""

from __future__ import annotations

import numpy as np

from han import HANClassifier
from han.backend import keras

TEXTS = [
    f"{first} film, the {n}th. I {second} it."
    for n, (first, second) in enumerate([("A fine", "liked"), ("A dull", "left")] * 20)
]
LABELS = ["good", "bad"] * 20
# Everything that draws random numbers or keeps a state between steps is switched on.
SETTINGS = {
    "embedding_dim": 6, "units": 3, "batch_size": 8, "epochs": 4, "patience": None, "sentence_dropout": 0.3,
    "recurrent_dropout": 0.1, "embedding_training": "delay", "learning_rate": 0.01, "random_state": 3, "verbose": 0,
}  # fmt: skip
STEPS = 5  # per epoch, with 36 training documents


class At(keras.callbacks.Callback):
    """Calls a function at the end of a step, counted from 1 over all epochs."""

    def __init__(self, step, function):
        super().__init__()
        self.step, self.function = step, function
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.step:
            self.function()


def train(**arguments):
    return HANClassifier(**{**SETTINGS, **arguments.pop("settings", {})}).fit(TEXTS, LABELS, **arguments)


def weights(classifier):
    return [np.array(weight) for weight in classifier.model_.weights]
