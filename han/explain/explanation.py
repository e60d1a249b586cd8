"""What a classifier looked at in a document, as data."""

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
from han.explain.html import fragment
from han.text.corpus import NO_OFFSETS

Scaling = Literal["sqrt", "product"]
Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


class Word(NamedTuple):
    """A word of an explained document, as the network read it.

    Its offsets are those of what the word was made from; None if a tokenizer changed it beyond recognition.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    combined_score: float


class Sentence(NamedTuple):
    """A sentence of an explained document, from the start of its first word to the end of its last.

    Words without offsets do not count; if there are no others, the sentence has none either, and its text is its words.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    words: list[Word]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Scores of a document's words and sentences, made by `HANClassifier.explain`.

    Attributes
    ----------
    text : str
        The document; of one that came as a list, its sentences, one a line, with spaces between its words.
    method : str
        "attention", "gradient_x_input", "integrated_gradients" or "occlusion".
    classes : tuple [classes]
        The class labels.
    probabilities : float32 [classes]
        The probability of each class.
    target : label
        The class that the scores are about. Attention is the same for all classes.
    offsets : int32 [words, 2]
        Where each word that the network read starts and ends in `text`; -1 and -1 where that is not known.
    sentence_starts : int32 [sentences + 1]
        The word that each sentence starts with, and the number of words.
    word_scores : float32 [words]
        Attention: the weights of each sentence's words, which sum to one. Other methods: what the word adds to the
        probability of `target`; below 0 it speaks against.
    sentence_scores : float32 [sentences]
        Attention: the sentences' weights, which sum to one. Other methods: what the sentence adds to the probability of
        `target`.
    completeness_error : float or None
        Of integrated gradients: by how much the sum of the word scores misses the difference in probability that they
        share out (Sundararajan et al. 2017, proposition 1).
    thresholds : tuple of float [classes] or None
        Where a document may have several classes, the probability from which on each is predicted.
    words : tuple of str [words] or None
        The words as the network read them; None for the text at the offsets.

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

    @property
    def predicted(self) -> Any:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def labels(self) -> list[Any]:
        """The classes that are predicted: the most probable one; or, with `thresholds`, all that reach theirs."""
        if self.thresholds is None:
            return [self.predicted]
        return [self.classes[index] for index in np.flatnonzero(self.probabilities >= np.array(self.thresholds))]

    def combined_scores(self, scaling: Scaling = "sqrt") -> Float32:
        """Return how much each word counts in the document [words].

        Parameters
        ----------
        scaling : {"sqrt", "product"}, default "sqrt"
            Attention: a word's weight is multiplied by the square root of its sentence's weight, as in figures 5 and 6
            of Yang et al. 2016, so that words of weak sentences stay visible; or by the weight itself, and the products
            sum to one. The scores of other methods are the document's already.
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
        """Return the text of a sentence, and its offsets."""
        start = next((word.start for word in words if word.start is not None), None)
        end = next((word.end for word in reversed(words) if word.end is not None), None)
        return " ".join(word.text for word in words) if start is None else self.text[start:end], start, end

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, strings and numbers."""
        return {
            "text": self.text,
            "method": self.method,
            "classes": list(self.classes),
            "probabilities": self.probabilities.tolist(),
            "predicted": self.predicted,
            "target": self.target,
            "completeness_error": self.completeness_error,
            "thresholds": None if self.thresholds is None else list(self.thresholds),
            "sentences": [
                {**sentence._asdict(), "words": [word._asdict() for word in sentence.words]}
                for sentence in self.sentences
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Explanation:
        """Return the explanation that `to_dict` was called on.

        Raises
        ------
        ValueError
            If `values` lacks something or holds something else.
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
                # Those of earlier versions have none.
                thresholds=None if values.get("thresholds") is None else tuple(values["thresholds"]),
                words=tuple(word["text"] for word in words),
            )
            same = explanation.to_dict() == {"thresholds": None, **values}
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidValueError(f"values must be what to_dict returns, got something else: {error!r}") from error
        if not same:
            raise InvalidValueError(
                "values must be what to_dict returns, got words, sentences or classes that do not agree"
            )
        return explanation

    def to_json(self, indent: int | None = None) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """Return the explanation that `to_json` was called on.

        Raises
        ------
        ValueError
            If `text` is not JSON, or not that of an explanation.
        """
        return cls.from_dict(json.loads(text))

    def to_frame(self) -> pd.DataFrame:
        """Return a row a word: its sentence's number, its text, offsets (of the nullable type Int32) and scores."""
        lengths = np.diff(self.sentence_starts)
        offsets = pd.DataFrame(self.offsets, columns=["start", "end"]).astype("Int32")
        offsets[self.offsets[:, 0] < 0] = pd.NA
        return pd.DataFrame(
            {
                "sentence": np.repeat(np.arange(len(lengths)), lengths),
                "word": pd.Series(self._words(), dtype=object),  # pandas' own strings hold no half of a surrogate pair
                "start": offsets["start"],
                "end": offsets["end"],
                "word_score": self.word_scores,
                "sentence_score": np.repeat(self.sentence_scores, lengths),
                "combined_score": self.combined_scores(),
            }
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Explanation) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Explanation(method={self.method!r}, predicted={self.predicted!r}, target={self.target!r}, "
            f"{len(self.sentence_scores)} sentences, {len(self.word_scores)} words)"
        )

    def _repr_html_(self) -> str:
        """Show the heatmap in a notebook."""
        return fragment(self)


def combine(
    method: str, word_scores: Float32, sentence_scores: Float32, sentence_starts: npt.NDArray[Any], scaling: Scaling
) -> Float32:
    """Return combined scores [words] for one document or many; see `Explanation.combined_scores`."""
    if scaling not in ("sqrt", "product"):
        raise InvalidValueError(f'scaling must be "sqrt" or "product", got {scaling!r}')
    if method != "attention":
        return word_scores
    sentences = np.sqrt(sentence_scores) if scaling == "sqrt" else sentence_scores
    combined: Float32 = word_scores * np.repeat(sentences, np.diff(sentence_starts))
    return combined
