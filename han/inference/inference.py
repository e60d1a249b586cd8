"""Run a trained network in this process, or in a helper process if this one cannot run TensorFlow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np

from han.backend.isolation import isolated
from han.inference.compiled import CompiledNetwork, Projection, compiled
from han.inference.forked import NetworkSource, ask, was_forked
from han.model import HierarchicalAttentionNetwork

P = ParamSpec("P")
T = TypeVar("T")

# The largest vocabulary that is projected as a whole, once for all chunks of texts.
LARGEST_TABLE = 100_000


class StoredNetworkProtocol(NetworkSource, Protocol):
    """What `han.saving.network_file.StoredNetwork` implements: a network that was loaded in a forked process."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments of the network."""

    def count_params(self) -> int:
        """Return the number of weights."""


Network = HierarchicalAttentionNetwork | StoredNetworkProtocol


class Inference(ABC):
    """Runs functions on a compiled network; `inference_of` chooses the process."""

    @abstractmethod
    def run(self, function: Callable[Concatenate[CompiledNetwork, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(network, *args, **kwargs)`."""

    @abstractmethod
    def project_vocabulary(self, size: int) -> Projection | None:
        """Return the projection of the words below `size`, or None if it cannot be shared or is too large to pay."""


class LocalInference(Inference):
    """Runs functions in this process."""

    def __init__(self, network: CompiledNetwork) -> None:
        self._network = network

    def run(self, function: Callable[Concatenate[CompiledNetwork, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(network, *args, **kwargs)`, run with default settings of TensorFlow, Keras and NumPy."""
        with isolated():
            return function(self._network, *args, **kwargs)

    def project_vocabulary(self, size: int) -> Projection | None:
        """Return the projection of the words below `size`, or None if they are too many."""
        if size > LARGEST_TABLE:
            return None
        return self._network.project(np.arange(size, dtype=np.int32))


class HelperInference(Inference):
    """Runs functions in a helper process; see `han.inference.forked`."""

    def __init__(self, source: NetworkSource) -> None:
        self._source = source

    def run(self, function: Callable[Concatenate[CompiledNetwork, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(network, *args, **kwargs)`, run in the helper process."""
        return ask(function, self._source, *args, **kwargs)

    def project_vocabulary(self, size: int) -> None:
        """Return None: tensors cannot be passed between processes."""


def inference_of(network: Network) -> Inference:
    """Run a network in this process, or in a helper if it was forked after TensorFlow was initialised."""
    source: Any = compiled(network) if isinstance(network, HierarchicalAttentionNetwork) else network
    return HelperInference(source) if was_forked() else LocalInference(source)
