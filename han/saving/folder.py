"""Read and write the folder of a fitted classifier, see `han.saving.layout`."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from han.data.validation import Labels, label_kind
from han.exceptions import InvalidValueError, ModelFileError
from han.files.atomic import read_json, write_json, write_manifest
from han.files.folders import replacing_folder
from han.hyperparameters import ADDED
from han.inference.inference import Network
from han.saving.layout import CARD, FORMAT_VERSION, MODEL, SETTINGS, VOCABULARY, check_destination, read_settings
from han.saving.network_file import read_network, write_network
from han.text.vocabulary import Vocabulary

# Attributes with one number for each class.
PER_CLASS = ("thresholds", "class_count")


@dataclass(frozen=True)
class SavedClassifier:
    """The contents of a saved classifier's folder.

    Attributes
    ----------
    parameters : dict
        Hyper-parameters other than functions. A generator as `random_state` and word vectors as `embeddings` are not
        saved; they are read as None.
    functions : dict of str
        The names of the functions among the hyper-parameters.
    attributes : dict
        Attributes of the fitted classifier that can be converted to JSON.
    classes : ndarray [classes]
    vocabulary : Vocabulary
    network : HierarchicalAttentionNetwork
    card : str
        The model card in Markdown, which is written but not read.
    facts : dict
        What `han info` prints, which is written but not read.
    """

    parameters: dict[str, Any]
    functions: dict[str, str]
    attributes: dict[str, Any]
    classes: Labels
    vocabulary: Vocabulary
    network: Network
    card: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def write_model(path: str | os.PathLike[str], saved: SavedClassifier) -> None:
    """Write a folder, replacing an existing one atomically; other files in that folder are kept."""
    with replacing_folder(check_destination(path)) as new:
        _write_files(new, saved)


def to_bytes(saved: SavedClassifier) -> dict[str, bytes]:
    """Return the content of each file that `write_model` writes."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), saved)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def from_bytes(contents: Mapping[str, bytes], functions: Set[str]) -> SavedClassifier:
    """Read a classifier from the result of `to_bytes`, as `read_model` does from a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        return read_model(folder, functions)


def _write_files(folder: Path, saved: SavedClassifier) -> None:
    write_json(folder / SETTINGS, _to_settings(saved))
    write_json(folder / VOCABULARY, saved.vocabulary.words)
    (folder / CARD).write_text(saved.card, encoding="utf-8", errors="replace")
    write_network(folder / MODEL, saved.network)
    write_manifest(folder, FORMAT_VERSION)


def _to_settings(saved: SavedClassifier) -> dict[str, Any]:
    """Return the contents of `settings.json`."""
    return {
        "format_version": FORMAT_VERSION,
        "parameters": _json_parameters(saved.parameters),
        "functions": saved.functions,
        "attributes": saved.attributes,
        "classes": saved.classes.tolist(),
        "classes_dtype": saved.classes.dtype.str,
        "facts": saved.facts,
    }


def read_model(path: str | os.PathLike[str], functions: Set[str]) -> SavedClassifier:
    """Read a folder written by `write_model`, in this version of the format or an earlier one.

    Parameters
    ----------
    path : path
    functions : set of str
        The hyper-parameters for which the caller provides functions.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    ModelFileError
        If a file is missing, damaged, invalid or in a newer format.
    InvalidTypeError, InvalidValueError
        If `path` is not a path on this machine, or `functions` are not those that the classifier was trained with.
    """
    folder, settings = read_settings(path)
    try:
        saved = _from_settings(settings, _read_vocabulary(folder / VOCABULARY))
    except ModelFileError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"{folder / SETTINGS} must contain valid settings, got {error!r}") from error
    for name in sorted(functions ^ saved["functions"].keys()):
        if name in saved["functions"]:
            raise InvalidValueError(f"{name} must be given: the classifier was trained with {saved['functions'][name]}")
        raise InvalidValueError(f"{name} must not be given: the classifier was trained with the default {name}")
    network = read_network(folder / MODEL, saved["vocabulary"].size, len(saved["classes"]))
    return SavedClassifier(**saved, network=network)


def _read_vocabulary(path: Path) -> Vocabulary:
    words = read_json(path, list)
    if not all(isinstance(word, str) for word in words) or len(set(words)) < len(words):
        raise ModelFileError(f"{path} must contain unique strings, got duplicates or other values")
    return Vocabulary(words)


def _from_settings(settings: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the arguments of `SavedClassifier` other than the network."""
    parameters, functions, attributes = (dict(settings[name]) for name in ("parameters", "functions", "attributes"))
    parameters = ADDED | parameters
    if isinstance(parameters["class_weight"], list):
        parameters["class_weight"] = dict(parameters["class_weight"])
    # At most four digits: NumPy reserves the maximum length for each string, and `check_labels` limits it likewise.
    if not re.fullmatch(r"[<>|=]?([biuf?]\d?|O|U\d{1,4})", settings["classes_dtype"]):
        raise ValueError(f"invalid classes_dtype {settings['classes_dtype']!r}")
    classes = np.array(settings["classes"], dtype=np.dtype(settings["classes_dtype"]))
    kinds = {label_kind(label) for label in classes.flat}
    if classes.ndim != 1 or None in kinds or len(kinds) > 1 or classes.tolist() != settings["classes"]:
        raise ValueError("classes are not labels of one type")
    for name in PER_CLASS:
        if name in attributes and np.array(attributes[name], float).shape != classes.shape:
            raise ValueError(f"{name} does not have one value for each class")
    return {
        "parameters": parameters,
        "functions": functions,
        "attributes": attributes,
        "classes": classes,
        "vocabulary": vocabulary,
    }


def _json_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Convert hyper-parameters to JSON types, without generators and word vectors."""
    converted = dict(parameters)
    if not isinstance(converted["random_state"], int):
        converted["random_state"] = None
    source = converted["embeddings"]
    converted["embeddings"] = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    weights = converted["class_weight"]
    if isinstance(weights, Mapping):  # as pairs: keys of JSON objects are always strings
        labels = ((label.item() if isinstance(label, np.generic) else label) for label in weights)
        converted["class_weight"] = [[label, float(weights[label])] for label in labels]
    return converted
