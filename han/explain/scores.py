"""Scores of words and sentences, as all explanation methods return them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from han.inference.compiled import CompiledNetwork
from han.text.corpus import Documents, Int64

Float32 = npt.NDArray[np.float32]


class Scores(NamedTuple):
    """Scores of the words and sentences of documents; see `han.explain.explanation.Explanation` for their meaning.

    Attributes
    ----------
    probabilities : float32 [documents, classes]
    word_scores : float32 [words]
    sentence_scores : float32 [sentences]
    completeness_errors : float32 [documents]
        Zero except for integrated gradients.
    """

    probabilities: Float32
    word_scores: Float32
    sentence_scores: Float32
    completeness_errors: Float32


def predict_targets(network: CompiledNetwork, documents: Documents, targets: Int64 | None) -> tuple[Float32, Int64]:
    """Return the probabilities, and the target class of each document: by default the most probable one."""
    probabilities = network.forward(*network.project_distinct(documents))[0].numpy()
    return probabilities, probabilities.argmax(axis=1) if targets is None else targets
