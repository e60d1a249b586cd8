"""Reading of Excel workbooks as tables of text."""

from __future__ import annotations

import datetime
import warnings
import zipfile
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from han.exceptions import InvalidValueError, missing_extra, short_repr
from han.tables.delimited import Record


def read_sheet(stream: BinaryIO) -> tuple[Iterator[Record], str]:
    """Read the first sheet that is not empty.

    Parameters
    ----------
    stream : seekable binary file

    Returns
    -------
    rows : iterator of Record
        The rows that are not empty, padded to the length of the first one; longer rows are bad.
    note : str
        A message for the user that names the sheet if there are several; otherwise "".

    Raises
    ------
    MissingExtraError
        If openpyxl is not installed.
    ValueError
        If the file is not a workbook.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise missing_extra("reading Excel workbooks", "openpyxl", "xlsx") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns about styles that it ignores
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidValueError(f"is not an Excel workbook: {error}") from error
    sheets = book.worksheets
    for sheet in sheets:
        rows = _rows(sheet)
        if (first := next(rows, None)) is not None:
            note = f"read the sheet {short_repr(sheet.title)}, one of {len(sheets)}" if len(sheets) > 1 else ""
            return chain([first], rows), note
    return iter(()), ""


def _rows(sheet: Any) -> Iterator[Record]:
    sheet.reset_dimensions()  # some programs write wrong ones
    width = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        texts = [_cell_text(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            width = width or len(texts)
            problem = f"has {len(texts)} cells, expected {width} as in the first row" if len(texts) > width else ""
            yield Record(number, texts + [""] * (width - len(texts)), [], problem)


def _cell_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        from openpyxl.utils.escape import unescape

        return str(unescape(cell))  # Excel writes a carriage return as _x000D_, for example
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)
