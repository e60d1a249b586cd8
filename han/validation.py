"""Checks of what users pass in; every error names the argument, what was given and what is expected."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.exceptions import InvalidTypeError, InvalidValueError
from han.text import DocumentSplitter, SplitText

Labels = npt.NDArray[Any]


def check_texts(texts: object, name: str = "X") -> list[str]:
    """Return texts as a list of `str`; documents that are split already as `SplitText`.

    Raises
    ------
    TypeError
        If `texts` is not a list, tuple, NumPy array or pandas Series, or a document is not a `str`, nor a list of
        sentences (`str`), nor a list of lists of words (`str`).
    ValueError
        If it is empty, has more than one axis, or a document is missing (None or NaN).
    """
    expected = f"{name} must be a list, tuple, NumPy array or pandas Series of str"
    if isinstance(texts, str | bytes):
        raise InvalidTypeError(f"{expected}, got a single {type(texts).__name__}; for one document pass a list of one")
    if isinstance(texts, pd.DataFrame):
        raise InvalidTypeError(f"{expected}, got a DataFrame; pass the column that holds the text")
    if not isinstance(texts, np.ndarray) and hasattr(texts, "__array__"):
        texts = np.asarray(texts)
    if isinstance(texts, np.ndarray) and texts.ndim != 1:
        raise InvalidValueError(f"{expected}, one document an element, got an array of shape {texts.shape}")
    if not isinstance(texts, list | tuple | np.ndarray):
        raise InvalidTypeError(f"{expected}, got {type(texts).__name__}")
    documents = list(texts)
    if not documents:
        raise InvalidValueError(f"{expected}, got no documents")
    for index, document in enumerate(documents):
        if not isinstance(document, str):
            if isinstance(document, list | tuple):
                documents[index] = _split_text(document, f"{expected}, but document {index}")
                continue
            if document is None or document is pd.NA or (isinstance(document, float) and np.isnan(document)):
                raise InvalidValueError(f"{expected}, but document {index} is missing ({document!r})")
            raise InvalidTypeError(
                f"{expected}, but document {index} is of type {type(document).__name__}: {shown(document)}"
            )
    return documents


def _split_text(sentences: list[Any] | tuple[Any, ...], which: str) -> SplitText:
    """Return a document that is split into sentences, or further into words."""
    for sentence in sentences:
        if isinstance(sentence, list | tuple):
            odd = [word for word in sentence if not isinstance(word, str)]
        else:
            odd = [] if isinstance(sentence, str) else [sentence]
        if odd:
            raise InvalidTypeError(
                f"{which} is a list that holds neither sentences (str) nor lists of words (str): it has "
                f"{shown(odd[0])} of type {type(odd[0]).__name__} in it"
            )
    return SplitText(sentences)


def check_words(texts: list[str], splitter: DocumentSplitter) -> None:
    """Raise a ValueError if no document has a word: nothing could be learned then."""
    if not any(splitter(text) for text in texts):
        raise InvalidValueError(f"X must hold documents with words in them, got {len(texts)} without any")


def check_labels(labels: object, documents: int | None, name: str = "y", texts_name: str = "X") -> Labels:
    """Return labels as an array [documents] of strings, ints or bools.

    Raises
    ------
    TypeError
        If `labels` is not array-like, or holds anything but strings, whole numbers and bools, or a mixture.
    ValueError
        If its length is not `documents`, if that is known, it has more than one axis, a label is missing, or it holds
        numbers that are not whole.
    """
    expected = f"{name} must hold one string, int or bool for each document"
    if isinstance(labels, pd.DataFrame):
        raise InvalidTypeError(f"{expected}, got a DataFrame; pass the column that holds the labels")
    if hasattr(labels, "__array__"):
        labels = np.asarray(labels)
    if isinstance(labels, str | bytes | Mapping | Set) or not hasattr(labels, "__len__"):
        raise InvalidTypeError(f"{expected}, got {type(labels).__name__}")
    if isinstance(labels, np.ndarray):
        array = labels
    else:  # object, so that [1, "a"] does not silently become strings
        array = np.empty(len(labels), object)
        array[:] = list(labels)  # type: ignore[call-overload]
    if array.ndim == 2 and array.size == len(array):
        array = array.reshape(-1)
    if array.ndim != 1:
        raise InvalidValueError(f"{expected}, got an array of shape {array.shape}")
    if documents is not None and len(array) != documents:
        raise InvalidValueError(
            f"{texts_name} and {name} must have the same length, got {documents} documents and {len(array)} labels"
        )
    missing = np.flatnonzero(pd.isna(array))
    if len(missing):
        raise InvalidValueError(f"{expected}, but {len(missing)} labels are missing, the first at {missing[0]}")
    kinds = {kind_of(label) for label in array}
    if len(kinds) > 1 or None in kinds:
        odd = next((label for label in array if kind_of(label) is None), array[0])
        if isinstance(odd, Real) and kind_of(odd) is None:
            raise InvalidValueError(f"{expected}, got {shown(odd)}: continuous numbers are no classes")
        found = " and ".join(sorted({type(label).__name__ for label in array}))
        raise InvalidTypeError(f"{expected}, all of one kind, got {found} (for example {shown(odd)})")
    if kinds == {str}:
        return array if array.dtype.kind in "OU" else array.astype(object)
    return array if array.dtype != object else np.array(array.tolist())


def check_callbacks(callbacks: object) -> list[Any]:
    """Return callbacks as a list, empty for None; an error if there is anything but Keras callbacks that work here."""
    if callbacks is None:
        return []
    from han.backend import keras  # here, so that evaluation and data sets come without TensorFlow

    expected = "callbacks must be a list of keras.callbacks.Callback"
    if not isinstance(callbacks, list | tuple):
        raise InvalidTypeError(f"{expected}, got {type(callbacks).__name__}")
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InvalidTypeError(f"{expected}, got one with {shown(callback)} in it")
        # Neither works with what `fit` does itself: the average, and the order of documents, would be lost.
        for kind, parameter in (
            (keras.callbacks.SwapEMAWeights, "averaging of HANClassifier"),
            (keras.callbacks.BackupAndRestore, "checkpoint_dir of fit"),
        ):
            if isinstance(callback, kind):
                raise InvalidValueError(f"callbacks must not hold {kind.__name__}: use {parameter} instead")
    return list(callbacks)


def check_checkpoint(checkpoint_dir: object, checkpoint_steps: object) -> None:
    """Raise a TypeError or ValueError if these do not say where and how often to store a training."""
    if not (checkpoint_dir is None or isinstance(checkpoint_dir, str | os.PathLike)):
        raise InvalidTypeError(f"checkpoint_dir must be a path or None, got {shown(checkpoint_dir)}")
    if checkpoint_steps is None:
        return
    if not isinstance(checkpoint_steps, Integral) or isinstance(checkpoint_steps, bool) or checkpoint_steps < 1:
        raise InvalidValueError(f"checkpoint_steps must be an int of at least 1 or None, got {shown(checkpoint_steps)}")
    if checkpoint_dir is None:
        raise InvalidValueError(f"checkpoint_steps needs a checkpoint_dir, got {checkpoint_steps} and None")


def check_sample_weight(sample_weight: object, documents: int) -> npt.NDArray[np.float32]:
    """Return weights as float32 [documents]; ones for None.

    Raises
    ------
    ValueError
        If the weights are not one finite, non-negative number for each document, or are all zero.
    """
    if sample_weight is None:
        return np.ones(documents, np.float32)
    expected = f"sample_weight must hold one finite number of at least 0 for each of the {documents} documents"
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "biuf":
        raise InvalidValueError(f"{expected}, got {shown(sample_weight)}")
    weights = weights.astype(np.float32)
    if weights.shape != (documents,):
        raise InvalidValueError(f"{expected}, got an array of shape {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise InvalidValueError(f"{expected}, got {weights[~np.isfinite(weights) | (weights < 0)][0]}")
    if not weights.any():
        raise InvalidValueError(f"{expected}, got a weight of zero for all")
    return weights


def check_class_weight(class_weight: Any, classes: Labels, targets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return each document's weight by its class, float32 [documents]; ones for None.

    "balanced" is the number of documents, over the number of classes times that of the documents of the class. Classes
    that a dict does not name have 1.

    Raises
    ------
    ValueError
        If a dict names what is no class, or a document may have several classes.
    """
    if class_weight is None:
        return np.ones(len(targets), np.float32)
    if targets.ndim > 1:
        raise InvalidValueError(f"class_weight must be None where documents have several classes, got {class_weight!r}")
    if isinstance(class_weight, str):
        counts = np.bincount(targets, minlength=len(classes))
        return (len(targets) / (len(classes) * counts[targets])).astype(np.float32)
    known = set(classes.tolist())
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise InvalidValueError(f"class_weight must name classes that y holds, {classes.tolist()}, got {unknown[0]!r}")
    return np.array([class_weight.get(label, 1.0) for label in classes.tolist()], np.float32)[targets]


def check_target(target: object, classes: Labels, documents: int) -> npt.NDArray[np.int64]:
    """Return the index of the class that is to be explained [documents], from one label for all or one for each.

    Raises
    ------
    TypeError, ValueError
        If these are not labels, not of `classes`, or not as many as documents.
    """
    single = isinstance(target, str) or np.ndim(target) == 0  # type: ignore[arg-type]
    labels = check_labels([target] * documents if single else target, documents, "target")
    known = set(classes.tolist())
    unknown = [label for label in labels.tolist() if label not in known]
    if unknown:
        raise InvalidValueError(
            f"target must be one of {classes.tolist()}, or one for each document, got {unknown[0]!r}"
        )
    return np.searchsorted(classes, labels)


def kind_of(label: object) -> type | None:
    """Return what a label counts as, `str`, `int` or `bool`; None for what is no label."""
    if isinstance(label, bool | np.bool_):
        return bool
    if isinstance(label, Integral) or (isinstance(label, Real) and float(label).is_integer()):
        return int
    return str if isinstance(label, str) else None


def shown(value: object) -> str:
    """Return a value as an error message has it: not more than 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
