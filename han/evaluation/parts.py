"""What each part of a classifier predicts on its own: the network, and the linear model of n-grams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from han.classifier import HANClassifier
from han.data.labels import LabelEncoder
from han.data.validation import Labels
from han.evaluation.measures import Evaluation, evaluate
from han.fitted import FittedClassifier
from han.hyperparameters import Hyperparameters

NETWORK, NGRAMS = "network alone", "n-grams alone"


@dataclass(frozen=True)
class _Part:
    """A part of a classifier, with the attributes that `evaluate` reads."""

    predict_proba: Callable[[list[str]], npt.NDArray[np.floating[Any]]]
    label_encoder_: LabelEncoder
    thresholds_: npt.NDArray[np.float64]

    @property
    def classes_(self) -> Labels:
        """The class labels."""
        return self.label_encoder_.classes


def evaluate_parts(classifier: HANClassifier, texts: list[str], labels: Any) -> dict[str, Evaluation]:
    """Evaluate the network alone and the n-grams alone; neither, if the classifier consists of a network only.

    Parameters
    ----------
    classifier : HANClassifier
    texts : list of str
    labels : labels [documents]
        In the format that the classifier was fitted with.
    """
    fitted = FittedClassifier.from_attributes(vars(classifier))
    hyperparameters = Hyperparameters.check(classifier.get_params())
    if fitted.local_network().evidence is None:
        return {}
    predictions: dict[str, Callable[..., npt.NDArray[np.floating[Any]]]] = {
        NETWORK: fitted.without_ngrams().predict_proba,
        NGRAMS: fitted.ngram_probabilities,
    }
    return {
        name: evaluate(
            _Part(partial(predict, hyperparameters=hyperparameters), fitted.labels, fitted.thresholds), texts, labels
        )
        for name, predict in predictions.items()
    }
