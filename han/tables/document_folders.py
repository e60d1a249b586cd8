"""Documents in folders: one subfolder per class, one text file per document."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from han.exceptions import InvalidValueError
from han.tables.byte_stream import SAMPLE_BYTES
from han.tables.decoding import Decoder
from han.tables.labelled import LabelledTexts

TEXT_SUFFIXES = (".txt", "")
# Created by file managers and archivers.
SYSTEM_FILES = {"__macosx", "thumbs.db", "desktop.ini", "__pycache__"}


def read_folder(folder: Path, encoding: str | None = None) -> LabelledTexts:
    """Read a folder that has a subfolder for each class.

    Each file with the suffix .txt or without a suffix is a document; files in nested folders belong to the class of the
    outermost one.

    Parameters
    ----------
    folder : Path
    encoding : str, optional
        See `han.tables.decoding.Decoder`.

    Raises
    ------
    ValueError
        If there are no documents, or one cannot be decoded.
    """
    texts: list[str] = []
    labels: list[str] = []
    decoding_notes: list[str] = []
    notes: list[str] = []
    skipped: list[Path] = []
    nested = 0
    for entry in sorted(folder.iterdir()):
        if _is_hidden(entry.name):
            continue
        if not entry.is_dir():
            skipped.append(entry)
            continue
        before = len(texts)
        for path in _files(entry):
            if path.suffix.lower() not in TEXT_SUFFIXES:
                skipped.append(path)
                continue
            texts.append(_read_text(path, encoding, decoding_notes))
            labels.append(entry.name)
            nested += path.parent != entry
        if len(texts) == before:
            notes.append(f"the folder {entry.name} has no documents")
    if not texts:
        raise InvalidValueError(
            f"source must be a folder of <class>/*.txt, got {str(folder)!r}, which has no such files"
        )
    if nested:
        notes.append(f"{nested} documents in nested folders belong to the class of the outermost folder")
    if skipped:
        notes.append(f"left out {_count_by_suffix(skipped)}, the first {skipped[0].relative_to(folder)}")
    notes = [f"{folder}: {note}" for note in notes]
    if decoding_notes:
        others = len(decoding_notes) - 1
        notes.append(decoding_notes[0] + (f" (and similarly in {others} other files)" if others else ""))
    return LabelledTexts(texts, labels, notes)


class SplitFolder(NamedTuple):
    """The two parts of a folder that contains train/<class>/*.txt and test/<class>/*.txt."""

    train: Path
    test: Path

    def notes(self) -> list[str]:
        """Return a message for the user about other files in the folder, if there are any."""
        folder = self.train.parent
        others = sorted(path.name for path in folder.iterdir() if path not in self and not _is_hidden(path.name))
        if not others:
            return []
        names = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        return [f"{folder}: left out {names}, which {'are' if len(others) > 1 else 'is'} neither train nor test"]


def find_split(folder: Path) -> SplitFolder | None:
    """Return the training and test parts of a folder; None if it is not split."""
    parts = SplitFolder(folder / "train", folder / "test")
    if all(part.is_dir() and any(path.is_dir() for path in part.iterdir()) for part in parts):
        return parts
    return None


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(parent, name) for name in sorted(names) if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in SYSTEM_FILES


def _count_by_suffix(paths: list[Path]) -> str:
    suffixes = Counter(path.suffix.lower() or "without suffix" for path in paths)
    counts = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5))
    return f"{len(paths)} file{'s' * (len(paths) > 1)} ({counts})"


def _read_text(path: Path, encoding: str | None, decoding_notes: list[str]) -> str:
    """Return the text of a file, and append a note if bytes were invalid."""
    content = path.read_bytes()
    try:
        decoder = Decoder(content[:SAMPLE_BYTES], encoding)
    except InvalidValueError as error:
        raise InvalidValueError(f"{path} {error}") from error
    text = decoder.decode(content, final=True)
    if notes := decoder.notes():
        decoding_notes.append(f"{path}: {' and '.join(notes)}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
