"""Arrays whose memory is used again, for the results of the loops.

The kernel zeroes every page of fresh memory when it is first written, which takes a sixth of a training step.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

# TensorFlow uses an array as a tensor, without a copy, if it is aligned to this number of bytes.
ALIGNMENT = 64
# Of memory that is not in use; what exceeds it is freed.
MAX_FREE = 64 * 2**20

_lock = Lock()
_free: list[npt.NDArray[np.uint8]] = []
# What `_free` gets next. Python may delete a buffer at any time, even while the lock is held.
_returned: deque[npt.NDArray[np.uint8]] = deque()


class _Buffer:
    """Aligned memory, which is free for use again when no array refers to it."""

    def __init__(self, size: int) -> None:
        self._memory = _take(size)
        self.__array_interface__ = self._memory.__array_interface__  # makes it the base of all arrays on its memory

    def __del__(self) -> None:
        _returned.append(self._memory)


def _take(size: int) -> npt.NDArray[np.uint8]:
    """Return the smallest free memory of at least `size` bytes and less than four times as many, or else new one."""
    with _lock:
        while _returned:
            _free.append(_returned.popleft())
        while sum(memory.size for memory in _free) > MAX_FREE:
            del _free[0]
        fitting = [(memory.size, number) for number, memory in enumerate(_free) if size <= memory.size < 4 * size]
        if fitting:
            return _free.pop(min(fitting)[1])
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def free_unused() -> None:
    """Free the memory that is not in use."""
    with _lock:
        _returned.clear()
        _free.clear()


def empty(*shape: int) -> Float32:
    """Return an uninitialised array."""
    size = 4 * int(np.prod(shape))
    array: Any = np.asarray(_Buffer(max(size, ALIGNMENT)))
    return array[:size].view(np.float32).reshape(shape)  # type: ignore[no-any-return]
