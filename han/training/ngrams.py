"""Fit the linear model of n-grams, see `han.layers.ngrams`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from han.layers.ngrams import Evidence
from han.text.corpus import Corpus
from han.text.vocabulary import FIRST_WORD_ID
from han.training.log_count_ratios import log_count_ratios, memberships, ratio_classes

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

# N-grams that occur in fewer documents are ignored.
MIN_DOCUMENTS = 2
# Limit on the memory of fitting one linear model per class.
MAX_WEIGHTS = 20_000_000
# Inverse strength of the L2 penalty, for documents with a mean squared norm of 1. Of 10, 30 and 100, this is the best
# value or close to it on the development split of each of five data sets.
C = 30.0


def fit_evidence(
    corpus: Corpus,
    targets: npt.NDArray[Any],
    weights: Float32,
    *,
    classes: int,
    vocabulary_size: int,
) -> Evidence | None:
    r"""Fit `NgramEvidence`: logistic regression over n-grams scaled by their log-count ratios.

    This is the method of Wang & Manning 2012 with logistic regression in place of a support vector machine. One model
    is fitted for each class against the rest; of two mutually exclusive classes, only for the second. The presence of
    an n-gram is scaled by its log-count ratio, see `han.training.log_count_ratios`.

    Parameters
    ----------
    corpus : Corpus
        The training documents.
    targets : int64 [documents] or float32 [documents, classes]
        Each document's class; for multi-label classification, 1 for each class of a document, and there is a column
        for each class, even if there are only two.
    weights : float32 [documents]
        Each document's weight in the loss.
    classes, vocabulary_size : int
        Number of classes, and of word ids.

    Returns
    -------
    Evidence or None
        None if no n-gram occurs in `MIN_DOCUMENTS` documents, or if there are more than 100 classes.

    References
    ----------
    Wang & Manning 2012, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification,
    https://aclanthology.org/P12-2018/
    """
    columns = ratio_classes(classes, targets.ndim == 2)
    if not columns:
        return None
    keys, presence = _presence(corpus, vocabulary_size, MAX_WEIGHTS // len(columns))
    if not len(keys):
        return None

    rows = np.flatnonzero(weights > 0)
    presence, targets, weights = presence[rows], targets[rows], weights[rows]
    occurs = presence.astype(bool).astype(np.float64)
    fitted = [
        _fit_class(presence, occurs, positive, weights) for positive in memberships(targets, classes)[:, columns].T
    ]
    table, bias = zip(*fitted, strict=True)
    return Evidence(keys, np.stack(table, axis=1).astype(np.float32), np.array(bias, np.float32))


def _presence(corpus: Corpus, vocabulary_size: int, max_ngrams: int) -> tuple[Int64, Any]:
    """Return the keys of the most frequent n-grams, at most `max_ngrams`, and a sparse matrix [documents, ngrams].

    If a document contains an n-gram, the entry is 1 / sqrt(number of n-grams that the document contains), counting only
    those that have a key.
    """
    word_ids = corpus.word_ids.astype(np.int64)
    document_of = np.repeat(np.arange(len(corpus)), corpus.word_counts)
    ends_sentence = np.zeros(len(word_ids), bool)
    ends_sentence[corpus.sentence_starts[1:] - 1] = True
    known = word_ids >= FIRST_WORD_ID
    pairs = np.flatnonzero(known[:-1] & known[1:] & ~ends_sentence[:-1])
    occurrences = np.concatenate([word_ids[known], word_ids[pairs] * vocabulary_size + word_ids[pairs + 1]])
    documents = np.concatenate([document_of[known], document_of[pairs]])
    keys, columns = np.unique(occurrences, return_inverse=True)
    present = np.sort(documents * len(keys) + columns)  # `np.unique` takes fifty times as long
    present = present[np.diff(present, prepend=-1) > 0]
    rows, columns = np.divmod(present, max(len(keys), 1))
    frequencies = np.bincount(columns, minlength=len(keys))
    kept = frequencies >= MIN_DOCUMENTS
    kept[np.argsort(-frequencies, kind="stable")[max_ngrams:]] = False
    renumbered = np.cumsum(kept) - 1
    entries = kept[columns]
    rows, columns = rows[entries], renumbered[columns[entries]]
    counts = np.bincount(rows, minlength=len(corpus))
    matrix = sparse.csr_matrix((counts[rows] ** -0.5, (rows, columns)), (len(corpus), int(kept.sum())))
    return keys[kept], matrix


def _fit_class(
    presence: Any, occurs: Any, positive: npt.NDArray[np.bool_], weights: Float32
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights of n-grams [ngrams] and the bias for one class against the rest.

    `presence` is the matrix returned by `_presence`, and `occurs` is 1 where that is not zero.
    """
    from sklearn.linear_model import LogisticRegression

    ngrams = presence.shape[1]
    if positive.all() or not positive.any():  # logistic regression needs documents of the class and others
        return np.zeros(ngrams), np.log(len(positive) + 1.0) * (1 if positive.all() else -1)
    share = float(weights[positive].sum() / weights.sum())
    inside, outside = (occurs.T @ np.where(part, weights, 0.0) for part in (positive, ~positive))
    ratios = log_count_ratios(inside, outside, share)
    scaled = presence.multiply(ratios).tocsr()
    norm = np.sqrt(scaled.multiply(scaled).sum() / max(scaled.shape[0], 1))
    if norm == 0:
        return np.zeros(ngrams), 0.0
    model = LogisticRegression(C=C, solver="liblinear", dual=True, tol=1e-3, max_iter=1000, random_state=0)
    model.fit(scaled / norm, positive, sample_weight=weights)
    return model.coef_[0] * ratios / norm, float(model.intercept_[0])
