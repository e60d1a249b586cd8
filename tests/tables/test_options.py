from __future__ import annotations

from pathlib import Path

import pytest

from han.exceptions import InvalidTypeError, InvalidValueError
from han.tables.options import TableOptions, format_from_name, stem


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"input_format": "xml"}, InvalidValueError, "input_format must be one of csv, .* got 'xml'"),
        ({"quoting": 3}, InvalidValueError, "quoting must be one of minimal, none, backslash, or None, got 3"),
        ({"delimiter": "::"}, InvalidValueError, "delimiter must be one character.* got '::'"),
        ({"delimiter": '"'}, InvalidValueError, "delimiter must be one character"),
        ({"encoding": "utf-7b"}, InvalidValueError, "encoding must be a text encoding.* got 'utf-7b'"),
        ({"encoding": "base64"}, InvalidValueError, "encoding must be a text encoding.* got 'base64'"),
        ({"header": None}, InvalidTypeError, "header must be a bool, got None"),
        ({"skip_bad_rows": 1}, InvalidTypeError, "skip_bad_rows must be a bool, got 1"),
    ],
)
def test_options_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        TableOptions(**options)


@pytest.mark.parametrize(
    ("name", "input_format", "expected_stem"),
    [
        ("reviews.v2.csv", "csv", "reviews.v2"),
        ("reviews.TAB.gz", "tsv", "reviews"),
        ("reviews.pq.zst", "parquet", "reviews"),
        ("reviews.txt", None, "reviews"),
    ],
)
def test_suffixes(name, input_format, expected_stem):
    assert format_from_name(name) == input_format
    assert stem(Path(name)) == expected_stem
