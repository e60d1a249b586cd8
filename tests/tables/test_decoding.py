from __future__ import annotations

import codecs
import re

import pytest

from han.exceptions import InvalidValueError
from han.tables.decoding import Decoder

TEXT = "Größe: 5 €, “ça va” – naïve\n"


def decoded(content, encoding=None, size=3):
    """Return the text, decoded in pieces of a few bytes, and the decoder."""
    decoder = Decoder(content, encoding)
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return "".join(map(decoder.decode, pieces)) + decoder.decode(b"", final=True), decoder


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-32"), "utf-32"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_encodings_are_detected_from_the_first_bytes(content, encoding):
    text, decoder = decoded(content)
    assert (text, decoder.encoding, decoder.notes()) == (TEXT, encoding, [])


def test_windows_1252_is_read_with_a_note():
    text, decoder = decoded(b"a,b\n" + TEXT.encode("cp1252"))
    assert text == "a,b\n" + TEXT
    assert decoder.notes() == ["read 8 bytes that are not UTF-8 as Windows-1252, the first on line 2; see --encoding"]


def test_a_file_may_mix_utf_8_and_windows_1252():
    text, decoder = decoded(TEXT.encode() + TEXT.encode("cp1252") + TEXT.encode())
    assert text == TEXT * 3
    assert (decoder.assumed, decoder.replaced, decoder.first_line) == (8, 0, 2)


@pytest.mark.parametrize(
    ("content", "encoding", "expected", "note"),
    [
        (b"a\x81\x8d", None, "a\ufffd\ufffd", "replaced 2 characters invalid in UTF-8 with U"),
        (b"a\n\xe9", "utf-8", "a\n\ufffd", r"replaced 1 character invalid in UTF-8 with U\+FFFD, the first on line 2"),
        (b"a\x81", "cp1252", "a\ufffd", "invalid in CP1252"),
        ("a我".encode("gbk") + b"\xff", "gbk", "a我\ufffd", "invalid in GBK"),
        ("a\ufffd".encode(), None, "a\ufffd", None),
    ],
)
def test_replaced_characters_are_counted(content, encoding, expected, note):
    text, decoder = decoded(content, encoding)
    assert text == expected
    assert len(decoder.notes()) == (note is not None)
    assert note is None or re.search(note, decoder.notes()[0])


@pytest.mark.parametrize("encoding", ["cp1251", "gbk", "shift_jis", "euc-kr"])
def test_text_that_windows_1252_would_garble_is_rejected(encoding):
    text = {
        "cp1251": "Очень хороший фильм, ",
        "gbk": "一部很好的电影，",
        "shift_jis": "とても良い映画、",
        "euc-kr": "아주 좋은 영화, ",
    }[encoding] * 5
    with pytest.raises(
        InvalidValueError, match=r"is not in UTF-8, and its encoding cannot be detected; set it with --encoding"
    ):
        Decoder(text.encode(encoding))
    assert decoded(text.encode(encoding), encoding)[0] == text


def test_nul_bytes_are_text():
    assert decoded(b"\0" * 100 + b"a\0b")[0] == "\0" * 100 + "a\0b"
