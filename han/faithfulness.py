"""Faithfulness of explanations: how deleting the highest-scoring words changes a prediction.

There are four measures. Each ranks the words of a document x by their scores and uses the probability p of the
predicted class:

- comprehensiveness: p(x) - p(x without its highest-scoring words), averaged over several fractions of words. High if
  these words are necessary. Defined by DeYoung et al. 2020, https://aclanthology.org/2020.acl-main.408/.
- sufficiency: p(x) - p(the highest-scoring words alone), averaged over the same fractions. Low if these words are
  enough. Defined in the same paper.
- decision-flip fraction: the fraction of words that must be deleted, starting with the highest score, until the
  predicted class changes. Low if the ranking finds the words on which the prediction depends. Defined by Serrano and
  Smith 2019, https://aclanthology.org/P19-1282/.
- top-words agreement: whether the three highest-scoring words alone, the rest of the document deleted, are assigned to
  the same class. High if these words are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.classifier import HANClassifier
from han.data.validation import check_texts
from han.exceptions import InvalidValueError
from han.explain.attribution import METHODS, attribute
from han.explain.explanation import combine
from han.inference.prediction import classify
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Corpus, ranges

if TYPE_CHECKING:
    from han.explain.explanation import Scaling

Float64 = npt.NDArray[np.float64]

FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)
# The fractions at which the decision-flip fraction is searched.
FLIP_STEPS = tuple(np.linspace(0.05, 1.0, 20).round(2).tolist())
# The number of words of the top-words agreement: what a reader takes in at a glance.
TOP_WORDS = 3
MEASURES = ("comprehensiveness", "sufficiency", "flip_fraction", "top_words_agreement")


@dataclass(frozen=True)
class Faithfulness:
    """Faithfulness of several methods on the same documents.

    Attributes
    ----------
    per_document : DataFrame
        A row for each method and document, with the columns `method`, `document` and the four measures.
    curves : DataFrame
        A row for each method and fraction of words, with the columns `method`, `fraction`, and the mean
        `comprehensiveness` and `sufficiency` at that fraction.
    """

    per_document: pd.DataFrame
    curves: pd.DataFrame

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return the means of each method with confidence intervals.

        Parameters
        ----------
        confidence : float in (0, 1), default 0.95
            The confidence level of the intervals, which assume normally distributed means.

        Returns
        -------
        DataFrame [methods, 12]
            The columns `<measure>`, `<measure>_low` and `<measure>_high` for each measure.
        """
        from scipy.stats import norm

        groups = self.per_document.groupby("method", sort=False)[list(MEASURES)]
        means, margins = groups.mean(), groups.sem(ddof=1) * norm.ppf((1 + confidence) / 2)
        columns = {}
        for measure in MEASURES:
            columns[measure] = means[measure]
            columns[f"{measure}_low"] = means[measure] - margins[measure]
            columns[f"{measure}_high"] = means[measure] + margins[measure]
        return pd.DataFrame(columns)


def faithfulness(
    classifier: HANClassifier,
    X: Any,  # noqa: N803
    methods: Iterable[str] = (*METHODS, "random"),
    *,
    fractions: Sequence[float] = FRACTIONS,
    scaling: Scaling = "sqrt",
    n_steps: int = 32,
    random_state: int = 0,
) -> Faithfulness:
    """Measure the faithfulness of a classifier's explanations.

    Parameters
    ----------
    classifier : HANClassifier
        A fitted classifier.
    X : list, tuple, ndarray or Series of str [documents]
        Documents that the classifier was not trained on, preferably at least a hundred. Documents without words are
        ignored.
    methods : iterable of str
        Methods of `HANClassifier.explain`, and "random", a random ranking as the baseline.
    fractions : sequence of float in (0, 1), default (0.01, 0.05, 0.1, 0.2, 0.5)
        The fractions of words at which comprehensiveness and sufficiency are measured, by default those of DeYoung et
        al. 2020. At least one word is deleted, or kept.
    scaling : {"sqrt", "product"}, default "sqrt"
        How attention combines the weights of a word and its sentence; see `Explanation.combined_scores`.
    n_steps : int, default 32
        See `HANClassifier.explain`.
    random_state : int, default 0
        The seed of the random ranking.

    Returns
    -------
    Faithfulness

    Raises
    ------
    ValueError
        If a method does not exist, or a fraction is out of range.
    """
    methods = list(methods)
    unknown = [method for method in methods if method not in METHODS and method != "random"]
    if unknown:
        raise InvalidValueError(f"methods must be among {[*METHODS, 'random']}, got {unknown[0]!r}")
    if not all(0 < fraction < 1 for fraction in fractions):
        raise InvalidValueError(f"fractions must be between 0 and 1, got {list(fractions)}")
    texts = check_texts(X)
    corpus = classifier.reader().encode(texts)
    corpus = corpus.take(np.flatnonzero(corpus.word_counts))
    rng = np.random.default_rng(random_state)
    rows, curves = [], []
    for method in methods:
        if method == "random":
            ranking: npt.NDArray[Any] = rng.random(len(corpus.word_ids))
        else:
            scores = attribute(classifier.model_, corpus, method, n_steps=n_steps)
            ranking = combine(method, scores.word_scores, scores.sentence_scores, corpus.sentence_starts, scaling)
        measures, curve = deletion_measures(classifier.model_, corpus, ranking, fractions)
        rows.append(measures.assign(method=method))
        curves.append(curve.assign(method=method))
    return Faithfulness(pd.concat(rows, ignore_index=True), pd.concat(curves, ignore_index=True))


def deletion_measures(
    model: HierarchicalAttentionNetwork,
    corpus: Corpus,
    scores: npt.NDArray[Any],
    fractions: Sequence[float] = FRACTIONS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the faithfulness of one ranking of words.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
    corpus : Corpus
        Documents with at least one word each.
    scores : float [words]
        The words with the highest scores are deleted first.
    fractions : sequence of float

    Returns
    -------
    measures : DataFrame [documents, 5]
        The columns `document`, `comprehensiveness`, `sufficiency`, `flip_fraction` and `top_words_agreement`.
    curve : DataFrame [fractions, 3]
        The columns `fraction`, and the mean `comprehensiveness` and `sufficiency`.
    """
    original = classify(model, corpus)
    predicted = original.argmax(axis=1)
    documents = np.arange(len(corpus))
    counts = corpus.word_counts
    ranks = _ranks(scores, counts)

    def probabilities(keep_top: bool, fraction: float) -> npt.NDArray[np.float32]:
        """Classify the documents with their top words only, or without them."""
        top = ranks < np.repeat(np.maximum(np.ceil(fraction * counts), 1), counts)
        return classify(model, corpus.keep_words(top == keep_top))

    decreases = {
        measure: np.stack(
            [original[documents, predicted] - probabilities(keep_top, f)[documents, predicted] for f in fractions]
        )
        for measure, keep_top in (("comprehensiveness", False), ("sufficiency", True))
    }
    flips = np.ones(len(corpus))
    for fraction in reversed(FLIP_STEPS):
        flips[probabilities(False, fraction).argmax(axis=1) != predicted] = fraction
    measures = pd.DataFrame({"document": documents, **{name: value.mean(axis=0) for name, value in decreases.items()}})
    curve = pd.DataFrame({"fraction": fractions, **{name: value.mean(axis=1) for name, value in decreases.items()}})
    agree = classify(model, corpus.keep_words(ranks < TOP_WORDS)).argmax(axis=1) == predicted
    return measures.assign(flip_fraction=flips, top_words_agreement=agree.astype(float)), curve


def _ranks(scores: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rank of each word in its document [words]: 0 for the highest score, ties in text order."""
    documents = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-scores, documents))
    ranks = np.empty(len(scores), np.int64)
    ranks[order] = ranges(np.zeros(len(counts), np.int64), counts)
    return ranks
