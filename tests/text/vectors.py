"""Word vectors for tests, with the matrix expected for a vocabulary."""

from __future__ import annotations

import numpy as np

from han.text.vocabulary import Vocabulary

VECTORS = {
    "film": [0.25, -1.5, 3.0],
    "Paris": [1.0, 2.0, -0.125],
    "naïve": [-0.5, 0.0, 8.0],
    ". . .": [9.0, 9.0, 9.0],
    "unused": [7.0, 7.0, 7.0],
    "Film": [5.0, 5.0, 5.0],
    "PARIS": [6.0, 6.0, 6.0],
}
VOCABULARY = Vocabulary(["naïve", "paris", "film", "absent", "."])
EXPECTED = np.array([[-0.5, 0.0, 8.0], [1.0, 2.0, -0.125], [0.25, -1.5, 3.0], [0, 0, 0], [0, 0, 0]], np.float32)


def assert_expected(vectors):
    np.testing.assert_array_equal(vectors.matrix, EXPECTED)
    assert vectors.known.tolist() == [True, True, True, False, False]
