"""Documents in folders: a folder for each class, a text file for each document."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from han.exceptions import InvalidValueError
from han.tables.decoding import Decoder
from han.tables.source import SAMPLE_BYTES

TEXT_SUFFIXES = (".txt", "")
# Left behind by file managers and archives, as are most hidden files.
LEFT_BY_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini", "__pycache__"}


def read_folder(folder: Path, encoding: str | None = None) -> tuple[list[str], list[str], list[str]]:
    """Read the documents in a folder that has a folder for each class.

    A document is a file with the suffix .txt or none, in the folder of its class or nested deeper.

    Parameters
    ----------
    folder : Path
    encoding : str, optional
        See `han.tables.decoding.Decoder`.

    Returns
    -------
    texts, classes : list of str
    notes : list of str
        Sentences for the user on what was assumed, replaced or left out.

    Raises
    ------
    ValueError
        If there are no documents, or one cannot be decoded.
    """
    texts: list[str] = []
    classes: list[str] = []
    odd: list[str] = []
    notes: list[str] = []
    left_out: list[Path] = []
    nested = 0
    for entry in sorted(folder.iterdir()):
        if _is_hidden(entry.name):
            continue
        if not entry.is_dir():
            left_out.append(entry)
            continue
        before = len(texts)
        for path in _files(entry):
            if path.suffix.lower() not in TEXT_SUFFIXES:
                left_out.append(path)
                continue
            texts.append(_read_text(path, encoding, odd))
            classes.append(entry.name)
            nested += path.parent != entry
        if len(texts) == before:
            notes.append(f"the folder {entry.name} has no documents")
    if not texts:
        raise InvalidValueError(
            f"source must be a folder of <class>/*.txt, got {str(folder)!r}, which has no such files"
        )
    if nested:
        notes.append(f"{nested} documents in nested folders belong to the class of the outermost")
    if left_out:
        notes.append(f"left out {_counted(left_out)}, the first {left_out[0].relative_to(folder)}")
    notes = [f"{folder}: {note}" for note in notes]
    if odd:
        more = f" (and likewise in {len(odd) - 1} other files)" if len(odd) > 1 else ""
        notes.append(odd[0] + more)
    return texts, classes, notes


class Parts(NamedTuple):
    """The parts of a folder that is split into train/<class>/*.txt and test/<class>/*.txt."""

    train: Path
    test: Path

    def notes(self) -> list[str]:
        """Return a sentence for the user on what else is in the folder, if there is anything."""
        folder = self.train.parent
        others = sorted(path.name for path in folder.iterdir() if path not in self and not _is_hidden(path.name))
        if not others:
            return []
        some = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        return [f"{folder}: left out {some}, which {'are' if len(others) > 1 else 'is'} neither train nor test"]


def parts_of(folder: Path) -> Parts | None:
    """Return the parts of a folder; None if it is not split."""
    parts = Parts(folder / "train", folder / "test")
    if all(part.is_dir() and any(path.is_dir() for path in part.iterdir()) for part in parts):
        return parts
    return None


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(parent, name) for name in sorted(names) if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in LEFT_BY_SYSTEMS


def _counted(paths: list[Path]) -> str:
    kinds = Counter(path.suffix.lower() or "without suffix" for path in paths)
    some = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
    return f"{len(paths)} file{'s' * (len(paths) > 1)} ({some})"


def _read_text(path: Path, encoding: str | None, odd: list[str]) -> str:
    """Return the text of a file, and append a note to `odd` if bytes were invalid."""
    content = path.read_bytes()
    try:
        decoder = Decoder(content[:SAMPLE_BYTES], encoding)
    except InvalidValueError as error:
        raise InvalidValueError(f"{path} {error}") from error
    text = decoder.decode(content, final=True)
    if notes := decoder.notes():
        odd.append(f"{path}: {' and '.join(notes)}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
