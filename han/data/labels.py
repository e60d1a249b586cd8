"""Encode labels, single or multi-label, as targets for training, and decode predictions in the same format."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from han.data.containers import check_column, to_array, to_pandas
from han.data.validation import Labels, check_labels, check_texts, label_kind
from han.exceptions import InvalidTypeError, InvalidValueError, UnknownClassWarning, short_repr, warn_user

# Collections of the labels of one document, by kind. Other sequences are decoded as lists.
COLLECTIONS: dict[str, type[Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class LabelEncoder(NamedTuple):
    """An encoder of labels, which `predict` returns in the format that was passed to `fit`.

    Attributes
    ----------
    classes : ndarray [classes]
    kind : str
        The format of labels: "single" for one label per document, "indicator" or "sparse" for a matrix
        [documents, classes] of zeros and ones, or a key of `COLLECTIONS` for a collection of labels per document.
    """

    classes: Labels
    kind: str = "single"

    @property
    def multi_label(self) -> bool:
        """Whether a document may have any number of labels."""
        return self.kind != "single"

    @classmethod
    def learn(cls, labels: object, documents: int) -> LabelEncoder:
        """Learn the classes and the format of the labels of training documents.

        Raises
        ------
        TypeError, ValueError
            If the labels have no supported format, their number is not `documents`, or there are fewer than two
            classes.
        """
        labels, kind = to_pandas(labels), detect_label_format(labels)
        if kind == "single":
            classes = np.unique(check_labels(labels, documents))
        elif kind in COLLECTIONS:
            flat = [label for labels_ in _check_collections(labels, documents, "y") for label in labels_]
            classes = np.unique(check_labels(flat, None, "y")) if flat else np.array([])
        else:
            classes = np.arange(_check_matrix(labels, documents, "y").shape[1])
            if isinstance(labels, pd.DataFrame):
                classes = check_labels(labels.columns, None, "the columns of y")
                if len(set(classes.tolist())) < len(classes):
                    raise InvalidValueError(
                        f"the columns of y must have different names, got {short_repr(classes.tolist())}"
                    )
        if len(classes) < 2:
            found = f"one class, {short_repr(classes.tolist()[0])}" if len(classes) else "none"
            raise InvalidValueError(f"y must contain at least two classes, got {found}")
        return cls(classes, kind)

    @classmethod
    def from_classes(cls, classes: Any, labels: Any, documents: int) -> LabelEncoder:
        """Learn the format of the first labels of incremental training, for which all classes are given.

        Raises
        ------
        TypeError, ValueError
            If the labels have no supported format, there are fewer than two classes, a class is repeated, or their
            number is not the number of columns.
        """
        ordered = not isinstance(classes, set | frozenset)
        names = check_labels(classes if ordered else list(classes), None, "classes")
        distinct = np.unique(names)
        if len(distinct) != len(names) or len(names) < 2:
            raise InvalidValueError(
                f"classes must contain at least two classes without repetition, got {short_repr(names.tolist())}"
            )
        labels, kind = to_pandas(labels), detect_label_format(labels)
        if kind not in ("indicator", "sparse"):
            return cls(distinct, kind)
        if not ordered:
            raise InvalidTypeError("classes must name the columns of y in their order, got a set; pass a list")
        columns = _check_matrix(labels, documents, "y").shape[1]
        if len(names) != columns:
            raise InvalidValueError(f"classes must name the {columns} columns of y, got {len(names)} of them")
        return cls(names, kind)

    def encode(self, labels: Any, documents: int, name: str = "y", texts_name: str = "X") -> npt.NDArray[Any]:
        """Encode labels as targets: class indices, int64 [documents], or an indicator matrix [documents, classes].

        If the classes are names of columns, the columns of a DataFrame are matched by name, and missing ones are zero.

        Raises
        ------
        TypeError, ValueError
            If the labels have another format, their number is not `documents`, or a label is unknown.
        """
        labels = to_pandas(labels)
        if not self.multi_label:
            if getattr(labels, "ndim", 1) == 2:
                message = f"A column-vector y was passed when a 1d array was expected: {name} of shape [documents, 1]"
                warn_user(message, DataConversionWarning)
            found = check_labels(labels, documents, name, texts_name, same_kind=False).tolist()
            self._check_known(found, name)
            index = self._index()
            return np.array([index[label] for label in found], np.int64)
        if self.kind in COLLECTIONS:
            collections = _check_collections(labels, documents, name)
            self._check_known([label for labels_ in collections for label in labels_], name)
            index = self._index()
            targets = np.zeros((documents, len(self.classes)), np.float32)
            for row, labels_ in enumerate(collections):
                targets[row, [index[label] for label in labels_]] = 1.0
            return targets
        if self._has_named_columns(labels):
            self._check_known(labels.columns.tolist(), name)
            labels = labels.reindex(columns=self.classes.tolist(), fill_value=0)
        matrix = _check_matrix(labels, documents, name)
        if matrix.shape[1] != len(self.classes):
            raise InvalidValueError(
                f"{name} must have a column for each of {len(self.classes)} classes, got {matrix.shape[1]}"
            )
        return matrix

    def encode_test(
        self, labels: Any, documents: int, name: str = "y", texts_name: str = "X"
    ) -> tuple[LabelEncoder, npt.NDArray[Any]]:
        """Encode the labels of test documents, which may have classes that did not occur in training.

        Returns
        -------
        LabelEncoder
            With the unknown classes after the known ones.
        int64 [documents] or float32 [documents, classes]
            Targets as `encode` returns them, for the classes of that encoder.

        Raises
        ------
        TypeError, ValueError
            If the labels have another format, or their number is not `documents`.

        Warns
        -----
        UnknownClassWarning
            If there are unknown classes.
        """
        labels = to_pandas(labels)
        if not self.multi_label:
            found = check_labels(labels, documents, name, texts_name, same_kind=False).tolist()
        elif self.kind in COLLECTIONS:
            found = [label for labels_ in _check_collections(labels, documents, name) for label in labels_]
        else:
            found = labels.columns.tolist() if self._has_named_columns(labels) else []
        unknown = self._unknown(found)
        if not unknown:
            return self, self.encode(labels, documents, name, texts_name)
        extended = self._replace(classes=np.array([*self.classes.tolist(), *unknown], object))
        targets = extended.encode(labels, documents, name, texts_name)
        known = len(self.classes)
        count = int((targets[:, known:].any(axis=1) if self.multi_label else targets >= known).sum())
        if count:
            warn_user(
                f"{count} of {documents} documents in {name} have classes that the classifier was not trained on, "
                f"{short_repr(unknown)}: they count as wrong",
                UnknownClassWarning,
            )
        return extended, targets

    def decode(self, targets: npt.NDArray[Any]) -> Any:
        """Decode class indices [documents], or booleans [documents, classes], to labels in their original format."""
        if not self.multi_label:
            return self.classes[targets]
        if self.kind == "sparse":
            return sparse.csr_matrix(targets.astype(np.int64))
        if self.kind == "indicator":
            return targets.astype(np.int64)
        collection = COLLECTIONS[self.kind]
        return [collection(self.classes[row.astype(bool)].tolist()) for row in targets]

    def label_of(self, target: Any) -> Any:
        """Return the label, or the list of labels, of a single document's target."""
        names = self.classes.tolist()
        return [names[column] for column in np.flatnonzero(target)] if self.multi_label else names[target]

    def _index(self) -> dict[Any, int]:
        # `np.searchsorted` compares large ints of different types as floats, which is inexact.
        return {label: index for index, label in enumerate(self.classes.tolist())}

    def _has_named_columns(self, labels: object) -> bool:
        """Return whether labels are a DataFrame with columns named after classes, in any order."""
        if not isinstance(labels, pd.DataFrame):
            return False
        names, classes = set(labels.columns.tolist()), set(self.classes.tolist())
        # Numbers that match only some of the classes may be mere positions of columns.
        return names >= classes or (bool(names & classes) and self.classes.dtype.kind in "OU")

    def _unknown(self, labels: list[Any]) -> list[Any]:
        return sorted(set(labels) - set(self.classes.tolist()), key=str)

    def _check_known(self, labels: list[Any], name: str) -> None:
        unknown = self._unknown(labels)
        if unknown:
            raise InvalidValueError(
                f"{name} must contain only known classes, {short_repr(self.classes.tolist())}, "
                f"got {short_repr(unknown)}"
            )


def check_validation_data(validation_data: object, encoder: LabelEncoder) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the texts and targets of `validation_data`."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        length = f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        raise InvalidValueError(
            f"validation_data must be a tuple (X, y), got a {type(validation_data).__name__}{length}"
        )
    texts = check_texts(validation_data[0], "validation_data[0]")
    return texts, encoder.encode(validation_data[1], len(texts), "validation_data[1]", "validation_data[0]")


def detect_label_format(labels: object) -> str:
    """Return the format of labels, as in `LabelEncoder.kind`; "single" also for invalid labels."""
    if sparse.issparse(labels):
        return "sparse"
    if _to_matrix(labels) is not None:
        return "indicator"
    array = to_array(labels)
    first = None if array is None or not array.size else array.flat[0]
    if _to_list(first) is None:
        return "single"
    return next((name for name, type_ in COLLECTIONS.items() if isinstance(first, type_)), "list")


def _to_matrix(labels: Any) -> npt.NDArray[Any] | None:
    """Return labels as an array if they are a matrix of several columns or equally long rows of zeros and ones."""
    if sparse.issparse(labels):
        dense: npt.NDArray[Any] = labels.toarray()
        return dense
    array = to_array(labels)
    if array is None or array.ndim > 2:
        return None
    if array.ndim == 2 and array.shape[1] != 1:
        return array
    first = to_array(array.flat[0]) if array.size else None
    if first is None or len(first) < 2:
        return None
    rows = [row for cell in array.flat if (row := to_array(cell)) is not None and row.shape == (len(first),)]
    zeros_and_ones = len(rows) == array.size and all(_is_0_or_1(value) for row in rows for value in row)
    return np.array(rows) if zeros_and_ones else None


def _is_0_or_1(value: Any) -> bool:
    return label_kind(value) in (int, bool) and value in (0, 1)


def _check_matrix(labels: Any, documents: int, name: str) -> npt.NDArray[np.float32]:
    """Return an indicator matrix, float32 [documents, classes]."""
    expected = f"{name} must contain a 0 or 1 for each document and class"
    array = _to_matrix(labels)
    if array is None or array.ndim != 2:
        raise InvalidValueError(f"{expected}, got {short_repr(labels)}")
    if len(array) != documents:
        raise InvalidValueError(f"{expected}, got {documents} documents and {len(array)} rows")
    if array.dtype == object and all(label_kind(value) in (int, bool) for value in array.flat):
        array = array.astype(float)  # a data frame with columns of different types
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        document, value = next(
            (index, value) for index, row in enumerate(array) for value in row if not _is_0_or_1(value)
        )
        raise InvalidValueError(f"{expected}, but document {document} has {short_repr(value)}")
    return np.asarray(array, np.float32)


def _to_list(cell: object) -> list[Any] | None:
    """Return a collection of labels as a list, or None for anything else."""
    if isinstance(cell, list | tuple | Set):
        return list(cell)
    array = to_array(cell)
    return array.tolist() if array is not None and array.ndim == 1 else None


def _check_collections(labels: object, documents: int, name: str) -> list[list[Any]]:
    """Return collections of labels as a list for each document."""
    expected = f"{name} must contain a collection of labels for each document"
    column = check_column(labels, expected, "labels")
    if len(column) != documents:
        raise InvalidValueError(f"{expected}, got {documents} documents and {len(column)} collections")
    lists = []
    for index, cell in enumerate(column):
        found = _to_list(cell)
        if found is None:
            raise InvalidTypeError(f"{expected}, but document {index} has {short_repr(cell)}")
        for label in found:
            if label_kind(label) is None:
                raise InvalidTypeError(
                    f"{expected}, strings, ints or bools, but document {index} has the label {short_repr(label)}"
                )
        # Members of a string enumeration become plain strings, which can be looked up among the classes.
        lists.append([str.__str__(label) if isinstance(label, str) else label for label in found])
    return lists
