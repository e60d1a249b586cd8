"""Documents that occur more than once, with different labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from han.data.validation import shown
from han.exceptions import TrainingWarning


def warn_of_conflicts(texts: Sequence[str], label: Callable[[int], Any], outcome: str) -> None:
    """Warn whoever called the caller of documents that have the same text and not the same label.

    White space around a text does not tell it from another.

    Parameters
    ----------
    texts : sequence of str
    label : callable
        Returns the label, or the list of labels in a fixed order, of the document at a position.
    outcome : str
        What is done with such documents, for the message.

    Warns
    -----
    TrainingWarning
        If there are any: how many, and what the first one is.
    """
    first: dict[str, int] = {}
    repeated: dict[int, list[int]] = {}
    for position, text in enumerate(texts):
        earlier = first.setdefault(text.strip(), position)
        if earlier != position:
            repeated.setdefault(earlier, [earlier]).append(position)
    conflicts = []
    for positions in repeated.values():
        labels = list(map(label, positions))
        if any(other != labels[0] for other in labels):
            conflicts.append((positions, labels))
    if conflicts:
        positions, labels = min(conflicts, key=itemgetter(0))
        distinct = [label_ for index, label_ in enumerate(labels) if label_ not in labels[:index]]
        warnings.warn(
            f"{sum(len(group) for group, _ in conflicts)} documents have the text of another one and not its label; "
            f"{outcome}; the first is {shown(texts[positions[0]][:100])}, labelled {shown(distinct)}",
            TrainingWarning,
            stacklevel=3,
        )
