"""Warn about labels that are valid but probably unintended."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy.typing as npt

from han.data.labels import LabelEncoder
from han.exceptions import TrainingWarning, warn_user

# The string of a list, a tuple, a set or an array.
_LIST = re.compile(r"""\s*(?:frozenset\()?[\[({]\s*(?:['"].*|-?\d[-\d\s.,]*)?[\])}]\)?\s*""", re.DOTALL)


def warn_of_doubtful_classes(encoder: LabelEncoder) -> None:
    """Warn about classes that look the same, or that look like lists converted to strings.

    Warns
    -----
    TrainingWarning
        With the ASCII representation of the classes.
    """
    names = [label for label in encoder.classes.tolist() if isinstance(label, str)]
    alike: dict[str, list[str]] = {}
    for label in names:
        alike.setdefault(_appearance(label), []).append(label)
    for labels in alike.values():
        if len(labels) > 1:
            warn_user(
                f"y has classes that look the same, {' and '.join(map(_ascii_repr, labels))}: they are treated as "
                "different classes; if they are one class, use a single spelling",
                TrainingWarning,
            )
    lists = [label for label in names if _LIST.fullmatch(label)]
    if lists:
        warn_user(
            f"y has {len(lists)} classes that look like lists converted to strings, for example "
            f"{_ascii_repr(lists[0])}: each is treated as a single class; for multi-label classification, convert them "
            "to lists first, for example with ast.literal_eval",
            TrainingWarning,
        )


def warn_of_one_hot(encoder: LabelEncoder, targets: npt.NDArray[Any]) -> None:
    """Warn if labels are multi-label but every document has exactly one class.

    Parameters
    ----------
    encoder : LabelEncoder
    targets : float32 [documents, classes], or int64 [documents]
        The latter are single-label and never cause a warning.

    Warns
    -----
    TrainingWarning
        With advice for mutually exclusive classes.
    """
    if not encoder.multi_label or not (targets.sum(axis=1) == 1).all():
        return
    single = "y.argmax(axis=1)" if encoder.kind in ("indicator", "sparse") else "[label for (label,) in y]"
    warn_user(
        f"each of the {len(targets)} documents has exactly one of the {len(encoder.classes)} classes in y, but y is "
        "multi-label: classes are predicted independently, so that a prediction may have none or several of them; if "
        f"the classes are mutually exclusive, pass one label for each document, such as {single}",
        TrainingWarning,
    )


def _appearance(label: str) -> str:
    """Normalise white space and remove invisible characters, so that labels that look the same become equal."""
    composed = unicodedata.normalize("NFKC", label)
    visible = (part for part in composed if part.isspace() or unicodedata.category(part) not in ("Cc", "Cf"))
    return " ".join("".join(visible).split())


def _ascii_repr(label: str, length: int = 60) -> str:
    """Return the ASCII representation of a label, abbreviated in the middle."""
    text = ascii(label)
    return text if len(text) <= length else f"{text[: length // 2]}...{text[-length // 2 :]}"
