"""Stratified splits that support rare classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class LabelledDocuments(NamedTuple):
    """Documents with their targets and weights.

    Attributes
    ----------
    texts : list of str [documents]
    targets : int64 [documents] or float32 [documents, classes]
        The index of each document's class, or a multi-label indicator matrix.
    weights : float32 [documents]
    """

    texts: list[str]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32]

    def take(self, documents: npt.NDArray[np.int64]) -> LabelledDocuments:
        """Return the documents with the given indices."""
        return LabelledDocuments(
            [self.texts[index] for index in documents], self.targets[documents], self.weights[documents]
        )


def hold_out(
    documents: LabelledDocuments, fraction: float, rng: np.random.Generator
) -> tuple[LabelledDocuments, LabelledDocuments]:
    """Split documents into a training and a validation part, stratified by class.

    Documents with zero weight are never held out, because they would not contribute to the validation loss.
    """
    weighted = np.flatnonzero(documents.weights > 0)
    held_out = weighted[stratified_split(strata(documents.targets[weighted]), fraction, rng)[1]]
    return documents.take(np.setdiff1d(np.arange(len(documents.texts)), held_out)), documents.take(held_out)


def strata(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the class by which to stratify each document, int64 [documents].

    For multi-label targets, it is the rarest class of the document, because rare classes are the most likely to be
    missing from one part of a split. Documents without a class share the value `classes`.
    """
    if targets.ndim == 1:
        return targets
    rows, columns = np.nonzero(targets)
    by_rarity = np.lexsort((columns, targets.sum(axis=0)[columns], rows))
    labelled, first = np.unique(rows[by_rarity], return_index=True)
    rarest = np.full(len(targets), targets.shape[1])
    rarest[labelled] = columns[by_rarity][first]
    return rarest


def stratified_split(
    labels: npt.ArrayLike, fraction: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split documents into a large and a small part with the same proportion of each class.

    Unlike scikit-learn's stratified splitters, this accepts classes with a single document: every class keeps at least
    one document in the large part, and a class that is too small for `fraction` has none in the small part.

    Parameters
    ----------
    labels : array-like [documents]
    fraction : float in [0, 1)
        Share of the small part, rounded to whole documents for each class.
    rng : numpy.random.Generator

    Returns
    -------
    large, small : int64 arrays
        Indices of documents, in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from han.data.splits import stratified_split
    >>> large, small = stratified_split(["a"] * 10 + ["b"] * 5 + ["c"], 0.2, np.random.default_rng(0))
    >>> len(large), len(small)
    (13, 3)
    """
    _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    small = np.zeros(len(classes), bool)
    by_class = np.argsort(classes, kind="stable")
    for end, size in zip(np.cumsum(counts), counts, strict=True):
        members = by_class[end - size : end]
        count = min(round(len(members) * fraction), len(members) - 1)
        small[rng.choice(members, count, replace=False)] = True
    return np.flatnonzero(~small), np.flatnonzero(small)
