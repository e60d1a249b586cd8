"""Labelled documents: two named data sets from PyPI packages, and users' own files and folders."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from han.data.duplicates import warn_of_conflicts
from han.data.labels import LabelForm
from han.data.splits import strata, stratified_split
from han.data.validation import Labels, check_labels, shown
from han.exceptions import DataWarning, InvalidTypeError, InvalidValueError
from han.tables.options import TableOptions
from han.tables.sources import NAMED, Source, SourceReader, check_sources, split_folder

# The split of a named data set is part of its name.
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
        How many documents were left out because another one has the same text.
    class_count : int
        Of the training documents.
    multi_label : bool
        Whether documents have lists of labels.
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
    r"""Load labelled documents, drop duplicate texts, and split them by class into a training and a test part.

    Parameters
    ----------
    source : str, path, or list of these
        `"imdb"` or `"bbc-news"` (cards in `datasets/`; needs the extra `han-classifier[datasets]`); or files and
        folders. A file holds one document a row: `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json`, `.xlsx` (needs the extra
        `han-classifier[xlsx]`) or `.parquet`, also compressed as `.gz`, `.bz2`, `.xz` or `.zst`. A folder holds
        `<class>/*.txt`, or `train/<class>/*.txt` and `test/<class>/*.txt`; hidden files are ignored.
    text : str, int, or list of these
        The column of a file that holds the documents; several are joined by a blank line.
    label : str or int
        The column that holds the labels. Labels may be lists, as JSON and Parquet can hold them: then a document may
        have several, or none.
    label_separator : str, optional
        What stands between the labels of a document that may have several, where they are not lists.
    test : str, path, or list of these, optional
        Files and folders to test on. Then all documents of `source` are for training, as they are in a folder that is
        split into `train` and `test`, and no document of `test` is left out.
    test_fraction : float in (0, 1), default 0.2
        Share of each class that is held out for testing, if there is no `test`.
    random_state : int, default 0
        Seed of the split.
    input_format : {"csv", "tsv", "jsonl", "json", "xlsx", "parquet"}, optional
        Default: what the name of the file says, and how it begins.
    delimiter : str, optional
        What stands between the cells of CSV and TSV. Default: the one of `, ; \t |` that fits.
    encoding : str, optional
        Default: UTF-8, or UTF-16 if there is a byte order mark; bytes that are not UTF-8 are read as Windows-1252.
    header : bool, default True
        Whether the first row of a table names the columns. If not, they are named by their positions, from 0.
    quoting : {"minimal", "none", "backslash"}, optional
        What a double quote in CSV and TSV is. "minimal": cells may stand in quotes, those in them are doubled. "none":
        text, and each line is a row. "backslash": as "minimal", but quotes in cells follow a backslash. Default: what
        fits; in doubt "minimal" for CSV and "none" for TSV.
    skip_bad_rows : bool, default False
        Leave out rows that cannot be read or have no text or no label, instead of raising an error.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError
        If there is neither a data set nor a file nor a folder of that name.
    MissingExtraError
        If a package is needed that an extra installs.
    ValueError, TypeError
        If an argument is out of its range; a file has no such column, cannot be read or is empty; a folder has no text
        files; a text or a label is missing (with the line, or in Parquet and Excel the row); or there are fewer than
        two classes, or too few documents to test on.

    Warns
    -----
    DataWarning
        For each file or folder: what was assumed about a table, what was left out, what could not be decoded; rows that
        repeat the header, which are left out; and test documents that are training documents too.
    TrainingWarning
        If documents with the same text, of which the first is kept, have different labels.

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
    tests = None if test is None else check_sources(test, "test")
    loaded = reader.load(sources)
    tested = None if tests is None else reader.load(tests)
    for note in [*(parts.notes() if parts else []), *loaded.notes, *(tested.notes if tested else [])]:
        warnings.warn(note, DataWarning, stacklevel=2)
    read = _whole_numbers([*loaded.labels, *(tested.labels if tested else [])])
    labels = _label_array(read[: len(loaded.labels)], loaded.name)
    values = labels.tolist()
    warn_of_conflicts(
        loaded.texts,
        lambda index: sorted(values[index], key=str) if isinstance(values[index], list) else values[index],
        "of each text the first is kept, with its label",
    )
    # As objects: pandas' own strings hold no half of a surrogate pair.
    first = np.flatnonzero(~pd.Series(loaded.texts, dtype=object).str.strip().duplicated())
    texts, labels = [loaded.texts[index] for index in first], labels[first]
    try:
        form = LabelForm.learn(labels, len(texts))
    except ValueError as error:
        raise InvalidValueError(
            f"source must hold documents of at least two classes: {loaded.name}: {error}"
        ) from error
    if tested is None:
        targets = form.encode(labels, len(texts))
        train, held = stratified_split(strata(targets), float(test_fraction), np.random.default_rng(random_state))
        if not len(held):
            raise InvalidValueError(
                f"source must hold enough documents for a test part, got {len(texts)} of {len(form.classes)} classes "
                f"in {loaded.name}: too few of each for test_fraction={test_fraction}"
            )
        test_texts, test_labels = [texts[index] for index in held], labels[held]
        texts, labels = [texts[index] for index in train], labels[train]
    else:
        test_texts, test_labels = tested.texts, _test_labels(read[len(loaded.labels) :], form, tested.name)
        known = {text.strip() for text in texts}
        if both := sum(text.strip() in known for text in test_texts):
            warnings.warn(
                f"{both} of {len(test_texts)} documents to test on are documents to train on too: what is measured on "
                "them says nothing about new documents",
                DataWarning,
                stacklevel=2,
            )
    return Dataset(
        name=loaded.name,
        X_train=texts,
        X_test=test_texts,
        y_train=labels,
        y_test=test_labels,
        duplicates=len(loaded.texts) - len(first),
        class_count=len(form.classes),
        multi_label=form.multi_label,
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
    """Load documents to test on, with their labels: all of files and folders, and the test part of a named data set.

    Of a folder that is split into `train` and `test` it is the test part as well. Parameters, errors and warnings are
    those of `load_dataset`.

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
        warnings.warn(note, DataWarning, stacklevel=2)
    return loaded.texts, _label_array(_whole_numbers(loaded.labels), loaded.name)


def _columns(columns: Columns, argument: str) -> list[str]:
    listed = list(columns) if isinstance(columns, list | tuple) else [columns]
    for column in listed:
        if isinstance(column, bool) or not isinstance(column, str | Integral):
            raise InvalidTypeError(f"{argument} must be the name of a column, got {shown(column)}")
    if not listed or len(set(listed)) < len(listed):
        raise InvalidValueError(f"{argument} must name at least one column, each once, got {shown(columns)}")
    return [str(column) for column in listed]


def _column(label: str | int) -> str:
    if isinstance(label, list | tuple):
        raise InvalidTypeError(f"label must be the name of a column, got {shown(label)}")
    return _columns(label, "label")[0]


def _whole_numbers(labels: list[Any]) -> list[Any]:
    """Return labels as ints if every one of them is a whole number written the usual way."""
    if not all(isinstance(label, str) and label.isascii() and label.lstrip("-").isdigit() for label in labels):
        return labels
    numbers = [int(label) for label in labels]
    return numbers if [str(number) for number in numbers] == labels else labels


def _label_array(labels: list[Any], name: str) -> Labels:
    if any(isinstance(label, list) for label in labels):
        return pd.Series(labels, dtype=object).to_numpy()
    return check_labels(labels, len(labels), f"the label column of {name}", "texts")


def _test_labels(labels: list[Any], form: LabelForm, name: str) -> Labels:
    """Return labels to test on, with the types of the classes: 1 in one file may be "1" in another."""
    if form.multi_label != any(isinstance(label, list) for label in labels):
        several, one = "lists of labels", "one label for each document"
        expected, found = (several, one) if form.multi_label else (one, several)
        raise InvalidValueError(f"test must hold {expected}, as source does, got {found} in {name}")
    classes = {str(label): label for label in form.classes.tolist()}
    if form.multi_label:
        return _label_array(
            [[classes.get(str(label), label) for label in some] if isinstance(some, list) else some for some in labels],
            name,
        )
    return _label_array([classes.get(str(label), label) for label in labels], name)
