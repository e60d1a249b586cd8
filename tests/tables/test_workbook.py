from __future__ import annotations

import io
import sys

import pandas as pd
import pytest

from han.tables.table import open_table
from tests.tables.reading import FRAME, TEXTS, cells, read


def test_cells_are_read_as_text(tmp_path):
    # Excel escapes carriage returns.
    written = [text.replace("\r", "_x000D_") for text in TEXTS]
    frame = FRAME.assign(text=written, when=pd.Timestamp("2024-03-01"))
    with pd.ExcelWriter(tmp_path / "in.xlsx") as writer:
        pd.DataFrame().to_excel(writer, sheet_name="nothing", index=False)
        frame.to_excel(writer, sheet_name="reviews", index=False)
        frame.head(1).to_excel(writer, sheet_name="more", index=False)
    rows, table = read((tmp_path / "in.xlsx").read_bytes(), "in.xlsx")
    assert rows == cells(FRAME.assign(when="2024-03-01T00:00:00"))
    assert table.unit == "row"
    assert table.notes == ["in.xlsx: read the sheet 'reviews', one of 3"]
    chunk = next(open_table(io.BytesIO((tmp_path / "in.xlsx").read_bytes()), "in.xlsx").chunks())
    assert chunk.numbers == [*range(2, 10)]  # as in Excel
    assert read((tmp_path / "in.xlsx").read_bytes(), "in.csv")[0] == rows  # detected from its first bytes


def test_a_missing_openpyxl_names_the_extra(tmp_path, monkeypatch):
    FRAME.head(1).to_excel(tmp_path / "in.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[xlsx\]'"):
        read((tmp_path / "in.xlsx").read_bytes(), "in.xlsx")
