"""Import TensorFlow and Keras without log messages.

TensorFlow's native libraries write to standard error while they load, before any logging setting is read, and report a
missing GPU as an error. This module captures that output and shows it only if the import fails. Set the environment
variable `TF_CPP_MIN_LOG_LEVEL` to less than 3 to see it.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

__all__ = ["keras", "tf"]


@contextmanager
def _standard_error_captured() -> Iterator[None]:
    """Capture what native code writes to file descriptor 2; write it out if the block fails."""
    if sys.stderr is None:  # some daemons have no standard error
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        original = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            captured.seek(0)
            os.write(2, captured.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector from searching the objects of an import, which all stay: a fifth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# An earlier import of Keras or the environment may select another backend; Keras' configuration file is overridden.
BACKEND = sys.modules["keras"].backend.backend() if "keras" in sys.modules else os.environ.get("KERAS_BACKEND")
if BACKEND not in (None, "tensorflow"):
    raise ImportError(
        f"han runs on Keras with the TensorFlow backend, but Keras is configured for {BACKEND!r}; "
        'set the environment variable KERAS_BACKEND to "tensorflow" before Keras is imported'
    )
os.environ["KERAS_BACKEND"] = "tensorflow"

QUIET = "3"  # a missing GPU is logged as an error

if "tensorflow" in sys.modules:
    import keras
    import tensorflow as tf
else:
    quiet = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", QUIET) == QUIET
    with _standard_error_captured() if quiet else nullcontext(), _collector_paused():
        import keras
        import tensorflow as tf

if BACKEND is None:  # child processes may use another backend
    del os.environ["KERAS_BACKEND"]
