"""Labels as users give them, one or several for each document, to targets for training and back."""

from __future__ import annotations

import warnings
from collections.abc import Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from han.data.containers import check_column, to_array, to_pandas
from han.data.validation import Labels, check_labels, check_texts, kind_of, shown
from han.exceptions import InvalidTypeError, InvalidValueError, UnknownClassWarning

# What holds the labels of one document, where it has several. Other sequences come back as lists.
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
        labels, kind = to_pandas(labels), kind_of_labels(labels)
        if kind == "single":
            classes = np.unique(check_labels(labels, documents))
        elif kind in COLLECTIONS:
            everything = [label for labels_ in _check_sets(labels, documents, "y") for label in labels_]
            classes = np.unique(check_labels(everything, None, "y")) if everything else np.array([])
        else:
            classes = np.arange(_check_matrix(labels, documents, "y").shape[1])
            if isinstance(labels, pd.DataFrame):
                classes = check_labels(labels.columns, None, "the columns of y")
                if len(set(classes.tolist())) < len(classes):
                    raise InvalidValueError(
                        f"the columns of y must have different names, got {shown(classes.tolist())}"
                    )
        if len(classes) < 2:
            held = f"one class, {shown(classes.tolist()[0])}" if len(classes) else "none"
            raise InvalidValueError(f"y must hold at least two classes, got {held}")
        return cls(classes, kind)

    @classmethod
    def expect(cls, classes: Any, labels: Any, documents: int) -> LabelForm:
        """Return the form of labels of which more are to come, when all classes that there will be are given.

        Raises
        ------
        TypeError, ValueError
            As `learn` does; or if the classes are fewer than two, or repeat themselves, or are not as many as columns.
        """
        ordered = not isinstance(classes, set | frozenset)
        names = check_labels(classes if ordered else list(classes), None, "classes")
        distinct = np.unique(names)
        if len(distinct) != len(names) or len(names) < 2:
            raise InvalidValueError(f"classes must hold at least two classes, each once, got {shown(names.tolist())}")
        labels, kind = to_pandas(labels), kind_of_labels(labels)
        if kind not in ("indicator", "sparse"):
            return cls(distinct, kind)
        if not ordered:
            raise InvalidTypeError("classes must name the columns of y in their order, got a set; pass a list")
        columns = _check_matrix(labels, documents, "y").shape[1]
        if len(names) != columns:
            raise InvalidValueError(f"classes must name the {columns} columns of y, got {len(names)} of them")
        return cls(names, kind)

    def encode(self, labels: Any, documents: int, name: str = "y", texts_name: str = "X") -> npt.NDArray[Any]:
        """Return targets: the index of each document's class, int64 [documents], or float32 [documents, classes].

        The columns of a DataFrame are taken by their names, if `classes` are such; a column that it lacks is all zeros.

        Raises
        ------
        TypeError, ValueError
            If the labels have another form, there is not one for each document, or one is not known.
        """
        labels = to_pandas(labels)
        if not self.multi_label:
            if getattr(labels, "ndim", 1) == 2:
                message = f"A column-vector y was passed when a 1d array was expected: {name} of shape [documents, 1]"
                warnings.warn(message, DataConversionWarning, stacklevel=3)
            found = check_labels(labels, documents, name, texts_name, same_kind=False).tolist()
            self._check_known(found, name)
            index = self._index()
            return np.array([index[label] for label in found], np.int64)
        if self.kind in COLLECTIONS:
            sets = _check_sets(labels, documents, name)
            self._check_known([label for labels_ in sets for label in labels_], name)
            index = self._index()
            targets = np.zeros((documents, len(self.classes)), np.float32)
            for row, labels_ in enumerate(sets):
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
    ) -> tuple[LabelForm, npt.NDArray[Any]]:
        """Encode the labels of test documents, some of which may have classes that there were not in training.

        Returns
        -------
        LabelForm
            With these classes after the others.
        int64 [documents] or float32 [documents, classes]
            Targets, as `encode` returns them, among the classes of that form.

        Raises
        ------
        TypeError, ValueError
            If the labels have another form, or there is not one for each document.

        Warns
        -----
        UnknownClassWarning
            If there are such classes.
        """
        labels = to_pandas(labels)
        if not self.multi_label:
            found = check_labels(labels, documents, name, texts_name, same_kind=False).tolist()
        elif self.kind in COLLECTIONS:
            found = [label for labels_ in _check_sets(labels, documents, name) for label in labels_]
        else:
            found = labels.columns.tolist() if self._has_named_columns(labels) else []
        unknown = self._unknown(found)
        if not unknown:
            return self, self.encode(labels, documents, name, texts_name)
        form = self._replace(classes=np.array([*self.classes.tolist(), *unknown], object))
        targets = form.encode(labels, documents, name, texts_name)
        known = len(self.classes)
        count = int((targets[:, known:].any(axis=1) if self.multi_label else targets >= known).sum())
        if count:
            warnings.warn(
                f"{count} of {documents} documents in {name} have classes that the classifier was not trained on, "
                f"{shown(unknown)}: they count as wrong",
                UnknownClassWarning,
                stacklevel=3,
            )
        return form, targets

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
        names = self.classes.tolist()
        return [names[column] for column in np.flatnonzero(target)] if self.multi_label else names[target]

    def _index(self) -> dict[Any, int]:
        # Not by `np.searchsorted`, which compares large ints of two types as floats.
        return {label: place for place, label in enumerate(self.classes.tolist())}

    def _has_named_columns(self, labels: object) -> bool:
        """Tell whether labels are a DataFrame whose columns are named as the classes are, in whatever order."""
        if not isinstance(labels, pd.DataFrame):
            return False
        names, classes = set(labels.columns.tolist()), set(self.classes.tolist())
        # Numbers that lack some of the classes may count the columns in another way.
        return names >= classes or (bool(names & classes) and self.classes.dtype.kind in "OU")

    def _unknown(self, labels: list[Any]) -> list[Any]:
        return sorted(set(labels) - set(self.classes.tolist()), key=str)

    def _check_known(self, labels: list[Any], name: str) -> None:
        unknown = self._unknown(labels)
        if unknown:
            raise InvalidValueError(
                f"{name} must hold known classes, {shown(self.classes.tolist())}, got {shown(unknown)}"
            )


def check_validation_data(validation_data: object, form: LabelForm) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the texts and the targets of held-out documents."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        length = f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        raise InvalidValueError(
            f"validation_data must be a tuple (X, y), got a {type(validation_data).__name__}{length}"
        )
    texts = check_texts(validation_data[0], "validation_data[0]")
    return texts, form.encode(validation_data[1], len(texts), "validation_data[1]", "validation_data[0]")


def kind_of_labels(labels: object) -> str:
    """Return the kind of `LabelForm` that labels are of; "single" also for what cannot be labels."""
    if sparse.issparse(labels):
        return "sparse"
    if _matrix(labels) is not None:
        return "indicator"
    array = to_array(labels)
    first = None if array is None or not array.size else array.flat[0]
    if _labels_of(first) is None:
        return "single"
    return next((name for name, type_ in COLLECTIONS.items() if isinstance(first, type_)), "list")


def _matrix(labels: Any) -> npt.NDArray[Any] | None:
    """Return labels as a matrix if they are one of several columns, also as equally long rows of zeros and ones."""
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
    return kind_of(value) in (int, bool) and value in (0, 1)


def _check_matrix(labels: Any, documents: int, name: str) -> npt.NDArray[np.float32]:
    """Return a matrix of zeros and ones as float32 [documents, classes]."""
    expected = f"{name} must hold a 0 or 1 for each document and class"
    array = _matrix(labels)
    if array is None or array.ndim != 2:
        raise InvalidValueError(f"{expected}, got {shown(labels)}")
    if len(array) != documents:
        raise InvalidValueError(f"{expected}, got {documents} documents and {len(array)} rows")
    if array.dtype == object and all(kind_of(value) in (int, bool) for value in array.flat):
        array = array.astype(float)  # columns of several types
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        document, value = next(
            (index, value) for index, row in enumerate(array) for value in row if not _is_0_or_1(value)
        )
        raise InvalidValueError(f"{expected}, but document {document} has {shown(value)}")
    return np.asarray(array, np.float32)


def _labels_of(cell: object) -> list[Any] | None:
    """Return the labels of a document that may have several, or None if it is no collection."""
    if isinstance(cell, list | tuple | Set):
        return list(cell)
    array = to_array(cell)
    return array.tolist() if array is not None and array.ndim == 1 else None


def _check_sets(labels: object, documents: int, name: str) -> list[list[Any]]:
    """Return the labels of each document."""
    expected = f"{name} must hold a collection of labels for each document"
    column = check_column(labels, expected, "labels")
    if len(column) != documents:
        raise InvalidValueError(f"{expected}, got {documents} documents and {len(column)} collections")
    sets = []
    for index, cell in enumerate(column):
        found = _labels_of(cell)
        if found is None:
            raise InvalidTypeError(f"{expected}, but document {index} has {shown(cell)}")
        for label in found:
            if kind_of(label) is None:
                raise InvalidTypeError(
                    f"{expected}, strings, ints or bools, but document {index} has {shown(label)} in it"
                )
        # An enumeration's members are not found among strings and ints that are equal to them.
        sets.append([str.__str__(label) if isinstance(label, str) else label for label in found])
    return sets
