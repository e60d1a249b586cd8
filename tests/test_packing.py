from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from han.backend import tf
from han.packing import LANES, STEPS, pack, pad_table

MASKS = st.tuples(st.integers(0, 60), st.integers(0, 20)).flatmap(lambda shape: arrays(bool, shape))


@settings(max_examples=50, deadline=None)
@given(MASKS)
def test_every_sequence_stands_in_one_piece_in_each_direction(mask):
    packing = pack(tf.constant(mask))
    rows = np.nonzero(mask)[0]
    elements = packing.elements.numpy()
    allocated, _, lanes = elements.shape
    assert packing.sequences == len(mask)
    assert packing.rows.numpy().tolist() == rows.tolist()
    assert lanes in LANES
    assert allocated in STEPS
    assert packing.steps <= allocated
    for direction in (0, 1):
        places = packing.places.numpy()[direction]
        assert elements.reshape(-1)[places].tolist() == list(range(len(rows)))
        assert (elements[:, direction] < len(rows)).sum() == len(rows)
        step, lane = places // (2 * lanes), places % lanes
        assert (step < packing.steps.numpy()).all()
        for row in set(rows):
            members = np.flatnonzero(rows == row)
            reading = members if direction == 0 else members[::-1]
            assert len(set(lane[members])) == 1
            assert np.diff(step[reading]).tolist() == [1] * (len(members) - 1)
            carry = packing.carry.numpy()[:, direction][step[reading], lane[reading]]
            assert carry.tolist() == [0.0] + [1.0] * (len(members) - 1)


def test_little_room_is_wasted(rng):
    lengths = np.minimum(rng.gamma(1.8, 12, 800).astype(int) + 1, 50)
    packing = pack(tf.constant(np.arange(50) < lengths[:, None]))
    assert lengths.sum() / (packing.steps.numpy() * packing.elements.shape[2]) > 0.8


def test_table_sizes_follow_from_the_lanes(rng):
    packing = pack(tf.constant(np.arange(50) < rng.integers(1, 50, 300)[:, None]))
    slots = packing.elements.shape[0] * packing.elements.shape[2]
    sizes = {pad_table(tf.ones([rows, 3]), packing).shape[0] for rows in range(1, len(packing.rows), 100)}
    assert sizes == {slots // 4, slots}
    padded = pad_table(tf.ones([5, 3]), packing).numpy()
    assert padded[:5].tolist() == [[1.0] * 3] * 5
    assert not padded[5:].any()
