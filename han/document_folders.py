"""Folders of documents: a folder for each class, a text file for each document."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from han.decoding import Decoder
from han.exceptions import InvalidValueError
from han.table_source import SAMPLE_BYTES

TEXT_SUFFIXES = (".txt", "")
# What file managers and archives leave in folders; names that begin with a dot are theirs as well.
LEFT_BY_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini", "__pycache__"}


def read_folder(folder: Path, encoding: str | None = None) -> tuple[list[str], list[str], list[str]]:
    """Read the documents in a folder that has a folder for each class.

    A document is a file that ends in .txt or has no ending, in the folder of its class or in a folder within.

    Parameters
    ----------
    folder : Path
    encoding : str, optional
        See `han.decoding.Decoder`.

    Returns
    -------
    texts, classes : list of str
    notes : list of str
        What was assumed, replaced or left out, a sentence each.

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
            notes.append(f"found no documents in the folder {entry.name}")
    if not texts:
        raise InvalidValueError(
            f"source must be a folder of <class>/*.txt, got {str(folder)!r}, which has no such files"
        )
    if nested:
        notes.append(f"took {nested} documents in nested folders for ones of the class of the outer folder")
    if left_out:
        notes.append(f"left out {_counted(left_out)}, the first {left_out[0].relative_to(folder)}")
    notes = [f"{folder}: {note}" for note in notes]
    if odd:
        more = f" (and more of the kind in {len(odd) - 1} other files)" if len(odd) > 1 else ""
        notes.append(odd[0] + more)
    return texts, classes, notes


def parts_of(folder: Path) -> tuple[Path, Path] | None:
    """Return the training and the test part of a folder that is split: train/<class>/*.txt and test/<class>/*.txt."""
    parts = folder / "train", folder / "test"
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
    kinds = Counter(path.suffix.lower() or "no ending" for path in paths)
    some = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(5))
    return f"{len(paths)} file{'s' * (len(paths) > 1)} ({some})"


def _read_text(path: Path, encoding: str | None, odd: list[str]) -> str:
    """Return the text of a file; add to `odd` what was not in its encoding."""
    content = path.read_bytes()
    try:
        decoder = Decoder(content[:SAMPLE_BYTES], encoding)
    except InvalidValueError as error:
        raise InvalidValueError(f"{path} {error}") from error
    text = decoder.decode(content, final=True)
    if notes := decoder.notes():
        odd.append(f"{path}: {' and '.join(notes)}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
