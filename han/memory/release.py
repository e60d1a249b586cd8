"""Memory that is free, but kept for later: by the buffers of the loops and by the C library."""

from __future__ import annotations

import ctypes
import sys

from han.recurrence.buffers import free_unused


def release_free_memory() -> None:
    """Return free memory to the system.

    Training leaves a third of its memory free in pieces that are too small for the arrays that follow.
    """
    free_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; musl keeps little
        if trim is not None:
            trim(0)
