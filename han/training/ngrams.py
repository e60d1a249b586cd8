"""Fitting of the linear model of n-grams."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from han.layers.ngrams import Evidence
from han.text.corpus import Corpus
from han.text.vocabulary import FIRST_WORD_ID

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

# An n-gram that fewer documents hold is not known.
MIN_DOCUMENTS = 2
# A linear model is fitted for each class; beyond so many classes, and weights, that is no longer quick or small.
MAX_CLASSES = 100
MAX_WEIGHTS = 20_000_000
# Documents that every n-gram is taken to occur in besides.
SMOOTHING = 2.0
# Inverse strength of the penalty, for documents of mean square norm 1. Of 10, 30 and 100 the best or nearly so on the
# development split of each of five data sets.
C = 30.0


def fit_evidence(
    corpus: Corpus,
    targets: npt.NDArray[Any],
    weights: Float32,
    *,
    classes: int,
    vocabulary_size: int,
) -> Evidence | None:
    r"""Fit the linear model of `NgramEvidence`: logistic regression over n-grams scaled by their log-ratios.

    As Wang & Manning 2012 have it for support vector machines: for each class against the rest (of two, the second
    against the first), with p_g documents of the class that hold n-gram g and q_g of the others, the presence of g
    counts as much as

    .. math:: r_g = \log \frac{p_g / \sum p}{q_g / \sum q}

    Two documents more, that hold every n-gram, are shared out as the others are: one each if the class is half of all.

    Parameters
    ----------
    corpus : Corpus
    targets : int64 [documents] or float32 [documents, classes]
        Each document's class; or, where a document may have several, 1 for those it has: then there is a column for
        each class, even of two.
    weights : float32 [documents]
        Each document's weight in the loss.
    classes, vocabulary_size : int
        The number of classes, and of word ids.

    Returns
    -------
    Evidence or None
        None if no n-gram occurs in two documents, or there are more than `MAX_CLASSES` classes.
    """
    if classes > MAX_CLASSES:
        return None
    columns = range(1, 2) if classes == 2 and targets.ndim == 1 else range(classes)
    keys, presence = _presence(corpus, vocabulary_size, MAX_WEIGHTS // len(columns))
    if not len(keys):
        return None

    rows = np.flatnonzero(weights > 0)
    presence, targets, weights = presence[rows], targets[rows], weights[rows]
    held = presence.astype(bool).astype(np.float64)
    positive = (targets[:, None] == np.arange(classes)) if targets.ndim == 1 else targets > 0
    fitted = [_fit_class(presence, held, positive[:, column], weights) for column in columns]
    table, bias = zip(*fitted, strict=True)
    return Evidence(keys, np.stack(table, axis=1).astype(np.float32), np.array(bias, np.float32))


def _presence(corpus: Corpus, vocabulary_size: int, most: int) -> tuple[Int64, Any]:
    """Return the keys of known n-grams, `most` at most, and a sparse matrix [documents, ngrams].

    The matrix holds, where a document holds an n-gram, 1 / sqrt(number of known n-grams that it holds).
    """
    word_ids = corpus.word_ids.astype(np.int64)
    document_of = np.repeat(np.arange(len(corpus)), corpus.word_counts)
    ends = np.zeros(len(word_ids), bool)
    ends[corpus.sentence_starts[1:] - 1] = True
    real = word_ids >= FIRST_WORD_ID
    pairs = np.flatnonzero(real[:-1] & real[1:] & ~ends[:-1])
    occurring = np.concatenate([word_ids[real], word_ids[pairs] * vocabulary_size + word_ids[pairs + 1]])
    holders = np.concatenate([document_of[real], document_of[pairs]])
    keys, columns = np.unique(occurring, return_inverse=True)
    held = np.unique(holders * len(keys) + columns)
    rows, columns = np.divmod(held, max(len(keys), 1))
    frequencies = np.bincount(columns, minlength=len(keys))
    known = frequencies >= MIN_DOCUMENTS
    known[np.argsort(-frequencies, kind="stable")[most:]] = False
    renumbered = np.cumsum(known) - 1
    kept = known[columns]
    rows, columns = rows[kept], renumbered[columns[kept]]
    counts = np.bincount(rows, minlength=len(corpus))
    matrix = sparse.csr_matrix((counts[rows] ** -0.5, (rows, columns)), (len(corpus), int(known.sum())))
    return keys[known], matrix


def _fit_class(
    presence: Any, held: Any, positive: npt.NDArray[np.bool_], weights: Float32
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weight of each n-gram and the bias of one class against the rest; `held` is 1 where one is present."""
    from sklearn.linear_model import LogisticRegression

    ngrams = presence.shape[1]
    if positive.all() or not positive.any():  # a class without a document, or none of the others
        return np.zeros(ngrams), np.log(len(positive) + 1.0) * (1 if positive.all() else -1)
    share = float(weights[positive].sum() / weights.sum())
    p, q = (
        SMOOTHING * prior + held.T @ np.where(part, weights, 0.0)
        for part, prior in ((positive, share), (~positive, 1.0 - share))
    )
    ratios = np.log(p / p.sum()) - np.log(q / q.sum())
    scaled = presence.multiply(ratios).tocsr()
    norm = np.sqrt(scaled.multiply(scaled).sum() / max(scaled.shape[0], 1))
    if norm == 0:
        return np.zeros(ngrams), 0.0
    model = LogisticRegression(C=C, solver="liblinear", dual=True, tol=1e-3, max_iter=1000, random_state=0)
    model.fit(scaled / norm, positive, sample_weight=weights)
    return model.coef_[0] * ratios / norm, float(model.intercept_[0])
