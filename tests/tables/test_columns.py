from __future__ import annotations

import io

import pandas as pd
import pytest

from han.exceptions import InvalidTypeError
from han.tables.columns import join_texts
from tests.tables.reading import read


def test_unnamed_columns_are_named_as_in_pandas():
    content = b"v1,v2,,,\nham,Hello,,,\nspam,Win,,,\n"
    rows, _ = read(content)
    assert [*rows[0]] == [*pd.read_csv(io.BytesIO(content)).columns]
    assert rows[1] == {"v1": "spam", "v2": "Win", "Unnamed: 2": "", "Unnamed: 3": "", "Unnamed: 4": ""}


def test_texts_are_joined_with_a_blank_line():
    assert join_texts(["title", "body"]) == "title\n\nbody"
    assert join_texts(["", "body", None, float("nan")]) == "body"
    assert join_texts([None, ""]) is None
    assert join_texts([["split", "already"]]) == ["split", "already"]
    with pytest.raises(InvalidTypeError, match="can only be joined if they contain str, got 7"):
        join_texts(["title", 7])
