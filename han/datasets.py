"""Load labelled documents from files, folders, or one of two named data sets in PyPI packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from han.data.duplicates import warn_of_conflicts
from han.data.labels import LabelEncoder
from han.data.splits import strata, stratified_split
from han.data.validation import Labels, check_labels
from han.exceptions import DataWarning, InvalidTypeError, InvalidValueError, short_repr, warn_user
from han.tables.options import TableOptions
from han.tables.sources import NAMED, Source, SourceReader, check_sources, split_folder

# Results on named data sets are comparable only if everyone splits them in the same way.
SPLIT_SEED = 0
TEST_FRACTION = 0.2
Columns = str | int | Sequence[str | int]


@dataclass(frozen=True)
class Dataset:
    """Documents and labels for training and testing.

    Attributes
    ----------
    name : str
    X_train, X_test : list of str
    y_train, y_test : ndarray [documents]
        The label of each document, or a list of its labels.
    duplicates : int
        Number of documents that were dropped because another one has the same text.
    class_count : int
        Number of classes of the training documents.
    multi_label : bool
        Whether each document has a list of labels.
    """

    name: str
    X_train: list[str]
    X_test: list[str]
    y_train: Labels
    y_test: Labels
    duplicates: int
    class_count: int
    multi_label: bool


def load_dataset(
    source: Source | Sequence[Source],
    *,
    text: Columns = "text",
    label: str | int = "label",
    label_separator: str | None = None,
    test: Source | Sequence[Source] | None = None,
    test_fraction: float = TEST_FRACTION,
    random_state: int = SPLIT_SEED,
    input_format: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool = True,
    quoting: str | None = None,
    skip_bad_rows: bool = False,
) -> Dataset:
    r"""Load labelled documents, drop duplicates, and split them into a stratified training and test part.

    Parameters
    ----------
    source : str, path, or list of these
        `"imdb"` or `"bbc-news"` (described in `datasets/`; requires the extra `han-classifier[datasets]`), or files and
        folders. A file contains one document per row, in the format `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json`,
        `.xlsx` (requires the extra `han-classifier[xlsx]`) or `.parquet`, optionally compressed as `.gz`, `.bz2`, `.xz`
        or `.zst`. A folder contains `<class>/*.txt`, or `train/<class>/*.txt` and `test/<class>/*.txt`; hidden files
        are ignored.
    text : str, int, or list of these
        The column with the documents; several columns are joined by a blank line.
    label : str or int
        The column with the labels. JSON and Parquet files may contain lists of labels for multi-label classification.
    label_separator : str, optional
        Separator of the labels of a document, for multi-label classification with labels that are not lists.
    test : str, path, or list of these, optional
        Files and folders of test documents. All documents of `source` are then used for training, and duplicates in
        `test` are kept. A folder with `train` and `test` is treated in the same way.
    test_fraction : float in (0, 1), default 0.2
        Share of each class that is held out for testing if `test` is not given.
    random_state : int, default 0
        Seed of the split.
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}, optional
        Format of the files. By default, it is detected from the name and the first bytes of each file.
    delimiter : str, optional
        Delimiter of CSV and TSV files. By default, it is detected among `, ; \t |`.
    encoding : str, optional
        Encoding of the files. By default, UTF-8, or UTF-16 after a byte order mark; bytes that are not valid UTF-8 are
        decoded as Windows-1252.
    header : bool, default True
        Whether the first row of a table contains the names of the columns. Otherwise, columns are numbered from 0.
    quoting : {"minimal", "none", "backslash"}, optional
        Meaning of double quotes in CSV and TSV files. "minimal": they may enclose a cell, and are doubled inside it.
        "none": they are ordinary characters, and each line is a row. "backslash": they may enclose a cell, and are
        escaped by a backslash inside it. By default, it is detected; if several fit, "minimal" is used for CSV and
        "none" for TSV.
    skip_bad_rows : bool, default False
        Whether to skip rows that cannot be read or lack a text or a label, instead of raising an error.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError
        If no data set, file or folder has that name.
    MissingExtraError
        If a required package is not installed.
    ValueError, TypeError
        If an argument is invalid; a file is empty, cannot be read or lacks a column; a folder contains no text files; a
        text or a label is missing (the error names the line, or the row of a Parquet or Excel file); or there are fewer
        than two classes, or too few documents for a test part.

    Warns
    -----
    DataWarning
        If an assumption was made about a file, some of its content was skipped or could not be decoded, its header is
        repeated (such rows are skipped), or test documents are also training documents.
    TrainingWarning
        If documents with the same text, of which only the first is kept, have different labels.

    Examples
    --------
    >>> from han import load_dataset
    >>> news = load_dataset("bbc-news")
    >>> len(news.X_train), len(news.X_test)
    (1701, 426)
    """
    if not isinstance(test_fraction, Real) or not 0 < test_fraction < 1:
        raise InvalidValueError(f"test_fraction must be between 0 and 1, got {test_fraction!r}")
    if not isinstance(random_state, Integral) or random_state < 0:
        raise InvalidValueError(f"random_state must be an int of at least 0, got {random_state!r}")
    reader = SourceReader(
        _columns(text, "text"),
        _column(label),
        label_separator,
        TableOptions(input_format, delimiter, encoding, header, quoting, skip_bad_rows),
    )
    sources = check_sources(source, "source")
    parts = split_folder(sources) if test is None else None
    if parts:
        sources, test = [parts.train], parts.test
    test_sources = None if test is None else check_sources(test, "test")
    loaded = reader.load(sources)
    loaded_test = None if test_sources is None else reader.load(test_sources)
    for note in [*(parts.notes() if parts else []), *loaded.notes, *(loaded_test.notes if loaded_test else [])]:
        warn_user(note, DataWarning)
    # Labels are converted to numbers only if those of both parts can be.
    converted = _convert_numbers([*loaded.labels, *(loaded_test.labels if loaded_test else [])])
    labels = _label_array(converted[: len(loaded.labels)], loaded.name)
    values = labels.tolist()
    warn_of_conflicts(
        loaded.texts,
        lambda index: sorted(values[index], key=str) if isinstance(values[index], list) else values[index],
        "only the first document with each text is kept",
    )
    unique = _unique_texts(loaded.texts)
    texts, labels = [loaded.texts[index] for index in unique], labels[unique]
    encoder = _learn_labels(labels, loaded.name)
    if loaded_test is None:
        train, held_out = _split(labels, encoder, float(test_fraction), int(random_state), loaded.name)
        test_texts, test_labels = [texts[index] for index in held_out], labels[held_out]
        texts, labels = [texts[index] for index in train], labels[train]
    else:
        test_texts = loaded_test.texts
        test_labels = _match_labels(converted[len(loaded.labels) :], encoder, loaded_test.name)
        known = {text.strip() for text in texts}
        if shared := sum(text.strip() in known for text in test_texts):
            warn_user(
                f"{shared} of {len(test_texts)} test documents are also training documents: the scores on them do not "
                "show how well the classifier generalises",
                DataWarning,
            )
    return Dataset(
        name=loaded.name,
        X_train=texts,
        X_test=test_texts,
        y_train=labels,
        y_test=test_labels,
        duplicates=len(loaded.texts) - len(unique),
        class_count=len(encoder.classes),
        multi_label=encoder.multi_label,
    )


def load_labelled(
    source: Source | Sequence[Source],
    *,
    text: Columns = "text",
    label: str | int = "label",
    label_separator: str | None = None,
    input_format: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool = True,
    quoting: str | None = None,
    skip_bad_rows: bool = False,
) -> tuple[list[str], Labels]:
    """Load labelled test documents, without dropping duplicates.

    Of a named data set, or a folder with `train` and `test`, only the test part is loaded. Parameters, errors and
    warnings are those of `load_dataset`.

    Returns
    -------
    texts : list of str
    labels : ndarray [documents]
    """
    options = TableOptions(input_format, delimiter, encoding, header, quoting, skip_bad_rows)
    reader = SourceReader(_columns(text, "text"), _column(label), label_separator, options)
    sources = check_sources(source, "source")
    if sources[0] in NAMED:
        dataset = load_dataset(sources[0])
        return dataset.X_test, dataset.y_test
    parts = split_folder(sources)
    loaded = reader.load([parts.test] if parts else sources)
    for note in loaded.notes:
        warn_user(note, DataWarning)
    return loaded.texts, _label_array(_convert_numbers(loaded.labels), loaded.name)


def _columns(columns: Columns, argument: str) -> list[str]:
    listed = list(columns) if isinstance(columns, list | tuple) else [columns]
    for column in listed:
        if isinstance(column, bool) or not isinstance(column, str | Integral):
            raise InvalidTypeError(f"{argument} must be the name of a column, got {short_repr(column)}")
    if not listed or len(set(listed)) < len(listed):
        raise InvalidValueError(f"{argument} must name one or more different columns, got {short_repr(columns)}")
    return [str(column) for column in listed]


def _column(label: str | int) -> str:
    if isinstance(label, list | tuple):
        raise InvalidTypeError(f"label must be the name of a column, got {short_repr(label)}")
    return _columns(label, "label")[0]


def _convert_numbers(labels: list[Any]) -> list[Any]:
    """Convert labels to ints if all of them are whole numbers in canonical notation."""
    if not all(isinstance(label, str) and label.isascii() and label.lstrip("-").isdigit() for label in labels):
        return labels
    numbers = [int(label) for label in labels]
    return numbers if [str(number) for number in numbers] == labels else labels


def _label_array(labels: list[Any], name: str) -> Labels:
    if any(isinstance(label, list) for label in labels):
        return pd.Series(labels, dtype=object).to_numpy()
    return check_labels(labels, len(labels), f"the label column of {name}", "texts")


def _unique_texts(texts: list[str]) -> npt.NDArray[np.int64]:
    """Return the index of the first document with each text, ignoring surrounding white space."""
    # pandas' own string type does not support unpaired surrogates.
    return np.flatnonzero(~pd.Series(texts, dtype=object).str.strip().duplicated())


def _learn_labels(labels: Labels, name: str) -> LabelEncoder:
    try:
        return LabelEncoder.learn(labels, len(labels))
    except ValueError as error:
        raise InvalidValueError(f"source must contain documents of at least two classes: {name}: {error}") from error


def _split(
    labels: Labels, encoder: LabelEncoder, test_fraction: float, random_state: int, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the indices of training and test documents."""
    targets = encoder.encode(labels, len(labels))
    train, test = stratified_split(strata(targets), test_fraction, np.random.default_rng(random_state))
    if not len(test):
        raise InvalidValueError(
            f"source must contain enough documents for a test part, got {len(labels)} documents of "
            f"{len(encoder.classes)} classes in {name}: too few of each for test_fraction={test_fraction}"
        )
    return train, test


def _match_labels(labels: list[Any], encoder: LabelEncoder, name: str) -> Labels:
    """Convert test labels to the types of the classes, because 1 in one file may be "1" in another."""
    if encoder.multi_label != any(isinstance(label, list) for label in labels):
        multiple, single = "lists of labels", "one label for each document"
        expected, found = (multiple, single) if encoder.multi_label else (single, multiple)
        raise InvalidValueError(f"test must contain {expected}, as source does, got {found} in {name}")
    classes = {str(label): label for label in encoder.classes.tolist()}
    if encoder.multi_label:
        return _label_array(
            [[classes.get(str(label), label) for label in cell] if isinstance(cell, list) else cell for cell in labels],
            name,
        )
    return _label_array([classes.get(str(label), label) for label in labels], name)
