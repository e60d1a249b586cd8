"""How the logits of the network and of the n-grams are combined."""

from __future__ import annotations

from typing import NamedTuple


class Mixture(NamedTuple):
    """The weights by which the logits of the network and of the n-grams are multiplied before they are added.

    Attributes
    ----------
    network, ngrams : float
    network_interval, ngrams_interval : tuple of two floats
        95 % credible intervals. They are wide if there were few held-out documents.
    """

    network: float
    ngrams: float
    network_interval: tuple[float, float]
    ngrams_interval: tuple[float, float]

    def __str__(self) -> str:
        parts = ("network", self.network, self.network_interval), ("n-grams", self.ngrams, self.ngrams_interval)
        return " + ".join(f"{weight:.2f} ({low:.2f} to {high:.2f}) x {name}" for name, weight, (low, high) in parts)
