"""TensorFlow and Keras, imported once and quietly.

TensorFlow's libraries write to the process's standard error while they load, before any logging setting is read, and
report a missing GPU as an error. Here that text is held back while the import succeeds and shown if it fails. Set
`TF_CPP_MIN_LOG_LEVEL` below 3 to see everything.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keras", "tf"]


@contextmanager
def _standard_error_held() -> Iterator[None]:
    """Hold back what native code writes to file descriptor 2; release it if the block fails."""
    if sys.stderr is None:  # there is none, as in some daemons
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        original = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


# Keras already imported or the environment may have chosen another backend; Keras' configuration file is overruled.
BACKEND = sys.modules["keras"].backend.backend() if "keras" in sys.modules else os.environ.get("KERAS_BACKEND")
if BACKEND not in (None, "tensorflow"):
    raise ImportError(
        f"han runs on Keras with the TensorFlow backend, but Keras is configured for {BACKEND!r}; "
        'set the environment variable KERAS_BACKEND to "tensorflow" before Keras is imported'
    )
os.environ["KERAS_BACKEND"] = "tensorflow"

QUIET = "3"  # the failed search for a GPU is logged at the level of errors

if "tensorflow" in sys.modules or os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", QUIET) != QUIET:
    import keras
    import tensorflow as tf
else:
    with _standard_error_held():
        import keras
        import tensorflow as tf

if BACKEND is None:  # other programs that this process starts choose for themselves
    del os.environ["KERAS_BACKEND"]
