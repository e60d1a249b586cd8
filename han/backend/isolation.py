"""Training and prediction that do not depend on what else the process has set.

Other code in the process may have changed the float type of Keras, told TensorFlow to run every function eagerly, or
NumPy to raise on underflow. Here all of these have their defaults while the network works, and what they were before
afterwards. The dtype of the network's layers is fixed in `han.model`, since a policy is read when a layer is made.
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

# TensorFlow exports what enables this mode, but nothing that disables it. Imported here, for `han.backend` comes first.
debug_mode = import_module("tensorflow.python.data.ops.debug_mode")


class _Setting(NamedTuple):
    """A setting of the whole process."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    default: Any


SETTINGS = (
    _Setting(keras.config.floatx, keras.config.set_floatx, "float32"),
    _Setting(keras.config.epsilon, keras.config.set_epsilon, 1e-7),
    # Run eagerly, the compiled recurrence takes minutes a batch.
    _Setting(tf.config.functions_run_eagerly, tf.config.run_functions_eagerly, False),
    # Python's batches come through a graph, which this mode does not run.
    _Setting(lambda: debug_mode.DEBUG_MODE, debug_mode.toggle_debug_mode, False),
    # Around the recurrence nearly every batch has shapes of its own, for which all would be compiled anew.
    _Setting(tf.config.optimizer.get_jit, tf.config.optimizer.set_jit, ""),
)
NUMPY_DEFAULTS: Any = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_lock = Lock()
_active = 0
_before: list[Any] = []


@contextmanager
def isolated() -> Iterator[None]:
    """Run the block with default settings, eagerly; calls may be nested, and run in several threads at once.

    Raises
    ------
    ExecutionModeError
        If the behaviour of TensorFlow 2 is disabled in this process, or within the scope of a
        `tf.distribute.Strategy`.
    """
    if not tf.__internal__.tf2.enabled():
        raise ExecutionModeError(
            "han needs the behaviour of TensorFlow 2, which tf.compat.v1.disable_v2_behavior has turned off in this "
            "process; remove that call"
        )
    if tf.distribute.has_strategy():
        raise ExecutionModeError(
            "han works on one device, outside the scope of any tf.distribute.Strategy, got "
            f"{type(tf.distribute.get_strategy()).__name__}"
        )
    _enter()
    try:
        # Some programs predict inside `with graph.as_default()`, as TensorFlow 1 asked for, which `tf.init_scope` does
        # not leave.
        with tf.__internal__.eager_context.eager_mode(), np.errstate(**NUMPY_DEFAULTS):
            yield
    finally:
        _leave()


def _enter() -> None:
    global _active, _before
    with _lock:
        if not _active:
            _before = [setting.read() for setting in SETTINGS]
            for setting in SETTINGS:
                setting.write(setting.default)
        _active += 1


def _leave() -> None:
    global _active
    with _lock:
        _active -= 1
        if not _active:
            for setting, value in zip(SETTINGS, _before, strict=True):
                setting.write(value)
