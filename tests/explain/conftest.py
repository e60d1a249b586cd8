from __future__ import annotations

import numpy as np
import pytest

from han.model import HierarchicalAttentionNetwork


@pytest.fixture(params=[("lstm", True, 60), ("gru", False, 0)], ids=["lstm, residual, n-grams", "gru"])
def network(request, rng):
    cell, residual, ngrams = request.param
    model = HierarchicalAttentionNetwork(
        40, 3, embedding_dim=6, units=4, cell=cell, residual=residual, ngrams=ngrams, seed=5
    )
    model.build((None, None, None))
    if model.evidence is not None:
        pairs = rng.choice(40 * 40, 40, replace=False) + 40
        model.evidence.keys.assign(np.sort([*rng.choice(40, 20, replace=False), *pairs]))
        model.evidence.table.assign(rng.normal(0, 3, (60, 3)))
        model.evidence.bias.assign([0.3, 0.0, -0.2])
    # Larger weights, for probabilities that differ.
    model.embedding.embeddings.assign(model.embedding.embeddings * 20)
    model.classifier.kernel.assign(model.classifier.kernel * 12)
    return model
