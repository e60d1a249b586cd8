"""Stratified splits that cope with rare classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Labelled(NamedTuple):
    """Documents with what `fit` is to learn of them.

    Attributes
    ----------
    texts : list of str [documents]
    targets : int64 [documents] or float32 [documents, classes]
        The index of each document's class; or, where a document may have several, 1 for those it has.
    weights : float32 [documents]
    """

    texts: list[str]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32]

    def take(self, documents: npt.NDArray[np.int64]) -> Labelled:
        """Return the documents at the given positions."""
        return Labelled([self.texts[index] for index in documents], self.targets[documents], self.weights[documents])


def hold_out(documents: Labelled, fraction: float, rng: np.random.Generator) -> tuple[Labelled, Labelled]:
    """Split documents into those to train on and those to validate on, each class in the same proportion.

    A document without weight decides nothing: neither what is learned nor which epoch is kept.
    """
    counted = np.flatnonzero(documents.weights > 0)
    held = counted[stratified_split(strata(documents.targets[counted]), fraction, rng)[1]]
    return documents.take(np.setdiff1d(np.arange(len(documents.texts)), held)), documents.take(held)


def strata(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return a class for each document: of several the rarest, for which it matters most that both parts have it."""
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
    """Split positions into a large and a small part, each class in the same proportion.

    scikit-learn's splitters refuse classes with a single document; here every class keeps at least one document in
    the large part, and a class too small for the fraction gives none to the small one.

    Parameters
    ----------
    labels : array-like [documents]
    fraction : float in [0, 1)
        Share of each class, rounded to whole documents, that goes to the small part.
    rng : numpy.random.Generator

    Returns
    -------
    large, small : int64 arrays
        Positions in `labels`, in rising order.

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
