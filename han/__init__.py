"""Document classification with hierarchical attention networks (Yang et al. 2016).

https://aclanthology.org/N16-1174/

Names are imported on first use, so that `import han` alone does not load TensorFlow and Keras.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from han.classifier import HANClassifier
    from han.datasets import Dataset, load_dataset
    from han.explain.explanation import Explanation
    from han.layers.pooling import AttentionPooling
    from han.model import HierarchicalAttentionNetwork

__version__ = "0.1.0"
__all__ = [
    "AttentionPooling",
    "Dataset",
    "Explanation",
    "HANClassifier",
    "HierarchicalAttentionNetwork",
    "load_dataset",
]

_MODULES = {
    "AttentionPooling": "han.layers",
    "Dataset": "han.datasets",
    "Explanation": "han.explain.explanation",
    "HANClassifier": "han.classifier",
    "HierarchicalAttentionNetwork": "han.model",
    "load_dataset": "han.datasets",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'han' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
