"""Test documents whose label is suspected to be wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from han.evaluation.measures import Evaluation
from han.exceptions import missing_extra


class LabelError(NamedTuple):
    """A document whose label may be wrong.

    Attributes
    ----------
    position : int
        Its position among the test documents.
    label_probability : float
        The probability of its label; of its least probable one, in multi-label classification.
    """

    position: int
    label_probability: float


def find_label_errors(evaluation: Evaluation) -> list[LabelError]:
    """Return suspected label errors, the least probable labels first.

    Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) compares each document's probabilities
    with those that documents of a class have on average.

    Parameters
    ----------
    evaluation : Evaluation
        Of documents that the classifier was not trained on.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed (the extra `report`).
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise missing_extra("the search for label errors", "cleanlab", "report") from error

    def suspected(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]) -> set[int]:
        # Nothing can be said of a class that no document has.
        classes, labels = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            return set()
        found = find_label_issues(
            labels, probabilities[:, classes], return_indices_ranked_by="self_confidence", n_jobs=1
        )
        return set(found.tolist())

    targets, probabilities = evaluation.outcomes.targets, evaluation.probabilities
    if targets.ndim == 2:  # each label on its own
        of_label = np.where(targets.astype(bool), probabilities, 1.0 - probabilities).min(axis=1)
        pairs = zip(targets.T.astype(np.int64), probabilities.T, strict=True)
        found = set().union(*(suspected(labels, np.stack([1.0 - own, own], axis=1)) for labels, own in pairs))
    else:
        labels = targets.astype(np.int64)
        of_label = probabilities[np.arange(len(labels)), labels]
        found = suspected(labels, probabilities)
    return [LabelError(row, float(of_label[row])) for row in sorted(found, key=lambda row: of_label[row])]
