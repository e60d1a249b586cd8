from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from han.training.calibration import (
    PRIOR,
    fit_mixture,
    fit_temperature,
    fit_thresholds,
    reliability,
    to_logits,
    to_probabilities,
)


def soften(probabilities, temperature):
    raised = np.asarray(probabilities, np.float64) ** (1 / temperature)
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.fixture
def calibrated(rng):
    """Probabilities, and classes drawn with them."""
    probabilities = rng.dirichlet([1, 1, 2], size=20_000)
    targets = np.array([rng.choice(3, p=row) for row in probabilities])
    return probabilities, targets


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_temperature_is_recovered(calibrated, temperature):
    probabilities, targets = calibrated
    scaled = soften(probabilities, 1 / temperature)
    assert fit_temperature(scaled, targets) == pytest.approx(temperature, rel=0.04)


def test_temperature_minimises_the_log_loss(calibrated):
    probabilities, targets = calibrated
    scaled = soften(probabilities, 0.5)[:500]
    best = fit_temperature(scaled, targets[:500])
    losses = [log_loss(targets[:500], soften(scaled, best * factor)) for factor in (0.97, 1.0, 1.03)]
    assert losses[1] < min(losses[0], losses[2])


def test_sample_weights_equal_repetitions(calibrated):
    probabilities, targets = calibrated[0][:300], calibrated[1][:300]
    weights = np.arange(300) % 3
    repeated = fit_temperature(np.repeat(probabilities, weights, axis=0), np.repeat(targets, weights))
    assert fit_temperature(probabilities, targets, weights) == pytest.approx(repeated, rel=1e-6)


def test_temperature_stays_within_bounds():
    assert fit_temperature([[1.0, 0.0]] * 5, [0] * 5) >= 0.05
    assert fit_temperature([[1.0, 0.0]] * 5, [1] * 5) <= 20.0


def test_reliability_against_a_plain_loop(calibrated):
    probabilities, targets = soften(calibrated[0][:1000], 0.6), calibrated[1][:1000]
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


def test_only_calibrated_probabilities_have_a_small_error(calibrated):
    probabilities, targets = calibrated
    assert reliability(probabilities, targets).error < 0.015
    assert reliability(soften(probabilities, 0.3), targets).error > 0.1


def standard_errors(loss, mixture, step=1e-3):
    """Return those of Laplace's approximation, with second derivatives from finite differences."""
    steps = step * np.eye(2)
    at = np.array([mixture.network, mixture.ngrams])
    hessian = [
        [
            sum(p * q * loss(*(at + p * one + q * other)) for p in (1, -1) for q in (1, -1)) / (4 * step**2)
            for other in steps
        ]
        for one in steps
    ]
    return np.sqrt(np.diag(np.linalg.inv(hessian)))


def test_mixture_is_the_best_of_a_grid_and_close_to_the_prior_for_few_documents(rng):
    targets = rng.integers(0, 3, 400)
    first, second = (np.eye(3)[targets] * strength + rng.normal(0, 1, (400, 3)) for strength in (1.5, 0.5))
    weights = rng.uniform(0, 2, 400)

    def loss(a, b):
        mixed = a * first + b * second
        logs = mixed - np.log(np.exp(mixed).sum(axis=1, keepdims=True))
        total = -(weights * logs[np.arange(400), targets]).sum()
        return total + PRIOR * ((a - 0.5) ** 2 + (b - 0.5) ** 2)

    mixture = fit_mixture(first, second, targets, weights)
    a, b = mixture.network, mixture.ngrams
    grid = np.linspace(0, 2.5, 51)
    assert loss(a, b) <= min(loss(x, y) for x in grid for y in grid)
    assert a > b > 0
    errors = standard_errors(loss, mixture)
    np.testing.assert_allclose(mixture.network_interval, (a - 1.96 * errors[0], a + 1.96 * errors[0]), rtol=1e-3)
    np.testing.assert_allclose(mixture.ngrams_interval, (max(b - 1.96 * errors[1], 0), b + 1.96 * errors[1]), rtol=1e-3)
    assert fit_mixture(first, -second, targets).ngrams == 0
    few = fit_mixture(first[:2], second[:2], targets[:2])
    shifted = fit_mixture(first[:2], second[:2], targets[:2], prior=(0.1, 0.9))
    assert shifted.network == pytest.approx(few.network - 0.4, abs=0.1)
    assert shifted.ngrams == pytest.approx(few.ngrams + 0.4, abs=0.1)
    np.testing.assert_allclose((few.network, few.ngrams), 0.5, atol=0.1)
    assert np.ptp(few.network_interval) > np.ptp(mixture.network_interval)


def test_multi_label_calibration_minimises_the_sum_of_logistic_losses(rng):
    first, second = rng.normal(0, 2, (60, 3)), rng.normal(0, 2, (60, 3))
    targets = (rng.random((60, 3)) < 1 / (1 + np.exp(-first - 0.3 * second))).astype(int)
    weights = rng.random(60)

    def loss(logits):
        losses = -np.where(targets, logits, 0) + np.log1p(np.exp(logits))
        return (weights[:, None] * losses).sum()

    def mixture_loss(a, b):
        return loss(a * first + b * second) + PRIOR * ((a - 0.5) ** 2 + (b - 0.5) ** 2)

    mixture = fit_mixture(first, second, targets, weights)
    a, b = mixture.network, mixture.ngrams
    for change in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        assert mixture_loss(a, b) < mixture_loss(a + change[0], b + change[1])
    error = standard_errors(mixture_loss, mixture)[0]
    assert np.diff(mixture.network_interval)[0] == pytest.approx(2 * 1.96 * error, rel=1e-3)
    sure = 3 * first
    temperature = fit_temperature(1 / (1 + np.exp(-sure)), targets, weights)
    assert temperature > 1.5
    for change in (0.98, 1.02):
        assert loss(sure / temperature) < loss(sure / (temperature * change))


def test_to_logits_inverts_to_probabilities(rng):
    logits = rng.normal(0, 3, (20, 4))
    np.testing.assert_allclose(to_logits(to_probabilities(logits, True), True), logits, atol=1e-6)
    back = to_logits(to_probabilities(logits))
    np.testing.assert_allclose(back - back[:, :1], logits - logits[:, :1], atol=1e-9)


def test_thresholds_maximise_f1(rng):
    targets = (rng.random((80, 3)) < [0.5, 0.2, 0.02]).astype(int)
    targets[:, 2] = 0
    targets[:2, 2] = 1
    probabilities = np.round(np.clip(0.4 * targets + rng.random((80, 3)) * 0.6, 0, 1), 2)
    weights = rng.random(80)
    found = fit_thresholds(probabilities, targets, weights)
    grid = np.linspace(0.0, 1.0, 401) + 0.001
    for column in range(2):
        scores = [
            f1_score(targets[:, column], probabilities[:, column] >= threshold, sample_weight=weights, zero_division=0)
            for threshold in (found[column], *grid)
        ]
        assert scores[0] == pytest.approx(max(scores))
    # A class with two documents gets the threshold of all classes together.
    everything = np.repeat(weights, 3)
    together = [
        f1_score(targets.ravel(), probabilities.ravel() >= threshold, sample_weight=everything)
        for threshold in (found[2], *grid)
    ]
    assert together[0] == pytest.approx(max(together))
    assert fit_thresholds([[0.3], [0.4]], [[0], [0]]).tolist() == [0.5]
