r"""How far scores on a test set can be trusted: intervals of scores, and of differences between two classifiers.

Accuracy has the score interval of Wilson 1927, which is valid for few documents and for accuracies close to 1. With
:math:`n_{12}` documents that only the first of two classifiers predicts correctly, and :math:`n_{21}` that only the
second does, the difference of their accuracies has the interval of Bonett & Price 2012,

.. math:: \tilde p_{12} - \tilde p_{21} \pm z \sqrt{
          \frac{\tilde p_{12} + \tilde p_{21} - (\tilde p_{12} - \tilde p_{21})^2}{n + 2}}, \quad
          \tilde p_{ij} = \frac{n_{ij} + 1}{n + 2}

The macro-averaged F1 score has no such formula; its intervals are percentiles of bootstrap samples of the documents
(Efron & Tibshirani 1993).

References
----------
Bonett & Price 2012, Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data,
https://doi.org/10.3102/1076998611411915

Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference, https://doi.org/10.2307/2276774
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

LEVEL = 0.95
SAMPLES = 2000
# Of a table of samples and distinct outcomes.
_MAX_CELLS = 5_000_000


class Interval(NamedTuple):
    """A value with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the value is told apart from zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Outcomes(NamedTuple):
    """True and predicted classes of documents.

    Attributes
    ----------
    targets, predicted : int64 array [documents] or bool array [documents, classes]
        The index of the class of each document, or which classes it has.
    classes : int
    """

    targets: npt.NDArray[np.generic]
    predicted: npt.NDArray[np.generic]
    classes: int

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the class of each document, or its set of classes, is predicted correctly [documents]."""
        same = (self.targets == self.predicted).reshape(len(self.targets), -1)
        correct: npt.NDArray[np.bool_] = same.all(axis=1)
        return correct

    def matches(self) -> npt.NDArray[np.bool_]:
        """Return which classes are true, predicted, and both, side by side [documents, 3 * classes]."""
        if self.targets.ndim == 2:
            true, predicted = self.targets.astype(bool), self.predicted.astype(bool)
        else:
            true, predicted = (part[:, None] == np.arange(self.classes) for part in (self.targets, self.predicted))
        return np.concatenate([true, predicted, true & predicted], axis=1)


def accuracy_interval(outcomes: Outcomes) -> Interval:
    """Return the accuracy with Wilson's interval."""
    correct = outcomes.correct
    found = stats.binomtest(int(correct.sum()), len(correct)).proportion_ci(LEVEL, method="wilson")
    return Interval(float(correct.mean()), float(found.low), float(found.high))


def accuracy_difference(first: Outcomes, second: Outcomes) -> Interval:
    """Return how much higher the accuracy of the first of two classifiers is on the same documents."""
    n = len(first.correct)
    better, worse = (
        (int((one & ~other).sum()) + 1) / (n + 2)
        for one, other in ((first.correct, second.correct), (second.correct, first.correct))
    )
    middle = better - worse
    width = stats.norm.ppf(0.5 + LEVEL / 2) * np.sqrt((better + worse - middle**2) / (n + 2))
    value = float(first.correct.mean() - second.correct.mean())
    return Interval(value, float(max(middle - width, -1.0)), float(min(middle + width, 1.0)))


def macro_f1_interval(outcomes: Outcomes, random_state: int = 0) -> Interval:
    """Return the macro-averaged F1 score with a bootstrap interval."""
    matches = outcomes.matches()
    multi_label = outcomes.targets.ndim == 2
    value = macro_f1(matches.sum(axis=0)[None], multi_label)[0]
    return _percentiles(float(value), [macro_f1(counts, multi_label) for counts in _samples(matches, random_state)])


def macro_f1_difference(first: Outcomes, second: Outcomes, random_state: int = 0) -> Interval:
    """Return how much higher the macro-averaged F1 score of the first of two classifiers is on the same documents."""
    matches = np.concatenate([first.matches(), second.matches()], axis=1)
    multi_label = first.targets.ndim == 2

    def difference(counts: Int64) -> Float64:
        one, other = np.split(counts, 2, axis=1)
        return macro_f1(one, multi_label) - macro_f1(other, multi_label)

    value = float(difference(matches.sum(axis=0)[None])[0])
    return _percentiles(value, [difference(counts) for counts in _samples(matches, random_state)])


def macro_f1(counts: Int64, multi_label: bool) -> Float64:
    """Return the macro-averaged F1 score of samples [samples].

    Parameters
    ----------
    counts : int array [samples, 3 * classes]
        Number of documents of each class, of predictions of it, and of those that are correct.
    multi_label : bool
        Whether classes count that occur among neither the true nor the predicted ones.
    """
    true, predicted, both = np.split(counts, 3, axis=1)
    scores = 2 * both / np.maximum(true + predicted, 1)
    occurring = (
        np.full(len(counts), true.shape[1]) if multi_label else np.maximum((true + predicted > 0).sum(axis=1), 1)
    )
    means: Float64 = scores.sum(axis=1) / occurring
    return means


def _samples(matches: npt.NDArray[np.bool_], random_state: int) -> Iterator[Int64]:
    """Yield the sums of the rows in bootstrap samples of the documents, some samples at a time [samples, columns].

    Documents with equal rows are drawn together, since how often they are drawn has a multinomial distribution.
    """
    packed = np.packbits(matches, axis=1)
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    rows, rng = matches[first].astype(np.float64), np.random.default_rng(random_state)
    together = max(1, _MAX_CELLS // len(rows))
    for start in range(0, SAMPLES, together):
        drawn = rng.multinomial(len(matches), counts / len(matches), min(together, SAMPLES - start))
        yield (drawn @ rows).astype(np.int64)


def _percentiles(value: float, samples: list[Float64]) -> Interval:
    low, high = np.quantile(np.concatenate(samples), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(value, float(low), float(high))
