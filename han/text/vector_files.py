"""Read files of word vectors: GloVe text, word2vec text and binary, and fastText text.

Errors for other well-known formats name the format and explain how to convert it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.exceptions import InvalidValueError
from han.text.vocabulary import Vocabulary

Float32 = npt.NDArray[np.float32]

# Magic numbers of compressed files, with the functions that open them.
_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZIP = b"PK\x03\x04"
_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PICKLE = (
    "it is a pickle, as gensim's `save` writes, and unpickling can run arbitrary code; if you trust it, pass "
    "`gensim.models.KeyedVectors.load(path)` or `gensim.models.Word2Vec.load(path).wv` as embeddings, or save the "
    "vectors with gensim's `save_word2vec_format`"
)
_MAPPING = "pass a mapping of words to vectors as embeddings, such as `dict(zip(words, matrix))`"
# Magic numbers of unsupported formats, with the format and what to do, for the error.
_UNSUPPORTED = {
    b"\xba\x16\x4f\x2f": (
        "it is a fastText model (.bin); pass `gensim.models.fasttext.load_facebook_vectors(path)` as embeddings, or "
        "fastText's text vectors (.vec)"
    ),
    **dict.fromkeys((bytes([0x80, protocol]) for protocol in range(2, 6)), _PICKLE),
    b"\x93NUMPY": f"it is a NumPy array, which contains no words; {_MAPPING}, or the folder if spaCy wrote it",
    b"\x89HDF": f"it is an HDF5 file; {_MAPPING}",
    b"PAR1": f"it is a Parquet file; {_MAPPING}",
    b"SQLite format 3": f"it is an SQLite database; {_MAPPING}",
    b"\x28\xb5\x2f\xfd": "it is compressed with Zstandard; decompress it first",
    b"{": f"it is a JSON file; {_MAPPING}",
}
# Upper bound of the length of a line of text vectors.
_MAX_LINE_BYTES = 1 << 20


class _Layout(NamedTuple):
    """The layout of a file, as its first line or two indicate.

    Attributes
    ----------
    features : int
        Length of the vectors.
    words : int or None
        Number of words according to the header, or None if there is no header.
    binary : bool
    lines : list of bytes
        Lines after the header that have been read already.
    """

    features: int
    words: int | None
    binary: bool
    lines: list[bytes]


def unreadable(path: Path, reason: object) -> InvalidValueError:
    """Return the error that a file or folder cannot be read as word vectors."""
    return InvalidValueError(f"embeddings must be a readable file of word vectors, got {str(path)!r}: {reason}")


@contextmanager
def errors_with_path(path: Path) -> Iterator[None]:
    """Turn errors that occur during reading into an InvalidValueError that names the file."""
    try:
        yield
    except (OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise unreadable(path, error) from error


def check_file(path: Path) -> None:
    """Raise an error if a file does not look like word vectors, without reading all of it.

    Raises
    ------
    InvalidValueError
        If the file is in another format; the error names well-known formats and explains how to convert them.
    """
    with errors_with_path(path), _open(path) as file:
        _read_layout(file)


def read_file(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Float32]]:
    """Yield the words of a file that are in the vocabulary, in any spelling, with their vectors."""
    with _open(path) as file:
        layout = _read_layout(file)
        if layout.binary:
            yield from _read_binary(layout, file, vocabulary)
        else:
            yield from _read_text(layout, file, vocabulary)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, decompressed, as UTF-8 and after its byte order mark."""
    with path.open("rb") as file:
        start = _peek(file, 8)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, archive.open(_find_member(archive)) as member:
                yield _as_utf8(member)
            return
        for magic, opener in _OPENERS.items():
            if start.startswith(magic):
                with opener(file) as decompressed:
                    yield _as_utf8(decompressed)
                return
        yield _as_utf8(file)


def _peek(file: IO[bytes], size: int) -> bytes:
    start = file.read(size)
    file.seek(0)
    return start


def _as_utf8(file: IO[bytes]) -> IO[bytes]:
    start = _peek(file, 3)
    if start == codecs.BOM_UTF8:
        file.seek(3)
    elif encoding := _ENCODINGS.get(start[:2]):
        return codecs.EncodedFile(file, "utf-8", encoding)
    return file


def _find_member(archive: zipfile.ZipFile) -> str:
    """Return the name of the only member of an archive that looks like word vectors."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if any(name.endswith("/data.pkl") for name in names):
        raise InvalidValueError(f"it is a PyTorch file; {_MAPPING}")
    if names and all(name.endswith(".npy") for name in names):
        raise InvalidValueError(f"it is an archive of NumPy arrays; {_MAPPING}")
    found, reasons = [], []
    for name in names:
        try:
            with archive.open(name) as member:
                _read_layout(_as_utf8(member))
            found.append(name)
        except ValueError as error:
            reasons.append(f"{name}: {error}")
    if not found:
        raise InvalidValueError(f"no file in the archive contains word vectors ({'; '.join(reasons[:3])})")
    if len(found) > 1:
        raise InvalidValueError(
            f"the archive contains several files of word vectors, {', '.join(found[:9])}; extract one of them"
        )
    return found[0]


def _read_layout(file: IO[bytes]) -> _Layout:
    """Detect the layout of a file from its first line or two."""
    first = file.readline(_MAX_LINE_BYTES)
    for magic, reason in _UNSUPPORTED.items():
        if first.startswith(magic) and not _count_numbers(first):  # "{" may be a word
            raise InvalidValueError(reason)
    if first[8:10] == b'{"':
        raise InvalidValueError(
            f"it is a safetensors file, which contains no words; {_MAPPING}, or the folder if it is a static model"
        )
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):  # the header of word2vec and fastText
        words, features = map(int, fields)
        second = file.readline(_MAX_LINE_BYTES)
        numbers = _count_numbers(second)
        if numbers and numbers != features:
            raise InvalidValueError(f"the header declares vectors of {features} numbers, but line 2 has {numbers}")
        return _Layout(features, words, not numbers, [second])
    features = _count_numbers(first)
    if not features:
        raise InvalidValueError("the first line is neither a header nor a word followed by numbers")
    return _Layout(features, None, False, [first])


def _count_numbers(line: bytes) -> int:
    """Return the number of numbers at the end of a line that starts with a word."""
    count = 0
    for field in reversed(line.split()[1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count


def _read_text(layout: _Layout, file: Iterable[bytes], vocabulary: Vocabulary) -> Iterator[tuple[str, Float32]]:
    features = layout.features
    separator = b"\t" if b"\t" in layout.lines[0] else b" "
    for number, line in enumerate(chain(layout.lines, file), 1 if layout.words is None else 2):
        end = max(line.find(separator), 0)
        word = line[:end].decode("utf-8", "replace")
        if word not in vocabulary:
            continue
        fields = line[end:].split()
        if len(fields) < features:
            raise InvalidValueError(f"line {number} has {len(fields)} numbers, expected {features}")
        if len(fields) == features:  # more fields belong to a word with spaces, which no vocabulary contains
            yield word, np.array(fields, np.float32)


def _read_binary(layout: _Layout, file: IO[bytes], vocabulary: Vocabulary) -> Iterator[tuple[str, Float32]]:
    count, features = layout.words or 0, layout.features
    buffer, position = layout.lines[0], 0
    for number in range(1, count + 1):
        space = buffer.find(b" ", position)
        while space < 0 or len(buffer) < space + 1 + 4 * features:
            more = file.read(_MAX_LINE_BYTES)
            if not more:
                raise InvalidValueError(f"the file ends within word {number} of {count}")
            buffer, position = buffer[position:] + more, 0
            space = buffer.find(b" ")
        # Some programs write a newline after each vector.
        word = buffer[position:space].lstrip(b"\n").decode("utf-8", "replace")
        position = space + 1 + 4 * features
        if word in vocabulary:
            yield word, np.frombuffer(buffer, "<f4", features, space + 1)
    if (buffer[position:] + file.read(_MAX_LINE_BYTES)).strip():
        raise InvalidValueError(f"the file continues after the {count} words that its header declares")
