"""Unfinished training on disk: killed at any moment, it can be gone on with as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from han.data.validation import short_repr
from han.exceptions import CheckpointError, InvalidValueError, ModelFileError
from han.files.atomic import MANIFEST, check_manifest, read_json, write_json, write_manifest
from han.files.folders import check_writable, complete_version, recover, replacing_folder
from han.files.paths import local_path
from han.text.batches import training_batches
from han.text.corpus import Corpus

FORMAT_VERSION = 2
# In the folder that the user names.
NAME = "checkpoint"
STATE, ARRAYS = "state.json", "arrays.npz"
# Hyper-parameters that may be set to something else before a training is gone on with.
IRRELEVANT = ("verbose", "memory_limit")


class EpochOrder:
    """The batches of one epoch after another, of which the first may be begun in the middle.

    Attributes
    ----------
    begun : dict
        The generator's state at the beginning of the current epoch, from which all of its order follows.
    skipped : int
        How many steps of the next epoch have been done.
    """

    def __init__(self, corpus: Corpus, batch_size: int, rng: np.random.Generator) -> None:
        self.corpus, self.batch_size, self.rng = corpus, batch_size, rng
        self.begun: Mapping[str, Any] = rng.bit_generator.state
        self.skipped = 0

    def __call__(self) -> Iterator[tuple[npt.NDArray[np.int64], bool]]:
        """Yield an epoch's batches, and whether each was done before."""
        self.begun = self.rng.bit_generator.state
        skipped, self.skipped = self.skipped, 0
        for step, batch in enumerate(training_batches(self.corpus, self.batch_size, self.rng)):
            yield batch, step < skipped


@dataclass
class Checkpoint:
    """Where a training is stored, and what was there.

    Attributes
    ----------
    folder : Path
    steps : int or None
        After how many steps to store it, besides after each epoch.
    description : dict of str
        What makes the training the same one: digests of its data, and its hyper-parameters.
    seed : int
    state : dict or None
        What is to be gone on with; None at the beginning.
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
        """Read what a folder holds, if it holds a checkpoint.

        Parameters
        ----------
        path : path
            A folder that is there, or can be made.
        steps, description : see above
        seed : int
            For a training that is yet to begin.

        Raises
        ------
        CheckpointError
            If the checkpoint is damaged, or of a training that differs from the one described.
        DestinationError
            If nothing can be written there.
        """
        checkpoint = cls(_folder(path), steps, description, seed)
        check_writable(checkpoint.folder)
        checkpoint.read()
        return checkpoint

    def read(self) -> None:
        """Take over the state that is stored, if there is one."""
        found = complete_version(self.folder)
        if not found.is_dir():
            return
        try:
            for name in (STATE, ARRAYS, MANIFEST):
                if not (found / name).is_file():
                    raise ModelFileError(f"{found} must hold a checkpoint, got no {name} in it")
            check_manifest(found, FORMAT_VERSION, (STATE, ARRAYS))
            state = read_json(found / STATE, dict)
            # NumPy would leave a file open that it has opened and cannot read.
            with (found / ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                state = _with_arrays(state, arrays)
            found_description, seed = dict(state["description"]), int(state["seed"])
        except ModelFileError as error:
            raise CheckpointError(f"{error}; remove {str(self.folder)!r} to train from the beginning") from error
        except (KeyError, TypeError, ValueError, BadZipFile) as error:
            raise CheckpointError(
                f"{found} must hold a checkpoint as `fit` writes it, got one that cannot be read ({error}); "
                f"remove {str(self.folder)!r} to train from the beginning"
            ) from error
        differing = [name for name, told in self.description.items() if found_description.get(name) != told]
        if differing:
            raise CheckpointError(
                f"checkpoint_dir must hold a checkpoint of the same training, got {str(self.folder.parent)!r}, where "
                f"{' and '.join(differing)} differ; remove it to train from the beginning"
            )
        self.seed, self.state = seed, state

    def write(self, state: dict[str, Any]) -> None:
        """Store a state, which may hold arrays and lists of arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        plain = _without_arrays({**state, "description": dict(self.description), "seed": self.seed}, arrays)
        with replacing_folder(self.folder) as new:
            write_json(new / STATE, plain)
            np.savez(new / ARRAYS, **arrays)  # type: ignore[arg-type]
            write_manifest(new, FORMAT_VERSION)


def describe(parameters: Mapping[str, Any], **data: object) -> dict[str, str]:
    """Return what makes a training the same one, for `Checkpoint.open`.

    Parameters
    ----------
    parameters : mapping
        The hyper-parameters of `HANClassifier`. Functions and word vectors are told by their names and types only.
    **data : see `digest`
        What is trained on, by the names that users know.
    """
    plain = (str, os.PathLike, int, float, type(None))
    told = {
        name: value if isinstance(value, plain) or name == "class_weight" else _kind(value)
        for name, value in parameters.items()
        if name not in IRRELEVANT
    }
    return {name: str(value) for name, value in told.items()} | {name: digest(held) for name, held in data.items()}


def _kind(value: object) -> str:
    return str(getattr(value, "__qualname__", type(value).__name__))


def digest(*parts: object) -> str:
    """Return a SHA-256 of strings, arrays and lists of them."""
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
    """Tell whether there is a checkpoint in a folder."""
    return complete_version(_folder(path)).is_dir()


def has_ended(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is a checkpoint in a folder, and its training had come to its end."""
    return has_checkpoint(path) and bool(read_json(complete_version(_folder(path)) / STATE, dict)["ended"])


def remove_checkpoint(path: str | os.PathLike[str]) -> None:
    """Remove the checkpoint from a folder, and the folder if nothing else is in it."""
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
    """Return a value as JSON can hold it: arrays are put into `arrays`, and their names in their place."""
    if isinstance(value, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Mapping):
        return {key: _without_arrays(held, arrays) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(held, arrays) for held in value]
    return value


def _with_arrays(value: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Undo `_without_arrays`."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: _with_arrays(held, arrays) for key, held in value.items()}
    return [_with_arrays(held, arrays) for held in value] if isinstance(value, list) else value


def check_checkpoint(checkpoint_dir: object, checkpoint_steps: object) -> None:
    """Raise a TypeError or ValueError if these do not say where and how often to store a training."""
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
