"""What the words and word pairs of a document say for each class, by a linear model beside the network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from han.backend import keras, tf
from han.corpus import Corpus, Documents
from han.variables import shared_kernels
from han.vocabulary import FIRST_WORD_ID

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


class Evidence(NamedTuple):
    """A fitted linear model of n-grams.

    Attributes
    ----------
    keys : int64 [ngrams]
        The known words and pairs of adjacent words, as `NgramEvidence` numbers them; sorted.
    table : float32 [ngrams, columns]
        What each says for each class; of two that exclude each other there is one column, for the second.
    bias : float32 [columns]
    """

    keys: Int64
    table: Float32
    bias: Float32


@keras.saving.register_keras_serializable(package="han")
class NgramEvidence(keras.layers.Layer):
    r"""Logits of documents by a linear model of which words and pairs of adjacent words they hold.

    For a document that holds the set G of known n-grams g, with rows w_g of the table:

    .. math:: e = b + \frac{1}{\sqrt{|G|}} \sum_{g \in G} w_g

    Pairs are of words of the same sentence. `fit_evidence` finds the weights, and they are not trained further.

    Parameters
    ----------
    ngrams : int
        Number of known n-grams, at least 1.
    vocabulary_size : int
        Number of word ids. The word i has the key i; i and then j have the key i * vocabulary_size + j.
    columns : int
        Number of logits.
    **kwargs
        As for any Keras layer (`name`, ...).
    """

    def __init__(self, ngrams: int, vocabulary_size: int, columns: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "trainable": False})
        self.ngrams, self.vocabulary_size, self.columns = ngrams, vocabulary_size, columns

    @shared_kernels(any_rows=True)
    def build(self, input_shape: Any = None) -> None:
        """Create the weights: no n-gram is known yet."""
        self.keys = self.add_weight(name="keys", shape=(self.ngrams,), dtype="int64", initializer="zeros")
        self.table = self.add_weight(name="table", shape=(self.ngrams, self.columns), initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(self.columns,), initializer="zeros")
        self.built = True

    def call(self, inputs: Documents) -> tf.Tensor:
        """Return the logits [documents, columns]."""
        return self.add_up(self.shares(inputs), inputs)

    def compute_output_shape(self, input_shape: Any = None) -> tuple[int | None, int]:
        """Return [documents, columns]."""
        return (None, self.columns)

    def add_up(self, shares: tf.Tensor, documents: Documents) -> tf.Tensor:
        """Return the logits [documents, columns] for what each word says [words, columns]."""
        _, document_of = _owners(documents)
        return tf.math.unsorted_segment_sum(shares, document_of, tf.size(documents.document_lengths)) + self.bias

    def shares(self, documents: Documents) -> tf.Tensor:
        """Return what each word says for each class [words, columns]; they sum to the document's logits less the bias.

        The occurrences of an n-gram in a document have equal shares of what it says, and the words of a pair have half
        of it each.
        """
        word_ids = tf.cast(documents.word_ids, tf.int64)
        sentence_of, document_of = _owners(documents)
        words = tf.range(tf.size(word_ids))
        pairs = tf.boolean_mask(words[:-1], sentence_of[:-1] == sentence_of[1:])
        keys = tf.concat(
            [word_ids, tf.gather(word_ids, pairs) * self.vocabulary_size + tf.gather(word_ids, pairs + 1)], axis=0
        )
        places = tf.minimum(tf.searchsorted(self.keys.value, keys), self.ngrams - 1)
        known = tf.gather(self.keys.value, places) == keys
        places = tf.boolean_mask(places, known)
        first, last = (tf.boolean_mask(tf.concat([words, ends], axis=0), known) for ends in (pairs, pairs + 1))
        holder = tf.gather(document_of, first)
        held, position, counts = tf.unique_with_counts(
            tf.cast(holder, tf.int64) * self.ngrams + tf.cast(places, tf.int64)
        )
        distinct = tf.math.unsorted_segment_sum(
            tf.ones_like(held, tf.float32), tf.cast(held // self.ngrams, tf.int32), tf.size(documents.document_lengths)
        )
        weight = tf.math.rsqrt(tf.gather(distinct, holder)) / tf.cast(tf.gather(counts, position), tf.float32)
        said = tf.gather(self.table.value, places) * (0.5 * weight)[:, None]
        count = tf.size(word_ids)
        return tf.math.unsorted_segment_sum(said, first, count) + tf.math.unsorted_segment_sum(said, last, count)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"ngrams": self.ngrams, "vocabulary_size": self.vocabulary_size, "columns": self.columns}
        return {**super().get_config(), **own}


def _owners(documents: Documents) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the sentence and the document of each word [words]."""
    sentences, lengths = tf.size(documents.sentence_lengths), documents.document_lengths
    sentence_of = tf.repeat(tf.range(sentences), documents.sentence_lengths)
    return sentence_of, tf.gather(tf.repeat(tf.range(tf.size(lengths)), lengths), sentence_of)


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
