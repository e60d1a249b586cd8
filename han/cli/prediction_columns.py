"""The columns that `han predict` adds to tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

    from han.classifier import HANClassifier


class PredictionColumns:
    """Predictions of a classifier as columns of a table.

    Parameters
    ----------
    classifier : HANClassifier
    probabilities : bool
        Whether to add a column with the probability of each class.
    prefix : str
        The prefix of the column names.
    label_separator : str or None
        The separator between the labels of a document; None for output formats with lists.

    Attributes
    ----------
    names : list of str
    """

    def __init__(
        self, classifier: HANClassifier, probabilities: bool, prefix: str, label_separator: str | None
    ) -> None:
        self._classifier = classifier
        self._classes = classifier.classes_.tolist()
        self._multi_label = classifier.label_encoder_.multi_label
        self._label_separator = label_separator
        names = ["prediction", *([] if self._multi_label else ["probability"])]
        names += [f"probability_{label}" for label in self._classes] if probabilities else []
        self.names = [prefix + name for name in names]

    def fields(self) -> list[pa.Field]:
        """Return the columns as fields of a Parquet schema."""
        import pyarrow as pa

        types = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}
        label = types.get(type(self._classes[0]), pa.string())
        prediction = pa.list_(label) if self._multi_label else label
        return [pa.field(name, pa.float64() if index else prediction) for index, name in enumerate(self.names)]

    def predict(self, documents: list[Any]) -> dict[str, list[Any]]:
        """Return the values of each column for some documents."""
        probabilities = self._classifier.predict_proba(documents)
        columns: list[list[Any]]
        if self._multi_label:
            is_predicted = probabilities >= self._classifier.thresholds_
            columns = [[self._join([self._classes[index] for index in row.nonzero()[0]]) for row in is_predicted]]
        else:
            best = probabilities.argmax(axis=1)
            columns = [
                [self._classes[index] for index in best],
                [_round(row[index]) for row, index in zip(probabilities, best, strict=True)],
            ]
        per_class = [[_round(value) for value in column] for column in probabilities.T]
        columns += per_class[: len(self.names) - len(columns)]
        return dict(zip(self.names, columns, strict=True))

    def _join(self, labels: list[Any]) -> Any:
        return labels if self._label_separator is None else self._label_separator.join(map(str, labels))


def _round(value: npt.NDArray[np.float32] | np.float32) -> float:
    """Round a probability to the precision of float32."""
    return float(f"{value:.7g}")
