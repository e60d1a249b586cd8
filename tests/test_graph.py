from __future__ import annotations

import gc
import logging

import numpy as np

from han.backend import tf
from han.graph import graph


class Doubler:
    def __init__(self, factor):
        self.factor = factor
        self.traced = 0

    @graph(tf.TensorSpec([None]))
    def multiply(self, numbers):
        """Say what it does."""
        self.traced += 1
        return self.factor * numbers


def test_each_object_has_a_graph_of_its_own_and_many_are_no_reason_for_a_warning(caplog):
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    objects = [Doubler(float(factor)) for factor in range(20)]
    for each in objects:
        for _ in range(2):
            np.testing.assert_array_equal(each.multiply(tf.constant([1.0, 2.0])), [each.factor, 2 * each.factor])
        assert each.traced == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    logger.removeHandler(caplog.handler)


def test_a_graph_goes_with_its_object():
    class Watched(Doubler):
        pass

    Watched(2.0).multiply(tf.constant([1.0]))
    gc.collect()
    assert not [found for found in gc.get_objects() if type(found) is Watched]
