"""Bytes of files and pipes: decompression, a sample to sniff, reading without waiting, and lines."""

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

# Suffixes of compressed files, by their first bytes.
COMPRESSED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
PIECE_BYTES = 2**16
# A pipe pauses when nothing arrives for so many seconds. Rows that keep arriving are handed on every second at least.
PAUSE, LONGEST_WAIT = 0.05, 1.0
# How much of a file is sniffed; of a pipe, only what has arrived.
SAMPLE_BYTES = 2**23


class Source:
    """The decompressed contents of a stream.

    Parameters
    ----------
    stream : binary file
        Whoever opened it closes it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._raw = stream
        self._seekable = stream.seekable()
        self._start = stream.tell() if self._seekable else 0
        self._stream: Any = stream
        self._ending = ""
        self._paused = time.monotonic()
        self._ahead = self._read()
        for magic, ending in COMPRESSED.items():
            if self._ahead.startswith(magic):
                self._ending = ending
                self._stream = _decompressed(io.BufferedReader(_Rejoined(self._ahead, stream)), ending)
                self._ahead = self._read()
        self.ended = not self._ahead

    def sample(self) -> bytes:
        """Return the beginning: of a pipe, no more than has come, if that is a line of JSON or two others."""
        while len(self._ahead) < SAMPLE_BYTES and not self.ended:
            if not self._seekable and self._ahead.count(b"\n") >= (1 if self._ahead.lstrip().startswith(b"{") else 2):
                break
            piece = self._read()
            self.ended = not piece
            self._ahead += piece
        return self._ahead

    def pieces(self) -> Iterator[bytes | None]:
        """Read what there is, piece by piece, with None where more is yet to come and would have to be waited for."""
        piece, self._ahead = self._ahead, b""
        while piece:
            yield piece
            if self._pauses():
                yield None
            piece = self._read()

    def seekable(self) -> BinaryIO:
        """Return all of the contents as a seekable file."""
        if self._seekable and not self._ending:
            self._raw.seek(self._start)
            return self._raw
        return io.BytesIO(b"".join(filter(None, self.pieces())))

    def _read(self) -> bytes:
        try:
            # `read` would wait until a pipe has delivered that many bytes.
            piece: bytes = getattr(self._stream, "read1", self._stream.read)(PIECE_BYTES)
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            if not self._ending:
                raise
            raise InvalidValueError(f"is a damaged or truncated {self._ending} file: {error}") from error
        return piece

    def _pauses(self) -> bool:
        """Tell whether a pipe has nothing for a moment, or whether that was asked for the last time long ago."""
        if self._seekable:
            return False
        if time.monotonic() - self._paused > LONGEST_WAIT:
            self._paused = time.monotonic()
            return True
        try:
            pauses = not select.select([self._raw], [], [], PAUSE)[0]
        except (OSError, ValueError, TypeError):  # no pipe of the system; on Windows, only sockets can be asked
            return False
        if pauses:
            self._paused = time.monotonic()
        return pauses


class _Rejoined(io.RawIOBase):
    """A stream with its first bytes put back; closing it leaves the stream open."""

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


def _decompressed(stream: io.BufferedReader, ending: str) -> Any:
    if ending == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(stream, "zstd")
    if ending == ".gz":
        return gzip.GzipFile(fileobj=stream)
    return bz2.BZ2File(stream) if ending == ".bz2" else lzma.LZMAFile(stream)


def split_lines(texts: Iterable[str | None], end: str = "\n") -> Iterator[str | None]:
    """Split pieces of text into lines, which keep their ends; None is passed through."""
    held: list[str] = []
    for text in texts:
        if text is None:
            yield None
            continue
        whole, found, rest = text.rpartition(end)
        if found:
            *lines, last = ("".join(held) + whole).split(end)
            yield from (line + end for line in lines)
            yield last + end
            held = []
        held.append(rest)
    if last := "".join(held):
        yield last
