"""Fit the linear model of n-grams, see `han.layers.ngrams`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from han.inference.kernels import hash_table
from han.layers.ngrams import Evidence
from han.text.corpus import Corpus
from han.training.log_count_ratios import log_count_ratios, memberships, ratio_classes
from han.training.ngram_loops import frequency_loop, presence_loop

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
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
    keys = _frequent_keys(corpus, vocabulary_size, MAX_WEIGHTS // len(columns))
    if not len(keys):
        return None

    if not weights.all():
        used = np.flatnonzero(weights)
        corpus, targets, weights = corpus.take(used), targets[used], weights[used]
    presence = Presence.of(corpus, keys, vocabulary_size)
    fitted = [_fit_class(presence, positive, weights) for positive in memberships(targets, classes)[:, columns].T]
    table, bias = zip(*fitted, strict=True)
    return Evidence(keys, np.stack(table, axis=1).astype(np.float32), np.array(bias, np.float32))


class Presence(NamedTuple):
    """Which n-grams each document contains, as the indices of a sparse matrix [documents, ngrams] in rows.

    Attributes
    ----------
    ngrams : int
    starts : int64 [documents + 1]
    positions : int32 [entries]
    """

    ngrams: int
    starts: Int64
    positions: Int32

    @classmethod
    def of(cls, corpus: Corpus, keys: Int64, vocabulary_size: int) -> Presence:
        """Find n-grams, given their sorted keys."""
        starts, positions = np.zeros(len(corpus) + 1, np.int64), np.empty(2 * len(corpus.word_ids), np.int32)
        presence_loop()(*_arrays(corpus), vocabulary_size, keys, *hash_table(keys), starts[1:], positions)
        return cls(len(keys), starts, positions[: starts[-1]].copy())

    def matrix(self, values: npt.NDArray[Any]) -> Any:
        """Return the sparse matrix with these values [entries]."""
        return sparse.csr_matrix((values, self.positions, self.starts), (len(self.starts) - 1, self.ngrams))

    def weights_of(self, documents: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the sum of the weights of the documents that contain each n-gram [ngrams]."""
        occurs = self.matrix(np.ones(len(self.positions), np.float32))
        sums: npt.NDArray[np.float64] = occurs.T @ documents.astype(np.float64)
        return sums


def _frequent_keys(corpus: Corpus, vocabulary_size: int, max_ngrams: int) -> Int64:
    """Return the sorted keys of the most frequent n-grams, at most `max_ngrams`."""
    slots = 1 << 12
    while True:
        keys, (frequencies, last) = np.full(slots, -1, np.int64), np.full((2, slots), -1, np.int32)
        if frequency_loop()(*_arrays(corpus), vocabulary_size, keys, frequencies, last) >= 0:
            break
        slots *= 4
    kept = np.flatnonzero(frequencies >= MIN_DOCUMENTS)
    kept = kept[np.lexsort((keys[kept], -frequencies[kept]))[:max_ngrams]]
    return np.sort(keys[kept])


def _arrays(corpus: Corpus) -> tuple[Int32, Int64, Int64]:
    return corpus.word_ids, corpus.sentence_starts, corpus.document_starts


def _fit_class(
    presence: Presence, positive: npt.NDArray[np.bool_], weights: Float32
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights of n-grams [ngrams] and the bias for one class against the rest.

    The features of a document are the log-count ratios of the n-grams that it contains, divided by the square root of
    their number.
    """
    from sklearn.linear_model import LogisticRegression

    if positive.all() or not positive.any():  # logistic regression needs documents of the class and others
        return np.zeros(presence.ngrams), np.log(len(positive) + 1.0) * (1 if positive.all() else -1)
    counts = np.diff(presence.starts)
    share = float(weights[positive].sum() / weights.sum())
    inside, outside = (presence.weights_of(np.where(part, weights, 0.0)) for part in (positive, ~positive))
    ratios = log_count_ratios(inside, outside, share)
    # In float32, which is most of the memory; liblinear computes in float64.
    values = ratios.astype(np.float32)[presence.positions]
    values *= np.repeat(np.maximum(counts, 1).astype(np.float32) ** np.float32(-0.5), counts)
    norm = float(np.linalg.norm(values)) / np.sqrt(max(len(counts), 1))
    if norm == 0:
        return np.zeros(presence.ngrams), 0.0
    values /= np.float32(norm)
    model = LogisticRegression(C=C, solver="liblinear", dual=True, tol=1e-3, max_iter=1000, random_state=0)
    model.fit(presence.matrix(values), positive, sample_weight=weights)
    return model.coef_[0] * ratios / norm, float(model.intercept_[0])
