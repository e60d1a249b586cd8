"""A linear model of the words and word pairs of a document, whose logits are added to the network's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import keras, tf
from han.backend.variables import shared_kernels
from han.layers.packing import owners, unpad
from han.text.corpus import Documents
from han.text.vocabulary import PADDING_ID

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


class Evidence(NamedTuple):
    """The weights of a linear model of n-grams, in the order of the weights of `NgramEvidence`.

    Attributes
    ----------
    keys : int64 [ngrams]
        The known words and pairs of adjacent words as numbers, see `NgramEvidence`; sorted.
    table : float32 [ngrams, columns]
        The weight of each n-gram for each class. Two mutually exclusive classes share one column, for the second.
    bias : float32 [columns]
    """

    keys: Int64
    table: Float32
    bias: Float32


@keras.saving.register_keras_serializable(package="han")
class NgramEvidence(keras.layers.Layer):
    r"""Compute logits of documents with a linear model of the words and pairs of adjacent words that they contain.

    For a document with the set G of known n-grams g, whose rows of the table are w_g:

    .. math:: e = b + \frac{1}{\sqrt{|G|}} \sum_{g \in G} w_g

    A pair never spans two sentences. The weights are not trainable: `han.training.ngrams.fit_evidence` fits them as
    proposed by Wang & Manning 2012.

    Parameters
    ----------
    ngrams : int
        Number of known n-grams, at least 1.
    vocabulary_size : int
        Number of word ids. The key of the word i is i; the key of the pair i, j is i * vocabulary_size + j.
    columns : int
        Number of logits.
    **kwargs
        Arguments of `keras.layers.Layer` (`name`, `dtype`, ...). Under a mixed precision policy, the layer computes in
        float32.

    References
    ----------
    Wang & Manning 2012, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification,
    https://aclanthology.org/P12-2018/

    Examples
    --------
    The word 4 has the weight 1, and the pair of the words 3 and 4 has the weight 6:

    >>> import numpy as np
    >>> from han.layers import NgramEvidence
    >>> layer = NgramEvidence(ngrams=2, vocabulary_size=10, columns=1)
    >>> layer.build()
    >>> layer.set_weights([np.array([4, 3 * 10 + 4]), np.array([[1.0], [6.0]]), np.array([0.5])])
    >>> documents = np.array([[[4, 5, 0], [8, 0, 0]], [[0, 0, 0], [0, 0, 0]]])  # 0 is padding
    >>> layer(documents).numpy()
    array([[1.5],
           [0.5]], dtype=float32)
    """

    def __init__(self, ngrams: int, vocabulary_size: int, columns: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "trainable": False})
        self.ngrams, self.vocabulary_size, self.columns = ngrams, vocabulary_size, columns
        self.supports_masking = True
        self.supports_jit = False  # shapes depend on the word ids

    @shared_kernels(any_rows=True)
    def build(self, input_shape: Any = None) -> None:
        """Create the weights, all zeros."""
        settings = {"initializer": "zeros", "autocast": False}
        self.keys = self.add_weight(name="keys", shape=(self.ngrams,), dtype="int64", **settings)
        self.table = self.add_weight(name="table", shape=(self.ngrams, self.columns), **settings)
        self.bias = self.add_weight(name="bias", shape=(self.columns,), **settings)
        self.built = True

    def call(self, inputs: tf.Tensor | Documents, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Compute the logits of documents.

        Parameters
        ----------
        inputs : int tensor [documents, sentences, words], or Documents
            Word ids; 0 is padding.
        mask : bool tensor [documents, sentences, words], optional
            False at further padding. Ignored for `Documents`, which have no padding.

        Returns
        -------
        float tensor [documents, columns]
            The bias for a document without known n-grams.
        """
        if isinstance(inputs, tuple):
            documents = Documents(*(tf.cast(part, tf.int32) for part in inputs))
        else:
            word_ids = tf.cast(inputs, tf.int32)
            if mask is not None:
                word_ids = tf.where(tf.cast(mask, tf.bool), word_ids, PADDING_ID)
            documents = unpad(word_ids)[0]
        return tf.ensure_shape(self.logits(documents), [None, self.columns])

    def compute_mask(self, inputs: Any, mask: tf.Tensor | None = None) -> None:
        """Return None: the output has no positions to mask."""
        return

    def compute_output_shape(self, input_shape: Any = None) -> tuple[int | None, int]:
        """Return [documents, columns]."""
        return (None, self.columns)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the call, since the dtype of the output is that of the weights, whatever the policy."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def logits(self, documents: Documents) -> tf.Tensor:
        """Return the logits [documents, columns]."""
        return sum_shares(self.shares(documents), documents) + self.bias

    def shares(self, documents: Documents) -> tf.Tensor:
        """Return the contribution of each word to each logit of its document, [words, columns].

        The contributions of a document's words sum to its logits minus the bias. The contribution of an n-gram is
        divided equally between its occurrences in the document, and that of a pair equally between its two words.
        """
        word_ids = tf.cast(documents.word_ids, tf.int64)
        sentence_of, document_of = owners_of_words(documents)
        words = tf.range(tf.size(word_ids))
        pairs = tf.boolean_mask(words[:-1], sentence_of[:-1] == sentence_of[1:])
        keys = tf.concat(
            [word_ids, tf.gather(word_ids, pairs) * self.vocabulary_size + tf.gather(word_ids, pairs + 1)], axis=0
        )
        ngrams = tf.size(self.keys.value)
        rows = tf.minimum(tf.searchsorted(self.keys.value, keys), ngrams - 1)
        known = tf.gather(self.keys.value, rows) == keys
        rows = tf.boolean_mask(rows, known)
        # A single word is both the first and the last word of its n-gram.
        first, last = (tf.boolean_mask(tf.concat([words, ends], axis=0), known) for ends in (pairs, pairs + 1))
        document = tf.gather(document_of, first)
        present, position, occurrences = tf.unique_with_counts(
            tf.cast(document, tf.int64) * tf.cast(ngrams, tf.int64) + tf.cast(rows, tf.int64)
        )
        table = self.table.value
        distinct = tf.math.unsorted_segment_sum(
            tf.ones_like(present, table.dtype),
            tf.cast(present // tf.cast(ngrams, tf.int64), tf.int32),
            tf.size(documents.document_lengths),
        )
        scale = tf.math.rsqrt(tf.gather(distinct, document)) / tf.cast(tf.gather(occurrences, position), table.dtype)
        halves = tf.gather(table, rows) * (0.5 * scale)[:, None]
        count = tf.size(word_ids)
        return tf.math.unsorted_segment_sum(halves, first, count) + tf.math.unsorted_segment_sum(halves, last, count)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"ngrams": self.ngrams, "vocabulary_size": self.vocabulary_size, "columns": self.columns}
        return {**super().get_config(), **own}


def sum_shares(shares: tf.Tensor, documents: Documents) -> tf.Tensor:
    """Sum the contributions of words [words, columns] over each document [documents, columns]."""
    _, document_of = owners_of_words(documents)
    return tf.math.unsorted_segment_sum(shares, document_of, tf.size(documents.document_lengths))


def owners_of_words(documents: Documents) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the sentence and the document that each word belongs to, both [words]."""
    sentence_of = owners(documents.sentence_lengths)
    return sentence_of, tf.gather(owners(documents.document_lengths), sentence_of)
