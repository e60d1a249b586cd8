"""A trained network for programs that have no `han`: as TensorFlow's SavedModel, or as an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from han.backend import tf
from han.exceptions import DestinationError
from han.isolation import isolated
from han.model import HierarchicalAttentionNetwork
from han.packing import unpad

FORMATS = ("savedmodel", "onnx")
TOKENIZER = "tokenizer.json"


def export(path: Path, form: str, model: HierarchicalAttentionNetwork, tokenizer: Mapping[str, Any]) -> list[Path]:
    """Write a network, and beside it how documents become numbers; see `HANClassifier.export`."""
    content = json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n"
    if form == "onnx":
        from han.onnx_graph import to_onnx

        graph = to_onnx(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(graph)
        beside = path.with_name(f"{path.stem}.{TOKENIZER}")
    else:
        if path.exists():
            raise DestinationError(f"path must be a folder that is not there yet, got {str(path)!r}")
        _save(path, model)
        # What a SavedModel may hold beside TensorFlow's own files.
        beside = path / "assets.extra" / TOKENIZER
        beside.parent.mkdir()
    # Half of a surrogate pair, which UTF-8 has not, as JSON has it.
    beside.write_text(content, encoding="utf-8", errors="backslashreplace")
    return [path, beside]


def _save(path: Path, model: HierarchicalAttentionNetwork) -> None:
    module = tf.Module()
    # Not the model itself, which Keras would have saved with a signature of its own.
    module.weights = [weight.value for weight in model.weights]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.int32, name="input")], autograph=False)
    def serve(block: tf.Tensor) -> dict[str, tf.Tensor]:
        documents, _, _ = unpad(block)
        return {"probabilities": model.read(*model.project_distinct(documents))[0]}

    with isolated():
        tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
