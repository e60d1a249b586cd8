"""A trained network for programs that have no `han`: as TensorFlow's SavedModel, or as an ONNX file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from han.backend import tf
from han.backend.isolation import isolated
from han.exceptions import DestinationError, InvalidValueError
from han.files.atomic import check_output, replacing
from han.files.folders import check_writable, is_empty, replacing_folder
from han.files.paths import local_path
from han.inference.compiled import compiled
from han.layers.packing import unpad
from han.model import HierarchicalAttentionNetwork

FORMATS = ("savedmodel", "onnx")
SUFFIX = ".onnx"
TOKENIZER = "tokenizer.json"
SAVED_MODEL = "saved_model.pb"


def check_export(path: str | os.PathLike[str], form: str | None, overwrite: bool) -> tuple[Path, str]:
    """Return the path and the format of an export that can be written; see `HANClassifier.export`.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is not a path on this machine, or its name is of another format, or of none.
    DestinationError
        If something is there already, or nothing can be written there.
    """
    target = local_path("path", path).absolute()
    suffix = target.suffix.lower()
    if form is None and suffix not in ("", SUFFIX):
        raise InvalidValueError(
            f"path must end in {SUFFIX} for an ONNX file, or have no suffix for a SavedModel folder unless format is "
            f'"savedmodel", got {str(path)!r}'
        )
    form = form or ("onnx" if suffix == SUFFIX else "savedmodel")
    if (form == "onnx") != (suffix == SUFFIX):
        expected = f"must end in {SUFFIX}" if form == "onnx" else f"must not end in {SUFFIX}"
        raise InvalidValueError(f'path {expected} for format="{form}", got {str(path)!r}')
    if form == "savedmodel":
        target = target.resolve()
        if target.exists() and not is_empty(target):
            if not (target / SAVED_MODEL).is_file():
                raise DestinationError(
                    f"a SavedModel needs a new folder, got {str(path)!r}, which holds something else"
                )
            _check_overwrite(target, overwrite)
        check_writable(target)
        return target, form
    for file in (target, _beside(target)):
        if file.exists():
            _check_overwrite(file, overwrite)
        if file.parent.exists():
            check_output(file)
        else:
            check_writable(file.parent)
    return target, form


def _check_overwrite(path: Path, overwrite: bool) -> None:
    if not overwrite:
        raise DestinationError(f"{str(path)!r} exists; overwrite=True (han export --force) replaces it")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.{TOKENIZER}")


def export(path: Path, form: str, model: HierarchicalAttentionNetwork, tokenizer: Mapping[str, Any]) -> list[Path]:
    """Write a network, and beside it how documents become numbers; see `HANClassifier.export`."""
    # Half of a surrogate pair, which UTF-8 does not have, is written as JSON writes it.
    content = (json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")
    if form == "onnx":
        from han.saving.onnx_graph import to_onnx

        graph = to_onnx(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, data in ((path, graph), (_beside(path), content)):
            with replacing(file) as stream:
                stream.write(data)
        return [path, _beside(path)]
    with replacing_folder(path) as new:
        _save(new, model)
        # What a SavedModel may hold beside TensorFlow's own files.
        (new / "assets.extra").mkdir()
        (new / "assets.extra" / TOKENIZER).write_bytes(content)
    return [path, path / "assets.extra" / TOKENIZER]


def _save(path: Path, model: HierarchicalAttentionNetwork) -> None:
    network = compiled(model)
    module = tf.Module()
    # Not the model itself, which Keras would have saved with a signature of its own.
    module.weights = [weight.value for weight in model.weights]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.int32, name="input")], autograph=False)
    def serve(block: tf.Tensor) -> dict[str, tf.Tensor]:
        documents, _, _ = unpad(block)
        return {"probabilities": network.forward(*network.project_distinct(documents))[0]}

    with isolated():
        tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
