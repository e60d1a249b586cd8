"""What every contender of the speed benchmark shares: sizes, the interface, and encoded documents for the networks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from han.text.corpus import Corpus
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import Vocabulary

EMBEDDING_DIM = 200
UNITS = 50  # in each direction
VOCABULARY = 20_000
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
CLIPNORM = 1.0
DROPOUT = 0.5
WORD_DROPOUT = 0.3
THREADS = len(os.sched_getaffinity(0))

Labels = npt.NDArray[Any]


class Contender(Protocol):
    """Something that learns to classify texts."""

    def prepare(self, texts: list[str], labels: Labels) -> None:
        """Get ready to train: whatever is done once, before the first epoch."""

    def train(self) -> float:
        """Train one epoch, or all that the method needs; return the seconds that it took."""

    def predict(self, texts: list[str]) -> Labels:
        """Return labels."""


class Network:
    """What the networks written for comparison share: the words' numbers and the classes' indices."""

    def prepare(self, texts: list[str], labels: Labels) -> None:
        """Split and number the words, and build the network."""
        self.reader, self.corpus = DocumentReader.learn(texts, DocumentSplitter(), 2, VOCABULARY)
        self.classes, self.targets = np.unique(labels, return_inverse=True)
        self.rng = np.random.default_rng(0)
        self.build(self.reader.vocabulary, self.corpus)

    def build(self, vocabulary: Vocabulary, corpus: Corpus) -> None:
        """Build the network."""
        raise NotImplementedError

    def epoch(self) -> None:
        """Take a step for each batch."""
        raise NotImplementedError

    def classify(self, corpus: Corpus) -> npt.NDArray[np.int64]:
        """Return class indices."""
        raise NotImplementedError

    def train(self) -> float:
        """Train one epoch."""
        return seconds(self.epoch)

    def predict(self, texts: list[str]) -> Labels:
        """Return labels."""
        labels: Labels = self.classes[self.classify(self.reader.encode(texts))]
        return labels


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
