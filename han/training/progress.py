"""The progress of training, on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from han.backend import keras


class Progress(keras.callbacks.Callback):
    """A progress bar with loss, accuracy and remaining time, and a line of results for each epoch.

    If standard error is not a terminal, only the lines are written.

    Parameters
    ----------
    epochs : int
        Maximum number of epochs.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Open the epoch's bar."""
        self._started = time.monotonic()
        self._bar = tqdm(
            total=self.params["steps"],
            desc=f"epoch {epoch + 1}/{self._epochs}",
            unit=" batches",
            leave=False,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance the bar."""
        self._bar.set_postfix_str(_metrics(logs, ("loss", "accuracy")), refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Replace the bar with a line of results."""
        self._bar.close()
        seconds = time.monotonic() - self._started
        results = _metrics(logs, ("loss", "accuracy", "val_loss", "val_accuracy"))
        tqdm.write(f"epoch {epoch + 1}/{self._epochs}  {results}  {seconds:.0f} s", file=sys.stderr)


def _metrics(logs: dict[str, Any] | None, names: tuple[str, ...]) -> str:
    return "  ".join(f"{name} {float(logs[name]):.4f}" for name in names if logs and name in logs)
