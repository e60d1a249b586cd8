from __future__ import annotations

import numpy as np

from han.backend import tf
from han.layers.packing import pack, unpack, unpad


def test_elements_belong_to_sequences_in_order():
    packing = pack(tf.constant([2, 0, 3]))
    assert packing.lengths.numpy().tolist() == [2, 0, 3]
    assert packing.rows.numpy().tolist() == [0, 0, 2, 2, 2]
    assert pack(tf.zeros([0], tf.int32)).rows.shape == [0]


def test_unpad_and_unpack():
    block = np.array([[[3, 4, 0], [0, 0, 0]], [[0, 0, 0], [5, 0, 6]]])
    documents, words, sentences = unpad(tf.constant(block))
    assert documents.word_ids.numpy().tolist() == [3, 4, 5, 6]
    assert documents.sentence_lengths.numpy().tolist() == [2, 2]
    assert documents.document_lengths.numpy().tolist() == [1, 1]
    assert sentences.numpy().tolist() == [[True, False], [False, True]]
    np.testing.assert_array_equal(unpack(tf.cast(documents.word_ids, tf.float32), words), block)
