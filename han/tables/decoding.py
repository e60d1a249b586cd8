"""Decoding of text files: detecting the encoding and replacing invalid bytes."""

from __future__ import annotations

import codecs
import re

from han.exceptions import InvalidValueError

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is a prefix of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# The encoding is detected from this many bytes at the start of a file.
DETECTION_BYTES = 2**20
# The error handler "surrogateescape" decodes invalid bytes to these characters.
ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
# In every language written in Windows-1252, at most a fifth of the letters are not ASCII.
MIN_FOREIGN_BYTES, MAX_FOREIGN_SHARE = 20, 0.2


def check_encoding(encoding: str) -> None:
    """Raise a ValueError if Python has no text encoding of that name."""
    try:
        b"a".decode(encoding, "replace")  # decoding no bytes would not look the encoding up
    except (LookupError, ValueError, TypeError) as error:
        raise InvalidValueError(
            f"encoding must be a text encoding, such as 'utf-8', 'cp1251' or 'gbk', got {encoding!r}"
        ) from error


class Decoder:
    """Decode a file piece by piece, and count the bytes that are invalid in its encoding.

    By default a file is decoded as UTF-8, or as UTF-16 or UTF-32 if its first bytes indicate so, and each byte that is
    invalid in UTF-8 is decoded as Windows-1252. This reads files in Windows-1252 or Latin-1, and files that mix one of
    them with UTF-8. With an explicit encoding, invalid bytes become U+FFFD.

    Parameters
    ----------
    head : bytes
        The beginning of the file.
    encoding : str, optional

    Attributes
    ----------
    encoding : str
    assumed : int
        The number of bytes decoded as Windows-1252.
    replaced : int
        The number of characters replaced by U+FFFD.
    first_line : int
        The line of the first byte that was assumed or replaced.

    Raises
    ------
    ValueError
        If no encoding is given and none of these seems to be the right one.
    """

    def __init__(self, head: bytes, encoding: str | None = None) -> None:
        self.encoding = encoding or _detect_encoding(head)
        self.assumed = self.replaced = self.first_line = 0
        self._is_utf_8 = codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")
        self._falls_back = self._is_utf_8 and encoding is None
        codec, errors = ("utf-8-sig", "surrogateescape") if self._is_utf_8 else (self.encoding, "replace")
        self._decoder = codecs.getincrementaldecoder(codec)(errors)
        self._invalid = ESCAPED_BYTES if self._is_utf_8 else re.compile("\ufffd")
        self._line = 1
        self._started = False

    def decode(self, piece: bytes, final: bool = False) -> str:
        """Decode the next piece; a byte order mark is dropped."""
        text = self._decoder.decode(piece, final)
        if not self._started and text:
            text, self._started = text.removeprefix("\ufeff"), True
        lines = text.count("\n")
        if not text.isascii() and (first := self._invalid.search(text)):
            self.first_line = self.first_line or self._line + text.count("\n", 0, first.start())
            text = self._invalid.sub(self._substitute, text)
        self._line += lines
        return text

    def notes(self) -> list[str]:
        """Return messages about the bytes decoded as Windows-1252 and the characters replaced."""
        notes = []
        where = f"the first on line {self.first_line}; see --encoding"
        if self.assumed:
            count = f"{self.assumed} byte{'s' * (self.assumed > 1)}"
            notes.append(f"read {count} that {'are' if self.assumed > 1 else 'is'} not UTF-8 as Windows-1252, {where}")
        if self.replaced:
            count = f"{self.replaced} character{'s' * (self.replaced > 1)}"
            notes.append(f"replaced {count} invalid in {self.encoding.upper()} with U+FFFD, {where}")
        return notes

    def _substitute(self, invalid: re.Match[str]) -> str:
        if self._falls_back:
            text = bytes([ord(invalid[0]) - 0xDC00]).decode("cp1252", "replace")
            if text != "\ufffd":
                self.assumed += 1
                return text
        self.replaced += 1
        return "\ufffd"


def _detect_encoding(head: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    # ASCII in UTF-16 has a zero in every second byte.
    zeros = [head[parity:4096:2].count(0) for parity in (0, 1)]
    if max(zeros) > 0.2 * min(len(head), 4096) and min(zeros) < 0.1 * max(zeros):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    text = head[:DETECTION_BYTES].decode("utf-8", "surrogateescape")
    foreign = 0 if text.isascii() else len(ESCAPED_BYTES.findall(text))
    letters = sum(map(str.isalpha, text)) + foreign
    if foreign >= MIN_FOREIGN_BYTES and foreign > MAX_FOREIGN_SHARE * letters:
        raise InvalidValueError(
            "is not in UTF-8, and its encoding cannot be detected; set it with --encoding, for example to cp1251, gbk "
            "or shift_jis"
        )
    return "utf-8"
