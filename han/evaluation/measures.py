"""Metrics of a classifier on a test set, and baselines to compare it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_recall_fscore_support
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from han.data.labels import LabelEncoder
from han.evaluation.uncertainty import Interval, Outcomes, accuracy_interval, macro_f1_interval
from han.training.calibration import Reliability, reliability

# A confusion matrix of more classes is not readable, and of many more classes takes gigabytes.
MAX_CONFUSION_CLASSES = 1000


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a classifier on a test set.

    Attributes
    ----------
    accuracy : float
        The fraction of documents whose label, or whose set of labels, is predicted correctly.
    macro_f1 : float
        The mean of the F1 scores of the classes that occur among the true or predicted labels. Multi-label
        classification: of all classes.
    micro_f1 : float or None
        Multi-label classification: the F1 score of the decisions on all classes together.
    log_loss : float
        The log loss in nats. Multi-label classification: the mean over the binary decisions.
    per_class : DataFrame
        Precision, recall, F1 score and number of test documents of each class.
    confusion : int array [true classes, predicted classes] or None
        The confusion matrix, in the order of `per_class`. None for multi-label classification or more than 1,000
        classes.
    reliability : Reliability
        Confidence and accuracy; its `error` is the expected calibration error. Multi-label classification: those of
        the binary decisions.
    outcomes : Outcomes
        The true and the predicted classes of each document, in the order of `per_class`.
    probabilities : float64 array [documents, classes]
    """

    accuracy: float
    macro_f1: float
    micro_f1: float | None
    log_loss: float
    per_class: pd.DataFrame
    confusion: npt.NDArray[np.int64] | None
    reliability: Reliability
    outcomes: Outcomes
    probabilities: npt.NDArray[np.float64]

    def intervals(self) -> dict[str, Interval]:
        """Return 95 % confidence intervals by name: Wilson's of accuracy, and a bootstrap interval of macro F1."""
        return {"accuracy": accuracy_interval(self.outcomes), "macro_f1": macro_f1_interval(self.outcomes)}

    def _repr_html_(self) -> str:
        """Return the scores with their intervals, and those of each class, for a notebook."""
        intervals = self.intervals()
        rows = {
            name.replace("_", " "): [f"{value:.3f}", *(f"{end:.3f}" for end in intervals[name][1:])]
            if name in intervals
            else [f"{value:.3f}", "", ""]
            for name, value in self.scores().items()
        }
        scores = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "95 % from", "to"])
        return scores.to_html() + self.per_class.to_html(float_format="{:.3f}".format)

    def scores(self) -> dict[str, float]:
        """Return the overall metrics by name."""
        values = {
            "accuracy": self.accuracy,
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "calibration_error": self.reliability.error,
        }
        return {name: value for name, value in values.items() if value is not None}


def evaluate(classifier: Any, texts: list[str], labels: Any) -> Evaluation:
    """Evaluate a fitted classifier on labelled documents.

    Classes that the classifier was not trained on have the probability 0, so their documents count as errors. The log
    loss replaces this probability with the machine epsilon.

    Parameters
    ----------
    classifier : estimator
        A `HANClassifier` or another scikit-learn classifier of texts.
    texts : list of str
    labels : labels [documents]
        Labels in the format that the classifier was fitted with.

    Returns
    -------
    Evaluation
        Classes that the classifier was not trained on come last.

    Raises
    ------
    TypeError, ValueError
        If the labels have another format.

    Warns
    -----
    UnknownClassWarning
        If documents have classes that the classifier was not trained on.
    """
    kind = "indicator" if getattr(labels, "ndim", 1) == 2 else "single"
    known = getattr(classifier, "label_encoder_", LabelEncoder(classifier.classes_, kind))
    encoder, targets = known.encode_test(labels, len(texts))
    unknown = [(0, 0), (0, len(encoder.classes) - len(known.classes))]
    probabilities = np.asarray(classifier.predict_proba(texts), np.float64)
    if encoder.multi_label:
        predicted = np.pad(probabilities >= getattr(classifier, "thresholds_", 0.5), unknown)
        probabilities = np.pad(probabilities, unknown)
        # A binary decision for each document and class.
        decisions = np.stack([1.0 - probabilities, probabilities], axis=-1).reshape(-1, 2)
        calibrated = reliability(decisions, targets.ravel())
        loss = log_loss(targets.ravel(), decisions, labels=[0, 1])
    else:
        probabilities = np.pad(probabilities / probabilities.sum(axis=1, keepdims=True), unknown)
        predicted = probabilities.argmax(axis=1)
        calibrated = reliability(probabilities, targets)
        loss = log_loss(targets, probabilities, labels=np.arange(len(encoder.classes)))
    columns = np.arange(len(encoder.classes))
    names = encoder.classes.tolist()
    # Strings as objects: pandas' string type rejects halves of surrogate pairs.
    index = pd.Index(names, dtype=object if any(isinstance(name, str) for name in names) else None, name="class")
    has_confusion = not encoder.multi_label and len(names) <= MAX_CONFUSION_CLASSES
    measured = precision_recall_fscore_support(targets, predicted, labels=columns, zero_division=0)
    per_class = dict(zip(("precision", "recall", "f1", "documents"), measured, strict=True))
    return Evaluation(
        accuracy=float(accuracy_score(targets, predicted)),
        # The mean over the classes that occur among the true or the predicted labels.
        macro_f1=float(f1_score(targets, predicted, average="macro", zero_division=0)),
        micro_f1=float(f1_score(targets, predicted, average="micro", zero_division=0)) if encoder.multi_label else None,
        log_loss=float(loss),
        per_class=pd.DataFrame(per_class, index=index),
        confusion=confusion_matrix(targets, predicted, labels=columns) if has_confusion else None,
        reliability=calibrated,
        outcomes=Outcomes(targets, predicted, len(encoder.classes)),
        probabilities=probabilities,
    )


def baselines(multi_label: bool = False) -> dict[str, Pipeline | DummyClassifier]:
    """Return unfitted baseline classifiers of texts, by name.

    The linear model is a strong standard baseline: logistic regression on TF-IDF features of words and word pairs, with
    sublinear term frequencies and fixed hyper-parameters. Multi-label baselines are fitted to a binary matrix
    [documents, classes] and predict each class independently.
    """
    majority, linear = DummyClassifier(strategy="prior"), LogisticRegression(C=10.0, max_iter=1000)
    if multi_label:
        majority, linear = OneVsRestClassifier(majority), OneVsRestClassifier(linear)

    def with_tfidf(classifier: Any) -> Pipeline:
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), classifier)

    return {
        # OneVsRestClassifier requires a feature matrix, even for a classifier that ignores it.
        "majority class": with_tfidf(majority) if multi_label else majority,
        "TF-IDF + logistic regression": with_tfidf(linear),
    }


def comparison(evaluations: dict[str, Evaluation]) -> pd.DataFrame:
    """Return the overall metrics of several classifiers, one row for each."""
    names = {"macro_f1": "macro F1", "micro_f1": "micro F1"}
    rows = {
        name: {names.get(score, score.replace("_", " ")): value for score, value in result.scores().items()}
        for name, result in evaluations.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
