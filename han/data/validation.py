"""Checks of what users pass in; every error names the argument, what was given and what is expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.data.containers import check_column, to_array
from han.exceptions import InvalidTypeError, InvalidValueError
from han.text.splitting import DocumentSplitter, SplitText

Labels = npt.NDArray[Any]
# Characters of the longest strings that NumPy's own type of strings is used for.
MAX_FIXED_LENGTH = 9999
# Of the largest ints that can be labels; Python writes no number of more than some thousand digits.
MAX_BITS = 1023


def check_texts(texts: object, name: str = "X") -> list[str]:
    """Return texts as a list of `str`; documents that are split already as `SplitText`.

    Raises
    ------
    TypeError
        If `texts` is not a column (see `han.data.containers.check_column`), or a document is neither a `str` nor a
        sequence of sentences (`str`) or of sequences of words (`str`).
    ValueError
        If it is empty, has more than one column, or a document is missing (None, NaN or masked).
    """
    expected = f"{name} must be a list, tuple, NumPy array or pandas Series of str"
    if isinstance(texts, str | bytes):
        raise InvalidTypeError(f"{expected}, got a single {type(texts).__name__}; for one document pass a list of one")
    documents = list(check_column(texts, expected, "text"))
    if not documents:
        raise InvalidValueError(f"{expected}, got no documents")
    for index, document in enumerate(documents):
        if isinstance(document, str):
            continue
        if document is None or document is pd.NA or (isinstance(document, float) and np.isnan(document)):
            raise InvalidValueError(f"{expected}, but document {index} is missing ({document!r})")
        sentences = to_array(document)
        if sentences is None:
            raise InvalidTypeError(
                f"{expected}, but document {index} is of type {type(document).__name__}: {shown(document)}"
            )
        documents[index] = _split_text(sentences, f"{expected}, but document {index}")
    return documents


def _split_text(sentences: npt.NDArray[Any], which: str) -> SplitText:
    """Return a document that is split into sentences, or further into words."""
    parts: list[Any] = []
    for sentence in sentences:
        words = to_array(sentence)
        for piece in [sentence] if words is None else words:
            if not isinstance(piece, str):
                raise InvalidTypeError(
                    f"{which} is a list that holds neither sentences (str) nor lists of words (str): it has "
                    f"{shown(piece)} of type {type(piece).__name__} in it"
                )
        parts.append(sentence if words is None else words.tolist())
    return SplitText(parts)


def check_words(texts: list[str], splitter: DocumentSplitter) -> None:
    """Raise a ValueError if no document has a word: nothing could be learned then."""
    if not any(splitter(text) for text in texts):
        raise InvalidValueError(f"X must hold documents with words in them, got {len(texts)} without any")


def check_labels(
    labels: object, documents: int | None, name: str = "y", texts_name: str = "X", *, same_kind: bool = True
) -> Labels:
    """Return labels as an array [documents] of strings, whole numbers or bools, of a type that can be saved.

    Without `same_kind` there may be a mixture of them, as among test documents with classes that are not known.

    Raises
    ------
    TypeError
        If `labels` is not a column (see `han.data.containers.check_column`), or holds anything but strings, whole
        numbers and bools, or a mixture that is not allowed.
    ValueError
        If its length is not `documents`, if that is known, it has more than one column, a label is missing (None, NaN
        or masked), or a number is not whole or too large.
    """
    expected = f"{name} must hold one string, int or bool for each document"
    array = check_column(labels, expected, "labels")
    if documents is not None and len(array) != documents:
        raise InvalidValueError(
            f"{texts_name} and {name} must have the same length, got {documents} documents and {len(array)} labels"
        )
    missing = np.flatnonzero(pd.isna(array))
    if len(missing):
        raise InvalidValueError(f"{expected}, but {len(missing)} labels are missing, the first at {missing[0]}")
    kinds = {kind_of(label) for label in array}
    if None in kinds or (same_kind and len(kinds) > 1):
        odd = next((label for label in array if kind_of(label) is None), array[0])
        if isinstance(odd, float | np.floating) and kind_of(odd) is None:
            raise InvalidValueError(f"{expected}, got {float(odd)}: continuous numbers are not classes")
        found = " and ".join(sorted({type(label).__name__ for label in array}))
        raise InvalidTypeError(f"{expected}, all of one kind, got {found} (for example {shown(odd)})")
    if len(kinds) > 1:
        return array
    if kinds == {str}:
        # NumPy gives every string the room of the longest.
        if array.dtype.kind == "U" and array.dtype.itemsize <= MAX_FIXED_LENGTH * np.dtype("U1").itemsize:
            return array
        # Plain strings: an enumeration's members, for example, cannot be saved as such.
        return np.fromiter(map(str.__str__, array), object, len(array))
    if kinds == {int} and (array.dtype == object or array.dtype == np.longdouble):
        return _numbers(array.tolist(), expected)
    return array if array.dtype != object else np.array(array.tolist())


def _numbers(numbers: list[Any], expected: str) -> Labels:
    """Return whole numbers as an array that holds each of them exactly."""
    integers = [int(number) for number in numbers]
    if max(number.bit_length() for number in integers) > MAX_BITS:
        raise InvalidValueError(f"{expected}, got a number of more than {MAX_BITS} bits")
    if any(isinstance(number, float | np.floating) for number in numbers):
        floats = np.array([float(number) for number in integers])
        if floats.tolist() == integers:
            return floats
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= min(integers) and max(integers) <= np.iinfo(dtype).max:
            return np.array(integers, dtype)
    return np.array(integers, object)


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


def check_class_weight(class_weight: Any, classes: Labels, targets: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return each document's weight by its classes, float32 [documents]; ones for None.

    "balanced" gives a class the number of all labels, over the number of classes times that of the labels of the class.
    Classes that a dict does not name have 1. A document with several classes has the mean of their weights, and one
    without any has 1.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray [classes]
    targets : int64 [documents] or float32 [documents, classes]

    Raises
    ------
    ValueError
        If a dict names what is not a class.
    """
    if class_weight is None:
        return np.ones(len(targets), np.float32)
    if isinstance(class_weight, str):
        counts = class_count(targets, len(classes))
        weights = counts.sum() / (len(classes) * np.maximum(counts, 1))
    else:
        known = set(classes.tolist())
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise InvalidValueError(
                f"class_weight must name classes that y holds, {shown(classes.tolist())}, got {shown(unknown[0])}"
            )
        weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], np.float64)
    if targets.ndim == 1:
        return np.asarray(weights[targets], np.float32)
    labels = targets.sum(axis=1)
    return np.asarray(np.where(labels > 0, targets @ weights / np.maximum(labels, 1), 1.0), np.float32)


def class_count(targets: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """Return the number of documents of each class [classes]."""
    counts = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=classes)
    return counts.astype(np.int64)


def check_target(target: object, classes: Labels, documents: int) -> npt.NDArray[np.int64]:
    """Return the index of the class that is to be explained [documents], from one label for all or one for each.

    Raises
    ------
    TypeError, ValueError
        If these are not labels, not of `classes`, or not as many as documents.
    """
    single = isinstance(target, str) or np.ndim(target) == 0  # type: ignore[arg-type]
    labels = check_labels([target] * documents if single else target, documents, "target").tolist()
    index = {label: place for place, label in enumerate(classes.tolist())}
    unknown = [label for label in labels if label not in index]
    if unknown:
        raise InvalidValueError(
            f"target must be one of {shown(classes.tolist())}, or one for each document, got {shown(unknown[0])}"
        )
    return np.array([index[label] for label in labels])


def kind_of(label: object) -> type | None:
    """Return what a label counts as, `str`, `int` or `bool`; None for what cannot be a label."""
    if isinstance(label, bool | np.bool_):
        return bool
    if isinstance(label, int | np.integer):
        return None if isinstance(label, np.timedelta64) else int
    if isinstance(label, float | np.floating):
        return int if label.is_integer() else None
    return str if isinstance(label, str) else None


def shown(value: object) -> str:
    """Return a value as an error message has it: not more than 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
