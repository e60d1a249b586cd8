"""Warn about documents with the same text but different labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from han.exceptions import TrainingWarning, short_repr, warn_user


def warn_of_conflicts(texts: Sequence[str], label: Callable[[int], Any], outcome: str) -> None:
    """Warn about documents with the same text, ignoring surrounding white space, but different labels.

    Parameters
    ----------
    texts : sequence of str
    label : callable
        Returns the label, or the list of labels in a fixed order, of the document at an index.
    outcome : str
        How such documents are treated, for the message.

    Warns
    -----
    TrainingWarning
        With the number of such documents and the first one of them.
    """
    first: dict[str, int] = {}
    repeated: dict[int, list[int]] = {}
    for index, text in enumerate(texts):
        earlier = first.setdefault(text.strip(), index)
        if earlier != index:
            repeated.setdefault(earlier, [earlier]).append(index)
    conflicts = []
    for indices in repeated.values():
        labels = list(map(label, indices))
        if any(other != labels[0] for other in labels):
            conflicts.append((indices, labels))
    if conflicts:
        indices, labels = min(conflicts, key=itemgetter(0))
        distinct = [label_ for position, label_ in enumerate(labels) if label_ not in labels[:position]]
        warn_user(
            f"{sum(len(group) for group, _ in conflicts)} documents have the same text as another one but a different "
            f"label; {outcome}; the first is {short_repr(texts[indices[0]][:100])}, labelled {short_repr(distinct)}",
            TrainingWarning,
        )
