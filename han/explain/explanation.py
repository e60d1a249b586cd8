"""Explanations of predictions, as data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.exceptions import InvalidValueError
from han.explain.html import blocks, fragment
from han.text.encoding import NO_OFFSETS

Scaling = Literal["sqrt", "product"]
# Keys of `Explanation.to_dict` that files of earlier versions lack.
ADDED = ("thresholds", "base_value", "ngram_scores")
Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


class Word(NamedTuple):
    """A word of an explained document, as the network read it.

    `start` and `end` are the offsets in the text; None if a tokenizer changed the word so much that it was not found.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    combined_score: float


class Sentence(NamedTuple):
    """A sentence of an explained document.

    It extends from the first to the last word that has offsets. If no word has offsets, neither has the sentence, and
    its text consists of its words.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    words: list[Word]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Scores of a document's words and sentences, as returned by `HANClassifier.explain`.

    Attributes
    ----------
    text : str
        The document. For a document given as a list, its sentences on separate lines, with spaces between words.
    method : str
        "contributions", "attention", "gradient_x_input", "integrated_gradients" or "occlusion".
    classes : tuple [classes]
        The class labels.
    probabilities : float32 [classes]
        The probability of each class.
    target : label
        The class that the scores explain. Attention is the same for all classes.
    offsets : int32 [words, 2]
        The start and end of each word in `text`; -1 and -1 if unknown.
    sentence_starts : int32 [sentences + 1]
        The index of each sentence's first word, followed by the number of words.
    word_scores : float32 [words]
        Attention: the word weights, which sum to one in each sentence. Other methods: the contribution of each word to
        the prediction of `target`, negative if the word counts against it: to its log-odds (contributions) or its
        probability.
    sentence_scores : float32 [sentences]
        Attention: the sentence weights, which sum to one. Other methods: the contribution of each sentence.
    completeness_error : float or None
        Contributions: the absolute difference between the log-odds and the sum of `base_value` and the word scores;
        zero up to rounding with `additive`. Integrated gradients: the absolute difference between the sum of the word
        scores and the difference in probability that it approximates (proposition 1 of Sundararajan et al. 2017,
        https://arxiv.org/abs/1703.01365).
    base_value : float or None
        Contributions: the part of the log-odds that does not depend on words.
    ngram_scores : float32 [words] or None
        Contributions: the part of `word_scores` that is due to the n-grams; the rest is due to the network.
    thresholds : tuple of float [classes] or None
        Multi-label classification: the minimum probability at which each class is predicted.
    words : tuple of str [words] or None
        The words as the network read them; None if they are the text at the offsets.

    Examples
    --------
    >>> import numpy as np
    >>> from han.explain.explanation import Explanation
    >>> explanation = Explanation(
    ...     text="So good!", method="attention", classes=("bad", "good"), probabilities=np.float32([0.25, 0.75]),
    ...     target="good", offsets=np.int32([[0, 2], [3, 7], [7, 8]]), sentence_starts=np.int32([0, 3]),
    ...     word_scores=np.float32([0.25, 0.5, 0.25]), sentence_scores=np.float32([1.0]),
    ... )
    >>> explanation.predicted, [word.text for word in explanation.sentences[0].words]
    ('good', ['So', 'good', '!'])
    >>> Explanation.from_json(explanation.to_json()) == explanation
    True
    """

    text: str
    method: str
    classes: tuple[Any, ...]
    probabilities: Float32
    target: Any
    offsets: Int32
    sentence_starts: Int32
    word_scores: Float32
    sentence_scores: Float32
    completeness_error: float | None = None
    thresholds: tuple[float, ...] | None = None
    words: tuple[str, ...] | None = None
    base_value: float | None = None
    ngram_scores: Float32 | None = None

    @property
    def network_share(self) -> float | None:
        """Share of the network in the decision, from 0 (the n-grams decide alone) to 1; None for other methods.

        The absolute sum of the network's contributions, relative to that of the n-grams' added to it.
        """
        if self.ngram_scores is None:
            return None
        of_ngrams = abs(float(self.ngram_scores.sum()))
        of_network = abs(float(self.word_scores.sum() - self.ngram_scores.sum()))
        return of_network / (of_network + of_ngrams) if of_network + of_ngrams else 1.0

    @property
    def predicted(self) -> Any:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def labels(self) -> list[Any]:
        """The predicted classes: the most probable one or, with `thresholds`, all that reach their thresholds."""
        if self.thresholds is None:
            return [self.predicted]
        return [self.classes[index] for index in np.flatnonzero(self.probabilities >= np.array(self.thresholds))]

    def combined_scores(self, scaling: Scaling = "sqrt") -> Float32:
        """Return the score of each word in the document as a whole [words].

        Parameters
        ----------
        scaling : {"sqrt", "product"}, default "sqrt"
            Attention: "sqrt" multiplies the weight of a word by the square root of its sentence's weight, as in figures
            5 and 6 of Yang et al. 2016 (https://aclanthology.org/N16-1174/), which keeps words in sentences of low
            weight visible. "product" multiplies it by the sentence's weight, and the products sum to one. Other
            methods: the word scores, which already refer to the document.
        """
        return combine(self.method, self.word_scores, self.sentence_scores, self.sentence_starts, scaling)

    @property
    def sentences(self) -> list[Sentence]:
        """The sentences with their words."""
        words = [
            Word(word, None if start < 0 else start, None if start < 0 else end, score, combined)
            for word, (start, end), score, combined in zip(
                self._words(),
                self.offsets.tolist(),
                self.word_scores.tolist(),
                self.combined_scores().tolist(),
                strict=True,
            )
        ]
        starts = self.sentence_starts.tolist()
        groups = [words[first:last] for first, last in pairwise(starts)]
        return [
            Sentence(*self._extent(group), score, group)
            for group, score in zip(groups, self.sentence_scores.tolist(), strict=True)
        ]

    def _words(self) -> Sequence[str]:
        if self.words is not None:
            return self.words
        return [self.text[start:end] for start, end in self.offsets.tolist()]

    def _extent(self, words: list[Word]) -> tuple[str, int | None, int | None]:
        """Return the text and the offsets of a sentence."""
        start = next((word.start for word in words if word.start is not None), None)
        end = next((word.end for word in reversed(words) if word.end is not None), None)
        return " ".join(word.text for word in words) if start is None else self.text[start:end], start, end

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as lists, strings and numbers."""
        return {
            "text": self.text,
            "method": self.method,
            "classes": list(self.classes),
            "probabilities": self.probabilities.tolist(),
            "predicted": self.predicted,
            "target": self.target,
            "completeness_error": self.completeness_error,
            "thresholds": None if self.thresholds is None else list(self.thresholds),
            "base_value": self.base_value,
            "ngram_scores": None if self.ngram_scores is None else self.ngram_scores.tolist(),
            "sentences": [
                {**sentence._asdict(), "words": [word._asdict() for word in sentence.words]}
                for sentence in self.sentences
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Explanation:
        """Create an explanation from the result of `to_dict`.

        Raises
        ------
        ValueError
            If `values` is not the result of `to_dict`.
        """
        try:
            words = [word for sentence in values["sentences"] for word in sentence["words"]]
            counts = [len(sentence["words"]) for sentence in values["sentences"]]
            explanation = cls(
                text=values["text"],
                method=values["method"],
                classes=tuple(values["classes"]),
                probabilities=np.array(values["probabilities"], np.float32),
                target=values["target"],
                offsets=np.array(
                    [NO_OFFSETS if word["start"] is None else (word["start"], word["end"]) for word in words], np.int32
                ).reshape(-1, 2),
                sentence_starts=np.cumsum([0, *counts], dtype=np.int32),
                word_scores=np.array([word["score"] for word in words], np.float32),
                sentence_scores=np.array([sentence["score"] for sentence in values["sentences"]], np.float32),
                completeness_error=values["completeness_error"],
                words=tuple(word["text"] for word in words),
                # Absent in files of earlier versions.
                thresholds=None if values.get("thresholds") is None else tuple(values["thresholds"]),
                base_value=values.get("base_value"),
                ngram_scores=None
                if values.get("ngram_scores") is None
                else np.array(values["ngram_scores"], np.float32),
            )
            is_consistent = explanation.to_dict() == dict.fromkeys(ADDED) | values
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidValueError(f"values must be the result of to_dict, got an invalid dict: {error!r}") from error
        if not is_consistent:
            raise InvalidValueError(
                "values must be the result of to_dict, got inconsistent words, sentences or classes"
            )
        return explanation

    def to_json(self, indent: int | None = None) -> str:
        """Return the explanation as JSON; see `to_dict`."""
        return json.dumps(self.to_dict(), indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """Create an explanation from the result of `to_json`.

        Raises
        ------
        ValueError
            If `text` is not the result of `to_json`.
        """
        return cls.from_dict(json.loads(text))

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with a row for each word.

        The columns are `sentence` (a number), `word`, `start` and `end` (nullable Int32), `word_score`,
        `sentence_score`, `combined_score` and, for contributions, `ngram_score`, the part of `word_score` that is due
        to the n-grams.
        """
        lengths = np.diff(self.sentence_starts)
        offsets = pd.DataFrame(self.offsets, columns=["start", "end"]).astype("Int32")
        offsets[self.offsets[:, 0] < 0] = pd.NA
        frame = pd.DataFrame(
            {
                "sentence": np.repeat(np.arange(len(lengths)), lengths),
                "word": pd.Series(self._words(), dtype=object),  # pandas' string type rejects halves of surrogate pairs
                "start": offsets["start"],
                "end": offsets["end"],
                "word_score": self.word_scores,
                "sentence_score": np.repeat(self.sentence_scores, lengths),
                "combined_score": self.combined_scores(),
            }
        )
        return frame if self.ngram_scores is None else frame.assign(ngram_score=self.ngram_scores)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Explanation) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Explanation(method={self.method!r}, predicted={self.predicted!r}, target={self.target!r}, "
            f"{len(self.sentence_scores)} sentences, {len(self.word_scores)} words)"
        )

    def _repr_html_(self) -> str:
        """Display a heatmap in a notebook."""
        return fragment(self)


class Explanations(list[Explanation]):
    """A list of explanations that shows itself as heatmaps in a notebook: the first open, the others folded."""

    def _repr_html_(self) -> str:
        return blocks(self)


def combine(
    method: str, word_scores: Float32, sentence_scores: Float32, sentence_starts: npt.NDArray[Any], scaling: Scaling
) -> Float32:
    """Return the combined scores of one or more documents [words]; see `Explanation.combined_scores`."""
    if scaling not in ("sqrt", "product"):
        raise InvalidValueError(f'scaling must be "sqrt" or "product", got {scaling!r}')
    if method != "attention":
        return word_scores
    sentences = np.sqrt(sentence_scores) if scaling == "sqrt" else sentence_scores
    combined: Float32 = word_scores * np.repeat(sentences, np.diff(sentence_starts))
    return combined
