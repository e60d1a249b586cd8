"""What happens between the steps and epochs of training: averages, held rows, the best weights, and its end.

Each callback can say what it knows (`state`) and take it over again (`restore`), so that a training can be gone on
with.
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

# Averages are brought up to date after so many steps: it costs as much as the update of all rows of the embedding.
AVERAGE_EVERY = 4

# Numbers, strings and None, or arrays.
State = dict[str, Any]


class StatefulCallback(keras.callbacks.Callback, ABC):
    """A callback whose knowledge can be stored."""

    @abstractmethod
    def state(self) -> State:
        """Return what the callback knows: values that JSON can hold, and arrays or lists of them."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take over what `state` returned, once training has begun."""


class WeightAveraging(StatefulCallback):
    """Validate, and keep, the exponential moving average of the weights (Polyak & Juditsky 1992) in their place.

    At the beginning, the average is over all steps so far. While an epoch's steps run, the network has its own weights.
    (The average of Keras' optimizers starts at the initial weights, and takes a pass over the embedding at every step.)
    """

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum**AVERAGE_EVERY

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin with the weights as they are."""
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
        """Take the weights into the averages."""
        if self.step % AVERAGE_EVERY == 0:
            self.update()
        self.step += 1

    def on_test_begin(self, logs: Any = None) -> None:
        """Put the averages in the place of the weights, until the next epoch."""
        self._exchange(True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Go on with the weights."""
        self._exchange(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the averages in the place of the weights, if there was no validation."""
        self._exchange(True)
        self.step = 0

    def state(self) -> State:
        """Return the averages, or while they are in their place the weights."""
        return {
            "averages": [average.numpy() for average in self.averages],
            "updates": float(self.updates),
            "averaged": self.averaged,
            "step": self.step,
        }

    def restore(self, state: State) -> None:
        """Take over the averages; the weights are restored with the network."""
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
    """Raise the learning rate to its peak, then let it fall along a cosine to zero (Loshchilov & Hutter 2017).

    A callback that sets the optimizer's learning rate takes over: the rate is left to it from then on.

    Parameters
    ----------
    peak : float
    warmup : int
        Steps until the peak is reached, from a hundredth of it.
    steps : int
        Steps in all.
    taken_over : bool, default False
        Whether another callback is to set the rate from the start. Until it does, the rate is the peak.
    """

    def __init__(self, peak: float, warmup: int, steps: int, taken_over: bool = False) -> None:
        super().__init__()
        self.peak, self.warmup, self.decay = peak, warmup, max(steps - warmup, 1)
        self.taken_over = taken_over
        self.step = 0
        self.last: float | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Remember the rate, so as to notice when another callback changes it."""
        self.last = float(self.model.optimizer.learning_rate)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the rate of the step."""
        optimizer = self.model.optimizer
        self.taken_over = self.taken_over or float(optimizer.learning_rate) != self.last
        if not self.taken_over:
            optimizer.learning_rate = self.rate(self.step)
            self.last = float(optimizer.learning_rate)
        self.step += 1

    def state(self) -> State:
        """Return how far the schedule has come; the rate itself is stored with the optimizer."""
        return {"step": self.step, "taken_over": self.taken_over, "last": self.last}

    def restore(self, state: State) -> None:
        """Resume the schedule where it was."""
        self.step, self.last = state["step"], state["last"]
        self.taken_over = self.taken_over or state["taken_over"]

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, the first of which is 0."""
        if step < self.warmup:
            return self.peak * (0.01 + 0.99 * step / self.warmup)
        share = min((step - self.warmup) / self.decay, 1.0)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * share))


class EmbeddingDelay(StatefulCallback):
    """Leave the embedding as it is for the first steps: what is above it learns to read it first."""

    def __init__(self, optimizer: LazyAdam, steps: int) -> None:
        super().__init__()
        self.rate, self.steps = optimizer.sparse_rate, steps

    def on_train_begin(self, logs: Any = None) -> None:
        """Hold the rows."""
        self.rate.assign(0.0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Let go of them."""
        if self.steps == 0:
            self.rate.assign(1.0)
        self.steps -= 1

    def state(self) -> State:
        """Return how many steps are left, and the share of the learning rate that the rows have."""
        return {"steps": self.steps, "rate": float(self.rate)}

    def restore(self, state: State) -> None:
        """Take over the steps that are left."""
        self.steps = state["steps"]
        self.rate.assign(state["rate"])


class BestWeights(StatefulCallback):
    """Keep the weights of the best epoch, and end training when there is nothing to be won by going on.

    It ends after `patience` epochs without a better one, when the loss or the probabilities are no longer numbers, and
    when `interrupted` is set. Such an epoch is never the best.

    Parameters
    ----------
    monitor : str or None
        What of an epoch's results is compared; with None the last epoch is the best.
    mode : {"min", "max"}
    patience : int
    probabilities : callable, optional
        Returns what the network says of some documents, where there is no validation loss to tell: the loss of an epoch
        is of before its last step.
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
        """Remember which epoch it is."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End the epoch if it cannot be good any more, or is not to go on."""
        self._check("loss", logs)
        if self.interrupted or self.diverged:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compare the epoch with the best one so far."""
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
        """Leave the network with the best weights."""
        if self.weights:
            self.model.set_weights(self.weights)

    def state(self) -> State:
        """Return the best weights, and what they are compared by."""
        own = {name: getattr(self, name) for name in ("best", "best_epoch", "wait", "diverged")}
        return {**own, "weights": self.weights}

    def restore(self, state: State) -> None:
        """Take over the best weights."""
        for name, value in state.items():
            setattr(self, name, value)

    def _check(self, name: str, logs: dict[str, Any] | None) -> None:
        if self.diverged is None and logs and name in logs and not np.isfinite(float(logs[name])):
            self.diverged = f"{name} became {float(logs[name])} in epoch {self.epoch + 1}"


class CheckpointSaver(keras.callbacks.Callback):
    """Stores all that training depends on after each epoch and each so many steps; the last of the callbacks.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its state, if there is one, is restored when training begins.
    order : EpochOrder
    best : BestWeights
    parts : mapping of StatefulCallback
        The callbacks that know something, `best` among them.
    epochs : int
        How many epochs there will be at most.
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
        """Put everything back to where it was."""
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
        """Resume an epoch that was begun: its sums, and the learning rate that other callbacks set when it began."""
        for variable, value in zip(self.model.metrics_variables, self.metrics, strict=False):
            variable.assign(value)
        if self.rate is not None:
            self.model.optimizer.learning_rate = self.rate
        self.metrics, self.rate = [], None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Store the state in the middle of an epoch."""
        self.done += 1
        last = -(-len(self.order.corpus) // self.order.batch_size)
        due = self.checkpoint.steps and self.done % self.checkpoint.steps == 0 and self.done < last
        if due and not self.model.stop_training:
            self._write(self.best.epoch, self.done, self.order.begun, False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Store the state after an epoch, unless Ctrl-C cut it short: then the one before is gone on with."""
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
        """Return the state of a checkpoint of format 1, whose schedule was a part of the optimizer, as of format 2."""
        own = len(self.model.variables)
        weights, (iterations, *moments) = state["variables"][:own], state["variables"][own:]
        schedule = cast(LearningRate, self.parts["rate"])
        last = np.float32(schedule.rate(int(iterations) - 1))
        rate = {"step": int(iterations), "taken_over": False, "last": float(last)}
        return {
            **state,
            "variables": [*weights, iterations, last, *moments],
            "parts": {**state["parts"], "rate": rate},
        }

    def _variables(self) -> list[keras.Variable]:
        """Return the weights, the seeds of dropout and the state of the optimizer."""
        return [*self.model.variables, *self.model.optimizer.variables]


@contextmanager
def first_interrupt_ends(training: BestWeights) -> Iterator[None]:
    """Let the first Ctrl-C end the training, as the callback does; the second is a KeyboardInterrupt as ever.

    Where Python does something else on Ctrl-C than it does by itself, or another thread trains, that stays as it is.
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
    """Return callbacks as a list, empty for None; an error if there is anything but Keras callbacks that work here."""
    if callbacks is None:
        return []
    from han.backend import keras  # here, so that evaluation and data sets come without TensorFlow

    expected = "callbacks must be a list of keras.callbacks.Callback"
    if not isinstance(callbacks, list | tuple):
        raise InvalidTypeError(f"{expected}, got {type(callbacks).__name__}")
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InvalidTypeError(f"{expected}, got one with {short_repr(callback)} in it")
        # Neither works with what `fit` does itself: the average, and the order of documents, would be lost.
        for kind, parameter in (
            (keras.callbacks.SwapEMAWeights, "averaging of HANClassifier"),
            (keras.callbacks.BackupAndRestore, "checkpoint_dir of fit"),
        ):
            if isinstance(callback, kind):
                raise InvalidValueError(f"callbacks must not hold {kind.__name__}: use {parameter} instead")
    return list(callbacks)
