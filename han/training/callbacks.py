"""Training callbacks: weight averaging, learning-rate schedule and delayed embedding.

Stateful callbacks save and restore their state, so that training can be resumed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from han.backend import keras, tf
from han.backend.graph import shared
from han.backend.variables import shared_kernels
from han.exceptions import InvalidTypeError, InvalidValueError, short_repr
from han.training.optimizer import LazyAdam

# Steps between updates of the averages, each of which passes over the whole embedding.
AVERAGE_EVERY = 4

# Numbers, strings and None, or arrays.
State = dict[str, Any]


class StatefulCallback(keras.callbacks.Callback, ABC):
    """A callback whose state is stored in checkpoints."""

    @abstractmethod
    def state(self) -> State:
        """Return the state: JSON values, arrays and lists of arrays."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Restore a state returned by `state`, after `on_train_begin`."""


class WeightAveraging(StatefulCallback):
    """Exponential moving average of the weights, which replaces them for validation and after training.

    In the first steps, the average covers all steps so far. (That of Keras' optimizers starts at the initial weights,
    and passes over the embedding in every step.) See Polyak & Juditsky 1992, https://doi.org/10.1137/0330046.

    Parameters
    ----------
    momentum : float
        Decay of the average for each step.
    """

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum**AVERAGE_EVERY

    def on_train_begin(self, logs: Any = None) -> None:
        """Initialise the averages with the current weights."""
        self.weights = [variable.value for variable in self.model.trainable_variables]
        with shared_kernels(any_rows=True):
            self.averages = [tf.Variable(weight) for weight in self.weights]
        self.updates = 0
        self.averaged = False
        self.step = 0
        arguments = [tf.TensorSpec([]), self.averages, self.weights]
        key = (_update_averages, *(tuple(weight.shape) for weight in self.weights))
        trace = tf.function(_update_averages, autograph=False).get_concrete_function
        self.update = shared(key, lambda: trace(*arguments))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Update the averages."""
        if self.step % AVERAGE_EVERY == 0:
            self.updates += 1
            kept = min(self.momentum, self.updates / (self.updates + 10))
            self.update(tf.constant(kept), self.averages, self.weights)
        self.step += 1

    def on_test_begin(self, logs: Any = None) -> None:
        """Swap in the averages for validation."""
        self._exchange(True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Swap the weights back in."""
        self._exchange(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Swap in the averages if there was no validation."""
        self._exchange(True)
        self.step = 0

    def state(self) -> State:
        """Return the averages or, while these are swapped in, the weights."""
        return {
            "averages": [average.numpy() for average in self.averages],
            "updates": float(self.updates),
            "averaged": self.averaged,
            "step": self.step,
        }

    def restore(self, state: State) -> None:
        """Restore the averages; the weights are restored with the network."""
        for average, value in zip(self.averages, state["averages"], strict=True):
            average.assign(value)
        self.updates = int(state["updates"])
        self.averaged, self.step = state["averaged"], state["step"]

    def _exchange(self, averaged: bool) -> None:
        if averaged != self.averaged:
            for average, weight in zip(self.averages, self.weights, strict=True):
                value = tf.identity(weight)
                weight.assign(average)
                average.assign(value)
            self.averaged = averaged


def _update_averages(kept: tf.Tensor, averages: list[tf.Variable], weights: list[tf.Variable]) -> None:
    for average, weight in zip(averages, weights, strict=True):
        average.assign_add((1.0 - kept) * (weight - average))


class LearningRate(StatefulCallback):
    """Learning-rate schedule: linear warmup, then cosine decay to zero.

    As soon as another callback sets the optimizer's learning rate, the schedule is turned off. `han.training.trainer`
    computes the numbers of steps from the hyper-parameters. See Loshchilov & Hutter 2017,
    https://arxiv.org/abs/1608.03983.

    Parameters
    ----------
    peak : float
    warmup : int
        Number of warmup steps, which start at a hundredth of the peak.
    steps : int
        Total number of steps, including warmup.
    overridden : bool, default False
        Whether another callback sets the rate from the start. Until it does, the rate is the peak.
    """

    def __init__(self, peak: float, warmup: int, steps: int, overridden: bool = False) -> None:
        super().__init__()
        self.peak, self.warmup, self.decay = peak, warmup, max(steps - warmup, 1)
        self.overridden = overridden
        self.step = 0
        self.last: float | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Record the rate, to detect changes by other callbacks."""
        self.last = float(self.model.optimizer.learning_rate)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the rate of the step."""
        # The variable of TensorFlow, which is five times as fast as that of Keras around it.
        rate = self.model.optimizer.learning_rate.value
        self.overridden = self.overridden or float(rate.numpy()) != self.last
        if not self.overridden:
            rate.assign(self.rate(self.step))
            self.last = float(rate.numpy())
        self.step += 1

    def state(self) -> State:
        """Return the position in the schedule; the rate itself is stored with the optimizer."""
        return {"step": self.step, "taken_over": self.overridden, "last": self.last}

    def restore(self, state: State) -> None:
        """Restore the position in the schedule."""
        self.step, self.last = state["step"], state["last"]
        self.overridden = self.overridden or state["taken_over"]

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak * (0.01 + 0.99 * step / self.warmup)
        share = min((step - self.warmup) / self.decay, 1.0)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * share))


class EmbeddingDelay(StatefulCallback):
    """Freeze the embedding for the first steps, while the layers above it adapt to it.

    Parameters
    ----------
    optimizer : LazyAdam
    steps : int
        Number of steps.
    """

    def __init__(self, optimizer: LazyAdam, steps: int) -> None:
        super().__init__()
        self.rate, self.steps = optimizer.sparse_rate, steps

    def on_train_begin(self, logs: Any = None) -> None:
        """Freeze the embedding."""
        self.rate.assign(0.0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Unfreeze the embedding after the last delayed step."""
        if self.steps == 0:
            self.rate.assign(1.0)
        self.steps -= 1

    def state(self) -> State:
        """Return the number of delayed steps left and the factor on the learning rate."""
        return {"steps": self.steps, "rate": float(self.rate)}

    def restore(self, state: State) -> None:
        """Restore the steps and the factor."""
        self.steps = state["steps"]
        self.rate.assign(state["rate"])


def check_callbacks(callbacks: object) -> list[Any]:
    """Return callbacks as a list, empty for None; raise an error if one is not a Keras callback or is unsupported."""
    if callbacks is None:
        return []
    expected = "callbacks must be a list of keras.callbacks.Callback"
    if not isinstance(callbacks, list | tuple):
        raise InvalidTypeError(f"{expected}, got {type(callbacks).__name__}")
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InvalidTypeError(f"{expected}, got one that contains {short_repr(callback)}")
        # Both conflict with `fit`, which averages the weights and saves checkpoints itself.
        for kind, parameter in (
            (keras.callbacks.SwapEMAWeights, "averaging of HANClassifier"),
            (keras.callbacks.BackupAndRestore, "checkpoint_dir of fit"),
        ):
            if isinstance(callback, kind):
                raise InvalidValueError(f"callbacks must not contain {kind.__name__}: use {parameter} instead")
    return list(callbacks)
