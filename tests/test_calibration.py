from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from han.calibration import PRIOR, fit_mixture, fit_temperature, reliability


def soften(probabilities, temperature):
    raised = np.asarray(probabilities, np.float64) ** (1 / temperature)
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.fixture
def honest(rng):
    """Probabilities, and classes drawn with exactly these."""
    probabilities = rng.dirichlet([1, 1, 2], size=20_000)
    targets = np.array([rng.choice(3, p=row) for row in probabilities])
    return probabilities, targets


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_spoiled_honest_probabilities_is_found(honest, temperature):
    probabilities, targets = honest
    spoiled = soften(probabilities, 1 / temperature)
    assert fit_temperature(spoiled, targets) == pytest.approx(temperature, rel=0.04)


def test_the_temperature_has_the_least_log_loss(honest):
    probabilities, targets = honest
    spoiled = soften(probabilities, 0.5)[:500]
    best = fit_temperature(spoiled, targets[:500])
    losses = [log_loss(targets[:500], soften(spoiled, best * factor)) for factor in (0.97, 1.0, 1.03)]
    assert losses[1] < min(losses[0], losses[2])


def test_weights_count_as_repetitions(honest):
    probabilities, targets = honest[0][:300], honest[1][:300]
    weights = np.arange(300) % 3
    repeated = fit_temperature(np.repeat(probabilities, weights, axis=0), np.repeat(targets, weights))
    assert fit_temperature(probabilities, targets, weights) == pytest.approx(repeated, rel=1e-6)


def test_certainty_that_is_never_wrong_stays_within_bounds():
    assert fit_temperature([[1.0, 0.0]] * 5, [0] * 5) >= 0.05
    assert fit_temperature([[1.0, 0.0]] * 5, [1] * 5) <= 20.0


def test_reliability_against_a_plain_loop(honest):
    probabilities, targets = soften(honest[0][:1000], 0.6), honest[1][:1000]
    result = reliability(probabilities, targets, bins=10)
    error = 0.0
    for index in range(10):
        inside = [row for row, p in enumerate(probabilities.max(axis=1)) if index / 10 < p <= (index + 1) / 10]
        assert result.counts[index] == len(inside)
        if inside:
            accuracy = np.mean([probabilities[row].argmax() == targets[row] for row in inside])
            confidence = np.mean([probabilities[row].max() for row in inside])
            np.testing.assert_allclose([result.accuracy[index], result.confidence[index]], [accuracy, confidence])
            error += len(inside) / 1000 * abs(accuracy - confidence)
        else:
            assert np.isnan(result.accuracy[index])
    assert result.error == pytest.approx(error)


def test_honest_probabilities_have_a_small_error_and_spoiled_ones_have_not(honest):
    probabilities, targets = honest
    assert reliability(probabilities, targets).error < 0.015
    assert reliability(soften(probabilities, 0.3), targets).error > 0.1


def test_the_mixture_is_the_best_of_a_grid_and_stays_at_a_half_each_of_few_documents(rng):
    targets = rng.integers(0, 3, 400)
    first, second = (np.eye(3)[targets] * strength + rng.normal(0, 1, (400, 3)) for strength in (1.5, 0.5))
    weights = rng.uniform(0, 2, 400)

    def loss(a, b):
        mixed = a * first + b * second
        logs = mixed - np.log(np.exp(mixed).sum(axis=1, keepdims=True))
        total = -(weights * logs[np.arange(400), targets]).sum()
        return total + PRIOR * ((a - 0.5) ** 2 + (b - 0.5) ** 2)

    a, b = fit_mixture(first, second, targets, weights)
    grid = np.linspace(0, 2.5, 51)
    assert loss(a, b) <= min(loss(x, y) for x in grid for y in grid)
    assert a > b > 0
    assert fit_mixture(first, -second, targets)[1] == 0
    np.testing.assert_allclose(fit_mixture(first[:2], second[:2], targets[:2]), 0.5, atol=0.1)
