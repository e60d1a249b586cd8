"""Stratified splits that cope with rare classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
    >>> from han.splits import stratified_split
    >>> large, small = stratified_split(["a"] * 10 + ["b"] * 5 + ["c"], 0.2, np.random.default_rng(0))
    >>> len(large), len(small)
    (13, 3)
    """
    _, classes = np.unique(np.asarray(labels), return_inverse=True)
    small = np.zeros(len(classes), bool)
    for class_ in range(classes.max(initial=-1) + 1):
        members = np.flatnonzero(classes == class_)
        count = min(round(len(members) * fraction), len(members) - 1)
        small[rng.choice(members, count, replace=False)] = True
    return np.flatnonzero(~small), np.flatnonzero(small)
