"""What all networks of `make bench` have in common: sizes, optimizer, threads."""

from __future__ import annotations

EMBEDDING_DIM = 200
UNITS = 50  # in each direction
VOCABULARY = 20_000
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
CLIPNORM = 1.0
DROPOUT = 0.5
WORD_DROPOUT = 0.3
