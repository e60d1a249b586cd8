"""Labels as users give them, one or several for each document, to targets for training and back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from han.exceptions import InvalidTypeError, InvalidValueError
from han.validation import Labels, check_labels, check_texts, kind_of, shown

# What holds the labels of one document, where it has several.
COLLECTIONS: dict[str, type[Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class LabelForm(NamedTuple):
    """How labels were given to `fit`, and so how `predict` returns them.

    Attributes
    ----------
    classes : ndarray [classes]
    kind : str
        "single": a label for each document. "indicator" or "sparse": a matrix [documents, classes] of zeros and ones.
        Or a key of `COLLECTIONS`: a collection of labels for each document.
    """

    classes: Labels
    kind: str = "single"

    @property
    def multi_label(self) -> bool:
        """Whether a document may have any number of labels."""
        return self.kind != "single"

    @classmethod
    def learn(cls, labels: object, documents: int) -> LabelForm:
        """Return the form of the labels of training documents.

        Raises
        ------
        TypeError, ValueError
            If they are neither labels, nor zeros and ones, nor collections of labels, or not one for each document; or
            if there are fewer than two classes.
        """
        if _is_matrix(labels):
            matrix = _check_matrix(labels, documents, "y")
            names = np.arange(matrix.shape[1])
            if isinstance(labels, pd.DataFrame):
                names = check_labels(labels.columns, None, "the columns of y")
                if len(set(names.tolist())) < len(names):
                    raise InvalidValueError(f"the columns of y must have different names, got {names.tolist()}")
            form = cls(names, "sparse" if sparse.issparse(labels) else "indicator")
        elif (kind := _collection(labels)) is not None:
            sets = _check_sets(labels, documents, "y")
            everything = [label for labels_ in sets for label in labels_]
            form = cls(np.unique(check_labels(everything, None, "y")) if everything else np.array([]), kind)
        else:
            form = cls(np.unique(check_labels(labels, documents)))
        if len(form.classes) < 2:
            held = f"one class, {form.classes.tolist()[0]!r}" if len(form.classes) else "none"
            raise InvalidValueError(f"y must hold at least two classes, got {held}")
        return form

    @classmethod
    def expect(cls, classes: object, labels: object, documents: int) -> LabelForm:
        """Return the form of labels of which more are to come, when all classes that there will be are given.

        Raises
        ------
        TypeError, ValueError
            As `learn` does; or if the classes are fewer than two, or repeat themselves, or are not as many as columns.
        """
        names = check_labels(classes, None, "classes")
        distinct = np.unique(names)
        if len(distinct) != len(names) or len(names) < 2:
            raise InvalidValueError(f"classes must hold at least two classes, each once, got {shown(names.tolist())}")
        if _is_matrix(labels):
            columns = _check_matrix(labels, documents, "y").shape[1]
            if len(names) != columns:
                raise InvalidValueError(f"classes must name the {columns} columns of y, got {len(names)} of them")
            return cls(names, "sparse" if sparse.issparse(labels) else "indicator")
        return cls(distinct, _collection(labels) or "single")

    def encode(self, labels: object, documents: int, name: str = "y", texts_name: str = "X") -> npt.NDArray[Any]:
        """Return targets: the index of each document's class, int64 [documents], or float32 [documents, classes].

        Raises
        ------
        TypeError, ValueError
            If the labels have another form, there is not one for each document, or one is not known.
        """
        if not self.multi_label:
            if getattr(labels, "ndim", 1) == 2:
                message = f"A column-vector y was passed when a 1d array was expected: {name} of shape [documents, 1]"
                warnings.warn(message, DataConversionWarning, stacklevel=3)
            found = check_labels(labels, documents, name, texts_name)
            self._check_known(found.tolist(), name)
            return np.searchsorted(self.classes, found)
        if self.kind in COLLECTIONS:
            sets = _check_sets(labels, documents, name)
            self._check_known([label for labels_ in sets for label in labels_], name)
            index = {label: column for column, label in enumerate(self.classes.tolist())}
            targets = np.zeros((documents, len(self.classes)), np.float32)
            for row, labels_ in enumerate(sets):
                targets[row, [index[label] for label in labels_]] = 1.0
            return targets
        matrix = _check_matrix(labels, documents, name)
        if matrix.shape[1] != len(self.classes):
            raise InvalidValueError(
                f"{name} must have a column for each of {len(self.classes)} classes, got {matrix.shape[1]}"
            )
        return matrix

    def decode(self, targets: npt.NDArray[Any]) -> Any:
        """Return labels in the form in which they were given, for class indices or for booleans of each class."""
        if not self.multi_label:
            return self.classes[targets]
        if self.kind == "sparse":
            return sparse.csr_matrix(targets.astype(np.int64))
        if self.kind == "indicator":
            return targets.astype(np.int64)
        collection = COLLECTIONS[self.kind]
        return [collection(self.classes[row.astype(bool)].tolist()) for row in targets]

    def named(self, target: Any) -> Any:
        """Return the label of one document, or the list of its labels, for its target."""
        return np.asarray(self.classes[np.flatnonzero(target) if self.multi_label else target]).tolist()

    def _check_known(self, labels: list[Any], name: str) -> None:
        unknown = sorted(set(labels) - set(self.classes.tolist()), key=str)
        if unknown:
            raise InvalidValueError(f"{name} must hold known classes, {shown(self.classes.tolist())}, got {unknown}")


def class_count(targets: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """Return the number of documents of each class [classes]."""
    counts = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=classes)
    return counts.astype(np.int64)


def check_validation_data(validation_data: object, form: LabelForm) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the texts and the targets of held-out documents."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        length = f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        raise InvalidValueError(
            f"validation_data must be a tuple (X, y), got a {type(validation_data).__name__}{length}"
        )
    texts = check_texts(validation_data[0], "validation_data[0]")
    return texts, form.encode(validation_data[1], len(texts), "validation_data[1]", "validation_data[0]")


def _is_matrix(labels: object) -> bool:
    """Tell whether labels are a matrix of more than one column, also as a list of equal rows of zeros and ones."""
    if sparse.issparse(labels):
        return True
    if isinstance(labels, np.ndarray | pd.DataFrame):
        return labels.ndim == 2 and labels.shape[1] > 1
    if not isinstance(labels, list | tuple) or not labels:
        return False
    rows = [row for row in labels if isinstance(row, list | tuple) or (isinstance(row, np.ndarray) and row.ndim == 1)]
    return (
        len(rows) == len(labels)
        and len({len(row) for row in rows}) == 1
        and len(rows[0]) > 1
        and all(kind_of(value) in (int, bool) and value in (0, 1) for row in rows for value in row)
    )


def _collection(labels: object) -> str | None:
    """Return the key of `COLLECTIONS` of what holds the first document's labels, if each document has some."""
    if isinstance(labels, str | bytes | Mapping | Set | pd.DataFrame) or not isinstance(labels, Iterable):
        return None
    first = next(iter(labels), None)
    return next((name for name, type_ in COLLECTIONS.items() if isinstance(first, type_)), None)


def _check_matrix(labels: Any, documents: int, name: str) -> npt.NDArray[np.float32]:
    """Return a matrix of zeros and ones as float32 [documents, classes]."""
    expected = f"{name} must hold a 0 or 1 for each document and class"
    if sparse.issparse(labels):
        array = labels.toarray()
    elif _is_matrix(labels):
        array = labels.to_numpy() if isinstance(labels, pd.DataFrame) else np.array(labels)
    else:
        raise InvalidValueError(f"{expected}, got {shown(labels)}")
    if len(array) != documents:
        raise InvalidValueError(f"{expected}, got {documents} documents and {len(array)} rows")
    if array.dtype == object and all(kind_of(value) in (int, bool) for value in array.flat):
        array = array.astype(float)  # columns of several types
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        document, value = next(
            (index, value)
            for index, row in enumerate(array)
            for value in row
            if kind_of(value) not in (int, bool) or value not in (0, 1)
        )
        raise InvalidValueError(f"{expected}, but document {document} has {shown(value)}")
    return np.asarray(array, np.float32)


def _check_sets(labels: Any, documents: int, name: str) -> list[list[Any]]:
    """Return the labels of each document."""
    expected = f"{name} must hold a collection of labels for each document"
    if _collection(labels) is None:
        raise InvalidTypeError(f"{expected}, got {shown(labels)}")
    sets: list[Any] = list(labels)
    if len(sets) != documents:
        raise InvalidValueError(f"{expected}, got {documents} documents and {len(sets)} collections")
    for index, labels_ in enumerate(sets):
        if not isinstance(labels_, list | tuple | set | frozenset):
            raise InvalidTypeError(f"{expected}, but document {index} has {shown(labels_)}")
        for label in labels_:
            if kind_of(label) is None:
                raise InvalidTypeError(
                    f"{expected}, strings, ints or bools, but document {index} has {shown(label)} in it"
                )
    return [list(labels_) for labels_ in sets]
