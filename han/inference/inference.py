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
    def prepare(self, vocabulary_size: int | None) -> Projection | None:
        """Prepare for concurrent predictions; if a size is given, return the projection of the whole vocabulary."""


class LocalInference(Inference):
    """Runs functions in this process."""

    def __init__(self, network: CompiledNetwork) -> None:
        self._network = network

    def run(self, function: Callable[Concatenate[CompiledNetwork, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(network, *args, **kwargs)`, run with default settings of TensorFlow, Keras and NumPy."""
        with isolated():
            return function(self._network, *args, **kwargs)

    def prepare(self, vocabulary_size: int | None) -> Projection | None:
        """Trace the graphs, so that not every thread does, and project the vocabulary."""
        self._network.trace()
        if vocabulary_size is None:
            return None
        projection: Projection = self._network.project(np.arange(vocabulary_size, dtype=np.int32))
        return projection


class HelperInference(Inference):
    """Runs functions in a helper process; see `han.inference.forked`."""

    def __init__(self, source: NetworkSource) -> None:
        self._source = source

    def run(self, function: Callable[Concatenate[CompiledNetwork, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(network, *args, **kwargs)`, run in the helper process."""
        return ask(function, self._source, *args, **kwargs)

    def prepare(self, vocabulary_size: int | None) -> None:
        """Do nothing: tensors cannot be passed between processes."""


def inference_of(network: Network) -> Inference:
    """Run a network in this process, or in a helper if it was forked after TensorFlow was initialised."""
    source: Any = compiled(network) if isinstance(network, HierarchicalAttentionNetwork) else network
    return HelperInference(source) if was_forked() else LocalInference(source)
