"""The folder of a fitted classifier: files in open formats, which are checked without TensorFlow.

=================  =================================================================================================
`settings.json`    hyper-parameters, classes, `classes_dtype`, other fitted attributes, the version of the format
`vocabulary.json`  the known words in the order of their ids
`model.keras`      the network in Keras' format: a zip archive of its arguments (JSON) and its weights (HDF5)
`README.md`        a model card, which may be edited
`manifest.json`    the size and SHA-256 digest of each file except the model card
=================  =================================================================================================

Version 1 of the format has no manifest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from han.exceptions import DestinationError, MissingFileError, ModelFileError
from han.files.atomic import MANIFEST, check_manifest, check_version, read_json
from han.files.folders import check_writable, complete_version, is_empty
from han.files.paths import local_path
from han.saving.functions import FUNCTIONS

FORMAT_VERSION = 2
MODEL = "model.keras"
VOCABULARY = "vocabulary.json"
SETTINGS = "settings.json"
CARD = "README.md"
FILES = (MODEL, VOCABULARY, SETTINGS)
# The subfolder in which `han train` stores its checkpoint if it cannot store it next to the folder.
CHECKPOINT = ".checkpoint"


def check_destination(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Return the resolved path of a folder that does not exist, is empty, or contains a saved classifier.

    Parameters
    ----------
    path : path
    name : str
        The name of the argument or option, for error messages.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If `path` is not a path on this machine.
    DestinationError
        If the folder has other contents or is not writable.
    """
    folder = local_path(name, path).resolve()
    if folder.exists() and not is_empty(folder, [CHECKPOINT]) and not holds_model(folder):
        raise DestinationError(
            f"a classifier needs a new folder or one with a saved classifier, got {str(folder)!r}, which has other "
            "contents"
        )
    check_writable(folder)
    return folder


def holds_model(folder: Path) -> bool:
    """Return whether a folder contains the files of a saved classifier."""
    return all((complete_version(folder) / name).is_file() for name in FILES)


def read_settings(path: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]]:
    """Return the complete version of a classifier's folder and its settings, once its files have been checked.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    ModelFileError
        If a file is missing or damaged, or in a newer format.
    InvalidTypeError, InvalidValueError
        If `path` is not a path on this machine.
    """
    folder = complete_version(local_path("path", path).absolute())
    if not folder.is_dir():
        raise MissingFileError(f"path must be the folder of a saved classifier, got {str(path)!r}: no such folder")
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelFileError(f"path must be the folder of a saved classifier, got {str(path)!r} without {name}")
    if (folder / MANIFEST).is_file():
        check_manifest(folder, FORMAT_VERSION, FILES)
    settings: dict[str, Any] = read_json(folder / SETTINGS, dict)
    version = settings.get("format_version")
    check_version(folder / SETTINGS, version, FORMAT_VERSION)
    if version != 1 and not (folder / MANIFEST).is_file():
        raise ModelFileError(f"path must be the folder of a saved classifier, got {str(path)!r} without {MANIFEST}")
    return folder, settings


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what `HANClassifier.describe` returned when the classifier was saved, in types that JSON has.

    None for folders of earlier versions, which do not contain it. Errors are those of `read_settings`.
    """
    _, settings = read_settings(path)
    facts, parameters = settings.get("facts"), settings.get("parameters")
    if not facts or not isinstance(parameters, dict):
        return None
    functions = {**dict.fromkeys(FUNCTIONS), **settings["functions"]}
    return {**facts, "parameters": {**parameters, **functions}}
