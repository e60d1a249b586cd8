"""Reading of `.keras` files without executing code that a file specifies.

Keras' safe mode rejects lambda layers, but imports the classes that a file names and calls them with arguments from the
file. This module only creates the network of this project, only from numbers and strings, and only loads arrays of
matching sizes.
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
# The maximum size of an unpacked file: two billion weights.
MAX_UNPACKED_BYTES = 8 * 2**30
# The maximum number of groups and arrays in a file of weights; a network has about 60.
MAX_ENTRIES = 1000
REGISTERED_NAME = "han>HierarchicalAttentionNetwork"


@contextmanager
def unpacked(path: Path, vocabulary_size: int, classes: int) -> Iterator[tuple[dict[str, Any], Path]]:
    """Unpack a file temporarily, and return the network's arguments and a file with its weights.

    TensorFlow is not used.

    Parameters
    ----------
    path : Path
    vocabulary_size, classes : int
        The expected sizes of the network.

    Raises
    ------
    ModelFileError
        If the file is damaged, does not contain such a network, or unpacks to more than `MAX_UNPACKED_BYTES`.
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
        # zipfile, h5py and Keras raise many types of errors for invalid files.
        except Exception as error:
            raise ModelFileError(f"{path} must contain a network, got {type(error).__name__}: {error}") from error


def build_network(path: Path, vocabulary_size: int, classes: int) -> HierarchicalAttentionNetwork:
    """Read a network written by `keras.Model.save`. See `unpacked` for the parameters and errors."""
    with unpacked(path, vocabulary_size, classes) as (arguments, weights):
        network = HierarchicalAttentionNetwork(**arguments)
        network.build((None, None, None))
        network.load_weights(weights)
    for weight in network.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise ModelFileError(f"{path} must contain finite weights, got NaN or infinity in {weight.path}")
    return network


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    names = [member.filename for member in archive.infolist()]
    if len(set(names)) < len(names) or set(names) != MEMBERS:
        unexpected = next((name for name in names if name not in MEMBERS or names.count(name) > 1), None)
        found = f"no {sorted(MEMBERS - set(names))[0]}" if unexpected is None else repr(unexpected)
        raise ModelFileError(f"{path} must contain exactly {', '.join(sorted(MEMBERS))}, got {found}")
    size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        raise ModelFileError(f"{path} must unpack to at most {MAX_UNPACKED_BYTES:,} bytes, got {size:,}")


def _read_arguments(path: Path, content: bytes) -> dict[str, Any]:
    """Return the network's constructor arguments."""
    config = json.loads(content)
    if not isinstance(config, dict) or config.get("registered_name") != REGISTERED_NAME:
        found = config.get("registered_name") or config.get("class_name") if isinstance(config, dict) else config
        raise ModelFileError(
            f"{path} must contain a network of the class {REGISTERED_NAME!r}, got {found!r}; other code is never run"
        )
    arguments = config.get("config")
    known = {"name", *inspect.signature(HierarchicalAttentionNetwork).parameters}
    if not isinstance(arguments, dict):
        raise ModelFileError(f"{path} must contain the arguments of a network, got {type(arguments).__name__}")
    for name, value in arguments.items():
        if name not in known or not (value is None or isinstance(value, int | float | str)):
            raise ModelFileError(f"{path} must only contain arguments of a network, got {name}={str(value)[:60]}")
    return arguments


def _check_weights(path: Path, file: Path, arguments: dict[str, Any]) -> None:
    """Raise a ModelFileError if a file contains anything but arrays, or fewer numbers than the network has weights."""
    elements = _count_elements(path, file)
    # The network is built before its weights are read, so it must not be larger than the file.
    word_dim = sum(arguments.get(name, 0) for name in ("embedding_dim", "frozen_dim", "ratio_dim"))
    units = arguments["units"]
    for rows, columns in (
        (arguments["vocabulary_size"], word_dim),
        (word_dim, units),
        (units, 2 * units),
        (units, arguments["classes"]),
        (arguments.get("ngrams", 0), 1),
    ):
        if rows * columns > elements:
            raise ModelFileError(
                f"{path} must contain all weights of its network, got {elements} numbers, which are too few"
            )


def _count_elements(path: Path, file: Path) -> int:
    """Return the number of elements of all arrays in an HDF5 file."""
    with h5py.File(file, "r") as weights:
        elements, groups, entries = 0, [weights], 0
        while groups:
            group = groups.pop()
            for name in group:
                entries += 1
                if entries > MAX_ENTRIES:
                    raise ModelFileError(f"{path} must contain at most {MAX_ENTRIES} arrays, got more")
                link = group.get(name, getlink=True)
                entry = group[name] if isinstance(link, h5py.HardLink) else None
                if isinstance(entry, h5py.Group):
                    groups.append(entry)
                elif isinstance(entry, h5py.Dataset) and entry.dtype.kind in "fiu" and not _is_external(entry):
                    elements += entry.size
                else:
                    raise ModelFileError(f"{path} must only contain arrays, got {group.name}/{name}")
    return int(elements)


def _is_external(dataset: h5py.Dataset) -> bool:
    """Return whether the elements of an array are stored in other files."""
    return bool(dataset.external) or dataset.is_virtual
