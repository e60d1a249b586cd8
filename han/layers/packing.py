"""Where the elements of sequences go.

Two orders are used. *Element order* is sequence by sequence: softmax and sums over a sequence are segment operations
there. In *lanes*, sequences stand one behind the other, in a few lanes of nearly equal length: the recurrence runs
there (`han.layers.recurrence`), all lanes in step.
"""

from __future__ import annotations

from typing import NamedTuple

from han.backend import tf
from han.text.corpus import Documents
from han.text.vocabulary import PADDING_ID

# XLA compiles once for each shape it meets, which takes some tenths of a second, so shapes are rounded to few sizes.
LANES = [2**k for k in range(3, 31)]
STEPS = [16, 32, *sorted(scale * 2**k for scale in (2, 3) for k in range(5, 29))]
ROWS = [2**k for k in range(6, 31)]
# What a step costs besides its lanes, in lanes.
STEP_COST = 12


class Packing(NamedTuple):
    """Where each element stands.

    Attributes
    ----------
    sequences : int32 scalar
        Number of sequences, empty ones included.
    rows : int32 [elements]
        The sequence each element belongs to; never decreases.
    steps : int32 scalar
        Length of the longest lane.
    elements : int32 [steps_allocated, lanes]
        The element at each step of each lane; `size(rows)` if none.
    carry : float32 [2, steps_allocated, lanes]
        0.0 where the forward and the backward direction begin a sequence, else 1.0.
    places : int32 [elements]
        The index in the flattened `elements` of each element.
    """

    sequences: tf.Tensor
    rows: tf.Tensor
    steps: tf.Tensor
    elements: tf.Tensor
    carry: tf.Tensor
    places: tf.Tensor


# Traced once for all networks: there are a hundred operations in it, and a network comes to be traced six times.
@tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
def pack(lengths: tf.Tensor) -> Packing:
    """Lay out sequences of the given lengths, int32 [sequences]; 0 is allowed."""
    sequences = tf.size(lengths)
    rows = tf.repeat(tf.range(sequences), lengths)
    count = tf.size(rows)
    longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
    # The longest sequence sets the fewest steps that there can be: beyond some number, lanes only add to their cost.
    choices = tf.constant(LANES, tf.float32)
    fewest = tf.maximum(tf.cast(count, tf.float32) / choices, tf.cast(longest, tf.float32))
    lanes = tf.gather(LANES, tf.argmin(fewest * (choices + STEP_COST)))
    lane, offset, steps = _fill_lanes(lengths, lanes)
    allocated = _round_up(steps, STEPS)

    # Elements of a sequence stand `lanes` apart.
    starts = tf.cumsum(lengths, exclusive=True)
    step = tf.range(count) + tf.gather(offset - starts, rows)
    places = step * lanes + tf.gather(lane, rows)
    grid = [allocated, lanes]
    nothing = tf.fill([allocated * lanes], count)
    elements = tf.reshape(tf.tensor_scatter_nd_update(nothing, places[:, None], tf.range(count)), grid)
    # An element begins its sequence if the one before it belongs to another.
    other = tf.not_equal(tf.pad(rows, [[1, 0]], constant_values=-1), tf.pad(rows, [[0, 1]], constant_values=-2))
    carry = 1.0 - tf.cast(other, tf.float32)
    neighbours = tf.stack([elements, tf.minimum(elements + 1, count)])
    return Packing(
        sequences=sequences,
        rows=rows,
        steps=steps,
        elements=elements,
        carry=tf.gather(carry, neighbours),
        places=places,
    )


def _fill_lanes(lengths: tf.Tensor, lanes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Distribute sequences over lanes, longest first, always a round of them onto the lanes from the emptiest up.

    Returns the lane and the offset in it of each sequence [sequences], and the length of the longest lane.
    """
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    rounds = tf.math.count_nonzero(lengths, dtype=tf.int32) // lanes + 1
    sequences = tf.size(lengths)
    # Empty sequences do not matter: they fill up the last round or are left over.
    ordered = tf.pad(tf.gather(lengths, order), [[0, tf.maximum(rounds * lanes - sequences, 0)]])

    def fill(
        turn: tf.Tensor, loads: tf.Tensor, names: tf.Tensor, lane: tf.TensorArray, offset: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray, tf.TensorArray]:
        emptiest = tf.argsort(loads, stable=True)
        loads, names = tf.gather(loads, emptiest), tf.gather(names, emptiest)
        lane, offset = lane.write(turn, names), offset.write(turn, loads)
        return turn + 1, loads + ordered[turn * lanes : (turn + 1) * lanes], names, lane, offset

    logs = [tf.TensorArray(tf.int32, size=rounds, element_shape=[None]) for _ in range(2)]
    _, loads, _, lane, offset = tf.while_loop(
        lambda turn, *_: turn < rounds,
        fill,
        (0, tf.zeros([lanes], tf.int32), tf.range(lanes), *logs),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None]), None, None),
    )
    rank = tf.minimum(tf.math.invert_permutation(order), rounds * lanes - 1)
    return tf.gather(lane.concat(), rank), tf.gather(offset.concat(), rank), tf.reduce_max(loads)


def pad_rows(values: tf.Tensor) -> tf.Tensor:
    """Append rows of zeros to [rows, width], so that the number of rows is one of few."""
    rows = tf.shape(values)[0]
    return tf.pad(values, [[0, _round_up(rows, ROWS) - rows], [0, 0]])


def _round_up(size: tf.Tensor, sizes: list[int]) -> tf.Tensor:
    """Return the smallest of the sizes that is not below `size`."""
    return tf.gather(sizes, tf.searchsorted(sizes, [size], side="left"))[0]


def unpad(inputs: tf.Tensor) -> tuple[Documents, tf.Tensor, tf.Tensor]:
    """Return a block [documents, sentences, words] without padding, and where it had words and sentences."""
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
    """Put scores in element order [elements] back where `mask` is True; zero elsewhere."""
    return tf.scatter_nd(tf.where(mask), scores, tf.shape(mask, tf.int64))
