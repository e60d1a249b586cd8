"""The hyper-parameters of `HANClassifier`: their types, valid values and validation."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from han.exceptions import InvalidValueError, short_repr
from han.memory.limits import parse_size
from han.text.alignment import Splitter
from han.text.splitting import DocumentSplitter
from han.text.word_encoders import is_encoder

# Hyper-parameters added since the first version, and the values with which earlier classifiers were trained.
ADDED = {"additive": False, "log_count_ratios": False, "trained_dim": 16}
# embedding_training="auto" freezes word vectors of at least this width.
MIN_FROZEN_DIM = 200
# The dropout rates "auto": trained vectors need more regularisation than frozen ones.
TRAINED_RATES = {"embedding_dropout": 0.5, "word_dropout": 0.4}
FROZEN_RATES = {"embedding_dropout": 0.3, "word_dropout": 0.2}

# batch_size="auto" is the first of these for fewer training documents than the last, and else the second. With small
# batches, an epoch has more steps, and the minimum of steps takes less time; large ones train much data faster.
SMALL_BATCH, BATCH, FEW_DOCUMENTS = 16, 32, 2_000


class Range(NamedTuple):
    """A number in [start, stop); optionally also None or "auto"."""

    kind: type[Integral] | type[Real]
    start: float
    stop: float = float("inf")
    optional: bool = False
    auto: bool = False

    def accepts(self, value: object) -> bool:
        """Return whether the value is a number of this kind in the range."""
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
    """One of several values."""

    def accepts(self, value: object) -> bool:
        """Return whether the value is one of the choices."""
        return isinstance(value, str | Integral | np.bool_) and value in self

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self))


class RandomState:
    """A seed or generator, as in scikit-learn."""

    def accepts(self, value: object) -> bool:
        """Return whether scikit-learn's `check_random_state` accepts the value."""
        if value is None or isinstance(value, np.random.RandomState):
            return True
        return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) < 2**32

    def __str__(self) -> str:
        return "an int in [0, 2**32), a numpy.random.RandomState or None"


class Bool:
    """True or False."""

    def accepts(self, value: object) -> bool:
        """Return whether the value is a bool of Python or NumPy."""
        return isinstance(value, bool | np.bool_)

    def __str__(self) -> str:
        return "True or False"


class Embeddings:
    """Pretrained word vectors."""

    def accepts(self, value: object) -> bool:
        """Return whether the value is None, a name, a path, a mapping, gensim KeyedVectors or an encoder."""
        if value is None or isinstance(value, str | os.PathLike | Mapping):
            return True
        return hasattr(value, "key_to_index") or is_encoder(value)

    def __str__(self) -> str:
        return (
            "a path, the name of word vectors, a mapping of words to vectors, gensim KeyedVectors, an object with a "
            "method `encode` or None"
        )


class ClassWeight:
    """Class weights, as in scikit-learn."""

    def accepts(self, value: object) -> bool:
        """Return whether the value is None, "balanced" or a mapping to finite numbers of at least 0."""
        if isinstance(value, Mapping):
            return all(isinstance(weight, Real) and 0.0 <= float(weight) < float("inf") for weight in value.values())
        return value is None or (isinstance(value, str) and value == "balanced")

    def __str__(self) -> str:
        return '"balanced", a dict of classes to finite numbers of at least 0, or None'


class CallableOrNone:
    """A function, or None for the default."""

    def accepts(self, value: object) -> bool:
        """Return whether the value is None or a callable."""
        return value is None or callable(value)

    def __str__(self) -> str:
        return "a callable or None"


class Language:
    """A language code."""

    def accepts(self, value: object) -> bool:
        """Return whether the value looks like an ISO 639 code, optionally with a region after a hyphen."""
        return isinstance(value, str) and re.fullmatch("[a-z]{2,3}(-[A-Za-z0-9]+)*", value) is not None

    def __str__(self) -> str:
        return 'a language code such as "en" or "zh"'


class MemorySize:
    """An amount of memory."""

    def accepts(self, value: object) -> bool:
        """Return whether the value is None or a size that `parse_size` accepts."""
        return value is None or parse_size(value) is not None

    def __str__(self) -> str:
        return 'a number of bytes, a string such as "2GB" or "800MB", or None'


Rule = Range | Choice | Bool | Embeddings | ClassWeight | CallableOrNone | Language | RandomState | MemorySize


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Validated hyper-parameters, as documented by `HANClassifier`.

    Examples
    --------
    >>> from han.hyperparameters import Hyperparameters
    >>> [*Hyperparameters.rules()][:2]
    ['embeddings', 'embedding_training']
    """

    embeddings: Annotated[Any, Embeddings()]
    embedding_training: Annotated[str, Choice(("auto", "tune", "delay", "freeze"))]
    trained_dim: Annotated[int, Range(Integral, 1)]
    log_count_ratios: Annotated[bool, Bool()]
    ngram_evidence: Annotated[bool, Bool()]
    embedding_dim: Annotated[int, Range(Integral, 1)]
    units: Annotated[int, Range(Integral, 1)]
    cell: Annotated[str, Choice(("lstm", "gru"))]
    pooling: Annotated[str, Choice(("attention", "mean", "max"))]
    residual: Annotated[bool, Bool()]
    additive: Annotated[bool, Bool()]
    dropout: Annotated[float, Range(Real, 0, 1)]
    embedding_dropout: Annotated[float | str, Range(Real, 0, 1, auto=True)]
    word_dropout: Annotated[float | str, Range(Real, 0, 1, auto=True)]
    sentence_dropout: Annotated[float, Range(Real, 0, 1)]
    recurrent_dropout: Annotated[float, Range(Real, 0, 1)]
    l2: Annotated[float, Range(Real, 0)]
    label_smoothing: Annotated[float, Range(Real, 0, 1)]
    learning_rate: Annotated[float, Range(Real, 1e-12)]
    warmup: Annotated[float, Range(Real, 0)]
    clipnorm: Annotated[float | None, Range(Real, 1e-12, optional=True)]
    averaging: Annotated[float, Range(Real, 0, 1)]
    batch_size: Annotated[int | str, Range(Integral, 1, auto=True)]
    epochs: Annotated[int | str, Range(Integral, 1, auto=True)]
    patience: Annotated[int | str | None, Range(Integral, 1, optional=True, auto=True)]
    monitor: Annotated[str, Choice(("loss", "accuracy", "macro_f1"))]
    validation_fraction: Annotated[float, Range(Real, 0, 1)]
    calibrate: Annotated[bool, Bool()]
    tune_thresholds: Annotated[bool, Bool()]
    class_weight: Annotated[Any, ClassWeight()]
    min_count: Annotated[int, Range(Integral, 1)]
    max_vocabulary: Annotated[int | None, Range(Integral, 1, optional=True)]
    max_sentences: Annotated[int, Range(Integral, 1)]
    max_words: Annotated[int, Range(Integral, 1)]
    language: Annotated[str, Language()]
    sentence_splitter: Annotated[Splitter | None, CallableOrNone()]
    tokenizer: Annotated[Splitter | None, CallableOrNone()]
    warm_start: Annotated[bool, Bool()]
    random_state: Annotated[Any, RandomState()]
    memory_limit: Annotated[int | str | None, MemorySize()]
    verbose: Annotated[int, Choice((0, 1, False, True))]

    @classmethod
    def rules(cls) -> dict[str, Rule]:
        """Return the validation rule of each hyper-parameter."""
        return dict(_rules())

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Hyperparameters:
        """Validate hyper-parameters; raise a ValueError for the first invalid one."""
        return cls(**check_values(values, cls.rules()))

    def as_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @property
    def is_additive(self) -> bool:
        """Whether the network is additive: without residual connections or attention, it cannot be."""
        return self.additive and self.residual and self.pooling == "attention"

    @property
    def uses_ratios(self) -> bool:
        """Whether words have log-count ratios as features: not without residual connections, as in the paper."""
        return self.log_count_ratios and self.residual

    def freezes(self, features: int) -> bool:
        """Return whether pretrained word vectors of a width are frozen."""
        if self.embedding_training == "auto":
            return features >= MIN_FROZEN_DIM
        return self.embedding_training == "freeze"

    def documents_per_batch(self, documents: int) -> int:
        """Return the batch size for a number of training documents."""
        if isinstance(self.batch_size, str):
            return SMALL_BATCH if documents < FEW_DOCUMENTS else BATCH
        return self.batch_size

    def regularization(self, frozen: bool) -> dict[str, Any]:
        """Return the network's dropout rates and its L2 penalty, given whether its word vectors are frozen."""
        rates = {
            name: getattr(self, name)
            for name in ("dropout", "embedding_dropout", "word_dropout", "recurrent_dropout", "l2")
        }
        auto = FROZEN_RATES if frozen else TRAINED_RATES
        return {name: auto[name] if rate == "auto" else rate for name, rate in rates.items()}

    def splitter(self) -> DocumentSplitter:
        """Return the splitter, which divides documents into sentences and words."""
        return DocumentSplitter(
            self.max_sentences, self.max_words, self.sentence_splitter, self.tokenizer, self.language
        )


@cache
def _rules() -> dict[str, Rule]:
    hints = get_type_hints(Hyperparameters, include_extras=True)
    return {entry.name: hints[entry.name].__metadata__[0] for entry in fields(Hyperparameters)}


def check_values(values: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Validate values, and convert NumPy scalars, which grid searches pass, to Python scalars.

    Raises
    ------
    ValueError
        For the first value that its rule rejects.
    """
    for name, rule in rules.items():
        if not rule.accepts(values[name]):
            raise InvalidValueError(f"{name} must be {rule}, got {short_repr(values[name])}")
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
