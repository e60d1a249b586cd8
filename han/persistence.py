"""A fitted classifier as a folder of open files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from han.model import HierarchicalAttentionNetwork
from han.stand_in import MODEL, read_network, write_network
from han.validation import Labels
from han.vocabulary import Vocabulary

FORMAT_VERSION = 1
VOCABULARY = "vocabulary.json"
SETTINGS = "settings.json"
CARD = "README.md"
FILES = (MODEL, VOCABULARY, SETTINGS)


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
    model: HierarchicalAttentionNetwork
    card: str = ""


def check_destination(path: str | os.PathLike[str]) -> Path:
    """Return the resolved path if a model may be written there: it is new, an empty folder, or a saved classifier.

    Raises
    ------
    FileExistsError
        If something else is there.
    OSError
        If nothing can be written there.
    """
    folder = Path(path).resolve()
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not all((folder / name).is_file() for name in FILES):
        raise FileExistsError(
            f"a model needs a new folder or that of a saved classifier, got {str(folder)!r}, which holds something else"
        )
    if Path.cwd().is_relative_to(folder):
        raise OSError(f"a model needs a folder that can be replaced, got {str(folder)!r}, where this process stands")
    parent = next(parent for parent in folder.parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OSError(f"a model needs a folder that can be written, got {str(folder)!r}, but not so {str(parent)!r}")
    return folder


def write_model(path: str | os.PathLike[str], saved: SavedModel) -> None:
    """Write a folder beside `path`, then move it there, with whatever else a classifier's folder held."""
    folder = check_destination(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()
        _write_files(new, saved)
        if folder.exists():
            for other in folder.iterdir():
                if other.name not in (*FILES, CARD):
                    _copy(other, new / other.name)
            folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(aside)


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
    settings = {
        "format_version": FORMAT_VERSION,
        "parameters": _for_json(saved.parameters),
        "functions": saved.functions,
        "attributes": saved.attributes,
        "classes": saved.classes.tolist(),
        "classes_dtype": saved.classes.dtype.str,
    }
    _write_json(folder / SETTINGS, settings)
    _write_json(folder / VOCABULARY, saved.vocabulary.words)
    (folder / CARD).write_text(saved.card, encoding="utf-8", errors="replace")
    write_network(folder / MODEL, saved.model)


def read_model(path: str | os.PathLike[str], functions: Set[str]) -> SavedModel:
    """Read what `write_model` wrote.

    Parameters
    ----------
    path : path
    functions : set of str
        The hyper-parameters for which there is a function at hand.

    Raises
    ------
    FileNotFoundError
        If there is no folder at `path`, or a file is missing in it.
    ValueError
        If the folder's format is not known here, or other functions are needed than there are.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"path must be the folder of a saved classifier, got {str(folder)!r}: no such folder")
    for name in FILES:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"path must be the folder of a saved classifier, got {str(folder)!r}: no {name} in it"
            )
    settings = _read_json(folder / SETTINGS, dict)
    if settings.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{folder / SETTINGS}: format_version must be {FORMAT_VERSION}, got {settings.get('format_version')!r}; "
            "it was written by another version of han"
        )
    try:
        needed = settings["functions"]
        parameters, attributes = settings["parameters"], settings["attributes"]
        if isinstance(parameters["class_weight"], list):
            parameters["class_weight"] = dict(parameters["class_weight"])
        classes = np.array(settings["classes"], dtype=np.dtype(settings["classes_dtype"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / SETTINGS} must hold the settings of a saved classifier: {error!r}") from error
    for name in sorted(functions ^ needed.keys()):
        if name in needed:
            raise ValueError(f"{name} must be given: the classifier was trained with {needed[name]}")
        raise ValueError(f"{name} must not be given: the classifier was trained with the default one")
    return SavedModel(
        parameters=parameters,
        functions=needed,
        attributes=attributes,
        classes=classes,
        vocabulary=Vocabulary(_read_json(folder / VOCABULARY, list)),
        model=read_network(folder / MODEL),
    )


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


def _read_json(path: Path, kind: type[dict[str, Any]] | type[list[str]]) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must hold JSON: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(f"{path} must hold a {kind.__name__}, got a {type(value).__name__}")
    return value


def _write_json(path: Path, value: object) -> None:
    # Half of a surrogate pair, which UTF-8 has not, as JSON has it.
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", errors="backslashreplace")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
