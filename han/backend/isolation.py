"""Training and prediction independent of the global settings of the process.

Other code in the process may have changed the default float type of Keras, made TensorFlow run all functions eagerly,
or made NumPy raise on underflow. `isolated` resets these settings to their defaults while a network runs, and then
restores them. The dtype of the network's layers is fixed in `han.model`, since a layer reads the global policy when it
is created.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from han.backend import keras, tf
from han.exceptions import ExecutionModeError

# TensorFlow's public API can enable this mode, but not disable it. `han.backend` has to be imported first.
debug_mode = import_module("tensorflow.python.data.ops.debug_mode")


class _Setting(NamedTuple):
    """A global setting and its default."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    default: Any


SETTINGS = (
    _Setting(keras.config.floatx, keras.config.set_floatx, "float32"),
    _Setting(keras.config.epsilon, keras.config.set_epsilon, 1e-7),
    # Run eagerly, the compiled recurrence takes minutes per batch.
    _Setting(tf.config.functions_run_eagerly, tf.config.run_functions_eagerly, False),
    # In debug mode, TensorFlow does not run the graph that reads batches from Python.
    _Setting(lambda: debug_mode.DEBUG_MODE, debug_mode.toggle_debug_mode, False),
    # Outside the recurrence, almost every batch has new shapes, and XLA would compile again for each.
    _Setting(tf.config.optimizer.get_jit, tf.config.optimizer.set_jit, ""),
)
NUMPY_DEFAULTS: Any = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_lock = Lock()
_active = 0
_saved: list[Any] = []


@contextmanager
def isolated() -> Iterator[None]:
    """Run a block eagerly and with default settings.

    Blocks may be nested and may run in several threads at once; the last one to end restores the settings.

    Raises
    ------
    ExecutionModeError
        If TensorFlow 2 behaviour is disabled in this process, or the block is in the scope of a
        `tf.distribute.Strategy`.
    """
    if not tf.__internal__.tf2.enabled():
        raise ExecutionModeError(
            "han requires TensorFlow 2 behaviour, but tf.compat.v1.disable_v2_behavior() was called in this process; "
            "remove that call"
        )
    if tf.distribute.has_strategy():
        raise ExecutionModeError(
            "han runs on one device and must be called outside the scope of a tf.distribute.Strategy, got "
            f"{type(tf.distribute.get_strategy()).__name__}"
        )
    _enter()
    try:
        # Code written for TensorFlow 1 may predict inside `with graph.as_default()`, which `tf.init_scope` does not
        # leave.
        with tf.__internal__.eager_context.eager_mode(), np.errstate(**NUMPY_DEFAULTS):
            yield
    finally:
        _leave()


def _enter() -> None:
    global _active, _saved
    with _lock:
        if not _active:
            _saved = [setting.read() for setting in SETTINGS]
            for setting in SETTINGS:
                setting.write(setting.default)
        _active += 1


def _leave() -> None:
    global _active
    with _lock:
        _active -= 1
        if not _active:
            for setting, value in zip(SETTINGS, _saved, strict=True):
                setting.write(value)
