"""Stop training without improvement, after a divergence or after Ctrl-C, and restore the best weights."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from han.training.callbacks import State, StatefulCallback


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
