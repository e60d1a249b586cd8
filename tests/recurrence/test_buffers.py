from __future__ import annotations

import gc

import numpy as np
import pytest

from han.backend import tf
from han.recurrence import buffers
from han.recurrence.buffers import ALIGNMENT, empty, free_unused


@pytest.fixture(autouse=True)
def nothing_free(monkeypatch):
    monkeypatch.setattr(buffers, "_free", [])
    gc.collect()
    buffers._returned.clear()


def test_arrays_are_aligned_and_of_their_shape():
    for shape in [(3, 5), (0, 4), (1000,)]:
        array = empty(*shape)
        assert array.shape == shape
        assert array.dtype == np.float32
        assert array.ctypes.data % ALIGNMENT == 0


def test_memory_is_used_again_once_no_array_and_no_tensor_refers_to_it():
    def give():
        return tf.numpy_function(lambda: arrays[0], [], tf.float32)

    arrays = [empty(1000, 10)]
    address = arrays[0].ctypes.data
    arrays[0][:] = 7.0
    tensor = tf.function(give, autograph=False)()
    view = arrays.pop()[5:].reshape(-1, 5)
    gc.collect()
    assert empty(1000, 10).ctypes.data != address
    del view
    gc.collect()
    assert empty(1000, 10).ctypes.data != address
    assert (tensor.numpy() == 7.0).all()


def test_memory_of_a_similar_size_is_used_again():
    array = empty(1000)
    address = array.ctypes.data
    del array
    other = empty(100)  # a tenth of it would waste the rest
    assert other.ctypes.data != address
    assert empty(900).ctypes.data == address


def test_little_memory_is_kept(monkeypatch):
    monkeypatch.setattr(buffers, "MAX_FREE", 10_000)
    arrays = [empty(1000) for _ in range(5)]
    del arrays
    empty(1)
    assert sum(memory.size for memory in buffers._free) <= 10_000


def test_unused_memory_can_be_freed():
    array = empty(1000)
    del array
    empty(10_000)  # takes back what was returned
    assert buffers._free
    free_unused()
    assert not buffers._free
    assert not buffers._returned
