"""Calibration of probabilities: temperature scaling, mixture weights, thresholds and reliability."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from han.inference.mixture import Mixture

Float64 = npt.NDArray[np.float64]

# Bounds of the temperature: only too few or too easy documents give a value outside them.
TEMPERATURES = (0.05, 20.0)
# The strength of the prior of `fit_mixture`, lambda.
PRIOR = 10.0
# The number of training documents from which on the network's prior weight is as large as that of the n-grams.
EQUAL_WEIGHTS = 1000
# 95 % of a normal distribution lie within this many standard deviations.
NORMAL_95 = 1.96
# A class needs this many held-out documents for a threshold of its own.
MIN_POSITIVES = 5


def log_probabilities(probabilities: npt.ArrayLike) -> Float64:
    """Return finite logarithms of probabilities, even of those that float32 rounds to 0."""
    return np.log(np.clip(np.asarray(probabilities, np.float64), np.finfo(np.float32).tiny, None))


def to_logits(probabilities: npt.ArrayLike, multi_label: bool = False) -> Float64:
    """Return the logits of probabilities: the inverse of softmax, or of the sigmoid for multi-label classification."""
    logits = log_probabilities(probabilities)
    # In float32, 1 - p is accurate to about seven digits.
    return logits - np.log(np.clip(1.0 - np.asarray(probabilities, np.float64), 1e-8, None)) if multi_label else logits


def to_probabilities(logits: Float64, multi_label: bool = False) -> Float64:
    """Return the softmax of logits, or their sigmoid for multi-label classification."""
    from scipy.special import expit, softmax

    probabilities: Float64 = expit(logits) if multi_label else softmax(logits, axis=1)
    return probabilities


def fit_temperature(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Return the temperature that minimises the log loss of held-out documents.

    Temperature scaling (Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599) divides the logits z by T:
    softmax(z) becomes softmax(z / T), that is, p^(1/T), normalised. The most probable class does not change.

    Parameters
    ----------
    probabilities : array-like [documents, classes]
    targets : array-like of int [documents] or [documents, classes]
        The index of each document's class; for multi-label classification, 1 for the classes that a document has.
    sample_weight : array-like [documents], optional

    Returns
    -------
    float
        Above 1 if the probabilities are overconfident.

    Examples
    --------
    >>> from han.training.calibration import fit_temperature
    >>> overconfident = [[0.99, 0.01]] * 10
    >>> round(fit_temperature(overconfident, [0] * 8 + [1] * 2), 2)  # 8 of 10 are correct
    3.31
    """
    from scipy.optimize import minimize_scalar

    targets = np.asarray(targets, np.int64)
    logits = to_logits(probabilities, targets.ndim == 2)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)

    def loss(log_temperature: float) -> float:
        return float((weights * _losses(logits / np.exp(log_temperature), targets)).sum() / weights.sum())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def prior_weights(documents: int) -> tuple[float, float]:
    """Return the weights of the network's and the n-grams' logits before any document is held out.

    A network needs more documents than a linear model, so up to `EQUAL_WEIGHTS` training documents its weight is
    proportional to their number.

    Examples
    --------
    >>> from han.training.calibration import prior_weights
    >>> prior_weights(200), prior_weights(5000)
    ((0.1, 0.9), (0.5, 0.5))
    """
    network = 0.5 * min(documents / EQUAL_WEIGHTS, 1.0)
    return network, 1.0 - network


def fit_mixture(
    network: npt.ArrayLike,
    ngrams: npt.ArrayLike,
    targets: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    prior: tuple[float, float] = (0.5, 0.5),
) -> Mixture:
    r"""Return the weights of the network's and the n-grams' logits that minimise the log loss of held-out documents.

    A Gaussian prior keeps both weights close to its centre (p, q) when few documents are held out.

    .. math:: \min_{a, b \ge 0} \; -\sum_d w_d \log \mathrm{softmax}(a x_d + b z_d)_{y_d}
              + \lambda \left( (a - p)^2 + (b - q)^2 \right)

    The intervals are those of the Gaussian that has the curvature of this function at its minimum (Laplace's
    approximation of the posterior, MacKay 1992, https://doi.org/10.1162/neco.1992.4.3.448).

    Parameters
    ----------
    network, ngrams : array-like [documents, classes]
        The logits x and z. For mutually exclusive classes, log-probabilities will do.
    targets : array-like of int [documents] or [documents, classes]
        The index of each document's class; for multi-label classification, 1 for the classes that a document has, and
        the sum of their binary losses is minimised.
    sample_weight : array-like [documents], optional
    prior : tuple of two floats, default (0.5, 0.5)
        The centre of the prior, see `prior_weights`.

    Returns
    -------
    Mixture

    Examples
    --------
    >>> from han.training.calibration import fit_mixture
    >>> informative, constant = [[2.0, -2.0], [-2.0, 2.0]] * 50, [[3.0, -3.0]] * 100
    >>> print(fit_mixture(informative, constant, [0, 1] * 50))
    0.97 (0.69 to 1.26) x network + 0.11 (0.00 to 0.32) x n-grams
    """
    from scipy.optimize import minimize

    logits = np.stack([np.asarray(network, np.float64), np.asarray(ngrams, np.float64)])
    targets = np.asarray(targets, np.int64)
    multi_label = targets.ndim == 2
    hits = targets if multi_label else targets[:, None] == np.arange(logits.shape[2])
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    centre = np.array(prior)

    def loss(factors: Float64) -> tuple[float, Float64]:
        mixed = np.tensordot(factors, logits, 1)
        errors = to_probabilities(mixed, multi_label) - hits
        total = (weights * _losses(mixed, targets)).sum()
        gradient = np.einsum("mdc,dc,d->m", logits, errors, weights)
        return total + PRIOR * ((factors - centre) ** 2).sum(), gradient + 2 * PRIOR * (factors - centre)

    factors = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * 2).x
    probabilities = to_probabilities(np.tensordot(factors, logits, 1), multi_label)
    curvature = np.einsum("mdc,ndc,dc,d->mn", logits, logits, probabilities, weights)
    if multi_label:  # the variance of each class's own label, and not that of the one class of a document
        curvature -= np.einsum("mdc,ndc,dc,d->mn", logits, logits, probabilities**2, weights)
    else:
        expected = np.einsum("mdc,dc->md", logits, probabilities)
        curvature -= np.einsum("md,nd,d->mn", expected, expected, weights)
    errors = NORMAL_95 * np.sqrt(np.diag(np.linalg.inv(curvature + 2 * PRIOR * np.eye(2))))
    a, b = factors.tolist()
    lows, highs = np.maximum(factors - errors, 0.0).tolist(), (factors + errors).tolist()
    return Mixture(a, b, (lows[0], highs[0]), (lows[1], highs[1]))


def _losses(logits: Float64, targets: npt.NDArray[np.int64]) -> Float64:
    """Return the log loss of each document [documents], summed over the classes for multi-label classification."""
    from scipy.special import logsumexp

    if targets.ndim == 2:
        losses: Float64 = (np.logaddexp(0.0, logits) - targets * logits).sum(axis=1)
    else:
        losses = logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets]
    return losses


def fit_thresholds(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> Float64:
    """Return the decision threshold of each class that maximises its F1 score on held-out documents.

    A class with fewer than `MIN_POSITIVES` documents gets the threshold with the highest micro-averaged F1 score of all
    classes, because a single document would change its own too much. Thresholds lie halfway between the
    probabilities of two documents.

    Parameters
    ----------
    probabilities : array-like [documents, classes]
    targets : array-like of 0 and 1 [documents, classes]
    sample_weight : array-like [documents], optional

    Returns
    -------
    float64 [classes]

    Examples
    --------
    >>> from han.training.calibration import fit_thresholds
    >>> fit_thresholds([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6], [0.7]], [[0], [0], [1], [1], [1], [1], [1]])
    array([0.25])
    """
    probabilities, targets = np.asarray(probabilities, np.float64), np.asarray(targets, np.float64)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    everything = np.repeat(weights, targets.shape[1])
    common = _best_threshold(probabilities.ravel(), targets.ravel(), everything)
    return np.array(
        [
            _best_threshold(probabilities[:, column], targets[:, column], weights)
            if targets[:, column].sum() >= MIN_POSITIVES
            else common
            for column in range(targets.shape[1])
        ]
    )


def _best_threshold(scores: Float64, targets: Float64, weights: Float64) -> float:
    """Return the threshold with the highest F1 score; 0.5 if there are no positives."""
    order = np.argsort(-scores, kind="stable")
    scores, targets, weights = scores[order], targets[order], weights[order]
    hits = np.cumsum(targets * weights)
    if not len(hits) or hits[-1] == 0:
        return 0.5
    f1 = 2 * hits / (np.cumsum(weights) + hits[-1])
    f1[:-1][scores[:-1] == scores[1:]] = -1.0  # no threshold separates equal scores
    best = int(f1.argmax())
    return float((scores[best] + scores[best + 1]) / 2) if best + 1 < len(scores) else float(scores[best])


class Reliability(NamedTuple):
    """A reliability diagram: documents binned by the probability of the predicted class.

    Attributes
    ----------
    counts : int64 [bins]
        Number of documents in each bin.
    confidence : float64 [bins]
        Mean probability of the predicted class; NaN in an empty bin.
    accuracy : float64 [bins]
        Accuracy of the predictions; NaN in an empty bin.
    error : float
        The expected calibration error: the mean of `abs(confidence - accuracy)` over bins, weighted by their counts.
    """

    counts: npt.NDArray[np.int64]
    confidence: Float64
    accuracy: Float64
    error: float


def reliability(probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = 15) -> Reliability:
    """Compare confidence with accuracy in bins of equal width.

    See Guo et al. 2017, equations 1-3, https://arxiv.org/abs/1706.04599.

    Parameters
    ----------
    probabilities : array-like [documents, classes]
    targets : array-like of int [documents]
    bins : int, default 15

    Returns
    -------
    Reliability

    Examples
    --------
    >>> from han.training.calibration import reliability
    >>> round(reliability([[0.9, 0.1]] * 10, [0] * 8 + [1] * 2).error, 3)
    0.1
    """
    probabilities = np.asarray(probabilities, np.float64)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == np.asarray(targets)
    # Bins are open on the left, (0, 1/bins] for the first, which also includes 0.
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bin_of, confidence, bins) / counts
        accuracy = np.bincount(bin_of, correct, bins) / counts
    error = float(np.nansum(counts * np.abs(mean_confidence - accuracy)) / len(confidence))
    return Reliability(counts, mean_confidence, accuracy, error)
