"""Labelled documents in tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from han.exceptions import InvalidValueError, short_repr
from han.tables.columns import is_missing, join_texts
from han.tables.options import TableOptions
from han.tables.table import SKIP_HINT, Chunk, Table, open_table


class LabelledTexts(NamedTuple):
    """Documents with their labels.

    Attributes
    ----------
    texts : list
    labels : list
    notes : list of str
        Messages for the user about what was assumed, replaced or skipped.
    """

    texts: list[Any]
    labels: list[Any]
    notes: list[str]


def read_labelled(
    path: Path, text: list[str], label: str, label_separator: str | None, options: TableOptions
) -> LabelledTexts:
    """Read the text and label columns of a table. Only empty cells are missing values: "N/A" is a text.

    Parameters
    ----------
    path : Path
    text : list of str
        The text columns; see `han.tables.columns.join_texts`.
    label : str
        The label column.
    label_separator : str, optional
        The separator between the labels of a document, if they are not lists.
    options : TableOptions

    Raises
    ------
    ValueError
        If the table cannot be read, a column is missing, or a row has no text or no label.
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
        labels = [_split_labels(value, label_separator) for value in labels]
    skipped = set(table.repeated_headers)
    for argument, values in (("text", texts), ("label", labels)):
        missing = [number for number, value in zip(numbers, values, strict=True) if is_missing(value)]
        if missing and not options.skip_bad_rows:
            column = " and ".join(map(repr, text)) if argument == "text" else repr(label)
            raise InvalidValueError(
                f"{argument} must be a column with a value in each row, but in {column} of {table.name} {len(missing)} "
                f"{argument}s are missing, the first on {table.unit} {missing[0]}; {SKIP_HINT}"
            )
        for number in missing:
            if number not in skipped:
                table.skip(number, f"has no {argument}")
        skipped |= {*missing}
    kept = [index for index, number in enumerate(numbers) if number not in skipped]
    return LabelledTexts([texts[index] for index in kept], [labels[index] for index in kept], table.notes)


def check_columns_of(path: Path, text: list[str], label: str, options: TableOptions) -> None:
    """Raise the errors of `read_labelled` that need only the beginning of a table."""
    with path.open("rb") as stream:
        table = open_table(stream, str(path), options)
        if table.names is not None:
            _check_columns(table, [*table.names], text, label)


def _check_columns(table: Table, names: list[str], text: list[str], label: str) -> None:
    table.check_columns(text, "text", names)
    table.check_columns([label], "label", names)


def _texts(chunk: Chunk, columns: list[str], table: Table) -> list[Any]:
    cells = [chunk.column(name) for name in columns]
    if not cells:
        return [None] * len(chunk)
    texts = [join_texts(row) for row in zip(*cells, strict=True)]
    for number, text in zip(chunk.numbers, texts, strict=True):
        if not isinstance(text, str | list) and not is_missing(text):
            raise InvalidValueError(
                f"text must be a column of str, but in {table.name} {table.unit} {number} has {short_repr(text)}"
            )
    return texts


def _split_labels(cell: Any, separator: str) -> Any:
    if not isinstance(cell, str):
        return cell
    return [label.strip() for label in cell.split(separator) if label.strip()]
