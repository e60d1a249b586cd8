"""How much more memory this process holds once something has been done many times."""

from __future__ import annotations

import ctypes
import gc

import psutil


def resident():
    """Return the MB that the process holds, without Python's garbage and what the allocator keeps for later."""
    gc.collect()
    if psutil.LINUX:
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 2**20


def growth(work, times, before=4):
    """Return the MB by which the process grows while `work(number)` is called some times, after a few calls before."""
    for number in range(before):
        work(number)
    start = resident()
    for number in range(before, before + times):
        work(number)
    return resident() - start
