"""Networks in files, read and written in forked processes too."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import h5py

from han.backend.isolation import isolated
from han.inference import forked
from han.model import HierarchicalAttentionNetwork
from han.saving.keras_file import CONFIG, WEIGHTS, build_network, unpacked

MODEL = "model.keras"


class StandIn:
    """What `model_` is of a classifier that was loaded or unpickled in a forked process: a network's file.

    Of the network it has `get_config` and `count_params`; `HANClassifier` does the rest by a helper process, see
    `han.inference.forked`.

    Parameters
    ----------
    content : bytes
        A `.keras` file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        with zipfile.ZipFile(BytesIO(content)) as archive:
            config = archive.read(CONFIG)
            self._config: dict[str, Any] = json.loads(config)["config"]
            weights = archive.read(WEIGHTS)
        # Of what makes the network: files of the same one differ in the times that are in them.
        digest = hashlib.sha256(config)

        def take_in(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                digest.update(name.encode())
                digest.update(item[()].tobytes())

        with h5py.File(BytesIO(weights)) as tree:
            tree.visititems(take_in)
        self.digest = digest.digest()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(self._config)

    def count_params(self) -> int:
        """Return the number of weights."""
        return forked.ask(_count, self)

    def recipe(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what makes the network in another process."""
        return from_bytes, (self.content, self._config["vocabulary_size"], self._config["classes"])


# A pool unpickles the classifier again for every task: each would have a helper of its own, for as long as it takes.
_latest: StandIn | None = None


def read_network(path: Path, vocabulary_size: int, classes: int) -> HierarchicalAttentionNetwork:
    """Read a `.keras` file; in a forked process, as a `StandIn`. Parameters and errors are those of `unpacked`."""
    global _latest
    if not forked.was_forked():
        with isolated():
            return build_network(path, vocabulary_size, classes)
    with unpacked(path, vocabulary_size, classes):
        network = StandIn(path.read_bytes())
    if _latest is None or _latest.digest != network.digest:
        _latest = network
    return cast(HierarchicalAttentionNetwork, _latest)


def write_network(path: Path, model: HierarchicalAttentionNetwork | StandIn) -> None:
    """Write a `.keras` file, without the state of an optimizer."""
    if isinstance(model, StandIn):
        path.write_bytes(model.content)
    elif forked.was_forked():
        path.write_bytes(forked.ask(to_bytes, model))
    else:
        with isolated():
            # A copy that is not compiled: the optimizer's state is twice as large as the network.
            model.with_evidence(model.fitted_evidence()).save(path)


def to_bytes(model: HierarchicalAttentionNetwork) -> bytes:
    """Return what `write_network` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        write_network(path, model)
        return path.read_bytes()


def from_bytes(content: bytes, vocabulary_size: int, classes: int) -> HierarchicalAttentionNetwork:
    """Return what `to_bytes` was given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        path.write_bytes(content)
        return read_network(path, vocabulary_size, classes)


def _count(model: Any) -> int:
    return int(model.count_params())
