from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from han.backend import tf
from han.layers.packing import LANES, ROWS, STEPS, pack, pad_rows


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=60))
def test_every_sequence_is_contiguous_in_one_lane(lengths):
    packing = pack(tf.constant(lengths, tf.int32))
    rows = np.repeat(np.arange(len(lengths)), lengths)
    elements, places = packing.elements.numpy(), packing.places.numpy()
    allocated, lanes = elements.shape
    assert packing.sequences == len(lengths)
    assert packing.rows.numpy().tolist() == rows.tolist()
    assert lanes in LANES
    assert allocated in STEPS
    assert packing.steps <= allocated
    assert elements.reshape(-1)[places].tolist() == list(range(len(rows)))
    assert (elements < len(rows)).sum() == len(rows)
    step, lane = places // lanes, places % lanes
    assert (step < packing.steps.numpy()).all()
    carry = packing.carry.numpy()
    # Nothing is carried into the first step of either direction.
    assert not carry[0, 0].any()
    assert not carry[1, packing.steps.numpy() - 1 :].any()
    for row in set(rows):
        members = np.flatnonzero(rows == row)
        assert len(set(lane[members])) == 1
        assert np.diff(step[members]).tolist() == [1] * (len(members) - 1)
        for direction, reading in enumerate((members, members[::-1])):
            carried = carry[direction, step[reading], lane[reading]]
            assert carried.tolist() == [0.0] + [1.0] * (len(members) - 1)


def test_many_short_sequences():
    packing = pack(tf.ones([131_072], tf.int32))
    assert packing.steps == 1
    assert sorted(packing.places.numpy()) == list(range(131_072))


@pytest.mark.parametrize("sentences", [200, 800, 3300, 3800])
def test_little_space_is_wasted(rng, sentences):
    lengths = np.minimum(rng.gamma(1.8, 12, sentences).astype(int) + 1, 50)
    packing = pack(tf.constant(lengths, tf.int32))
    assert lengths.sum() / (packing.steps.numpy() * packing.elements.shape[1]) > 0.88


def test_tables_are_padded_to_few_sizes():
    sizes = {pad_rows(tf.ones([rows, 3])).shape[0] for rows in range(0, 5000, 37)}
    assert sizes <= set(ROWS)
    padded = pad_rows(tf.ones([5, 3])).numpy()
    assert padded[:5].tolist() == [[1.0] * 3] * 5
    assert not padded[5:].any()
