"""What the words and word pairs of a document say for each class, by a linear model beside the network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import keras, tf
from han.backend.variables import shared_kernels
from han.text.corpus import Documents

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


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
