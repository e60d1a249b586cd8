"""Intervals against published figures, a plain bootstrap, and their coverage of known accuracies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from han.evaluation.uncertainty import (
    Outcomes,
    accuracy_difference,
    accuracy_interval,
    macro_f1_difference,
    macro_f1_interval,
)


def outcomes(rng, n=200, accuracy=0.8, classes=3):
    targets = rng.integers(0, classes, n)
    guesses = rng.integers(0, classes, n)
    return Outcomes(targets, np.where(rng.random(n) < accuracy, targets, guesses), classes)


def labels(rng, n=150, classes=3):
    targets = rng.random((n, classes)) < 0.4
    return Outcomes(targets, targets ^ (rng.random((n, classes)) < 0.2), classes)


def test_wilson_intervals_agree_with_published_ones():
    # Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I.
    for correct, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = accuracy_interval(Outcomes(np.zeros(n, int), (np.arange(n) >= correct).astype(int), 2))
        assert found == pytest.approx((correct / n, low, high), abs=1e-4)


def test_the_interval_of_a_difference_covers_it_and_is_symmetric(rng):
    covered = []
    for _ in range(400):
        targets = rng.integers(0, 2, 60)
        wrong = rng.random((2, 60)) < [[0.05], [0.15]]
        one, other = (Outcomes(targets, np.where(part, 1 - targets, targets), 2) for part in wrong)
        found, back = accuracy_difference(one, other), accuracy_difference(other, one)
        assert (found.low, found.high) == pytest.approx((-back.high, -back.low))
        covered.append(found.low <= 0.1 <= found.high)
    # 95 % of 400, plus or minus three standard deviations, and somewhat more: it is conservative.
    assert 0.92 <= np.mean(covered) <= 0.995


def test_classifiers_that_never_differ_are_not_told_apart_from_those_that_seldom_do(rng):
    one = outcomes(rng, 60)
    found = accuracy_difference(one, one)
    assert found.value == 0
    assert found.low < 0 < found.high
    assert not found.excludes_zero


@pytest.mark.parametrize("make", [outcomes, labels])
def test_macro_f1_is_that_of_scikit_learn_and_its_interval_that_of_a_plain_bootstrap(rng, make):
    found = make(rng)
    interval = macro_f1_interval(found)
    assert interval.value == pytest.approx(f1_score(found.targets, found.predicted, average="macro", zero_division=0))
    samples = []
    for _ in range(2000):
        drawn = rng.integers(0, len(found.targets), len(found.targets))
        samples.append(f1_score(found.targets[drawn], found.predicted[drawn], average="macro", zero_division=0))
    assert (interval.low, interval.high) == pytest.approx(np.quantile(samples, [0.025, 0.975]), abs=0.01)


@pytest.mark.parametrize("make", [outcomes, labels])
def test_differences_of_macro_f1_are_of_the_same_documents(rng, make):
    one = make(rng)
    other = one._replace(predicted=np.where(rng.random(one.predicted.shape) < 0.1, one.predicted == 0, one.predicted))
    scores = [f1_score(one.targets, part.predicted, average="macro", zero_division=0) for part in (one, other)]
    found = macro_f1_difference(one, other)
    assert found.value == pytest.approx(scores[0] - scores[1])
    apart = macro_f1_interval(one), macro_f1_interval(other)
    # The interval is narrower than that of independent documents.
    assert found.high - found.low < np.hypot(*(part.high - part.low for part in apart))
    assert macro_f1_difference(one, one) == (0, 0, 0)


def test_accuracy_is_that_of_scikit_learn(rng):
    for found in (outcomes(rng), labels(rng)):
        interval = accuracy_interval(found)
        assert interval.value == pytest.approx(accuracy_score(found.targets, found.predicted))
        assert interval.low < interval.value < interval.high
        exact = stats.binomtest(int(found.correct.sum()), len(found.targets)).proportion_ci(method="exact")
        assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high), abs=0.02)
