"""Convert a fitted classifier to the contents of its folder, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from han.data.labels import LabelEncoder
from han.fitted import FittedClassifier
from han.hyperparameters import Hyperparameters
from han.inference.mixture import Mixture
from han.saving.card import model_card
from han.saving.description import describe
from han.saving.folder import SavedClassifier
from han.saving.functions import FUNCTIONS, function_name


def to_saved(
    fitted: FittedClassifier,
    hyperparameters: Hyperparameters,
    data: str | None = None,
    scores: Mapping[str, float] | None = None,
) -> SavedClassifier:
    """Return the contents of the folder of a fitted classifier.

    Parameters
    ----------
    fitted : FittedClassifier
    hyperparameters : Hyperparameters
    data : str, optional
        Name of the training data, for the model card.
    scores : mapping of str to float, optional
        Results on test documents, for the model card.
    """
    parameters = hyperparameters.as_dict()
    functions = {name: parameters.pop(name) for name in FUNCTIONS}
    facts = describe(fitted, hyperparameters)
    return SavedClassifier(
        parameters,
        {name: function_name(function) for name, function in functions.items() if function is not None},
        {
            "history_": fitted.history,
            "embedding_coverage_": fitted.embedding_coverage,
            "mixture_": fitted.mixture and fitted.mixture._asdict(),
            "temperature_": fitted.temperature,
            "labels": fitted.labels.kind,
            "thresholds": fitted.thresholds.tolist(),
            "class_count": fitted.class_count.tolist(),
            "documents": fitted.n_samples,
        },
        fitted.labels.classes,
        fitted.vocabulary,
        fitted.network,
        model_card(facts, hyperparameters.language, data, scores or {}),
        {name: value for name, value in facts.items() if name != "parameters"},
    )


def from_saved(saved: SavedClassifier) -> FittedClassifier:
    """Return the classifier in a folder with these contents.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the attributes are not those that `to_saved` writes.
    """
    attributes, classes = saved.attributes, len(saved.classes)
    # Folders of earlier versions lack some of the attributes.
    return FittedClassifier(
        network=saved.network,
        vocabulary=saved.vocabulary,
        labels=LabelEncoder(saved.classes, attributes.get("labels", "single")),
        thresholds=np.array(attributes.get("thresholds", [0.5] * classes)),
        mixture=_mixture(attributes.get("mixture_")),
        temperature=attributes["temperature_"],
        embedding_coverage=attributes["embedding_coverage_"],
        history=attributes["history_"],
        class_count=np.array(attributes.get("class_count", [0] * classes)),
        n_samples=attributes.get("documents", 0),
    )


def _mixture(saved: Mapping[str, Any] | None) -> Mixture | None:
    """Return a mixture whose intervals JSON has made lists."""
    if saved is None:
        return None
    intervals = {name: tuple(saved[name]) for name in ("network_interval", "ngrams_interval")}
    return Mixture(**{**saved, **intervals})
