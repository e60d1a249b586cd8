"""A fitted classifier as a folder of open files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from han.backend import keras
from han.model import HierarchicalAttentionNetwork
from han.validation import Labels
from han.vocabulary import Vocabulary

FORMAT_VERSION = 1
MODEL = "model.keras"
VOCABULARY = "vocabulary.json"
SETTINGS = "settings.json"
FILES = (MODEL, VOCABULARY, SETTINGS)


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds.

    Attributes
    ----------
    parameters : dict
        Hyper-parameters, without those that are functions.
    functions : dict of str
        Hyper-parameters that are functions, and what they were called.
    classes : ndarray [classes]
    vocabulary : Vocabulary
    history : dict of lists
    model : HierarchicalAttentionNetwork
    """

    parameters: dict[str, Any]
    functions: dict[str, str]
    classes: Labels
    vocabulary: Vocabulary
    history: dict[str, list[float]]
    model: HierarchicalAttentionNetwork


def check_destination(path: str | os.PathLike[str]) -> Path:
    """Return the path if a model may be written there: it is new, an empty folder, or a saved classifier.

    Raises
    ------
    FileExistsError
        If something else is there.
    """
    folder = Path(path)
    if folder.is_dir() and (not any(folder.iterdir()) or all((folder / name).is_file() for name in FILES)):
        return folder
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(
            f"path must be a new folder or a saved classifier, got {str(folder)!r}, which holds something else"
        )
    return folder


def write_model(path: str | os.PathLike[str], saved: SavedModel) -> None:
    """Write a folder beside `path`, then move it there, with whatever else a classifier's folder held."""
    folder = check_destination(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new = aside / "new"
        new.mkdir()
        settings = {
            "format_version": FORMAT_VERSION,
            "parameters": saved.parameters,
            "functions": saved.functions,
            "classes": saved.classes.tolist(),
            "classes_dtype": saved.classes.dtype.str,
            "history": saved.history,
        }
        saved.model.save(new / MODEL)
        _write_json(new / VOCABULARY, saved.vocabulary.words)
        _write_json(new / SETTINGS, settings)
        if folder.exists():
            for other in folder.iterdir():
                if other.name not in FILES:
                    _copy(other, new / other.name)
            folder.rename(aside / "old")
        new.rename(folder)
    finally:
        shutil.rmtree(aside)


def read_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read what `write_model` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no folder at `path`, or a file is missing in it.
    ValueError
        If the folder's format is not known here.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"path must be the folder of a saved classifier, got {str(folder)!r}: no such folder")
    for name in FILES:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"path must be the folder of a saved classifier, got {str(folder)!r}: no {name} in it"
            )
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    if settings.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{folder / SETTINGS}: format_version must be {FORMAT_VERSION}, got {settings.get('format_version')!r}; "
            "it was written by another version of han"
        )
    return SavedModel(
        parameters=settings["parameters"],
        functions=settings["functions"],
        classes=np.array(settings["classes"], dtype=np.dtype(settings["classes_dtype"])),
        vocabulary=Vocabulary(json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))),
        history=settings["history"],
        model=keras.saving.load_model(folder / MODEL, safe_mode=True),
    )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
