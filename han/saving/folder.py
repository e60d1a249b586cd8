"""A fitted classifier as a folder of open files.

=================  =================================================================================================
`settings.json`    hyper-parameters, classes, what else was fitted, and the version of the format
`vocabulary.json`  the known words in the order of their ids
`model.keras`      the network as Keras writes it: a zip archive of its arguments (JSON) and its weights (HDF5)
`README.md`        a card for people; it may be edited
`manifest.json`    the size and the SHA-256 of each of these
=================  =================================================================================================

Version 1 of the format has no manifest.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from han.data.validation import Labels, label_kind
from han.exceptions import DestinationError, InvalidValueError, MissingFileError, ModelFileError
from han.files.atomic import MANIFEST, check_manifest, read_json, write_json, write_manifest
from han.files.folders import check_writable, complete_version, is_empty, replacing_folder
from han.files.paths import local_path
from han.inference.inference import Network
from han.saving.network_file import MODEL, read_network, write_network
from han.text.vocabulary import Vocabulary

FORMAT_VERSION = 2
VOCABULARY = "vocabulary.json"
SETTINGS = "settings.json"
CARD = "README.md"
FILES = (MODEL, VOCABULARY, SETTINGS)
# Where `han train` stores an unfinished training if it cannot do so beside the folder.
CHECKPOINT = ".checkpoint"
# Attributes that hold a number for each class.
PER_CLASS = ("thresholds", "class_count")


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds.

    Attributes
    ----------
    parameters : dict
        Hyper-parameters, without those that are functions. Read back, a generator as `random_state` and word vectors as
        `embeddings` are None.
    functions : dict of str
        Hyper-parameters that are functions, and what they were called.
    attributes : dict
        Attributes of the fitted classifier that JSON can hold.
    classes : ndarray [classes]
    vocabulary : Vocabulary
    model : HierarchicalAttentionNetwork
    card : str
        What people are to know, in Markdown; it is written, not read.
    """

    parameters: dict[str, Any]
    functions: dict[str, str]
    attributes: dict[str, Any]
    classes: Labels
    vocabulary: Vocabulary
    model: Network
    card: str = ""


def check_destination(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Return the resolved path if a model can be written there: it is new, an empty folder, or a saved classifier.

    Parameters
    ----------
    path : path
    name : str
        The argument or option that holds it, for errors.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is not a path on this machine.
    DestinationError
        If something else is there, or nothing can be written there.
    """
    folder = local_path(name, path).resolve()
    if folder.exists() and not is_empty(folder, [CHECKPOINT]) and not holds_model(folder):
        raise DestinationError(
            f"a model needs a new folder or that of a saved classifier, got {str(folder)!r}, which holds something else"
        )
    check_writable(folder)
    return folder


def holds_model(folder: Path) -> bool:
    """Tell whether a folder looks like that of a saved classifier."""
    return all((complete_version(folder) / name).is_file() for name in FILES)


def write_model(path: str | os.PathLike[str], saved: SavedModel) -> None:
    """Write a folder that takes the place of the one at `path`; other files in that one are kept."""
    with replacing_folder(check_destination(path)) as new:
        _write_files(new, saved)


def to_bytes(saved: SavedModel) -> dict[str, bytes]:
    """Return the content of each file that `write_model` writes."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), saved)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def from_bytes(contents: Mapping[str, bytes], functions: Set[str]) -> SavedModel:
    """Return what `to_bytes` was given, as `read_model` does for a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        return read_model(folder, functions)


def _write_files(folder: Path, saved: SavedModel) -> None:
    write_json(folder / SETTINGS, _to_settings(saved))
    write_json(folder / VOCABULARY, saved.vocabulary.words)
    (folder / CARD).write_text(saved.card, encoding="utf-8", errors="replace")
    write_network(folder / MODEL, saved.model)
    write_manifest(folder, FORMAT_VERSION)


def _to_settings(saved: SavedModel) -> dict[str, Any]:
    """Return what JSON can hold, and what `_from_settings` reads, besides the vocabulary."""
    return {
        "format_version": FORMAT_VERSION,
        "parameters": _for_json(saved.parameters),
        "functions": saved.functions,
        "attributes": saved.attributes,
        "classes": saved.classes.tolist(),
        "classes_dtype": saved.classes.dtype.str,
    }


def read_model(path: str | os.PathLike[str], functions: Set[str]) -> SavedModel:
    """Read what `write_model` wrote, in this version of the format or an earlier one.

    Parameters
    ----------
    path : path
    functions : set of str
        The hyper-parameters for which there is a function at hand.

    Raises
    ------
    MissingFileError
        If there is no folder at `path`.
    ModelFileError
        If a file is missing, damaged, foreign or of a newer format.
    InvalidTypeError, InvalidValueError
        If `path` is not a path on this machine, or other functions are needed than there are.
    """
    folder = complete_version(local_path("path", path).absolute())
    if not folder.is_dir():
        raise MissingFileError(f"path must be the folder of a saved classifier, got {str(path)!r}: no such folder")
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelFileError(f"path must be the folder of a saved classifier, got {str(path)!r}: no {name} in it")
    if (folder / MANIFEST).is_file():
        check_manifest(folder, FORMAT_VERSION, FILES)
    settings = read_json(folder / SETTINGS, dict)
    version = settings.get("format_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise ModelFileError(
            f"{folder / SETTINGS}: format_version must be at most {FORMAT_VERSION}, got {version!r}; "
            "it was written by another version of han"
        )
    if version > 1 and not (folder / MANIFEST).is_file():
        raise ModelFileError(f"path must be the folder of a saved classifier, got {str(path)!r}: no {MANIFEST} in it")
    try:
        saved = _from_settings(settings, _read_vocabulary(folder / VOCABULARY))
    except ModelFileError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"{folder / SETTINGS} must hold the settings of a saved classifier: {error!r}") from error
    for name in sorted(functions ^ saved["functions"].keys()):
        if name in saved["functions"]:
            raise InvalidValueError(f"{name} must be given: the classifier was trained with {saved['functions'][name]}")
        raise InvalidValueError(f"{name} must not be given: the classifier was trained with the default one")
    network = read_network(folder / MODEL, saved["vocabulary"].size, len(saved["classes"]))
    return SavedModel(**saved, model=network)


def _read_vocabulary(path: Path) -> Vocabulary:
    words = read_json(path, list)
    if not all(isinstance(word, str) for word in words) or len(set(words)) < len(words):
        raise ModelFileError(f"{path} must hold strings, each once, got others")
    return Vocabulary(words)


def _from_settings(settings: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """Return what a `SavedModel` is made of besides its network."""
    parameters, functions, attributes = (dict(settings[name]) for name in ("parameters", "functions", "attributes"))
    if isinstance(parameters["class_weight"], list):
        parameters["class_weight"] = dict(parameters["class_weight"])
    # Strings as long as `check_labels` leaves in NumPy's own type, which reserves that for each.
    if not re.fullmatch(r"[<>|=]?([biuf?]\d?|O|U\d{1,4})", settings["classes_dtype"]):
        raise ValueError(f"classes_dtype {settings['classes_dtype']!r}")
    classes = np.array(settings["classes"], dtype=np.dtype(settings["classes_dtype"]))
    kinds = {label_kind(label) for label in classes.flat}
    if classes.ndim != 1 or None in kinds or len(kinds) > 1 or classes.tolist() != settings["classes"]:
        raise ValueError("classes that are no labels")
    for name in PER_CLASS:
        if name in attributes and np.array(attributes[name], float).shape != classes.shape:
            raise ValueError(f"{name} that are not one for each class")
    return {
        "parameters": parameters,
        "functions": functions,
        "attributes": attributes,
        "classes": classes,
        "vocabulary": vocabulary,
    }


def _for_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyper-parameters as JSON can hold them: without generators and word vectors, paths as strings."""
    held = dict(parameters)
    if not isinstance(held["random_state"], int):
        held["random_state"] = None
    source = held["embeddings"]
    held["embeddings"] = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if isinstance(held["class_weight"], Mapping):  # as pairs: JSON's objects have no keys but strings
        plain = ((key.item() if isinstance(key, np.generic) else key) for key in held["class_weight"])
        held["class_weight"] = [[key, float(held["class_weight"][key])] for key in plain]
    return held


def function_name(function: Callable[..., Any]) -> str:
    """Return what a function is called, for people."""
    name = getattr(function, "__qualname__", repr(function))
    return f"{function.__module__}.{name}" if getattr(function, "__module__", None) else name
