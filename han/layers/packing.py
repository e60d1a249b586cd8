"""Sequences of different lengths without padding: their elements follow one another."""

from __future__ import annotations

from typing import NamedTuple

from han.backend import tf
from han.text.corpus import Documents
from han.text.vocabulary import PADDING_ID


class Packing(NamedTuple):
    """Which elements belong to which sequence.

    Attributes
    ----------
    lengths : int32 tensor [sequences]
        Number of elements of each sequence; may be 0.
    rows : int32 tensor [elements]
        The sequence each element belongs to; never decreases.
    """

    lengths: tf.Tensor
    rows: tf.Tensor


def pack(lengths: tf.Tensor) -> Packing:
    """Return the packing of sequences of these lengths, int32 [sequences]."""
    return Packing(lengths, owners(lengths))


def owners(lengths: tf.Tensor) -> tf.Tensor:
    """Return the sequence that each element belongs to, int32 [elements]: `tf.repeat` consists of many operations."""
    ends = tf.cumsum(lengths)
    elements = tf.range(tf.reduce_sum(lengths))
    return tf.raw_ops.UpperBound(sorted_inputs=ends[None], values=elements[None])[0]


def unpad(inputs: tf.Tensor) -> tuple[Documents, tf.Tensor, tf.Tensor]:
    """Remove the padding from a block of word ids.

    Parameters
    ----------
    inputs : int32 tensor [documents, sentences, words]

    Returns
    -------
    documents : Documents
    word_mask : bool tensor [documents, sentences, words]
        True where there is a word.
    sentence_mask : bool tensor [documents, sentences]
        True where there is a sentence with at least one word.
    """
    word_mask = tf.not_equal(inputs, PADDING_ID)
    lengths = tf.math.count_nonzero(word_mask, axis=2, dtype=tf.int32)
    sentence_mask = lengths > 0
    documents = Documents(
        tf.boolean_mask(inputs, word_mask),
        tf.boolean_mask(lengths, sentence_mask),
        tf.math.count_nonzero(sentence_mask, axis=1, dtype=tf.int32),
    )
    return documents, word_mask, sentence_mask


def unpack(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Scatter scores in element order [elements] to the places where `mask` is True; return zeros elsewhere."""
    return tf.scatter_nd(tf.where(mask), scores, tf.shape(mask, tf.int64))
