"""How far explanations can be trusted: what happens to a decision when the words they point at are deleted.

Three measures, each of the predicted class' probability p on a document x whose words are ranked by their scores:

- comprehensiveness (DeYoung et al. 2020): p(x) - p(x without its strongest words), averaged over several shares of
  the words; high if the words were needed.
- sufficiency (DeYoung et al. 2020): p(x) - p(the strongest words alone), averaged likewise; low if they are enough.
- decision-flip fraction (Serrano & Smith 2019): the share of words, deleted from the strongest down, at which another
  class is predicted; low if the ranking finds what the decision rests on.
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
# Where the decision-flip fraction is looked for.
FLIP_STEPS = tuple(np.linspace(0.05, 1.0, 20).round(2).tolist())
MEASURES = ("comprehensiveness", "sufficiency", "flip_fraction")


@dataclass(frozen=True)
class Faithfulness:
    """Deletion measures of several methods over the same documents.

    Attributes
    ----------
    per_document : DataFrame
        A row a method and document: `method`, `document`, and the three measures.
    curves : DataFrame
        A row a method and share of the words: `method`, `fraction`, and the means of `comprehensiveness` and
        `sufficiency` at that share.
    """

    per_document: pd.DataFrame
    curves: pd.DataFrame

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return each method's means with their confidence intervals.

        Parameters
        ----------
        confidence : float in (0, 1), default 0.95
            Of the intervals, which take the means for normally distributed.

        Returns
        -------
        DataFrame [methods, 9]
            For each measure `<measure>`, `<measure>_low` and `<measure>_high`.
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
    methods: Iterable[str] = ("attention", "gradient_x_input", "integrated_gradients", "occlusion", "random"),
    *,
    fractions: Sequence[float] = FRACTIONS,
    scaling: Scaling = "sqrt",
    n_steps: int = 32,
    random_state: int = 0,
) -> Faithfulness:
    """Measure how faithful explanations of a classifier's decisions are.

    Parameters
    ----------
    classifier : HANClassifier
        Fitted.
    X : list, tuple, ndarray or Series of str [documents]
        Documents that it was not trained on; a hundred or more. Those without words are left out.
    methods : iterable of str
        Methods of `HANClassifier.explain`, and "random": the words in random order, what any method has to beat.
    fractions : sequence of float in (0, 1), default (0.01, 0.05, 0.1, 0.2, 0.5)
        The shares of the words at which comprehensiveness and sufficiency are taken, as in DeYoung et al. 2020. At
        least one word is deleted, or left.
    scaling : {"sqrt", "product"}, default "sqrt"
        How attention combines the weights of a word and its sentence; see `Explanation.combined_scores`.
    n_steps : int, default 32
        See `HANClassifier.explain`.
    random_state : int, default 0
        Of the random order.

    Returns
    -------
    Faithfulness

    Raises
    ------
    ValueError
        For a method that does not exist, or fractions outside their range.
    """
    methods = list(methods)
    unknown = [method for method in methods if method not in METHODS and method != "random"]
    if unknown:
        raise InvalidValueError(f"methods must be of {[*METHODS, 'random']}, got {unknown[0]!r}")
    if not all(0 < fraction < 1 for fraction in fractions):
        raise InvalidValueError(f"fractions must lie between 0 and 1, got {list(fractions)}")
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
    """Measure one ranking of the words.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
    corpus : Corpus
        Documents with at least one word each.
    scores : float [words]
        Words of higher score are deleted first.
    fractions : sequence of float

    Returns
    -------
    measures : DataFrame [documents, 4]
        `document`, `comprehensiveness`, `sufficiency` and `flip_fraction`.
    curve : DataFrame [fractions, 3]
        `fraction`, and the means of `comprehensiveness` and `sufficiency`.
    """
    whole = classify(model, corpus)
    predicted = whole.argmax(axis=1)
    documents = np.arange(len(corpus))
    counts = corpus.word_counts
    rank = _ranks(scores, counts)

    def probabilities(strongest: bool, fraction: float) -> npt.NDArray[np.float32]:
        """Classify with the strongest words only, or with all others."""
        first = np.repeat(np.maximum(np.ceil(fraction * counts), 1), counts)
        return classify(model, corpus.keep_words((rank < first) == strongest))

    falls = {
        measure: np.stack(
            [whole[documents, predicted] - probabilities(only, f)[documents, predicted] for f in fractions]
        )
        for measure, only in (("comprehensiveness", False), ("sufficiency", True))
    }
    flips = np.ones(len(corpus))
    for fraction in reversed(FLIP_STEPS):
        flips[probabilities(False, fraction).argmax(axis=1) != predicted] = fraction
    measures = pd.DataFrame({"document": documents, **{name: fall.mean(axis=0) for name, fall in falls.items()}})
    curve = pd.DataFrame({"fraction": fractions, **{name: fall.mean(axis=1) for name, fall in falls.items()}})
    return measures.assign(flip_fraction=flips), curve


def _ranks(scores: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return each word's place among its document's [words], 0 for the strongest; at equal scores in their order."""
    documents = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-scores, documents))
    ranks = np.empty(len(scores), np.int64)
    ranks[order] = ranges(np.zeros(len(counts), np.int64), counts)
    return ranks
