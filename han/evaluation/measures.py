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
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from han.data.labels import LabelEncoder
from han.training.calibration import Reliability, reliability

# A confusion matrix of more classes cannot be read, and of many more takes gigabytes.
MAX_CONFUSION = 1000


@dataclass(frozen=True)
class Evaluation:
    """Measures of one classifier on one test set.

    Attributes
    ----------
    accuracy : float
        The share of documents whose class, or all of whose classes, are predicted right.
    macro_f1 : float
        The mean of the classes' F1.
    micro_f1 : float or None
        The F1 of all decisions together, where a document may have several classes.
    log_loss : float
        In nats; where a document may have several classes, of each yes or no.
    per_class : DataFrame
        Precision, recall, F1 and number of test documents of each class.
    confusion : int array [true classes, predicted classes] or None
        In the order of `per_class`. None where a document may have several classes, or there are more than 1,000 of
        them.
    reliability : Reliability
        Confidence beside accuracy; its `error` is the expected calibration error. Where a document may have several
        classes, of each yes or no.
    """

    accuracy: float
    macro_f1: float
    micro_f1: float | None
    log_loss: float
    per_class: pd.DataFrame
    confusion: npt.NDArray[np.int64] | None
    reliability: Reliability

    def scores(self) -> dict[str, float]:
        """Return the overall measures by name."""
        values = {
            "accuracy": self.accuracy,
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "calibration_error": self.reliability.error,
        }
        return {name: value for name, value in values.items() if value is not None}


def evaluate(classifier: Any, texts: list[str], labels: Any) -> Evaluation:
    """Measure a fitted classifier on documents with known labels.

    Classes that the classifier was not trained on have the probability 0, which is never right; in the log loss it
    counts as the least that a float can add to 1.

    Parameters
    ----------
    classifier : estimator
        A `HANClassifier`, or another one of scikit-learn's over texts.
    texts : list of str
    labels : labels in the form that the classifier was given, or is given by `baselines`

    Returns
    -------
    Evaluation
        Classes that the classifier was not trained on come last.

    Raises
    ------
    TypeError, ValueError
        If the labels have another form.

    Warns
    -----
    UnknownClassWarning
        If documents have classes that the classifier was not trained on.
    """
    kind = "indicator" if getattr(labels, "ndim", 1) == 2 else "single"
    known = getattr(classifier, "label_form_", LabelEncoder(classifier.classes_, kind))
    form, targets = known.encode_test(labels, len(texts))
    unknown = [(0, 0), (0, len(form.classes) - len(known.classes))]
    probabilities = np.asarray(classifier.predict_proba(texts), np.float64)
    if form.multi_label:
        predicted = np.pad(probabilities >= getattr(classifier, "thresholds_", 0.5), unknown)
        probabilities = np.pad(probabilities, unknown)
        # Each yes or no is a decision between two.
        decisions = np.stack([1.0 - probabilities, probabilities], axis=-1).reshape(-1, 2)
        calibrated = reliability(decisions, targets.ravel())
        loss = log_loss(targets.ravel(), decisions, labels=[0, 1])
    else:
        probabilities = np.pad(probabilities / probabilities.sum(axis=1, keepdims=True), unknown)
        predicted = probabilities.argmax(axis=1)
        calibrated = reliability(probabilities, targets)
        loss = log_loss(targets, probabilities, labels=np.arange(len(form.classes)))
    columns = np.arange(len(form.classes))
    names = form.classes.tolist()
    # Strings as objects: pandas' own hold no half of a surrogate pair.
    index = pd.Index(names, dtype=object if any(isinstance(name, str) for name in names) else None, name="class")
    pairs_are_shown = not form.multi_label and len(names) <= MAX_CONFUSION
    measured = precision_recall_fscore_support(targets, predicted, labels=columns, zero_division=0)
    per_class = dict(zip(("precision", "recall", "f1", "documents"), measured, strict=True))
    return Evaluation(
        accuracy=float(accuracy_score(targets, predicted)),
        # Of the classes that occur, in the documents or in what is said of them.
        macro_f1=float(f1_score(targets, predicted, average="macro", zero_division=0)),
        micro_f1=float(f1_score(targets, predicted, average="micro", zero_division=0)) if form.multi_label else None,
        log_loss=float(loss),
        per_class=pd.DataFrame(per_class, index=index),
        confusion=confusion_matrix(targets, predicted, labels=columns) if pairs_are_shown else None,
        reliability=calibrated,
    )


def baselines(multi_label: bool = False) -> dict[str, Pipeline | DummyClassifier]:
    """Return unfitted baselines over raw text, by name.

    The linear model is the usual strong one: words and pairs of words, sublinear TF-IDF, logistic regression. Its
    settings are fixed, not searched. Where a document may have several classes, they take a matrix [documents, classes]
    and decide on each class for itself.
    """
    majority, linear = DummyClassifier(strategy="prior"), LogisticRegression(C=10.0, max_iter=1000)
    if multi_label:
        majority, linear = OneVsRestClassifier(majority), OneVsRestClassifier(linear)

    def over_words(classifier: Any) -> Pipeline:
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), classifier)

    return {
        # A text is no matrix, which is what taking classes one by one asks for.
        "majority class": over_words(majority) if multi_label else majority,
        "TF-IDF + logistic regression": over_words(linear),
    }


def comparison(evaluations: dict[str, Evaluation]) -> pd.DataFrame:
    """Return the overall measures of several classifiers, a row each."""
    names = {"macro_f1": "macro F1", "micro_f1": "micro F1"}
    rows = {
        name: {names.get(score, score.replace("_", " ")): value for score, value in result.scores().items()}
        for name, result in evaluations.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
