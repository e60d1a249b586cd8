"""Networks from `.keras` files, without running anything that a file says.

Keras' safe mode refuses lambda layers, but looks up the classes that a file names and calls them with what the file
says. Here a file names nothing: the only class is the network of this project, its arguments are numbers and strings,
and the weights are arrays that fit it.
"""

from __future__ import annotations

import inspect
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from han.exceptions import ModelFileError
from han.model import HierarchicalAttentionNetwork

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {"metadata.json", CONFIG, WEIGHTS}
# The most bytes that a file may hold when it is unpacked: two thousand million weights.
MAX_UNPACKED_BYTES = 8 * 2**30
# The most groups and arrays in a file of weights; a network has some 60.
MAX_ENTRIES = 1000
REGISTERED_NAME = "han>HierarchicalAttentionNetwork"


@contextmanager
def unpacked(path: Path, vocabulary_size: int, classes: int) -> Iterator[tuple[dict[str, Any], Path]]:
    """Give the arguments of the network that a file holds, and a file of its weights; nothing here is TensorFlow's.

    Parameters
    ----------
    path : Path
    vocabulary_size, classes : int
        What the network must have been made for.

    Raises
    ------
    ModelFileError
        If the file is damaged, holds anything else than such a network, or unpacks to more than `MAX_UNPACKED_BYTES`.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                _check_members(path, archive)
                arguments = _read_arguments(path, archive.read(CONFIG))
                weights = Path(archive.extract(WEIGHTS, folder))
            for name, expected in (("vocabulary_size", vocabulary_size), ("classes", classes)):
                if arguments.get(name) != expected:
                    raise ModelFileError(
                        f"{path}: {name} must be {expected}, as in the other files, got {arguments.get(name)!r}"
                    )
            _check_weights(path, weights, arguments)
            yield arguments, weights
        except ModelFileError:
            raise
        # zipfile, h5py and Keras raise errors of many kinds for files that are not what they expect.
        except Exception as error:
            raise ModelFileError(f"{path} must hold a network: {type(error).__name__}: {error}") from error


def build_network(path: Path, vocabulary_size: int, classes: int) -> HierarchicalAttentionNetwork:
    """Return the network that `keras.Model.save` wrote to a file; parameters and errors are those of `unpacked`."""
    with unpacked(path, vocabulary_size, classes) as (arguments, weights):
        network = HierarchicalAttentionNetwork(**arguments)
        network.build((None, None, None))
        network.load_weights(weights)
    for weight in network.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise ModelFileError(f"{path} must hold finite weights, got others in {weight.path}")
    return network


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    names = [member.filename for member in archive.infolist()]
    if len(set(names)) < len(names) or set(names) != MEMBERS:
        odd = next((name for name in names if name not in MEMBERS or names.count(name) > 1), None)
        found = f"no {sorted(MEMBERS - set(names))[0]}" if odd is None else repr(odd)
        raise ModelFileError(f"{path} must hold {', '.join(sorted(MEMBERS))}, each once, and nothing else, got {found}")
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        raise ModelFileError(f"{path} must unpack to at most {MAX_UNPACKED_BYTES:,} bytes, got {unpacked:,}")


def _read_arguments(path: Path, content: bytes) -> dict[str, Any]:
    """Return the arguments of the network's constructor."""
    config = json.loads(content)
    if not isinstance(config, dict) or config.get("registered_name") != REGISTERED_NAME:
        named = config.get("registered_name") or config.get("class_name") if isinstance(config, dict) else config
        raise ModelFileError(
            f"{path} must hold a network of the class {REGISTERED_NAME!r}, got {named!r}; other code is never run"
        )
    arguments = config.get("config")
    known = {"name", *inspect.signature(HierarchicalAttentionNetwork).parameters}
    if not isinstance(arguments, dict):
        raise ModelFileError(f"{path} must hold the arguments of a network, got {type(arguments).__name__}")
    for name, value in arguments.items():
        if name not in known or not (value is None or isinstance(value, int | float | str)):
            raise ModelFileError(f"{path} must hold numbers and strings for a network, got {name}={str(value)[:60]}")
    return arguments


def _check_weights(path: Path, file: Path, arguments: dict[str, Any]) -> None:
    """Raise a ModelFileError if a file holds anything but arrays, or fewer numbers than its network has weights."""
    with h5py.File(file, "r") as weights:
        elements, groups, entries = 0, [weights], 0
        while groups:
            group = groups.pop()
            for name in group:
                entries += 1
                if entries > MAX_ENTRIES:
                    raise ModelFileError(f"{path} must hold at most {MAX_ENTRIES} arrays, got more")
                link = group.get(name, getlink=True)
                entry = group[name] if isinstance(link, h5py.HardLink) else None
                if isinstance(entry, h5py.Group):
                    groups.append(entry)
                elif isinstance(entry, h5py.Dataset) and entry.dtype.kind in "fiu" and not _elsewhere(entry):
                    elements += entry.size
                else:
                    raise ModelFileError(f"{path} must hold weights, got {group.name}/{name}, which is no array in it")
    # What is built before the weights are compared with it may not be larger than what is there.
    embedding_dim, units = arguments["embedding_dim"], arguments["units"]
    for rows, columns in (
        (arguments["vocabulary_size"], embedding_dim),
        (embedding_dim, units),
        (units, 2 * units),
        (units, arguments["classes"]),
        (arguments.get("ngrams", 0), 1),
    ):
        if rows * columns > elements:
            raise ModelFileError(
                f"{path} must hold the weights of its network, got {elements} numbers, which are too few"
            )


def _elsewhere(dataset: h5py.Dataset) -> bool:
    """Tell whether an array's numbers are in other files."""
    return bool(dataset.external) or dataset.is_virtual
