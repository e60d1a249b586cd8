from __future__ import annotations

import gc
import platform

import numpy as np
import psutil
import pytest

from han.memory.release import release_free_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep little free memory")
def test_free_memory_in_pieces_is_returned_to_the_system():
    def held():
        return psutil.Process().memory_info().rss

    gc.collect()
    release_free_memory()
    before = held()
    # Small enough to be pieces of a larger block, of which the last keeps the others from being returned.
    pieces = [np.ones(8000) for _ in range(2000)]
    del pieces[:-1]
    kept = held()
    release_free_memory()
    assert kept - before > 60_000_000
    assert held() - before < 20_000_000
    assert pieces[0].all()
