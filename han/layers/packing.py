"""Layout of sequences of different lengths without padding.

Two orders are used. In *element order*, sequences follow one another, and softmax and sums over a sequence are segment
operations. For the recurrence (`han.layers.recurrence`), sequences are laid end to end in a few *lanes* of nearly equal
length, which advance in lockstep.
"""

from __future__ import annotations

from typing import NamedTuple

from han.backend import tf
from han.text.corpus import Documents
from han.text.vocabulary import PADDING_ID

# XLA compiles once per shape, which takes a few tenths of a second, so shapes are rounded up to a few sizes.
LANES = [2**k for k in range(3, 31)]
STEPS = [16, 32, *sorted(scale * 2**k for scale in (2, 3) for k in range(5, 29))]
ROWS = [2**k for k in range(6, 31)]
# The fixed cost of a step, as a number of lanes.
STEP_COST = 12


class Packing(NamedTuple):
    """The sequence, the lane and the step of each element.

    Attributes
    ----------
    sequences : int32 scalar
        Number of sequences, including empty ones.
    rows : int32 [elements]
        The sequence each element belongs to; never decreases.
    steps : int32 scalar
        Length of the longest lane.
    elements : int32 [steps_allocated, lanes]
        The element at each step of each lane; `size(rows)` where there is none.
    carry : float32 [2, steps_allocated, lanes]
        0.0 where a sequence starts in the forward and in the backward direction, 1.0 elsewhere.
    places : int32 [elements]
        The index of each element in the flattened `elements`.
    """

    sequences: tf.Tensor
    rows: tf.Tensor
    steps: tf.Tensor
    elements: tf.Tensor
    carry: tf.Tensor
    places: tf.Tensor


# Traced once per process: it has a hundred operations, and each network is traced six times.
@tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
def pack(lengths: tf.Tensor) -> Packing:
    """Lay out sequences.

    Parameters
    ----------
    lengths : int32 tensor [sequences]
        Number of elements of each sequence; may be 0.

    Returns
    -------
    Packing
    """
    sequences = tf.size(lengths)
    rows = tf.repeat(tf.range(sequences), lengths)
    count = tf.size(rows)
    longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
    # There are at least as many steps as the longest sequence has elements, so from some point on more lanes only cost
    # more.
    choices = tf.constant(LANES, tf.float32)
    min_steps = tf.maximum(tf.cast(count, tf.float32) / choices, tf.cast(longest, tf.float32))
    lanes = tf.gather(LANES, tf.argmin(min_steps * (choices + STEP_COST)))
    lane, offset, steps = _fill_lanes(lengths, lanes)
    allocated = _round_up(steps, STEPS)

    # Consecutive elements of a sequence are `lanes` apart in the flattened grid.
    starts = tf.cumsum(lengths, exclusive=True)
    step = tf.range(count) + tf.gather(offset - starts, rows)
    places = step * lanes + tf.gather(lane, rows)
    grid = [allocated, lanes]
    empty = tf.fill([allocated * lanes], count)
    elements = tf.reshape(tf.tensor_scatter_nd_update(empty, places[:, None], tf.range(count)), grid)
    # An element is the first of its sequence if the previous element belongs to another one.
    is_first = tf.not_equal(tf.pad(rows, [[1, 0]], constant_values=-1), tf.pad(rows, [[0, 1]], constant_values=-2))
    carry = 1.0 - tf.cast(is_first, tf.float32)
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
    """Distribute sequences over lanes.

    Sequences are taken in order of decreasing length, as many at a time as there are lanes. The longest of these goes
    to the lane with the fewest elements, the next to the lane with the second fewest, and so on.

    Returns each sequence's lane [sequences], its offset in the lane [sequences], and the length of the longest lane.
    """
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    rounds = tf.math.count_nonzero(lengths, dtype=tf.int32) // lanes + 1
    sequences = tf.size(lengths)
    # The lane of an empty sequence does not matter, so empty sequences may be cut off or be added to fill a round.
    ordered = tf.pad(tf.gather(lengths, order), [[0, tf.maximum(rounds * lanes - sequences, 0)]])

    def fill(
        round_index: tf.Tensor, loads: tf.Tensor, lane_ids: tf.Tensor, lane: tf.TensorArray, offset: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray, tf.TensorArray]:
        emptiest = tf.argsort(loads, stable=True)
        loads, lane_ids = tf.gather(loads, emptiest), tf.gather(lane_ids, emptiest)
        lane, offset = lane.write(round_index, lane_ids), offset.write(round_index, loads)
        return round_index + 1, loads + ordered[round_index * lanes : (round_index + 1) * lanes], lane_ids, lane, offset

    logs = [tf.TensorArray(tf.int32, size=rounds, element_shape=[None]) for _ in range(2)]
    _, loads, _, lane, offset = tf.while_loop(
        lambda round_index, *_: round_index < rounds,
        fill,
        (0, tf.zeros([lanes], tf.int32), tf.range(lanes), *logs),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None]), None, None),
    )
    rank = tf.minimum(tf.math.invert_permutation(order), rounds * lanes - 1)
    return tf.gather(lane.concat(), rank), tf.gather(offset.concat(), rank), tf.reduce_max(loads)


def pad_rows(values: tf.Tensor) -> tf.Tensor:
    """Append rows of zeros to values [rows, width] until the number of rows is one of `ROWS`."""
    rows = tf.shape(values)[0]
    return tf.pad(values, [[0, _round_up(rows, ROWS) - rows], [0, 0]])


def _round_up(size: tf.Tensor, sizes: list[int]) -> tf.Tensor:
    """Return the smallest of `sizes` that is at least `size`."""
    return tf.gather(sizes, tf.searchsorted(sizes, [size], side="left"))[0]


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
