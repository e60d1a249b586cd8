"""How far a classifier's probabilities can be taken at their word, and a temperature that makes them honest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

# Beyond these a temperature says that there was nothing to fit it on.
TEMPERATURES = (0.05, 20.0)
# The strength of the prior of `fit_mixture`, lambda.
PRIOR = 10.0
# Held-out documents of a class that it takes to choose a threshold of its own.
MIN_POSITIVES = 5


def log_probabilities(probabilities: npt.ArrayLike) -> Float64:
    """Return the logarithms of probabilities, also of those that float32 has rounded to 0."""
    return np.log(np.clip(np.asarray(probabilities, np.float64), np.finfo(np.float32).tiny, None))


def to_logits(probabilities: npt.ArrayLike, multi_label: bool = False) -> Float64:
    """Return what a softmax, or of several classes at once a sigmoid, makes the probabilities of."""
    logits = log_probabilities(probabilities)
    # 1 - p of a float32 has no more than seven digits.
    return logits - np.log(np.clip(1.0 - np.asarray(probabilities, np.float64), 1e-8, None)) if multi_label else logits


def to_probabilities(logits: Float64, multi_label: bool = False) -> Float64:
    """Return the softmax of logits, or where a document may have several classes their sigmoid."""
    from scipy.special import expit, softmax

    probabilities: Float64 = expit(logits) if multi_label else softmax(logits, axis=1)
    return probabilities


def fit_temperature(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Return the temperature that gives held-out documents their least log loss (Guo et al. 2017, section 4.2).

    Logits z are divided by it: probabilities p become p^(1/T), scaled to sum to one again, and softmax(z) becomes
    softmax(z / T). Which class is the most probable does not change.

    Parameters
    ----------
    probabilities : array-like [documents, classes]
    targets : array-like of int [documents] or [documents, classes]
        The index of each document's class; or, where a document may have several, 1 for those it has.
    sample_weight : array-like [documents], optional

    Returns
    -------
    float
        Above 1 where the probabilities were too sure of themselves.

    Examples
    --------
    >>> from han.training.calibration import fit_temperature
    >>> sure = [[0.99, 0.01]] * 10
    >>> round(fit_temperature(sure, [0] * 8 + [1] * 2), 2)  # right in 8 of 10
    3.31
    """
    from scipy.optimize import minimize_scalar

    targets = np.asarray(targets, np.int64)
    logits = to_logits(probabilities, targets.ndim == 2)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)

    def loss(log_temperature: float) -> float:
        return float((weights * _losses(logits / np.exp(log_temperature), targets)).sum() / weights.sum())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def fit_mixture(
    first: npt.ArrayLike, second: npt.ArrayLike, targets: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> tuple[float, float]:
    r"""Return what to multiply two models' logits by before they are added up, for the least log loss.

    The loss is summed over the held-out documents, and few of them hardly move the prior, a half each.

    .. math:: \min_{a, b \ge 0} \; -\sum_d w_d \log \mathrm{softmax}(a x_d + b z_d)_{y_d}
              + \lambda \left( (a - 1/2)^2 + (b - 1/2)^2 \right)

    Parameters
    ----------
    first, second : array-like [documents, classes]
        The logits x and z; log-probabilities are such, of classes that exclude each other.
    targets : array-like of int [documents] or [documents, classes]
        The index of each document's class; or, where a document may have several, 1 for those it has. Their losses, of
        sigmoids, are summed.
    sample_weight : array-like [documents], optional

    Returns
    -------
    tuple of two floats

    Examples
    --------
    >>> from han.training.calibration import fit_mixture
    >>> knows, guesses = [[2.0, -2.0], [-2.0, 2.0]] * 50, [[3.0, -3.0]] * 100
    >>> [round(weight, 1) for weight in fit_mixture(knows, guesses, [0, 1] * 50)]
    [1.0, 0.1]
    """
    from scipy.optimize import minimize

    logits = np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    targets = np.asarray(targets, np.int64)
    multi_label = targets.ndim == 2
    hits = targets if multi_label else targets[:, None] == np.arange(logits.shape[2])
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)

    def loss(factors: Float64) -> tuple[float, Float64]:
        mixed = np.tensordot(factors, logits, 1)
        errors = to_probabilities(mixed, multi_label) - hits
        total = (weights * _losses(mixed, targets)).sum()
        slope = np.einsum("mdc,dc,d->m", logits, errors, weights)
        return total + PRIOR * ((factors - 0.5) ** 2).sum(), slope + 2 * PRIOR * (factors - 0.5)

    found = minimize(loss, np.full(2, 0.5), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * 2).x
    return float(found[0]), float(found[1])


def _losses(logits: Float64, targets: npt.NDArray[np.int64]) -> Float64:
    """Return the log loss of each document [documents]; where it may have several classes, summed over them."""
    from scipy.special import logsumexp

    if targets.ndim == 2:
        losses: Float64 = (np.logaddexp(0.0, logits) - targets * logits).sum(axis=1)
    else:
        losses = logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets]
    return losses


def fit_thresholds(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> Float64:
    """Return the probability from which on each class is to be predicted, for the highest F1 on held-out documents.

    A class that fewer than `MIN_POSITIVES` of them have gets the one that gives all classes together their highest
    (micro-averaged) F1: of so few, one document more or less would decide. The chosen thresholds lie half way between
    the probabilities of two documents.

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
    """Return the threshold of the highest F1, 0.5 if nothing is positive."""
    order = np.argsort(-scores, kind="stable")
    scores, targets, weights = scores[order], targets[order], weights[order]
    hits = np.cumsum(targets * weights)
    if not len(hits) or hits[-1] == 0:
        return 0.5
    f1 = 2 * hits / (np.cumsum(weights) + hits[-1])
    f1[:-1][scores[:-1] == scores[1:]] = -1.0  # equal scores are all above the threshold or all below it
    best = int(f1.argmax())
    return float((scores[best] + scores[best + 1]) / 2) if best + 1 < len(scores) else float(scores[best])


class Reliability(NamedTuple):
    """Bins of documents by the probability of the class that was predicted.

    Attributes
    ----------
    counts : int64 [bins]
        Documents in each bin.
    confidence : float64 [bins]
        Their mean probability; NaN in an empty bin.
    accuracy : float64 [bins]
        The share of them that was right; NaN in an empty bin.
    error : float
        The expected calibration error: the mean over all documents of the distance between the two.
    """

    counts: npt.NDArray[np.int64]
    confidence: Float64
    accuracy: Float64
    error: float


def reliability(probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = 15) -> Reliability:
    """Compare confidence with accuracy (Guo et al. 2017, equations 1-3), in bins of equal width.

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
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == np.asarray(targets)
    # (0, 1/bins] is the first; a probability of 0 would be in it too.
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bin_of, confidence, bins) / counts
        accuracy = np.bincount(bin_of, right, bins) / counts
    error = float(np.nansum(counts * np.abs(mean_confidence - accuracy)) / len(confidence))
    return Reliability(counts, mean_confidence, accuracy, error)
