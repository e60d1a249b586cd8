"""The callback that saves the state of training, and restores it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from han.backend import keras
from han.training.callbacks import LearningRate, State, StatefulCallback
from han.training.checkpoint import Checkpoint
from han.training.early_stopping import BestWeights
from han.training.pipeline import EpochOrder

# Of the time of training that writing takes, if short epochs follow one another.
MAX_SHARE = 0.05


class CheckpointSaver(keras.callbacks.Callback):
    """Saves the whole state of training after each epoch and every `checkpoint.steps` steps.

    Without `checkpoint.steps`, an epoch that ends soon after the last save is not saved, so that writing takes at most
    `MAX_SHARE` of the time; the last epoch always is. It must be the last callback.

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
        self.due = 0.0  # time from which the end of an epoch is saved

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
        if ended or self.checkpoint.steps or time.monotonic() >= self.due:
            self._write(epoch + 1, 0, self.order.rng.bit_generator.state, ended)

    def _write(self, epoch: int, step: int, order: Mapping[str, Any], ended: bool) -> None:
        begun = time.monotonic()
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
        now = time.monotonic()
        self.due = now + (now - begun) / MAX_SHARE

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
