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


def fit_temperature(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Return the temperature that gives held-out documents their least log loss (Guo et al. 2017, section 4.2).

    Probabilities p become p^(1/T), scaled to sum to one again: softmax(z) becomes softmax(z / T). Which class is the
    most probable does not change.

    Parameters
    ----------
    probabilities : array-like [documents, classes]
    targets : array-like of int [documents]
        The index of each document's class.
    sample_weight : array-like [documents], optional

    Returns
    -------
    float
        Above 1 where the probabilities were too sure of themselves.

    Examples
    --------
    >>> from han.calibration import fit_temperature
    >>> sure = [[0.99, 0.01]] * 10
    >>> round(fit_temperature(sure, [0] * 8 + [1] * 2), 2)  # right in 8 of 10
    3.31
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.clip(np.asarray(probabilities, np.float64), 1e-30, None))
    targets = np.asarray(targets, np.int64)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_likelihoods = scaled[np.arange(len(targets)), targets] - np.log(np.exp(scaled).sum(axis=1))
        return float(-(weights * log_likelihoods).sum() / weights.sum())

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
        The logits x and z; log-probabilities are such.
    targets : array-like of int [documents]
        The index of each document's class.
    sample_weight : array-like [documents], optional

    Returns
    -------
    tuple of two floats

    Examples
    --------
    >>> from han.calibration import fit_mixture
    >>> knows, guesses = [[2.0, -2.0], [-2.0, 2.0]] * 50, [[3.0, -3.0]] * 100
    >>> [round(weight, 1) for weight in fit_mixture(knows, guesses, [0, 1] * 50)]
    [1.0, 0.1]
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp, softmax

    logits = np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    targets = np.asarray(targets, np.int64)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    documents = np.arange(len(targets))

    def loss(factors: Float64) -> tuple[float, Float64]:
        mixed = np.tensordot(factors, logits, 1)
        errors = softmax(mixed, axis=1)
        errors[documents, targets] -= 1.0
        total = (weights * (logsumexp(mixed, axis=1) - mixed[documents, targets])).sum()
        slope = np.einsum("mdc,dc,d->m", logits, errors, weights)
        return total + PRIOR * ((factors - 0.5) ** 2).sum(), slope + 2 * PRIOR * (factors - 0.5)

    found = minimize(loss, np.full(2, 0.5), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * 2).x
    return float(found[0]), float(found[1])


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
    >>> from han.calibration import reliability
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
