"""Tables that several test modules read."""

from __future__ import annotations

import io

import pandas as pd

from han.tables.options import TableOptions
from han.tables.table import open_table

TEXTS = [
    "plain",
    "with, comma; semicolon",
    'He said "no", twice.',
    "two\nlines",
    "two\r\nlines",
    "",
    "ünï 我 \u2028 x",
    "'s",
]


FRAME = pd.DataFrame({"text": TEXTS, "label": ["a", "b"] * 4, "n": range(8)})


def read(content, name="in.csv", **options):
    """Return the rows, and the table when they are read."""
    table = open_table(io.BytesIO(content), name, TableOptions(**options))
    return [row for chunk in table.chunks() for row in chunk.rows], table


def cells(frame):
    return frame.astype(str).to_dict("records")
