"""Where the elements of padded sequences go when padding is left out.

Two orders are used. *Element order* is row by row, as the real elements stand in the padded tensor: softmax and sums
over a sequence are segment operations there. *Packed order* is step by step with sequences sorted by length, longest
first: the recurrence runs there (`han.recurrence`).
"""

from __future__ import annotations

from typing import NamedTuple

from han.backend import tf


class Packing(NamedTuple):
    """Index tensors between element order and packed order; each int32.

    Attributes
    ----------
    sequences : scalar
        Number of sequences, empty ones included.
    rows : [elements]
        The sequence each element belongs to; never decreases.
    batch_sizes : [steps]
        How many sequences have an element at each step; at least one step, which may be of size 0.
    forward, backward : [elements]
        Element at each packed position, when sequences are read from their start and from their end.
    forward_position, backward_position : [elements]
        The inverse permutations: packed position of each element.
    """

    sequences: tf.Tensor
    rows: tf.Tensor
    batch_sizes: tf.Tensor
    forward: tf.Tensor
    backward: tf.Tensor
    forward_position: tf.Tensor
    backward_position: tf.Tensor


def pack(mask: tf.Tensor) -> Packing:
    """Lay out the real elements of padded sequences.

    Parameters
    ----------
    mask : bool tensor [sequences, positions]
        True at real elements. Padding may stand anywhere: it is passed over, and the order of the rest is kept.
    """
    sequences = tf.shape(mask)[0]
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    rows = tf.cast(tf.where(mask)[:, 0], tf.int32)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    rank = tf.gather(tf.math.invert_permutation(order), rows)

    # batch_sizes[t] counts the sequences longer than t.
    steps = tf.maximum(tf.reduce_max(tf.concat([lengths, [0]], axis=0)), 1)
    ended = tf.cumsum(tf.math.bincount(lengths, minlength=steps, maxlength=steps))
    batch_sizes = sequences - ended

    position = tf.range(tf.size(rows)) - tf.gather(tf.cumsum(lengths, exclusive=True), rows)
    starts = tf.cumsum(batch_sizes, exclusive=True)
    forward_position = tf.gather(starts, position) + rank
    backward_position = tf.gather(starts, tf.gather(lengths, rows) - 1 - position) + rank
    return Packing(
        sequences=sequences,
        rows=rows,
        batch_sizes=batch_sizes,
        forward=tf.math.invert_permutation(forward_position),
        backward=tf.math.invert_permutation(backward_position),
        forward_position=forward_position,
        backward_position=backward_position,
    )
