"""Read and write the network of a saved classifier as a `.keras` file, also in forked processes."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py

from han.backend.isolation import isolated
from han.inference.compiled import CompiledNetwork
from han.inference.forked import was_forked
from han.inference.inference import Network, inference_of
from han.model import HierarchicalAttentionNetwork
from han.saving.keras_file import CONFIG, WEIGHTS, build_network, unpacked
from han.saving.layout import MODEL


class StoredNetwork:
    """The file of a network that was loaded or unpickled in a forked process, where it cannot be built.

    The network runs in a helper process, see `han.inference.inference.inference_of`.

    Parameters
    ----------
    content : bytes
        The content of a `.keras` file.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the arguments and weights. Files of the same network are not identical: they contain timestamps.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        with zipfile.ZipFile(BytesIO(content)) as archive:
            config = archive.read(CONFIG)
            self._config: dict[str, Any] = json.loads(config)["config"]
            weights = archive.read(WEIGHTS)
        digest = hashlib.sha256(config)

        def update(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                digest.update(name.encode())
                digest.update(item[()].tobytes())

        with h5py.File(BytesIO(weights)) as tree:
            tree.visititems(update)
        self.digest = digest.digest()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments of the network."""
        return dict(self._config)

    def count_params(self) -> int:
        """Return the number of weights."""
        return inference_of(self).run(_count_params)

    def builder(self) -> tuple[Callable[..., CompiledNetwork], tuple[Any, ...]]:
        """Return a function and its arguments that build the network in another process."""
        return _build, (self.content, self._config["vocabulary_size"], self._config["classes"])


# The last network read, reused if it is read again: a pool unpickles the classifier for every task, and each object
# would start a helper process.
_latest: StoredNetwork | None = None


def read_network(path: Path, vocabulary_size: int, classes: int) -> Network:
    """Read a `.keras` file; in a forked process, as a `StoredNetwork`.

    Parameters and errors are the same as for `unpacked`.
    """
    global _latest
    if not was_forked():
        with isolated():
            return build_network(path, vocabulary_size, classes)
    with unpacked(path, vocabulary_size, classes):
        network = StoredNetwork(path.read_bytes())
    if _latest is None or _latest.digest != network.digest:
        _latest = network
    return _latest


def write_network(path: Path, network: Network) -> None:
    """Write a `.keras` file without optimizer state."""
    path.write_bytes(network_bytes(network))


def network_bytes(network: Network) -> bytes:
    """Return the content of a `.keras` file."""
    return network.content if isinstance(network, StoredNetwork) else inference_of(network).run(_network_bytes)


def network_from_bytes(content: bytes, vocabulary_size: int, classes: int) -> Network:
    """Read the network from the content of a `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        path.write_bytes(content)
        return read_network(path, vocabulary_size, classes)


def _build(content: bytes, vocabulary_size: int, classes: int) -> CompiledNetwork:
    network = network_from_bytes(content, vocabulary_size, classes)
    if not isinstance(network, HierarchicalAttentionNetwork):
        raise RuntimeError("a helper process is not forked")
    return CompiledNetwork(network)


def _network_bytes(network: CompiledNetwork) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        # An uncompiled copy, because the optimizer state is twice as large as the network.
        network.network.with_evidence(network.network.ngram_weights()).save(path)
        return path.read_bytes()


def _count_params(network: CompiledNetwork) -> int:
    return int(network.network.count_params())
