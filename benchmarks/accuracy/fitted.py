"""Classifiers that one benchmark fits and another measures further: kept in `models/`, by data, settings and seed.

Delete the folder to fit them anew; a change of settings or `REVISION` does so by itself.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from benchmarks.accuracy.contenders import LATER, REVISION, REVISION_OF_PLAIN, Contender
from benchmarks.accuracy.corpora import Split
from han import HANClassifier


def fitted(name: str, classifier: HANClassifier, split: Split) -> HANClassifier:
    """Return the classifier as it was kept, or fit and keep it."""
    if (kept := folder(name, classifier)).exists():
        return HANClassifier.load(kept)
    classifier.fit(split.X_train, split.y_train)
    classifier.save(kept)
    return classifier


def folder(name: str, classifier: HANClassifier) -> Path:
    """Return the folder of the classifier of a data set, with its settings and seed."""
    return Path("models", f"benchmark-{name}-{digest(classifier)}-{classifier.random_state}")


def digest(contender: Contender) -> str:
    """Return a few letters that change with the contender's settings and revision, but not with its seed."""
    settings = contender.get_params(deep=False)
    if isinstance(contender, HANClassifier):
        settings = {name: value for name, value in settings.items() if (name, value) not in LATER.items()}
        is_plain = not {"additive", "log_count_ratios"} & settings.keys()
        settings["revision"] = REVISION_OF_PLAIN if is_plain else REVISION
    settings = {name: value for name, value in settings.items() if name not in ("seed", "random_state", "verbose")}
    shown = {name: getattr(value, "__name__", repr(value)) for name, value in settings.items()}
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:8]
