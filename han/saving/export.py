"""Export of networks as TensorFlow SavedModels and ONNX files, for programs without `han`."""

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
from han.model import HierarchicalAttentionNetwork
from han.recurrence.operation import portable

FORMATS = ("savedmodel", "onnx")
SUFFIX = ".onnx"
TOKENIZER = "tokenizer.json"
SAVED_MODEL = "saved_model.pb"


def check_export(path: str | os.PathLike[str], export_format: str | None, overwrite: bool) -> tuple[Path, str]:
    """Return the absolute path and the format of an export; see `HANClassifier.export`.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If `path` is not a path on this machine, or its suffix does not match the format.
    DestinationError
        If the path exists and must not be overwritten, or is not writable.
    """
    target = local_path("path", path).absolute()
    suffix = target.suffix.lower()
    if export_format is None and suffix not in ("", SUFFIX):
        raise InvalidValueError(
            f"path must end in {SUFFIX} for an ONNX file, or have no suffix for a SavedModel folder unless format is "
            f'"savedmodel", got {str(path)!r}'
        )
    export_format = export_format or ("onnx" if suffix == SUFFIX else "savedmodel")
    if (export_format == "onnx") != (suffix == SUFFIX):
        expected = f"must end in {SUFFIX}" if export_format == "onnx" else f"must not end in {SUFFIX}"
        raise InvalidValueError(f'path {expected} for format="{export_format}", got {str(path)!r}')
    if export_format == "savedmodel":
        target = target.resolve()
        if target.exists() and not is_empty(target):
            if not (target / SAVED_MODEL).is_file():
                raise DestinationError(f"a SavedModel needs a new folder, got {str(path)!r}, which has other contents")
            _check_overwrite(target, overwrite)
        check_writable(target)
        return target, export_format
    for file in (target, _tokenizer_path(target)):
        if file.exists():
            _check_overwrite(file, overwrite)
        if file.parent.exists():
            check_output(file)
        else:
            check_writable(file.parent)
    return target, export_format


def _check_overwrite(path: Path, overwrite: bool) -> None:
    if not overwrite:
        raise DestinationError(f"{str(path)!r} exists; use overwrite=True (han export --force) to replace it")


def _tokenizer_path(onnx_file: Path) -> Path:
    return onnx_file.with_name(f"{onnx_file.stem}.{TOKENIZER}")


def export(
    path: Path, export_format: str, model: HierarchicalAttentionNetwork, tokenizer: Mapping[str, Any]
) -> list[Path]:
    """Write a network together with the settings of its tokenizer; see `HANClassifier.export`."""
    # UTF-8 cannot encode half of a surrogate pair; JSON can escape it.
    settings = (json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")
    if export_format == "onnx":
        from han.saving.onnx_graph import to_onnx

        graph = to_onnx(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, content in ((path, graph), (_tokenizer_path(path), settings)):
            with replacing(file) as stream:
                stream.write(content)
        return [path, _tokenizer_path(path)]
    with replacing_folder(path) as new:
        _write_saved_model(new, model)
        # The folder that SavedModel reserves for files of users.
        (new / "assets.extra").mkdir()
        (new / "assets.extra" / TOKENIZER).write_bytes(settings)
    return [path, path / "assets.extra" / TOKENIZER]


def _write_saved_model(path: Path, model: HierarchicalAttentionNetwork) -> None:
    module = tf.Module()
    # The weights only: for the model itself, Keras would add a signature of its own.
    module.weights = [weight.value for weight in model.weights]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.int32, name="input")], autograph=False)
    def serve(block: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(block)}

    with isolated(), portable():
        tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
