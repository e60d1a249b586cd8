"""Checkpoints on disk, from which an interrupted training resumes with identical results.

What a checkpoint contains is in `han.training.checkpoint_saver`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from han.exceptions import CheckpointError, InvalidValueError, ModelFileError, short_repr
from han.files.atomic import MANIFEST, check_manifest, read_json, write_json, write_manifest
from han.files.folders import check_writable, complete_version, recover, replacing_folder
from han.files.paths import local_path
from han.hyperparameters import ADDED

FORMAT_VERSION = 2
# Name of the checkpoint folder in `checkpoint_dir`.
NAME = "checkpoint"
STATE, ARRAYS = "state.json", "arrays.npz"
# Hyper-parameters that may change before training is resumed.
IRRELEVANT = ("verbose", "memory_limit")


@dataclass
class Checkpoint:
    """A checkpoint folder and the state stored in it.

    Attributes
    ----------
    folder : Path
    steps : int or None
        Number of steps between checkpoints within an epoch; None to save after each epoch only.
    description : dict of str
        Digests of the data, and the hyper-parameters; they must match to resume.
    seed : int
    state : dict or None
        The state to resume from; None to train from the beginning.
    """

    folder: Path
    steps: int | None
    description: Mapping[str, str]
    seed: int
    state: dict[str, Any] | None = field(default=None)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], steps: int | None, description: Mapping[str, str], seed: int
    ) -> Checkpoint:
        """Open a checkpoint folder, and read the checkpoint if there is one.

        Parameters
        ----------
        path : path
            The folder; it is created if it does not exist.
        steps, description : see `Checkpoint`
        seed : int
            Seed of a new training; a checkpoint has its own.

        Raises
        ------
        CheckpointError
            If the checkpoint is damaged, or its description differs.
        DestinationError
            If the folder is not writable.
        """
        checkpoint = cls(_folder(path), steps, description, seed)
        check_writable(checkpoint.folder)
        checkpoint.read()
        return checkpoint

    def read(self) -> None:
        """Read the stored state and seed, if there are any."""
        found = complete_version(self.folder)
        if not found.is_dir():
            return
        try:
            for name in (STATE, ARRAYS, MANIFEST):
                if not (found / name).is_file():
                    raise ModelFileError(f"{found} must be a checkpoint, got a folder without {name}")
            check_manifest(found, FORMAT_VERSION, (STATE, ARRAYS))
            state = read_json(found / STATE, dict)
            # NumPy does not close a file that it opens itself and cannot read.
            with (found / ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                state = _with_arrays(state, arrays)
            added = {name: str(value) for name, value in ADDED.items()}
            found_description, seed = added | dict(state["description"]), int(state["seed"])
        except ModelFileError as error:
            raise CheckpointError(f"{error}; remove {str(self.folder)!r} to train from the beginning") from error
        except (KeyError, TypeError, ValueError, BadZipFile) as error:
            raise CheckpointError(
                f"{found} must be a checkpoint written by `fit`, got an unreadable one ({error}); "
                f"remove {str(self.folder)!r} to train from the beginning"
            ) from error
        differing = [name for name, value in self.description.items() if found_description.get(name) != value]
        if differing:
            verb = "differs" if len(differing) == 1 else "differ"
            raise CheckpointError(
                f"checkpoint_dir must contain a checkpoint of the same training, got {str(self.folder.parent)!r}, "
                f"where {' and '.join(differing)} {verb}; remove it to train from the beginning"
            )
        self.seed, self.state = seed, state

    def write(self, state: dict[str, Any]) -> None:
        """Store a state, which may contain arrays and lists of arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        plain = _without_arrays({**state, "description": dict(self.description), "seed": self.seed}, arrays)
        with replacing_folder(self.folder) as new:
            write_json(new / STATE, plain)
            np.savez(new / ARRAYS, **arrays)  # type: ignore[arg-type]
            write_manifest(new, FORMAT_VERSION)


def describe(parameters: Mapping[str, Any], **data: object) -> dict[str, str]:
    """Return the description of a training for `Checkpoint.open`.

    Parameters
    ----------
    parameters : mapping
        The hyper-parameters of `HANClassifier`. Functions are described by their names, word vectors by their type.
    **data : see `digest`
        The training data, by the names of the arguments of `fit`.
    """
    plain = (str, os.PathLike, int, float, type(None))
    described = {
        name: value if isinstance(value, plain) or name == "class_weight" else _kind(value)
        for name, value in parameters.items()
        if name not in IRRELEVANT
    }
    return {name: str(value) for name, value in described.items()} | {name: digest(part) for name, part in data.items()}


def _kind(value: object) -> str:
    return str(getattr(value, "__qualname__", type(value).__name__))


def digest(*parts: object) -> str:
    """Return the SHA-256 digest of strings, arrays and lists of them."""
    hashed = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            content = part.dtype.str.encode() + str(part.shape).encode() + part.tobytes()
        elif isinstance(part, list):
            content = digest(*part).encode()
        else:
            content = str(part).encode("utf-8", "surrogatepass")
        hashed.update(len(content).to_bytes(8) + content)
    return hashed.hexdigest()


def has_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains a checkpoint."""
    return complete_version(_folder(path)).is_dir()


def has_ended(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains the checkpoint of a finished training."""
    return has_checkpoint(path) and bool(read_json(complete_version(_folder(path)) / STATE, dict)["ended"])


def remove_checkpoint(path: str | os.PathLike[str]) -> None:
    """Remove the checkpoint from a folder, and the folder if it is empty then.

    Parameters
    ----------
    path : path
        The `checkpoint_dir` that was passed to `HANClassifier.fit`.
    """
    checkpoint = _folder(path)
    folder = checkpoint.parent
    if not folder.is_dir():
        return
    recover(checkpoint)
    if checkpoint.is_dir():
        shutil.rmtree(checkpoint)
    if not any(folder.iterdir()):
        with suppress(OSError):  # a mount point cannot be removed
            folder.rmdir()


def _folder(path: str | os.PathLike[str]) -> Path:
    return local_path("checkpoint_dir", path).absolute() / NAME


def _without_arrays(value: Any, arrays: dict[str, npt.NDArray[Any]]) -> Any:
    """Return a JSON value in which arrays are replaced with names; the arrays are added to `arrays`."""
    if isinstance(value, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Mapping):
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(item, arrays) for item in value]
    return value


def _with_arrays(value: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Return the original of a value from `_without_arrays`."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    return [_with_arrays(item, arrays) for item in value] if isinstance(value, list) else value


def check_checkpoint(checkpoint_dir: object, checkpoint_steps: object) -> None:
    """Raise a TypeError or ValueError if the arguments of `fit` for checkpoints are invalid."""
    if checkpoint_dir is not None:
        local_path("checkpoint_dir", checkpoint_dir)
    if checkpoint_steps is None:
        return
    if not isinstance(checkpoint_steps, Integral) or isinstance(checkpoint_steps, bool) or checkpoint_steps < 1:
        raise InvalidValueError(
            f"checkpoint_steps must be an int of at least 1 or None, got {short_repr(checkpoint_steps)}"
        )
    if checkpoint_dir is None:
        raise InvalidValueError(f"checkpoint_steps needs a checkpoint_dir, got {checkpoint_steps} and None")
