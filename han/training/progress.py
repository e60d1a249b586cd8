"""The progress of training, on standard error."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

from han.backend import keras
from han.training.early_stopping import BestWeights


class Progress(keras.callbacks.Callback):
    """A line that shows the whole run as it goes on; a line for each epoch if standard error is no terminal.

    In a notebook, the line is a progress bar in the cell.

    Parameters
    ----------
    epochs : int
        Maximum number of epochs.
    steps : int
        Number of batches in an epoch.
    best : BestWeights
        Knows the best epoch; it has to be called before.
    """

    def __init__(self, epochs: int, steps: int, best: BestWeights) -> None:
        super().__init__()
        self._epochs, self._steps, self._best = epochs, steps, best
        self._is_live = sys.stderr.isatty() or _in_notebook()
        self._started = time.monotonic()
        self._bar: Any = None
        self._held_out = ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Open the bar in the first epoch."""
        self._epoch, self._epoch_started = epoch, time.monotonic()
        if self._bar is None and self._is_live:
            self._bar = _bar_class()(
                total=self._epochs * self._steps,
                initial=epoch * self._steps,
                bar_format="{desc}  {bar} {percentage:3.0f}%  {remaining} left",
                leave=False,
                dynamic_ncols=True,
                file=sys.stderr,
            )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.set_description_str(self._description(logs, "loss") + self._held_out, refresh=False)
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show what is known of the epoch."""
        logs = logs or {}
        if "val_accuracy" in logs and self._best.best_epoch is not None:
            self._held_out = f" val_accuracy {float(logs['val_accuracy']):.3f}, best {self._best.best_epoch + 1}"
        if self._bar is not None:
            self._bar.set_description_str(self._description(logs, "loss") + self._held_out)
            return
        seconds = time.monotonic() - self._epoch_started
        _write(f"{self._description(logs, 'loss', 'accuracy', 'val_loss', 'val_accuracy')}  {seconds:.0f} s")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Replace the bar with a summary."""
        if self._bar is None:
            return
        self._bar.close()
        self._bar = None
        best = (
            "" if self._best.best_epoch is None or not self._held_out else f"; the best was {self._best.best_epoch + 1}"
        )
        _write(f"trained {self._epoch + 1} epochs in {time.monotonic() - self._started:.0f} s{best}")

    def _description(self, logs: dict[str, Any] | None, *names: str) -> str:
        results = "".join(f" {name} {float(logs[name]):.3f}" for name in names if logs and name in logs)
        return f"epoch {self._epoch + 1}/{self._epochs} {results}"


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _in_notebook() -> bool:
    """Return whether this process runs the cells of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config


def _bar_class() -> Any:
    """Return tqdm's class for a notebook or a terminal."""
    with warnings.catch_warnings(action="ignore"):  # of tqdm, that a notebook without ipywidgets gets a line of text
        from tqdm.auto import tqdm
    return tqdm
