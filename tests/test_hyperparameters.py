from __future__ import annotations

import inspect
from numbers import Integral, Real

import numpy as np
import pytest

from han import HANClassifier
from han.hyperparameters import Hyperparameters, Range


def test_every_hyper_parameter_has_a_rule_that_its_default_keeps():
    defaults = HANClassifier().get_params()
    assert [*Hyperparameters.rules()] == [*inspect.signature(HANClassifier).parameters]
    assert Hyperparameters.check(defaults).as_dict() == defaults


def test_numpy_values_become_pythons():
    values = HANClassifier(units=np.int32(7), dropout=np.float32(0.25), calibrate=np.bool_(True)).get_params()
    checked = Hyperparameters.check(values)
    assert [type(value) for value in (checked.units, checked.dropout, checked.calibrate)] == [int, float, bool]
    assert (checked.units, checked.dropout, checked.calibrate) == (7, 0.25, True)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Range(Integral, 1), "an int of at least 1"),
        (Range(Real, 0, 1), "a number in [0, 1)"),
        (Range(Real, 0, optional=True), "a number of at least 0 or None"),
        (Range(Integral, 1, auto=True), 'an int of at least 1 or "auto"'),
        (Range(Integral, 1, optional=True, auto=True), 'an int of at least 1, "auto" or None'),
    ],
)
def test_a_range_says_what_it_takes(rule, expected):
    assert str(rule) == expected
    assert rule.accepts(None) == ("None" in expected)
    assert rule.accepts("auto") == ("auto" in expected)
    assert not rule.accepts(True)
    assert not rule.accepts(-1)


@pytest.mark.parametrize(
    ("batch_size", "documents", "expected"), [("auto", 1_999, 16), ("auto", 2_000, 32), (8, 10, 8), (64, 9_999, 64)]
)
def test_the_batch_size_depends_on_the_documents_only_by_default(batch_size, documents, expected):
    parameters = HANClassifier(batch_size=batch_size).get_params()
    assert Hyperparameters.check(parameters).documents_per_batch(documents) == expected
    assert HANClassifier().batch_size == "auto"
