"""The hyper-parameters of `HANClassifier` and the values that they may take."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from han.data.validation import short_repr
from han.exceptions import InvalidValueError
from han.memory.limits import parse_size


class Range(NamedTuple):
    """Numbers that a hyper-parameter may take; `stop` is left out of the range."""

    kind: type[Integral] | type[Real]
    start: float
    stop: float = float("inf")
    optional: bool = False
    auto: bool = False

    def accepts(self, value: object) -> bool:
        """Tell whether the value is a number of the right kind within the range."""
        if value is None:
            return self.optional
        if isinstance(value, str):
            return self.auto and value == "auto"
        return isinstance(value, self.kind) and not isinstance(value, bool) and self.start <= value < self.stop  # type: ignore[operator]

    def __str__(self) -> str:
        kind = "an int" if self.kind is Integral else "a number"
        bounds = f"of at least {self.start:g}" if self.stop == float("inf") else f"in [{self.start:g}, {self.stop:g})"
        others = ', "auto" or None' if self.auto and self.optional else ' or "auto"' if self.auto else " or None"
        return f"{kind} {bounds}" + (others if self.auto or self.optional else "")


class Choice(tuple[object, ...]):
    """Values that a hyper-parameter may take."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value is one of the choices."""
        return isinstance(value, str | Integral | np.bool_) and value in self

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self))


class RandomState:
    """What seeds a random generator, as scikit-learn has it."""

    def accepts(self, value: object) -> bool:
        """Tell whether scikit-learn's `check_random_state` makes a generator of the value."""
        if value is None or isinstance(value, np.random.RandomState):
            return True
        return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) < 2**32

    def __str__(self) -> str:
        return "an int in [0, 2**32), a numpy.random.RandomState or None"


class Bool:
    """True or False."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value is a bool, of Python or NumPy."""
        return isinstance(value, bool | np.bool_)

    def __str__(self) -> str:
        return "True or False"


class Embeddings:
    """Where word vectors come from."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value is None, a name or a path, or can be looked up in."""
        return value is None or isinstance(value, str | os.PathLike | Mapping) or hasattr(value, "key_to_index")

    def __str__(self) -> str:
        return "a path, the name of word vectors, a mapping of words to vectors, gensim KeyedVectors or None"


class ClassWeight:
    """Weights of classes, as scikit-learn has them."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value is None, "balanced" or a mapping to finite numbers of at least 0."""
        if isinstance(value, Mapping):
            return all(isinstance(weight, Real) and 0.0 <= float(weight) < float("inf") for weight in value.values())
        return value is None or (isinstance(value, str) and value == "balanced")

    def __str__(self) -> str:
        return '"balanced", a dict of classes to finite numbers of at least 0, or None'


class CallableOrNone:
    """A function, or None for the default."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value is None or can be called."""
        return value is None or callable(value)

    def __str__(self) -> str:
        return "a callable or None"


class Language:
    """The code of a language."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value looks like a code of ISO 639, perhaps with a region after a hyphen."""
        return isinstance(value, str) and re.fullmatch("[a-z]{2,3}(-[A-Za-z0-9]+)*", value) is not None

    def __str__(self) -> str:
        return 'the code of a language, as "en" or "zh"'


class MemorySize:
    """An amount of memory."""

    def accepts(self, value: object) -> bool:
        """Tell whether the value is None, or a number of bytes in one of the ways that `parse_size` reads."""
        return value is None or parse_size(value) is not None

    def __str__(self) -> str:
        return 'a number of bytes, a text like "2GB" or "800MB", or None'


Rule = Range | Choice | Bool | Embeddings | ClassWeight | CallableOrNone | Language | RandomState | MemorySize


ALLOWED: dict[str, Rule] = {
    "embeddings": Embeddings(),
    "embedding_training": Choice(("tune", "delay", "freeze")),
    "ngram_evidence": Bool(),
    "embedding_dim": Range(Integral, 1),
    "units": Range(Integral, 1),
    "cell": Choice(("lstm", "gru")),
    "pooling": Choice(("attention", "mean", "max")),
    "residual": Bool(),
    "dropout": Range(Real, 0, 1),
    "embedding_dropout": Range(Real, 0, 1),
    "word_dropout": Range(Real, 0, 1),
    "sentence_dropout": Range(Real, 0, 1),
    "recurrent_dropout": Range(Real, 0, 1),
    "l2": Range(Real, 0),
    "label_smoothing": Range(Real, 0, 1),
    "learning_rate": Range(Real, 1e-12),
    "warmup": Range(Real, 0),
    "clipnorm": Range(Real, 1e-12, optional=True),
    "averaging": Range(Real, 0, 1),
    "batch_size": Range(Integral, 1),
    "epochs": Range(Integral, 1, auto=True),
    "patience": Range(Integral, 1, optional=True, auto=True),
    "monitor": Choice(("loss", "accuracy", "macro_f1")),
    "validation_fraction": Range(Real, 0, 1),
    "calibrate": Bool(),
    "tune_thresholds": Bool(),
    "class_weight": ClassWeight(),
    "min_count": Range(Integral, 1),
    "max_vocabulary": Range(Integral, 1, optional=True),
    "max_sentences": Range(Integral, 1),
    "max_words": Range(Integral, 1),
    "language": Language(),
    "sentence_splitter": CallableOrNone(),
    "tokenizer": CallableOrNone(),
    "warm_start": Bool(),
    "random_state": RandomState(),
    "memory_limit": MemorySize(),
    "verbose": Choice((0, 1, False, True)),
}


def check_parameters(values: Mapping[str, Any], allowed: Mapping[str, Rule]) -> dict[str, Any]:
    """Return hyper-parameters with NumPy's numbers, which searches over grids pass, as Python's.

    Raises
    ------
    ValueError
        For the first that is outside what is allowed.
    """
    for name, rule in allowed.items():
        if not rule.accepts(values[name]):
            raise InvalidValueError(f"{name} must be {rule}, got {short_repr(values[name])}")
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
