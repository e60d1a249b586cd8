"""Byte streams of files and pipes: decompression, samples for format detection, pauses, and splitting into lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import select
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError

# The suffixes of compressed files by their first bytes.
COMPRESSED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
PIECE_BYTES = 2**16
# A pipe has paused if no data arrives for this time; data that keeps arriving is passed on after the longer time.
PAUSE_SECONDS, MAX_WAIT_SECONDS = 0.05, 1.0
# The format is detected from this many bytes of a file, or from what has arrived through a pipe.
SAMPLE_BYTES = 2**23


class ByteStream:
    """The decompressed contents of a file or pipe.

    Parameters
    ----------
    stream : binary file
        The caller closes it.

    Attributes
    ----------
    ended : bool
        Whether `sample` reached the end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._raw = stream
        self._seekable = stream.seekable()
        self._start = stream.tell() if self._seekable else 0
        self._stream: Any = stream
        self._compression = ""  # the suffix, such as ".gz"
        self._last_pause = time.monotonic()
        self._ahead = self._read()
        for magic, suffix in COMPRESSED.items():
            if self._ahead.startswith(magic):
                self._compression = suffix
                self._stream = _decompress(io.BufferedReader(_Rewound(self._ahead, stream)), suffix)
                self._ahead = self._read()
        self.ended = not self._ahead

    def sample(self) -> bytes:
        """Return the beginning of the contents without consuming it.

        Of a pipe, this is what has arrived as soon as that includes one line of JSON, or two lines of another format.
        """
        while len(self._ahead) < SAMPLE_BYTES and not self.ended:
            if not self._seekable and self._ahead.count(b"\n") >= (1 if self._ahead.lstrip().startswith(b"{") else 2):
                break
            piece = self._read()
            self.ended = not piece
            self._ahead += piece
        return self._ahead

    def pieces(self) -> Iterator[bytes | None]:
        """Yield the contents piece by piece, and None whenever a pipe pauses."""
        piece, self._ahead = self._ahead, b""
        while piece:
            yield piece
            if self._has_paused():
                yield None
            piece = self._read()

    def seekable(self) -> BinaryIO:
        """Return the contents as a seekable file."""
        if self._seekable and not self._compression:
            self._raw.seek(self._start)
            return self._raw
        return io.BytesIO(b"".join(filter(None, self.pieces())))

    def _read(self) -> bytes:
        try:
            # `read` would block until a pipe has delivered that many bytes.
            piece: bytes = getattr(self._stream, "read1", self._stream.read)(PIECE_BYTES)
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            if not self._compression:
                raise
            raise InvalidValueError(f"is a damaged or truncated {self._compression} file: {error}") from error
        return piece

    def _has_paused(self) -> bool:
        """Return whether a pipe has no data at the moment, or its last pause was long ago."""
        if self._seekable:
            return False
        if time.monotonic() - self._last_pause > MAX_WAIT_SECONDS:
            self._last_pause = time.monotonic()
            return True
        try:
            has_paused = not select.select([self._raw], [], [], PAUSE_SECONDS)[0]
        except (OSError, ValueError, TypeError):  # not a pipe of the operating system; Windows can select only sockets
            return False
        if has_paused:
            self._last_pause = time.monotonic()
        return has_paused


class _Rewound(io.RawIOBase):
    """A stream with its first bytes put back; closing it leaves the underlying stream open."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            self._head = getattr(self._rest, "read1", self._rest.read)(PIECE_BYTES)
        size = min(len(buffer), len(self._head))
        buffer[:size], self._head = self._head[:size], self._head[size:]
        return size


def _decompress(stream: io.BufferedReader, suffix: str) -> Any:
    if suffix == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(stream, "zstd")
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=stream)
    return bz2.BZ2File(stream) if suffix == ".bz2" else lzma.LZMAFile(stream)


def split_lines(texts: Iterable[str | None], end: str = "\n") -> Iterator[str | None]:
    """Split pieces of text into lines, which keep their line breaks; None is passed through."""
    unfinished: list[str] = []
    for text in texts:
        if text is None:
            yield None
            continue
        complete, found, rest = text.rpartition(end)
        if found:
            yield from (line + end for line in ("".join(unfinished) + complete).split(end))
            unfinished = []
        unfinished.append(rest)
    if last := "".join(unfinished):
        yield last
