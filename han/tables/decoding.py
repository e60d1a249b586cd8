"""Decoding of text files: finding the encoding, and replacing what is not valid in it."""

from __future__ import annotations

import codecs
import re

from han.exceptions import InvalidValueError

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins with that of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# The encoding is guessed from the first bytes of a file.
GUESS_BYTES = 2**20
# What the error handler "surrogateescape" makes of invalid bytes.
ESCAPED = re.compile("[\udc80-\udcff]")
# No language written in Windows-1252 has more than a fifth of its letters outside ASCII.
FOREIGN_BYTES, FOREIGN_SHARE = 20, 0.2


def check_encoding(encoding: str) -> None:
    """Raise a ValueError if Python knows no text encoding of that name."""
    try:
        b"a".decode(encoding, "replace")  # which nothing at all would not try
    except (LookupError, ValueError, TypeError) as error:
        raise InvalidValueError(
            f"encoding must be a text encoding, such as 'utf-8', 'cp1251' or 'gbk', got {encoding!r}"
        ) from error


class Decoder:
    """Decodes a file piece by piece, and counts what is invalid in its encoding.

    By default a file is UTF-8, or UTF-16 or UTF-32 if it begins like one, and each byte that is invalid in UTF-8 is
    read as Windows-1252. This decodes files in Windows-1252 or Latin-1, and it keeps the UTF-8 in files that mix the
    two. With a given encoding, what is invalid becomes U+FFFD.

    Parameters
    ----------
    head : bytes
        The beginning of the file.
    encoding : str, optional

    Attributes
    ----------
    encoding : str
    assumed : int
        How many bytes were read as Windows-1252.
    replaced : int
        How many characters became U+FFFD.
    first_line : int
        The line of the first of either.

    Raises
    ------
    ValueError
        If no encoding is given and the file seems to be in none of these.
    """

    def __init__(self, head: bytes, encoding: str | None = None) -> None:
        self.encoding = encoding or _guessed(head)
        self.assumed = self.replaced = self.first_line = 0
        self._guess = encoding is None
        self._utf_8 = codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")
        codec, errors = ("utf-8-sig", "surrogateescape") if self._utf_8 else (self.encoding, "replace")
        self._decoder = codecs.getincrementaldecoder(codec)(errors)
        self._odd = ESCAPED if self._utf_8 else re.compile("\ufffd")
        self._line = 1
        self._started = False

    def decode(self, piece: bytes, final: bool = False) -> str:
        """Decode the next piece, without a byte order mark."""
        text = self._decoder.decode(piece, final)
        if not self._started and text:
            text, self._started = text.removeprefix("\ufeff"), True
        lines = text.count("\n")
        if not text.isascii() and (first := self._odd.search(text)):
            self.first_line = self.first_line or self._line + text.count("\n", 0, first.start())
            text = self._odd.sub(self._stand_in, text)
        self._line += lines
        return text

    def notes(self) -> list[str]:
        """Return a sentence on the bytes read as Windows-1252 and one on the characters replaced, if there are any."""
        said = []
        where = f"the first on line {self.first_line}; see --encoding"
        if self.assumed:
            some = f"{self.assumed} byte{'s' * (self.assumed > 1)}"
            said.append(f"read {some} that {'are' if self.assumed > 1 else 'is'} not UTF-8 as Windows-1252, {where}")
        if self.replaced:
            some = f"{self.replaced} character{'s' * (self.replaced > 1)}"
            said.append(f"replaced {some} invalid in {self.encoding.upper()} with U+FFFD, {where}")
        return said

    def _stand_in(self, odd: re.Match[str]) -> str:
        if self._guess and self._utf_8:
            text = bytes([ord(odd[0]) - 0xDC00]).decode("cp1252", "replace")
            if text != "\ufffd":
                self.assumed += 1
                return text
        self.replaced += 1
        return "\ufffd"


def _guessed(head: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    # In UTF-16, every second byte of ASCII is zero.
    zeros = [head[parity:4096:2].count(0) for parity in (0, 1)]
    if max(zeros) > 0.2 * min(len(head), 4096) and min(zeros) < 0.1 * max(zeros):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    text = head[:GUESS_BYTES].decode("utf-8", "surrogateescape")
    foreign = 0 if text.isascii() else len(ESCAPED.findall(text))
    if foreign >= FOREIGN_BYTES and foreign > FOREIGN_SHARE * (sum(map(str.isalpha, text)) + foreign):
        raise InvalidValueError(
            "is not in UTF-8, and its encoding cannot be guessed; set it with --encoding, for example to cp1251, gbk "
            "or shift_jis"
        )
    return "utf-8"
