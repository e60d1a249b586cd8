"""Training callbacks: weight averaging, learning-rate schedule, delayed embedding, early stopping and checkpoints.

Stateful callbacks save and restore their state, so that training can be resumed.
"""

from __future__ import annotations

import math
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from han.backend import keras, tf
from han.backend.variables import shared_kernels
from han.data.validation import short_repr
from han.exceptions import InvalidTypeError, InvalidValueError
from han.training.checkpoint import Checkpoint, EpochOrder
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
            self.updates = tf.Variable(0.0)
        self.averaged = False
        self.step = 0

        @tf.function(autograph=False)
        def update() -> None:
            self.updates.assign_add(1.0)
            kept = tf.minimum(self.momentum, self.updates / (self.updates + 10.0))
            for average, weight in zip(self.averages, self.weights, strict=True):
                average.assign_add((1.0 - kept) * (weight - average))

        self.update = update

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Update the averages."""
        if self.step % AVERAGE_EVERY == 0:
            self.update()
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
        self.updates.assign(state["updates"])
        self.averaged, self.step = state["averaged"], state["step"]

    def _exchange(self, averaged: bool) -> None:
        if averaged != self.averaged:
            for average, weight in zip(self.averages, self.weights, strict=True):
                value = tf.identity(weight)
                weight.assign(average)
                average.assign(value)
            self.averaged = averaged


class LearningRate(StatefulCallback):
    """Learning-rate schedule: linear warmup, then cosine decay to zero.

    As soon as another callback sets the optimizer's learning rate, the schedule is off. See Loshchilov & Hutter 2017,
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
        optimizer = self.model.optimizer
        self.overridden = self.overridden or float(optimizer.learning_rate) != self.last
        if not self.overridden:
            optimizer.learning_rate = self.rate(self.step)
            self.last = float(optimizer.learning_rate)
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


class BestWeights(StatefulCallback):
    """Early stopping that restores the weights of the best epoch.

    Training stops after `patience` epochs without improvement, if the loss or the probabilities are no longer finite,
    or if `interrupted` is set. A diverged epoch is never the best.

    Parameters
    ----------
    monitor : str or None
        Name of the monitored result; with None, the last epoch is the best.
    mode : {"min", "max"}
    patience : int
    probabilities : callable, optional
        Returns the predictions for some documents. Without a validation loss, only they reveal a divergence in the last
        step of an epoch.
    """

    def __init__(
        self, monitor: str | None, mode: str, patience: int, probabilities: Callable[[], npt.NDArray[Any]] | None = None
    ) -> None:
        super().__init__()
        self.probabilities = probabilities
        self.monitor, self.sign, self.patience = monitor, 1.0 if mode == "min" else -1.0, patience
        self.interrupted = False
        self.diverged: str | None = None
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.weights: list[npt.NDArray[Any]] = []
        self.wait = self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Record the current epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop after a divergence or an interrupt."""
        self._check("loss", logs)
        if self.interrupted or self.diverged:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compare the epoch with the best so far."""
        self._check("val_loss", logs)
        if self.diverged is None and self.probabilities and not np.isfinite(self.probabilities()).all():
            self.diverged = f"probabilities became nan in epoch {epoch + 1}"
        if self.diverged is None:
            value = 0.0 if self.monitor is None or logs is None else self.sign * float(logs[self.monitor])
            if self.best is None or value < self.best or self.monitor is None:
                self.best, self.best_epoch, self.weights, self.wait = value, epoch, self.model.get_weights(), 0
            else:
                self.wait += 1
        if self.wait >= self.patience or self.interrupted or self.diverged:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Restore the best weights."""
        if self.weights:
            self.model.set_weights(self.weights)

    def state(self) -> State:
        """Return the best weights with their epoch and result."""
        own = {name: getattr(self, name) for name in ("best", "best_epoch", "wait", "diverged")}
        return {**own, "weights": self.weights}

    def restore(self, state: State) -> None:
        """Restore the best weights with their epoch and result."""
        for name, value in state.items():
            setattr(self, name, value)

    def _check(self, name: str, logs: dict[str, Any] | None) -> None:
        if self.diverged is None and logs and name in logs and not np.isfinite(float(logs[name])):
            self.diverged = f"{name} became {float(logs[name])} in epoch {self.epoch + 1}"


class CheckpointSaver(keras.callbacks.Callback):
    """Saves the whole state of training after each epoch and every `checkpoint.steps` steps.

    It must be the last callback.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its state, if any, is restored when training begins.
    order : EpochOrder
    best : BestWeights
    parts : mapping of StatefulCallback
        All stateful callbacks, including `best`.
    epochs : int
        Maximum number of epochs.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        order: EpochOrder,
        best: BestWeights,
        parts: Mapping[str, StatefulCallback],
        epochs: int,
    ) -> None:
        super().__init__()
        self.checkpoint, self.order, self.best, self.parts, self.epochs = checkpoint, order, best, parts, epochs
        self.history: dict[str, list[float]] = {}
        self.metrics: list[npt.NDArray[Any]] = []
        self.rate: float | None = None
        self.done = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Restore the state of the checkpoint."""
        state = self.checkpoint.state
        if state is None:
            return
        if "rate" not in state["parts"]:
            state = self._with_learning_rate(state)
        for variable, value in zip(self._variables(), state["variables"], strict=True):
            variable.assign(value)
        for name, part in self.parts.items():
            part.restore(state["parts"][name])
        self.history = {name: [*values] for name, values in state["history"].items()}
        self.done = state["step"]
        if self.done:
            self.metrics, self.rate = state["metrics"], float(self.model.optimizer.learning_rate)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """When resuming within an epoch, restore its metrics and learning rate (other callbacks may have set it)."""
        for variable, value in zip(self.model.metrics_variables, self.metrics, strict=False):
            variable.assign(value)
        if self.rate is not None:
            self.model.optimizer.learning_rate = self.rate
        self.metrics, self.rate = [], None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save the state within an epoch, if it is due."""
        self.done += 1
        last = -(-len(self.order.corpus) // self.order.batch_size)
        due = self.checkpoint.steps and self.done % self.checkpoint.steps == 0 and self.done < last
        if due and not self.model.stop_training:
            self._write(self.best.epoch, self.done, self.order.begun, False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the state after an epoch, unless Ctrl-C interrupted it: training then resumes from the last save."""
        self.done = 0
        if self.best.interrupted:
            return
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        ended = self.model.stop_training or epoch + 1 == self.epochs
        self._write(epoch + 1, 0, self.order.rng.bit_generator.state, ended)

    def _write(self, epoch: int, step: int, order: Mapping[str, Any], ended: bool) -> None:
        self.checkpoint.write(
            {
                "epoch": epoch,
                "step": step,
                "order": order,
                "ended": ended,
                "history": self.history,
                "variables": [np.asarray(variable) for variable in self._variables()],
                "metrics": [np.asarray(variable) for variable in self.model.metrics_variables],
                "parts": {name: part.state() for name, part in self.parts.items()},
            }
        )

    def _with_learning_rate(self, state: State) -> State:
        """Convert a state of format 1, in which the learning rate was not a variable of the optimizer, to format 2."""
        count = len(self.model.variables)
        weights, (iterations, *moments) = state["variables"][:count], state["variables"][count:]
        schedule = cast(LearningRate, self.parts["rate"])
        last = np.float32(schedule.rate(int(iterations) - 1))
        rate = {"step": int(iterations), "taken_over": False, "last": float(last)}
        return {
            **state,
            "variables": [*weights, iterations, last, *moments],
            "parts": {**state["parts"], "rate": rate},
        }

    def _variables(self) -> list[keras.Variable]:
        """Return the weights, the states of the random generators and the state of the optimizer."""
        return [*self.model.variables, *self.model.optimizer.variables]


@contextmanager
def first_interrupt_ends(training: BestWeights) -> Iterator[None]:
    """Let the first Ctrl-C stop training after the current step; the second raises KeyboardInterrupt.

    Outside the main thread, or if the application has installed a handler of its own, Ctrl-C is handled as before.
    """
    default = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield
        return

    def end(_signal: int, _frame: Any) -> None:
        training.interrupted = True
        signal.signal(signal.SIGINT, default)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)


def check_callbacks(callbacks: object) -> list[Any]:
    """Return callbacks as a list, empty for None; raise an error if one is not a Keras callback or is unsupported."""
    if callbacks is None:
        return []
    from han.backend import keras  # imported here, so that evaluation and data sets do not load TensorFlow

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
