"""How well a classifier does on a test set, beside the baselines that anybody would try first."""

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
from sklearn.pipeline import Pipeline, make_pipeline

from han.calibration import Reliability, reliability
from han.validation import Labels


@dataclass(frozen=True)
class Evaluation:
    """Measures of one classifier on one test set.

    Attributes
    ----------
    accuracy, macro_f1, log_loss : float
        The log loss is in nats.
    per_class : DataFrame
        Precision, recall, F1 and number of test documents of each class.
    confusion : int array [true classes, predicted classes]
    reliability : Reliability
        Confidence beside accuracy; its `error` is the expected calibration error.
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    per_class: pd.DataFrame
    confusion: npt.NDArray[np.int64]
    reliability: Reliability


def evaluate(classifier: Any, texts: list[str], labels: Labels) -> Evaluation:
    """Measure a fitted classifier on documents with known labels."""
    classes = classifier.classes_
    probabilities = np.asarray(classifier.predict_proba(texts), np.float64)
    predicted = classes[probabilities.argmax(axis=1)]
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    columns = {"precision": precision, "recall": recall, "f1": f1, "documents": support}
    return Evaluation(
        accuracy=float(accuracy_score(labels, predicted)),
        macro_f1=float(f1_score(labels, predicted, average="macro")),
        log_loss=float(log_loss(labels, probabilities / probabilities.sum(axis=1, keepdims=True), labels=classes)),
        per_class=pd.DataFrame(columns, index=pd.Index(classes, name="class")),
        confusion=confusion_matrix(labels, predicted, labels=classes),
        reliability=reliability(probabilities, np.searchsorted(classes, labels)),
    )


def baselines() -> dict[str, Pipeline | DummyClassifier]:
    """Return unfitted baselines over raw text, by name.

    The linear model is the usual strong one: words and pairs of words, sublinear TF-IDF, logistic regression. Its
    settings are fixed, not searched.
    """
    return {
        "majority class": DummyClassifier(strategy="prior"),
        "TF-IDF + logistic regression": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            LogisticRegression(C=10.0, max_iter=1000),
        ),
    }


def comparison(evaluations: dict[str, Evaluation]) -> pd.DataFrame:
    """Return the overall measures of several classifiers, a row each."""
    rows = {
        name: {
            "accuracy": result.accuracy,
            "macro F1": result.macro_f1,
            "log loss": result.log_loss,
            "calibration error": result.reliability.error,
        }
        for name, result in evaluations.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
