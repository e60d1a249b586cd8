"""Files of word vectors: GloVe text, word2vec text and binary, fastText text; other formats are refused by name."""

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

# How compressed files begin, and what opens them.
_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZIP = b"PK\x03\x04"
_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PICKLE = (
    "it is a pickle, such as gensim's `save` writes, and unpickling may run code; if you trust it, pass "
    "`gensim.models.KeyedVectors.load(path)` or `gensim.models.Word2Vec.load(path).wv` as embeddings, or write the "
    "vectors with gensim's `save_word2vec_format`"
)
_MAPPING = "pass a mapping of words to vectors as embeddings, such as `dict(zip(words, matrix))`"
# How files begin that hold something else, what they are, and what to do.
_FOREIGN = {
    b"\xba\x16\x4f\x2f": (
        "it is a fastText model (.bin); pass `gensim.models.fasttext.load_facebook_vectors(path)` as embeddings, or "
        "fastText's text vectors (.vec)"
    ),
    **dict.fromkeys((bytes([0x80, protocol]) for protocol in range(2, 6)), _PICKLE),
    b"\x93NUMPY": f"it is a NumPy array, which holds no words; {_MAPPING}",
    b"\x89HDF": f"it is an HDF5 file; {_MAPPING}",
    b"PAR1": f"it is a Parquet file; {_MAPPING}",
    b"SQLite format 3": f"it is an SQLite database; {_MAPPING}",
    b"\x28\xb5\x2f\xfd": "it is compressed by Zstandard; decompress it first",
    b"{": f"it is a JSON file; {_MAPPING}",
}
# A line of text vectors is shorter.
_LONGEST_LINE = 1 << 20


class _Layout(NamedTuple):
    """What the first lines of a file say: the header, if there is one, and the lines that were read with vectors."""

    features: int
    words: int | None
    binary: bool
    lines: list[bytes]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise errors of reading as an InvalidValueError that names the file."""
    try:
        yield
    except (OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise _refusal(path, error) from error


def check_file(path: Path) -> None:
    """Raise an error if a file does not begin like one of word vectors.

    Raises
    ------
    InvalidValueError
        With the name of the format, if it is a known one, and what to do.
    """
    if path.is_dir():
        raise _refusal(path, f"it is a folder, such as spaCy and gensim write; {_MAPPING}")
    with readable(path), _opened(path) as file:
        _layout(file)


def read_file(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Float32]]:
    """Yield the words of a file that the vocabulary knows, in any spelling, with their vectors; see also `readable`."""
    with _opened(path) as file:
        layout = _layout(file)
        if layout.binary:
            yield from _read_binary(layout, file, vocabulary)
        else:
            yield from _read_text(layout, file, vocabulary)


def _refusal(path: Path, reason: object) -> InvalidValueError:
    return InvalidValueError(f"embeddings must be a readable file of word vectors, got {str(path)!r}: {reason}")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, whatever it is compressed by, past its byte order mark and as UTF-8."""
    with path.open("rb") as file:
        beginning = _peek(file, 8)
        if beginning.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, archive.open(_member(archive)) as member:
                yield _as_utf8(member)
            return
        for magic, opener in _OPENERS.items():
            if beginning.startswith(magic):
                with opener(file) as decompressed:
                    yield _as_utf8(decompressed)
                return
        yield _as_utf8(file)


def _peek(file: IO[bytes], size: int) -> bytes:
    beginning = file.read(size)
    file.seek(0)
    return beginning


def _as_utf8(file: IO[bytes]) -> IO[bytes]:
    beginning = _peek(file, 3)
    if beginning == codecs.BOM_UTF8:
        file.seek(3)
    elif encoding := _ENCODINGS.get(beginning[:2]):
        return codecs.EncodedFile(file, "utf-8", encoding)
    return file


def _member(archive: zipfile.ZipFile) -> str:
    """Return the only member of an archive that begins like word vectors."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if any(name.endswith("/data.pkl") for name in names):
        raise InvalidValueError(f"it is a PyTorch file; {_MAPPING}")
    if names and all(name.endswith(".npy") for name in names):
        raise InvalidValueError(f"it is an archive of NumPy arrays; {_MAPPING}")
    found, reasons = [], []
    for name in names:
        try:
            with archive.open(name) as member:
                _layout(_as_utf8(member))
            found.append(name)
        except ValueError as error:
            reasons.append(f"{name}: {error}")
    if not found:
        raise InvalidValueError(f"no file in it holds word vectors ({'; '.join(reasons[:3])})")
    if len(found) > 1:
        raise InvalidValueError(f"it holds several files of word vectors, {', '.join(found[:9])}; extract one of them")
    return found[0]


def _layout(file: IO[bytes]) -> _Layout:
    """Read the first lines of a file."""
    first = file.readline(_LONGEST_LINE)
    for magic, meaning in _FOREIGN.items():
        if first.startswith(magic) and not _numbers(first):  # "{" may be a word
            raise InvalidValueError(meaning)
    if first[8:10] == b'{"':
        raise InvalidValueError(f"it is a safetensors file, which holds no words; {_MAPPING}")
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):  # the header of word2vec and fastText
        count, features = map(int, fields)
        second = file.readline(_LONGEST_LINE)
        numbers = _numbers(second)
        if numbers and numbers != features:
            raise InvalidValueError(f"its header says that vectors have {features} numbers, line 2 has {numbers}")
        return _Layout(features, count, not numbers, [second])
    features = _numbers(first)
    if not features:
        raise InvalidValueError("its first line is neither a header nor a word with its numbers")
    return _Layout(features, None, False, [first])


def _numbers(line: bytes) -> int:
    """Return how many numbers end a line that begins with a word."""
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
        if len(fields) == features:  # with more, it is a word with spaces in it, which is none here
            yield word, np.array(fields, np.float32)


def _read_binary(layout: _Layout, file: IO[bytes], vocabulary: Vocabulary) -> Iterator[tuple[str, Float32]]:
    count, features = layout.words or 0, layout.features
    buffer, position = layout.lines[0], 0
    for number in range(1, count + 1):
        space = buffer.find(b" ", position)
        while space < 0 or len(buffer) < space + 1 + 4 * features:
            more = file.read(_LONGEST_LINE)
            if not more:
                raise InvalidValueError(f"it ends within word {number} of {count}")
            buffer, position = buffer[position:] + more, 0
            space = buffer.find(b" ")
        # Some writers end each vector with a newline.
        word = buffer[position:space].lstrip(b"\n").decode("utf-8", "replace")
        position = space + 1 + 4 * features
        if word in vocabulary:
            yield word, np.frombuffer(buffer, "<f4", features, space + 1)
    if (buffer[position:] + file.read(_LONGEST_LINE)).strip():
        raise InvalidValueError(f"it goes on after the {count} words that its header announces")
