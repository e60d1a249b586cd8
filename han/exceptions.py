"""What `han` raises and warns of.

Every error of the project is a `HANError`, and also the built-in error that those who know Python and scikit-learn
would catch: a hyper-parameter outside its range is an `InvalidValueError`, which is a `ValueError`. Before `fit` there
is scikit-learn's own `NotFittedError`.
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
]


class HANError(Exception):
    """Any error of the project."""


class InvalidTypeError(HANError, TypeError):
    """An argument, or something in it, is of a type that cannot be taken."""


class InvalidValueError(HANError, ValueError):
    """An argument, or something in it, has a value that cannot be taken."""


class MissingFileError(HANError, FileNotFoundError):
    """There is no file or folder where one was named."""


class ModelFileError(InvalidValueError):
    """A folder is not a saved classifier, or one that is damaged, or of a format that is not known here."""


class DestinationError(HANError, FileExistsError):
    """Nothing can be written there, or something else would be overwritten."""


class CheckpointError(InvalidValueError):
    """A checkpoint is of another training, or damaged."""


class DivergenceError(HANError, ArithmeticError):
    """The loss became infinite or undefined before there were weights worth keeping."""


class ExecutionModeError(HANError, RuntimeError):
    """The network works eagerly and on one device, which TensorFlow is set not to do."""


class MemoryLimitError(HANError, MemoryError):
    """The work would take more memory than there is, or than `memory_limit` allows, and cannot be divided further."""


class ForkedProcessError(HANError, RuntimeError):
    """A process that was forked after TensorFlow had begun to work cannot do this."""


class MissingExtraError(HANError, ImportError):
    """A library is needed that an extra of the package brings."""


class DataWarning(UserWarning):
    """A file or folder was read on an assumption, or a part of it was left out or changed."""


class MemoryLimitWarning(UserWarning):
    """Work is done in parts so as to take no more memory than there is, or than `memory_limit` allows."""


class TrainingWarning(UserWarning):
    """Training went on, or ended, otherwise than was asked for."""


class UnknownClassWarning(UserWarning):
    """Test documents have classes that the classifier was not trained on; they count as wrong."""


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn on behalf of the caller: the warning names the line outside `han` from which the package was called."""
    package = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - as frames spell it
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level - 1)
