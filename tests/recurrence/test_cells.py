"""The hyperbolic tangent of the cells; their equations are tested by way of the loops, in `test_operation.py`."""

from __future__ import annotations

import numba
import numpy as np

from han.recurrence.cells import tanh

tanh_of = numba.vectorize(["float32(float32)"])(lambda x: tanh(x))


def test_tanh_is_as_exact_as_float32_allows():
    x = np.concatenate([np.linspace(-12, 12, 400_001), np.logspace(-30, 0, 1001)]).astype(np.float32)
    expected = np.tanh(x.astype(np.float64))
    found = tanh_of(x)
    errors = np.abs(found[x != 0] / expected[x != 0] - 1)
    assert errors.max() < 4 * np.finfo(np.float32).eps
    assert np.abs(found).max() <= 1
    assert (found == -tanh_of(-x)).all()


def test_tanh_of_what_is_not_finite():
    assert tanh_of(np.float32("nan")) != tanh_of(np.float32("nan"))  # training has to notice
    np.testing.assert_allclose(tanh_of(np.array([-np.inf, np.inf], np.float32)), [-1, 1], atol=3e-7)
