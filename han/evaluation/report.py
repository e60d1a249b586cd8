"""A report on a classifier: how good it is, compared with what, how certain that is, and what to look at next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from han.classifier import HANClassifier
from han.data.near_duplicates import Pair, near_duplicates
from han.evaluation.label_errors import LabelError, find_label_errors
from han.evaluation.measures import Evaluation, evaluate
from han.evaluation.parts import NGRAMS, evaluate_parts
from han.evaluation.report_page import report_fragment, report_page
from han.evaluation.uncertainty import Interval, accuracy_difference, macro_f1_difference
from han.exceptions import MissingExtraError
from han.explain.explanation import Explanation
from han.explain.html import excerpt

# The classifier of the report among those that are compared.
SHIPPED = "han"
# Of mistakes that are explained, and of documents that are listed for each cell of the confusion matrix, for each kind
# of duplicates and for suspected label errors.
MISTAKES, LISTED = 10, 20
# Duplicates are not searched among more characters, which would take longer than training.
MAX_CHARACTERS = 100_000_000
EXCERPT = 300


class Compared(NamedTuple):
    """The scores of a classifier, and how much higher those of the report's classifier are on the same documents.

    Attributes
    ----------
    name : str
    evaluation : Evaluation
    accuracy, macro_f1 : Interval
    accuracy_difference, macro_f1_difference : Interval or None
        None for the classifier of the report itself.
    """

    name: str
    evaluation: Evaluation
    accuracy: Interval
    macro_f1: Interval
    accuracy_difference: Interval | None
    macro_f1_difference: Interval | None

    def verdict(self) -> str:
        """Return in words whether the classifier of the report is told apart from this one."""
        difference = self.accuracy_difference
        if difference is None:
            return ""
        if not difference.excludes_zero:
            return "not told apart"
        return "better" if difference.value > 0 else "worse"


class Listed(NamedTuple):
    """A document in the report.

    Attributes
    ----------
    position : int
        Its position among the test documents.
    true, predicted : str
    confidence : float
        The probability of the predicted class. Multi-label classification: the largest distance of a probability from
        the truth.
    excerpt : str
    """

    position: int
    true: str
    predicted: str
    confidence: float
    excerpt: str


class Duplicates(NamedTuple):
    """Documents that are nearly the same.

    Attributes
    ----------
    training, test, across : list of Pair
        Pairs of positions, among the training documents, among the test documents, and of a training document with a
        test document.
    """

    training: list[Pair]
    test: list[Pair]
    across: list[Pair]


@dataclass(frozen=True)
class Report:
    """What is known about a classifier; it shows itself in a notebook.

    Attributes
    ----------
    name : str
        The name of the data.
    texts : list of str
        The test documents.
    training_documents : int
    compared : list of Compared
        The classifier, its parts, and the baselines.
    mistakes : list of (Listed, Explanation)
        The most confident ones.
    cells : dict of (true, predicted) to list of Listed
        Documents of each cell of the confusion matrix, the most confident first; empty for multi-label classification.
    label_errors : list of LabelError, or str
        Test documents whose label is suspected to be wrong; or why they have not been searched.
    duplicates : Duplicates, or str
        Or why they have not been searched.
    history : dict of lists
    monitor : str
    details : dict
        What else is known, such as `seconds` of training.
    """

    name: str
    texts: list[str] = field(repr=False)
    training_documents: int
    compared: list[Compared]
    mistakes: list[tuple[Listed, Explanation]]
    cells: dict[tuple[int, int], list[Listed]]
    label_errors: list[LabelError] | str
    duplicates: Duplicates | str
    history: dict[str, list[float]]
    monitor: str
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        classifier: HANClassifier,
        texts: list[str],
        labels: Any,
        *,
        name: str = "test documents",
        training_texts: Sequence[str] | None = None,
        baselines: dict[str, Evaluation] | None = None,
        **details: Any,
    ) -> Report:
        """Evaluate a classifier on test documents.

        Parameters
        ----------
        classifier : HANClassifier
        texts : list of str
        labels : labels [documents]
            In the format that the classifier was fitted with.
        name : str
            The name of the data.
        training_texts : sequence of str, optional
            Where duplicates are searched, too.
        baselines : dict of Evaluation, optional
            Other classifiers on the same documents.
        **details
            What else the report shows.
        """
        shipped = evaluate(classifier, texts, labels)
        others = {**(baselines or {}), **evaluate_parts(classifier, texts, labels)}
        listed = _listed(shipped, texts, range(len(texts)))
        wrong = np.flatnonzero(~shipped.outcomes.correct)
        worst = sorted(wrong.tolist(), key=lambda index: -listed[index].confidence)[:MISTAKES]
        explanations = classifier.explain([texts[index] for index in worst]) if worst else []
        return cls(
            name=name,
            texts=texts,
            training_documents=classifier.n_samples_fit_,
            compared=[_compared(SHIPPED, shipped, None), *(_compared(*item, shipped) for item in others.items())],
            mistakes=[(listed[index], one) for index, one in zip(worst, explanations, strict=True)],
            cells=_cells(shipped, listed),
            label_errors=_label_errors(shipped),
            duplicates=_duplicates(list(training_texts or []), texts),
            history=classifier.history_,
            monitor=classifier.monitor,
            details=details,
        )

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation of the classifier."""
        return self.compared[0].evaluation

    def listed(self, index: int) -> Listed:
        """Return what the report shows of a test document."""
        return _listed(self.evaluation, [self.texts[index]], [index])[0]

    def conclusions(self) -> list[str]:
        """Return in sentences what the comparison says, and what it cannot tell."""
        own, *others = self.compared
        correct, documents = int(self.evaluation.outcomes.correct.sum()), len(self.texts)
        found = [
            f"{correct:,} of {documents:,} test documents are classified correctly: an accuracy of "
            f"{own.accuracy.value:.3f}, with a 95 % interval of {own.accuracy.low:.3f} to {own.accuracy.high:.3f}."
        ]
        if self.details.get("refit"):
            found.append(
                "After this evaluation, the classifier was fitted again on the test documents, too; the scores are "
                "those before."
            )
        for other in others:
            difference = other.accuracy_difference
            if difference is None or other.name == "majority class":
                continue
            scores = f"{own.accuracy.value:.3f} against {other.accuracy.value:.3f}"
            against = f"{scores} of {other.name} on {documents:,} documents"
            interval = f"a difference of {difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
            verdict = f"the classifier is {other.verdict()}" if difference.excludes_zero else other.verdict()
            found.append(f"{against}, {interval}: {verdict}.")
            if other.name == NGRAMS and other.verdict() != "better":
                found.append("The network adds nothing to the n-grams that these documents show.")
        return found

    def next_steps(self) -> list[str]:
        """Return what is worth doing next."""
        own, steps = self.compared[0], []
        if own.accuracy.high - own.accuracy.low > 0.05:
            steps.append("The interval is wide: more test documents, or cross-validation, would narrow it.")
        if isinstance(self.label_errors, list) and self.label_errors:
            steps.append(
                f"Read the {len(self.label_errors)} documents whose label may be wrong, and correct the labels."
            )
        if isinstance(self.duplicates, Duplicates) and self.duplicates.across:
            steps.append(
                "Test documents that are nearly training documents flatter the scores: remove them from one part."
            )
        if self.mistakes:
            steps.append("Read the most confident mistakes: do the marked words belong to the predicted class?")
        return steps

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values for JSON."""
        evaluation = self.evaluation
        return {
            "name": self.name,
            "training_documents": self.training_documents,
            "test_documents": len(self.texts),
            **self.details,
            "intervals": {
                "level": 0.95,
                "accuracy": "Wilson",
                "accuracy_difference": "Bonett & Price",
                "macro_f1": "bootstrap",
            },
            "conclusions": self.conclusions(),
            "classifiers": {
                one.name: {
                    **one.evaluation.scores(),
                    "accuracy_interval": [one.accuracy.low, one.accuracy.high],
                    "macro_f1_interval": [one.macro_f1.low, one.macro_f1.high],
                    **_difference("accuracy", one.accuracy_difference),
                    **_difference("macro_f1", one.macro_f1_difference),
                    **({"verdict": one.verdict()} if one.accuracy_difference else {}),
                }
                for one in self.compared
            },
            "per_class": {str(name): row for name, row in evaluation.per_class.to_dict("index").items()},
            "confusion": None if evaluation.confusion is None else evaluation.confusion.tolist(),
            "reliability": {
                name: np.asarray(getattr(evaluation.reliability, name)).tolist()
                for name in ("confidence", "accuracy", "counts", "error")
            },
            "mistakes": [listed._asdict() for listed, _ in self.mistakes],
            "label_errors": self.label_errors
            if isinstance(self.label_errors, str)
            else [one._asdict() for one in self.label_errors],
            "duplicates": self.duplicates
            if isinstance(self.duplicates, str)
            else {name: [pair._asdict() for pair in pairs] for name, pairs in self.duplicates._asdict().items()},
            "history": self.history,
            "next_steps": self.next_steps(),
        }

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), default=float, indent=1)

    def to_html(self) -> str:
        """Return the report as an HTML page, without scripts or external resources."""
        return report_page(self)

    def _repr_html_(self) -> str:
        return report_fragment(self)


def _compared(name: str, evaluation: Evaluation, shipped: Evaluation | None) -> Compared:
    intervals = evaluation.intervals()
    differences: tuple[Interval | None, Interval | None] = (None, None)
    if shipped is not None:
        pair = shipped.outcomes, evaluation.outcomes
        differences = accuracy_difference(*pair), macro_f1_difference(*pair)
    return Compared(name, evaluation, intervals["accuracy"], intervals["macro_f1"], *differences)


def _difference(score: str, difference: Interval | None) -> dict[str, Any]:
    if difference is None:
        return {}
    return {
        f"{score}_difference": difference.value,
        f"{score}_difference_interval": [difference.low, difference.high],
    }


def _listed(evaluation: Evaluation, texts: list[str], indices: Sequence[int]) -> list[Listed]:
    """Return what the report shows of documents, given their positions among the test documents."""
    names, (targets, predicted, _) = evaluation.per_class.index.tolist(), evaluation.outcomes
    probabilities = evaluation.probabilities
    if targets.ndim == 2:
        confidences = np.abs(probabilities - targets.astype(float)).max(axis=1)
    else:
        confidences = probabilities.max(axis=1)

    def label(found: Any) -> str:
        if targets.ndim == 1:
            return str(names[int(found)])
        return ", ".join(str(names[column]) for column in np.flatnonzero(found)) or "no class"

    return [
        Listed(index, label(targets[index]), label(predicted[index]), float(confidences[index]), excerpt(text, EXCERPT))
        for index, text in zip(indices, texts, strict=True)
    ]


def _cells(evaluation: Evaluation, listed: list[Listed]) -> dict[tuple[int, int], list[Listed]]:
    targets, predicted, _ = evaluation.outcomes
    if evaluation.confusion is None:
        return {}
    cells: dict[tuple[int, int], list[Listed]] = {}
    for index in sorted(range(len(listed)), key=lambda index: -listed[index].confidence):
        cell = cells.setdefault((int(targets[index]), int(predicted[index])), [])
        if len(cell) < LISTED:
            cell.append(listed[index])
    return cells


def _label_errors(evaluation: Evaluation) -> list[LabelError] | str:
    try:
        return find_label_errors(evaluation)
    except MissingExtraError as error:
        return str(error)


def _duplicates(training: list[str], test: list[str]) -> Duplicates | str:
    texts = [*training, *test]
    if sum(map(len, texts)) > MAX_CHARACTERS:
        return f"not searched: there are more than {MAX_CHARACTERS:,} characters"
    try:
        pairs = near_duplicates(texts)
    except MissingExtraError as error:
        return str(error)
    size = len(training)
    return Duplicates(
        [pair for pair in pairs if pair.second < size],
        [Pair(pair.first - size, pair.second - size, pair.similarity) for pair in pairs if pair.first >= size],
        [Pair(pair.first, pair.second - size, pair.similarity) for pair in pairs if pair.first < size <= pair.second],
    )
