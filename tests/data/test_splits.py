from __future__ import annotations

import numpy as np
import pytest

from han.data.splits import LabelledDocuments, hold_out, strata, stratified_split


def test_multi_label_documents_are_stratified_by_their_rarest_class(rng):
    targets = np.zeros((100, 2), np.float32)
    targets[:60, 0] = 1
    targets[:10, 1] = 1
    training, validation = hold_out(LabelledDocuments(["text"] * 100, targets, np.ones(100, np.float32)), 0.2, rng)
    # 10 documents have the second class, 50 only the first one, and 40 none.
    assert validation.targets.sum(axis=0).tolist() == [12, 2]
    assert training.targets.sum(axis=0).tolist() == [48, 8]
    assert (len(training.texts), len(validation.texts)) == (80, 20)


def test_every_class_is_split_in_proportion(rng):
    labels = np.repeat(["a", "b", "c"], [100, 50, 10])[rng.permutation(160)]
    large, small = stratified_split(labels, 0.2, rng)
    assert sorted([*large, *small]) == list(range(160))
    assert {name: (labels[small] == name).sum() for name in "abc"} == {"a": 20, "b": 10, "c": 2}


def test_rare_classes_stay_in_the_large_part(rng):
    large, small = stratified_split(["rare", *["often"] * 20, "twice", "twice"], 0.1, rng)
    assert len(small) == 2
    assert {0, 21, 22} <= set(large)


@pytest.mark.parametrize("fraction", [0.0, 0.99])
def test_the_large_part_keeps_every_class(fraction, rng):
    labels = np.repeat([0, 1], [3, 2])
    large, small = stratified_split(labels, fraction, rng)
    assert set(labels[large]) == {0, 1}
    assert len(small) == (0 if fraction == 0 else 3)


def test_splits_depend_only_on_the_seed():
    labels = np.zeros(1000, int)
    splits = [stratified_split(labels, 0.5, np.random.default_rng(seed))[1] for seed in (1, 1, 2)]
    assert np.array_equal(splits[0], splits[1])
    assert not np.array_equal(splits[0], splits[2])


def test_no_documents_are_split_into_empty_parts(rng):
    assert [part.tolist() for part in stratified_split([], 0.5, rng)] == [[], []]


def test_the_stratum_of_a_document_is_its_rarest_class(rng):
    targets = (rng.random((60, 5)) < [0.9, 0.5, 0.5, 0.2, 0.0]).astype(np.float32)
    counts = targets.sum(axis=0)
    expected = [min(np.flatnonzero(row), key=lambda column: counts[column], default=5) for row in targets]
    assert strata(targets).tolist() == expected
    assert strata(np.zeros((2, 3), np.float32)).tolist() == [3, 3]
