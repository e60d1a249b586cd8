"""Labels that can be trained on, but are probably not what was meant."""

from __future__ import annotations

import re
import unicodedata
import warnings
from typing import Any

import numpy.typing as npt

from han.data.labels import LabelForm
from han.exceptions import TrainingWarning

# What writing a list, a tuple, a set or an array into a cell of text gives.
_LIST = re.compile(r"""\s*(?:frozenset\()?[\[({]\s*(?:['"].*|-?\d[-\d\s.,]*)?[\])}]\)?\s*""", re.DOTALL)


def warn_of_doubtful_classes(form: LabelForm) -> None:
    """Warn whoever called the caller of classes that look the same, or like lists that were written as text.

    Warns
    -----
    TrainingWarning
        With the classes, as Python writes them in ASCII.
    """
    names = [label for label in form.classes.tolist() if isinstance(label, str)]
    alike: dict[str, list[str]] = {}
    for label in names:
        alike.setdefault(_appearance(label), []).append(label)
    for labels in alike.values():
        if len(labels) > 1:
            warnings.warn(
                f"y has classes that look the same, {' and '.join(map(_written, labels))}: they are trained on as "
                "different classes; if they are one, give them one spelling",
                TrainingWarning,
                stacklevel=3,
            )
    lists = [label for label in names if _LIST.fullmatch(label)]
    if lists:
        warnings.warn(
            f"y has {len(lists)} classes that look like lists written as text, for example {_written(lists[0])}: each "
            "is trained on as a class of its own; for several classes a document, turn them back into lists first, "
            "with ast.literal_eval for example",
            TrainingWarning,
            stacklevel=3,
        )


def warn_of_one_hot(form: LabelForm, targets: npt.NDArray[Any]) -> None:
    """Warn whoever called the caller if documents may have several classes, and all of them have exactly one.

    Parameters
    ----------
    form : LabelForm
    targets : float32 [documents, classes], or int64 [documents], which needs no warning

    Warns
    -----
    TrainingWarning
        With what to do if the classes exclude each other.
    """
    if not form.multi_label or not (targets.sum(axis=1) == 1).all():
        return
    single = "y.argmax(axis=1)" if form.kind in ("indicator", "sparse") else "[label for (label,) in y]"
    warnings.warn(
        f"each of the {len(targets)} documents has exactly one of the {len(form.classes)} classes in y, whose form "
        f"allows several: each class is learned for itself, and predictions may have none or several; if the classes "
        f"exclude each other, pass one label for each document, such as {single}",
        TrainingWarning,
        stacklevel=3,
    )


def _appearance(label: str) -> str:
    """Return a label without what tells it from others that look the same: white space and invisible characters."""
    composed = unicodedata.normalize("NFKC", label)
    visible = (part for part in composed if part.isspace() or unicodedata.category(part) not in ("Cc", "Cf"))
    return " ".join("".join(visible).split())


def _written(label: str, length: int = 60) -> str:
    """Return a label as Python writes it in ASCII; of a long one the beginning and the end."""
    text = ascii(label)
    return text if len(text) <= length else f"{text[: length // 2]}...{text[-length // 2 :]}"
