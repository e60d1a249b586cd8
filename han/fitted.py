"""The result of `fit`: a plain object that predicts and explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from han.data.labels import LabelEncoder
from han.exceptions import ForkedProcessError, InvalidValueError, warn_user
from han.explain.attribution import explain
from han.explain.explanation import Explanation
from han.hyperparameters import Hyperparameters
from han.inference.forked import ADVICE
from han.inference.forward import Ngrams, ngram_logits
from han.inference.inference import Network
from han.inference.mixture import Mixture
from han.inference.prediction import CHUNK, predict
from han.memory.limits import find_limit
from han.memory.planning import NetworkSize, PredictionPlan, plan_prediction
from han.model import HierarchicalAttentionNetwork
from han.text.reader import DocumentReader
from han.text.vocabulary import Vocabulary

# For so little text, asking the system for its free memory would take as long as the prediction, which needs 50 MB.
FEW_CHARACTERS = 10_000
# Fields of `FittedClassifier` and the corresponding attributes of `HANClassifier`.
ATTRIBUTES = {
    "network": "model_",
    "vocabulary": "vocabulary_",
    "labels": "label_encoder_",
    "thresholds": "thresholds_",
    "mixture": "mixture_",
    "temperature": "temperature_",
    "embedding_coverage": "embedding_coverage_",
    "history": "history_",
    "class_count": "class_count_",
    "n_samples": "n_samples_fit_",
}


@dataclass(frozen=True)
class FittedClassifier:
    """A trained network, with its vocabulary, labels, thresholds and training results.

    Attributes
    ----------
    network : HierarchicalAttentionNetwork
        If loaded in a forked process, a `han.saving.network_file.StoredNetwork`.
    vocabulary : Vocabulary
    labels : LabelEncoder
        The classes, and the format of the training labels.
    thresholds : float64 [classes]
        For multi-label classification, the minimum probability at which each class is predicted.
    mixture : Mixture or None
        The weights of the network's and the n-grams' logits, if they were fitted.
    temperature : float
        The temperature by which the logits were divided.
    embedding_coverage : float or None
        Fraction of the words in the training documents whose vectors came from `embeddings`.
    history : dict of lists
        Training and validation scores of each epoch.
    class_count : int64 [classes]
        Number of training documents of each class.
    n_samples : int
        Number of training documents.
    """

    network: Network
    vocabulary: Vocabulary
    labels: LabelEncoder
    thresholds: npt.NDArray[np.float64]
    mixture: Mixture | None
    temperature: float
    embedding_coverage: float | None
    history: dict[str, list[float]]
    class_count: npt.NDArray[np.int64]
    n_samples: int

    def attributes(self) -> dict[str, Any]:
        """Return the fitted attributes of `HANClassifier` by name."""
        return {attribute: getattr(self, name) for name, attribute in ATTRIBUTES.items()} | {
            "classes_": self.labels.classes
        }

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> FittedClassifier:
        """Create from the attributes of a fitted `HANClassifier`."""
        return cls(**{name: attributes[attribute] for name, attribute in ATTRIBUTES.items()})

    def local_network(self) -> HierarchicalAttentionNetwork:
        """Return the Keras model; raise a ForkedProcessError if it was loaded in a forked process."""
        if isinstance(self.network, HierarchicalAttentionNetwork):
            return self.network
        raise ForkedProcessError(f"the network cannot be built in a forked process; {ADVICE}")

    def reader(self, hyperparameters: Hyperparameters) -> DocumentReader:
        """Return the reader, which converts documents to word ids."""
        return DocumentReader(hyperparameters.splitter(), self.vocabulary)

    def predict_proba(self, texts: list[str], hyperparameters: Hyperparameters) -> npt.NDArray[np.float32]:
        """Predict class probabilities [documents, classes]."""
        reader, plan = self.reader(hyperparameters), self._plan(texts, hyperparameters)
        probabilities, truncated = predict(self.network, texts, reader, plan)
        warn_of_truncation(truncated, len(texts), hyperparameters.max_sentences)
        return probabilities

    def decode(self, probabilities: npt.NDArray[np.float32]) -> Any:
        """Convert probabilities to labels in the format of the training labels."""
        if self.labels.multi_label:
            return self.labels.decode(probabilities >= self.thresholds)
        return self.labels.decode(probabilities.argmax(axis=1))

    def explain(
        self,
        texts: list[str],
        hyperparameters: Hyperparameters,
        *,
        method: str,
        targets: npt.NDArray[np.int64] | None,
        n_steps: int,
    ) -> list[Explanation]:
        """Explain the prediction for each document; see `HANClassifier.explain`."""
        if method == "attention" and self.network.get_config()["pooling"] == "max":
            raise InvalidValueError(
                'method "attention" needs pooling "attention" or "mean"; max pooling has no weights'
            )
        explanations, truncated = explain(
            self.network,
            texts,
            self.reader(hyperparameters),
            self.labels.classes.tolist(),
            method=method,
            targets=targets,
            n_steps=n_steps,
            plan=self._plan(texts, hyperparameters),
        )
        warn_of_truncation(truncated, len(texts), hyperparameters.max_sentences)
        if self.labels.multi_label:
            thresholds = tuple(self.thresholds.tolist())
            explanations = [replace(explanation, thresholds=thresholds) for explanation in explanations]
        return explanations

    def without_ngrams(self) -> FittedClassifier:
        """Return the classifier without its linear model of n-grams."""
        return replace(self, network=self.local_network().with_evidence(None))

    def ngram_probabilities(self, texts: list[str], hyperparameters: Hyperparameters) -> npt.NDArray[np.float64]:
        """Return the probabilities of the linear model of n-grams alone [documents, classes]."""
        network = self.local_network()
        if network.evidence is None:
            raise InvalidValueError("the classifier has no linear model of n-grams")
        corpus = self.reader(hyperparameters).encode(texts)
        logits = ngram_logits(Ngrams.of(network.evidence), corpus, len(self.labels.classes)).astype(np.float64)
        probabilities: npt.NDArray[np.float64] = (
            special.expit(logits) if self.labels.multi_label else special.softmax(logits, axis=1)
        )
        return probabilities

    def _plan(self, texts: list[str], hyperparameters: Hyperparameters) -> PredictionPlan:
        if hyperparameters.memory_limit is None and sum(map(len, texts)) <= FEW_CHARACTERS:
            return PredictionPlan()
        return plan_prediction(
            NetworkSize.of(self.network.get_config()),
            texts,
            chunk=CHUNK,
            splitter=hyperparameters.splitter(),
            limit=find_limit(hyperparameters.memory_limit),
        )


def warn_of_truncation(truncated: int, documents: int, max_sentences: int) -> None:
    """Warn if documents were truncated to `max_sentences`."""
    if truncated:
        warn_user(
            f"{truncated} of {documents} documents have more than max_sentences={max_sentences} sentences "
            "and were truncated",
            UserWarning,
        )
