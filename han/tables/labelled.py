"""Labelled documents in tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from han.data.validation import short_repr
from han.exceptions import InvalidValueError
from han.tables.columns import is_missing, joined_text
from han.tables.options import TableOptions
from han.tables.table import SKIP_HINT, Chunk, Table, open_table


class Documents(NamedTuple):
    """Documents of a table, their labels, and sentences for the user."""

    texts: list[Any]
    labels: list[Any]
    notes: list[str]


def read_labelled(
    path: Path, text: list[str], label: str, label_separator: str | None, options: TableOptions
) -> Documents:
    """Read the text and label columns. Only empty cells are missing: the text "N/A" is a text.

    Parameters
    ----------
    path : Path
    text : list of str
        The columns that make up the document; see `han.tables.columns.joined_text`.
    label : str
    label_separator : str, optional
        Separator of the labels of a document, where they are not lists.
    options : TableOptions

    Raises
    ------
    ValueError
        If the table cannot be read, lacks a column, or a row lacks a text or a label.
    """
    with path.open("rb") as stream:
        table = open_table(stream, str(path), options)
        if table.names is not None:
            _check_columns(table, [*table.names], text, label)
        names: dict[str, None] = {}
        texts: list[Any] = []
        labels: list[Any] = []
        numbers: list[int] = []
        for chunk in table.chunks():
            names |= dict.fromkeys(chunk.names)
            texts += _texts(chunk, [name for name in text if name in chunk.names], table)
            labels += chunk.column(label) if label in chunk.names else [None] * len(chunk)
            numbers += chunk.numbers
    if names:
        _check_columns(table, [*names], text, label)
    if label_separator is not None:
        labels = [_parts(value, label_separator) for value in labels]
    left_out = set(table.repeated_headers)
    for argument, values in (("text", texts), ("label", labels)):
        missing = [number for number, value in zip(numbers, values, strict=True) if is_missing(value)]
        if missing and not options.skip_bad_rows:
            column = " and ".join(map(repr, text)) if argument == "text" else repr(label)
            raise InvalidValueError(
                f"{argument} must be a column with a value in each row, but in {column} of {table.name} {len(missing)} "
                f"{argument}s are missing, the first on {table.unit} {missing[0]}; {SKIP_HINT}"
            )
        for number in missing:
            if number not in left_out:
                table.skip(number, f"has no {argument}")
        left_out |= {*missing}
    kept = [index for index, number in enumerate(numbers) if number not in left_out]
    return Documents([texts[index] for index in kept], [labels[index] for index in kept], table.notes)


def _check_columns(table: Table, names: list[str], text: list[str], label: str) -> None:
    table.check_columns(text, "text", names)
    table.check_columns([label], "label", names)


def _texts(chunk: Chunk, columns: list[str], table: Table) -> list[Any]:
    cells = [chunk.column(name) for name in columns]
    if not cells:
        return [None] * len(chunk)
    texts = [joined_text(values) for values in zip(*cells, strict=True)]
    for number, value in zip(chunk.numbers, texts, strict=True):
        if not isinstance(value, str | list) and not is_missing(value):
            raise InvalidValueError(
                f"text must be a column of str, but in {table.name} {table.unit} {number} has {short_repr(value)}"
            )
    return texts


def _parts(labels: Any, separator: str) -> Any:
    """Return the labels in a cell."""
    if not isinstance(labels, str):
        return labels
    return [part.strip() for part in labels.split(separator) if part.strip()]
