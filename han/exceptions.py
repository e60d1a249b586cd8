"""Errors and warnings of the project.

Every error that `han` raises for invalid arguments, files or data is a `HANError` and also a subclass of the built-in
error that users of scikit-learn expect: an invalid hyper-parameter raises an `InvalidValueError`, which is a
`ValueError`. Methods called before `fit` raise scikit-learn's own `NotFittedError`.
"""

from __future__ import annotations

import os
import sys
import warnings

__all__ = [
    "CheckpointError",
    "DataWarning",
    "DestinationError",
    "DivergenceError",
    "ExecutionModeError",
    "ForkedProcessError",
    "HANError",
    "InvalidTypeError",
    "InvalidValueError",
    "MemoryLimitError",
    "MemoryLimitWarning",
    "MissingExtraError",
    "MissingFileError",
    "ModelFileError",
    "TrainingWarning",
    "UnknownClassWarning",
    "warn_user",
]


class HANError(Exception):
    """Base class of all errors of the project."""


class InvalidTypeError(HANError, TypeError):
    """An argument, or one of its elements, has an invalid type."""


class InvalidValueError(HANError, ValueError):
    """An argument, or one of its elements, has an invalid value."""


class MissingFileError(HANError, FileNotFoundError):
    """A file or folder does not exist."""


class ModelFileError(InvalidValueError):
    """A folder is not a saved classifier, is damaged, or has an unknown format version."""


class DestinationError(HANError, FileExistsError):
    """The destination is not writable, or something else would be overwritten."""


class CheckpointError(InvalidValueError):
    """A checkpoint is damaged or belongs to a different training run."""


class DivergenceError(HANError, ArithmeticError):
    """The loss became infinite or NaN before any usable weights existed."""


class ExecutionModeError(HANError, RuntimeError):
    """TensorFlow 2 behaviour is disabled, or a distribution strategy is active, which the network does not support."""


class MemoryLimitError(HANError, MemoryError):
    """The work would exceed the available memory or `memory_limit`, and cannot be divided into smaller parts."""


class ForkedProcessError(HANError, RuntimeError):
    """The operation is not possible in a process that was forked after TensorFlow had been initialised."""


class MissingExtraError(HANError, ImportError):
    """A package is missing that an extra of `han-classifier` installs."""


class DataWarning(UserWarning):
    """A file or folder was read under an assumption, or part of it was skipped or changed."""


class MemoryLimitWarning(UserWarning):
    """Work is divided into smaller parts to stay within the available memory or `memory_limit`."""


class TrainingWarning(UserWarning):
    """Training proceeds or ended in an unexpected way, or the training data look wrong."""


class UnknownClassWarning(UserWarning):
    """Test documents have classes that did not occur in training; they count as wrong."""


def missing_extra(feature: str, package: str, extra: str) -> MissingExtraError:
    """Return the error for a feature whose package is not installed.

    Parameters
    ----------
    feature : str
        What requires the package, at the beginning of the message.
    package : str
    extra : str
        The extra of `han-classifier` that installs the package.
    """
    return MissingExtraError(
        f"{feature} requires the package {package}; install it with: pip install 'han-classifier[{extra}]'"
    )


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn on behalf of the caller: the warning names the line outside `han` from which the package was called."""
    package = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - as frames spell it
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def short_repr(value: object) -> str:
    """Return the representation of a value, cut to at most 60 characters, for an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
