"""Word vectors from models that encode texts: model2vec's static models, and objects with a method `encode`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.exceptions import InvalidValueError, MissingFileError
from han.text.vector_files import unreadable

Float32 = npt.NDArray[np.float32]

# Words that are encoded at once. The batches bound the memory that a large model needs; from 10,000 texts on,
# model2vec starts threads and changes an environment variable.
BATCH_WORDS = 4096

TENSORS, TOKENIZER, CONFIG, MODULE = "model.safetensors", "tokenizer.json", "config.json", "0_StaticEmbedding"


class _Layout(NamedTuple):
    """The files of a static model, relative to its folder, and the tensor of its vectors."""

    tensors: str
    tokenizer: str
    config: str
    tensor: str


# As model2vec and sentence-transformers write them; model2vec reads the first one that is complete.
_LAYOUTS = (
    _Layout(TENSORS, TOKENIZER, CONFIG, "embeddings"),
    _Layout(TENSORS, TOKENIZER, "config_sentence_transformers.json", "embedding.weight"),
    _Layout(f"{MODULE}/{TENSORS}", f"{MODULE}/{TOKENIZER}", "config_sentence_transformers.json", "embedding.weight"),
)


def is_encoder(source: object) -> bool:
    """Return whether an object is a model with a method `encode`, rather than a string, a mapping or a class."""
    if isinstance(source, str | type | Mapping) or hasattr(source, "key_to_index"):
        return False
    return callable(getattr(source, "encode", None))


def encode_words(encoder: Any, words: Sequence[str]) -> Iterator[tuple[str, Float32]]:
    """Yield words with their vectors; each word is encoded once, as a text of its own.

    Parameters
    ----------
    encoder : object
        Its method `encode` takes a list of words and returns an array of float [words, features].
    words : sequence of str

    Raises
    ------
    InvalidValueError
        If `encode` returns anything else.
    """
    for start in range(0, len(words), BATCH_WORDS):
        batch = list(words[start : start + BATCH_WORDS])
        yield from zip(batch, _encode(encoder, batch), strict=True)


def is_static_model(folder: Path) -> bool:
    """Return whether a folder contains any file of a static model."""
    return any((folder / name).exists() for name in (TENSORS, TOKENIZER, MODULE))


def check_static_model(folder: Path) -> None:
    """Raise an error if a folder does not contain a static model, without reading the vectors.

    Raises
    ------
    MissingFileError
        If a file is missing.
    InvalidValueError
        If the file of tensors is damaged, or belongs to another model.
    """
    from safetensors import SafetensorError, safe_open

    layout = _find_layout(folder)
    path = folder / layout.tensors
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
    if layout.tensor not in names:
        raise unreadable(
            path,
            f"a static model has a tensor {layout.tensor!r}, but this file has {', '.join(map(repr, names[:3]))}; if "
            "it is another model, pass an object with a method `encode` as embeddings, such as "
            "`sentence_transformers.SentenceTransformer(path)`",
        )


def load_static_model(folder: Path) -> Any:
    """Return the static model in a folder, as an object with a method `encode`.

    Raises
    ------
    InvalidValueError
        If a file is damaged.
    """
    from model2vec import StaticModel

    try:
        return StaticModel.from_pretrained(folder)
    except ImportError:
        raise
    except Exception as error:  # tokenizers raises no subclass of it
        raise unreadable(folder, error) from error


def _find_layout(folder: Path) -> _Layout:
    for layout in _LAYOUTS:
        if all((folder / name).is_file() for name in layout[:3]):
            return layout
    missing = [name for name in _LAYOUTS[0][:3] if not (folder / name).is_file()]
    raise MissingFileError(
        f"embeddings must be a folder with the files of a static model, {TENSORS!r}, {TOKENIZER!r} and {CONFIG!r}, got "
        f"{str(folder)!r} without {', '.join(map(repr, missing))}"
    )


def _encode(encoder: Any, words: list[str]) -> Float32:
    result = encoder.encode(words)
    expected = f"embeddings.encode must return an array of float [words, features] for {len(words)} words"
    try:
        vectors = np.asarray(result, np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{expected}, got {type(result).__name__}: {error}") from error
    if vectors.ndim != 2 or len(vectors) != len(words) or not vectors.shape[1]:
        raise InvalidValueError(f"{expected}, got the shape {vectors.shape}")
    return vectors
