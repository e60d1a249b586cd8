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
        Zero except for contributions and integrated gradients.
    base_values : float32 [documents]
        Zero except for contributions.
    ngram_scores : float32 [words]
        The part of the word scores that is due to the n-grams; zero except for contributions.
    """

    probabilities: Float32
    word_scores: Float32
    sentence_scores: Float32
    completeness_errors: Float32
    base_values: Float32
    ngram_scores: Float32

    @classmethod
    def without_parts(cls, probabilities: Float32, word_scores: Float32, sentence_scores: Float32) -> Scores:
        """Create scores of a method that does not divide them any further."""
        documents, words = np.zeros(len(probabilities), np.float32), np.zeros(len(word_scores), np.float32)
        return cls(probabilities, word_scores, sentence_scores, documents, documents, words)


def predict_targets(network: CompiledNetwork, documents: Documents, targets: Int64 | None) -> tuple[Float32, Int64]:
    """Return the probabilities, and the target class of each document: by default the most probable one."""
    probabilities = network.forward(*network.with_projection(documents)).probabilities
    return probabilities, probabilities.argmax(axis=1) if targets is None else targets
