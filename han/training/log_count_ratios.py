r"""Log-count ratios: how much more often words occur in the documents of a class than in the others.

If word g occurs in p_g documents of a class and in q_g other documents, its log-count ratio (Wang & Manning 2012,
https://aclanthology.org/P12-2018/) is

.. math:: r_g = \log \frac{p_g / \sum p}{q_g / \sum q}

The linear model of n-grams scales n-grams by their ratios. The network gets the ratios of each word as additional
features: what naive Bayes knows after one pass over the documents, a few columns of trained vectors take many epochs
to learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from han.backend import keras, tf
from han.backend.variables import shared_kernels
from han.layers.ngrams import owners_of_words
from han.text.corpus import Corpus, Documents
from han.text.vocabulary import FIRST_WORD_ID
from han.training.pipeline import Examples

Float64 = npt.NDArray[np.float64]

# Number of pseudo-documents that contain every n-gram.
SMOOTHING = 2.0
# Limit on the number of classes, each of which takes a feature of every word or a linear model.
MAX_CLASSES = 100
# Root mean square of each feature over the words of the documents, and limit on that of the norm of a word's features.
# On the development split of movie-polarity-2000, the log loss of the network alone is 0.30 at 0.2 and 0.27 at 0.5.
# With the 90 topics of Reuters-21578, a norm of 1.9 is better than 4.7. Word vectors of 300 dimensions have 1.7.
SCALE, MAX_NORM = 0.5, 2.0
# Leaving out the batch, the counts of the other documents are multiplied by this at most.
MAX_RESCALING = 2.0
# Limit on the share of a class, and of the other classes.
MIN_SHARE = 1e-6
# Limit on what ratios are multiplied by. If a class's words are as frequent in the other documents, the ratios are next
# to nothing, but not without the documents of a batch; reviews and news are multiplied by 0.4 to 1.3.
MAX_SCALE = 4.0


def ratio_classes(classes: int, multi_label: bool) -> range:
    """Return the classes that have ratios: all, or the second of two mutually exclusive ones; none if there are many.

    Examples
    --------
    >>> from han.training.log_count_ratios import ratio_classes
    >>> ratio_classes(classes=2, multi_label=False), ratio_classes(classes=3, multi_label=False)
    (range(1, 2), range(0, 3))
    """
    if classes > MAX_CLASSES:
        return range(0)
    return range(1, 2) if classes == 2 and not multi_label else range(classes)


def memberships(targets: npt.NDArray[Any], classes: int) -> npt.NDArray[np.bool_]:
    """Return whether each document belongs to each class, [documents, classes]."""
    return targets > 0 if targets.ndim == 2 else targets[:, None] == np.arange(classes)


def log_count_ratios(inside: Float64, outside: Float64, share: Any) -> Float64:
    """Return the log-count ratios of n-grams, [ngrams] or [ngrams, columns].

    Parameters
    ----------
    inside, outside : float [ngrams] or [ngrams, columns]
        Weighted number of documents of the class, and of the others, that contain each n-gram.
    share : float or float [columns]
        The class' share of the documents' weights, in proportion to which the `SMOOTHING` pseudo-documents are divided.

    Examples
    --------
    >>> import numpy as np
    >>> from han.training.log_count_ratios import log_count_ratios
    >>> log_count_ratios(np.array([9.0, 4.0]), np.array([4.0, 9.0]), 0.5).round(3)
    array([ 0.693, -0.693])
    """
    p, q = SMOOTHING * share + inside, SMOOTHING * (1.0 - share) + outside
    ratios: Float64 = np.log(p / p.sum(axis=0)) - np.log(q / q.sum(axis=0))
    return ratios


class LogCountRatios:
    """The log-count ratios of all words, and of the words of a training batch without the documents of the batch.

    If its own document were counted, a rare word would tell the document's class in training, and only there. A
    training step therefore reads ratios whose counts leave out the documents of the batch. If these have the weight v,
    and all documents the weight w, the other counts are multiplied by w / (w - v), by at most `MAX_RESCALING`.

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids.
    width : int
        Number of classes that have ratios.

    Attributes
    ----------
    variables : list of keras.Variable
        What `without` reads.
    """

    def __init__(self, vocabulary_size: int, width: int) -> None:
        def zeros(*shape: int) -> keras.Variable:
            return keras.Variable("zeros", shape, trainable=False)

        with shared_kernels(any_rows=True):
            self.inside, self.outside = zeros(vocabulary_size, width), zeros(vocabulary_size, width)
        with shared_kernels():
            self.share, self.rest, self.offset, self.scale = (zeros(width) for _ in range(4))
            self.weight = zeros()
        self.variables = [self.inside, self.outside, self.share, self.rest, self.offset, self.scale, self.weight]

    @classmethod
    def learn(
        cls, examples: Examples, classes: int, vocabulary_size: int
    ) -> tuple[LogCountRatios, npt.NDArray[np.float32]]:
        """Count the words of labelled documents; return the counts and the features of all words [word ids, width].

        The features are the ratios, each scaled to the same root mean square over the words of the documents: `SCALE`,
        or less if there are many classes, so that the norm of a word's features has the root mean square `MAX_NORM`,
        or if ratios are so small that they would have to be multiplied by more than `MAX_SCALE`.
        """
        occurs = _presence(examples.corpus, vocabulary_size)
        belongs = memberships(examples.targets, classes)[:, ratio_classes(classes, examples.targets.ndim == 2)]
        weights = examples.weights[:, None].astype(np.float64)
        inside, outside = (np.asarray(occurs.T @ (weights * part)) for part in (belongs, ~belongs))
        weight = float(weights.sum())
        share = (weights * belongs).sum(axis=0) / max(weight, 1e-12)
        known = (share > 0) & (share < 1)  # there are documents of the class, and others
        # In float32, the rest of a larger share than the limit would be 0.
        share = np.where(known, np.clip(share, MIN_SHARE, 1.0 - MIN_SHARE), 0.5)
        ratios = log_count_ratios(inside, outside, share)
        ratios[:FIRST_WORD_ID] = 0.0
        frequency = np.bincount(examples.corpus.word_ids, minlength=vocabulary_size) / len(examples.corpus.word_ids)
        size = min(SCALE, MAX_NORM / np.sqrt(belongs.shape[1]))
        scale = known * np.minimum(size / np.maximum(np.sqrt(frequency @ ratios**2), 1e-12), MAX_SCALE)
        p, q = ((SMOOTHING * part + count).sum(axis=0) for part, count in ((share, inside), (1.0 - share, outside)))
        counts = cls(vocabulary_size, belongs.shape[1])
        values = inside, outside, share, 1.0 - share, np.log(q) - np.log(p), scale, weight
        for variable, value in zip(counts.variables, values, strict=True):
            variable.assign(np.asarray(value, np.float32))
        return counts, (scale * ratios).astype(np.float32)

    def without(self, documents: Documents, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Return the features of the distinct words of a batch, in the order of `tf.unique`, [distinct, columns].

        Parameters
        ----------
        documents : Documents
            The batch, whose documents are not counted.
        targets : int tensor [documents], or float tensor [documents, classes]
        weights : float tensor [documents]
        """
        distinct, rows = tf.unique(documents.word_ids)
        _, document_of = owners_of_words(documents)
        # A word counts once in each document that contains it.
        size = tf.size(documents.document_lengths, tf.int64)
        occurrences, _ = tf.unique(tf.cast(rows, tf.int64) * size + tf.cast(document_of, tf.int64))
        row, document = (tf.cast(part, tf.int32) for part in (occurrences // size, occurrences % size))
        width = self.share.shape[0]
        if len(targets.shape) == 2:
            belongs = tf.cast(targets, tf.float32)
        elif width == 1:
            belongs = tf.cast(targets, tf.float32)[:, None]
        else:
            belongs = tf.one_hot(targets, width)

        def left(counts: tf.Tensor, share: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
            here = tf.math.unsorted_segment_sum(tf.gather(counted * weights[:, None], document), row, tf.size(distinct))
            # Rounding may leave a little less than nothing.
            elsewhere = tf.maximum(tf.gather(counts, distinct) - here, 0.0)
            return tf.math.log(SMOOTHING * share + rescaling * elsewhere)

        others = tf.maximum(self.weight.value - tf.reduce_sum(weights), self.weight.value / MAX_RESCALING)
        rescaling = tf.math.divide_no_nan(self.weight.value, others)
        p = left(self.inside.value, self.share.value, belongs)
        q = left(self.outside.value, self.rest.value, 1.0 - belongs)
        known = tf.cast(distinct >= FIRST_WORD_ID, tf.float32)[:, None]
        return known * self.scale.value * (p - q + self.offset.value)


def _presence(corpus: Corpus, vocabulary_size: int) -> Any:
    """Return a sparse matrix [documents, word ids], 1 if the document contains the word."""
    # Summing duplicates sorts the words of each document, in place. `np.unique` of all pairs takes ten times as long.
    words, starts = corpus.word_ids.copy(), corpus.sentence_starts[corpus.document_starts]
    occurs = sparse.csr_matrix((np.ones(len(words)), words, starts), (len(corpus), vocabulary_size))
    occurs.sum_duplicates()
    occurs.data[:] = 1.0
    return occurs
