"""Validate arguments; every error names the argument, the given value and what is expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.data.containers import check_column, to_array
from han.exceptions import InvalidTypeError, InvalidValueError, short_repr
from han.text.splitting import DocumentSplitter, SplitText

Labels = npt.NDArray[Any]
# Longest strings, in characters, for which NumPy's fixed-width string type is used.
MAX_FIXED_LENGTH = 9999
# Size of the largest ints that can be labels: Python refuses to format numbers with more than a few thousand digits.
MAX_BITS = 1023


def check_texts(texts: object, name: str = "X") -> list[str]:
    """Return documents as a list of `str`; documents that are already split become `SplitText`.

    Raises
    ------
    TypeError
        If `texts` is not a column (see `han.data.containers.check_column`), or a document is neither a `str` nor a
        sequence of sentences (`str`) or of sequences of words (`str`).
    ValueError
        If `texts` is empty or has several columns, or a document is missing (None, NaN or masked).
    """
    expected = f"{name} must be a list, tuple, NumPy array or pandas Series of str"
    if isinstance(texts, str | bytes):
        raise InvalidTypeError(f"{expected}, got a single {type(texts).__name__}; pass a list with one document")
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
                f"{expected}, but document {index} is of type {type(document).__name__}: {short_repr(document)}"
            )
        documents[index] = _split_text(sentences, f"{expected}, but document {index}")
    return documents


def _split_text(sentences: npt.NDArray[Any], prefix: str) -> SplitText:
    """Return a document that is given as a list of sentences or of lists of words."""
    checked: list[Any] = []
    for sentence in sentences:
        words = to_array(sentence)
        for item in [sentence] if words is None else words:
            if not isinstance(item, str):
                raise InvalidTypeError(
                    f"{prefix} is a list of neither sentences (str) nor lists of words (str): it contains "
                    f"{short_repr(item)} of type {type(item).__name__}"
                )
        checked.append(sentence if words is None else words.tolist())
    return SplitText(checked)


def check_words(texts: list[str], splitter: DocumentSplitter) -> None:
    """Raise a ValueError if no document contains a word, since there would be nothing to learn."""
    if not any(splitter(text) for text in texts):
        raise InvalidValueError(f"X must contain documents with words, got {len(texts)} documents without words")


def check_labels(
    labels: object, documents: int | None, name: str = "y", texts_name: str = "X", *, same_kind: bool = True
) -> Labels:
    """Return labels as an array [documents] of strings, whole numbers or bools, of a type that can be saved.

    Parameters
    ----------
    labels : array-like [documents]
    documents : int or None
        Expected number of labels; None accepts any number.
    name, texts_name : str
        Names of the arguments of labels and documents, for errors.
    same_kind : bool, default True
        Whether labels must be of one kind. Test labels may mix them, because they may have unknown classes.

    Raises
    ------
    TypeError
        If `labels` is not a column (see `han.data.containers.check_column`), or contains anything but strings, whole
        numbers and bools, or a mixture of them with `same_kind`.
    ValueError
        If the number of labels is not `documents`, `labels` has several columns, a label is missing (None, NaN or
        masked), or a number is not whole or too large.
    """
    expected = f"{name} must contain one string, int or bool for each document"
    array = check_column(labels, expected, "labels")
    if documents is not None and len(array) != documents:
        raise InvalidValueError(
            f"{texts_name} and {name} must have the same length, got {documents} documents and {len(array)} labels"
        )
    missing = np.flatnonzero(pd.isna(array))
    if len(missing):
        raise InvalidValueError(f"{expected}, but {len(missing)} labels are missing, the first at {missing[0]}")
    kinds = {label_kind(label) for label in array}
    if None in kinds or (same_kind and len(kinds) > 1):
        odd = next((label for label in array if label_kind(label) is None), array[0])
        if isinstance(odd, float | np.floating) and label_kind(odd) is None:
            raise InvalidValueError(f"{expected}, got {float(odd)}: continuous numbers are not classes")
        found = " and ".join(sorted({type(label).__name__ for label in array}))
        raise InvalidTypeError(f"{expected}, all of one kind, got {found} (for example {short_repr(odd)})")
    if len(kinds) > 1:
        return array
    if kinds == {str}:
        # Fixed-width strings each take as much memory as the longest.
        if array.dtype.kind == "U" and array.dtype.itemsize <= MAX_FIXED_LENGTH * np.dtype("U1").itemsize:
            return array
        # Subclasses of `str`, such as members of an enumeration, become plain strings, which can be saved.
        return np.fromiter(map(str.__str__, array), object, len(array))
    if kinds == {int} and (array.dtype == object or array.dtype == np.longdouble):
        return _exact_numbers(array.tolist(), expected)
    return array if array.dtype != object else np.array(array.tolist())


def _exact_numbers(numbers: list[Any], expected: str) -> Labels:
    """Return whole numbers as an array of a type that represents each of them exactly."""
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
    """Return sample weights, float32 [documents]; None gives every document a weight of one.

    Raises
    ------
    ValueError
        If the weights are not one finite, non-negative number for each document, or are all zero.
    """
    if sample_weight is None:
        return np.ones(documents, np.float32)
    expected = f"sample_weight must contain one finite number of at least 0 for each of the {documents} documents"
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "biuf":
        raise InvalidValueError(f"{expected}, got {short_repr(sample_weight)}")
    weights = weights.astype(np.float32)
    if weights.shape != (documents,):
        raise InvalidValueError(f"{expected}, got an array of shape {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise InvalidValueError(f"{expected}, got {weights[~np.isfinite(weights) | (weights < 0)][0]}")
    if not weights.any():
        raise InvalidValueError(f"{expected}, got only zeros")
    return weights


def check_class_weight(class_weight: Any, classes: Labels, targets: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the weight of each document according to its classes, float32 [documents].

    A document with several classes has the mean of their weights, and a document without classes has a weight of one.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        The weight of each class; classes that are not in the dict have a weight of one. "balanced" uses
        `n_labels / (n_classes * n_labels_of_class)`. None gives every document a weight of one.
    classes : ndarray [classes]
    targets : int64 [documents] or float32 [documents, classes]

    Raises
    ------
    ValueError
        If the dict contains an unknown class.
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
                f"class_weight must name classes of y, {short_repr(classes.tolist())}, got {short_repr(unknown[0])}"
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
    """Return the index of the class to explain for each document, int64 [documents].

    Parameters
    ----------
    target : label, or array-like [documents]
        One label for all documents, or one for each.
    classes : ndarray [classes]
    documents : int

    Raises
    ------
    TypeError, ValueError
        If a label is invalid or not in `classes`, or the number of labels is not `documents`.
    """
    single = isinstance(target, str) or np.ndim(target) == 0  # type: ignore[arg-type]
    labels = check_labels([target] * documents if single else target, documents, "target").tolist()
    index = {label: number for number, label in enumerate(classes.tolist())}
    unknown = [label for label in labels if label not in index]
    if unknown:
        raise InvalidValueError(
            f"target must be one of {short_repr(classes.tolist())}, or one for each document, "
            f"got {short_repr(unknown[0])}"
        )
    return np.array([index[label] for label in labels])


def label_kind(label: object) -> type | None:
    """Return the kind of a label, `str`, `int` or `bool`, or None for an invalid label; whole floats count as `int`."""
    if isinstance(label, bool | np.bool_):
        return bool
    if isinstance(label, int | np.integer):
        return None if isinstance(label, np.timedelta64) else int
    if isinstance(label, float | np.floating):
        return int if label.is_integer() else None
    return str if isinstance(label, str) else None
