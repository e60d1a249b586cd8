"""Folders that are written whole or not at all, and a manifest of what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from han.exceptions import DestinationError, ModelFileError

MANIFEST = "manifest.json"
# The largest JSON file that is read, in bytes; a vocabulary of a million words takes some 20 MB.
MAX_JSON_BYTES = 512 * 2**20
_OLD, _NEW = "old", "new"


def check_writable(folder: Path) -> None:
    """Raise a DestinationError if a folder cannot be put in the place of `folder`, an absolute path."""
    if Path.cwd().is_relative_to(folder):
        raise DestinationError(
            f"a model needs a folder that can be replaced, got {str(folder)!r}, where this process stands"
        )
    parent = next(parent for parent in folder.parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise DestinationError(
            f"a model needs a folder that can be written, got {str(folder)!r}, but not so {str(parent)!r}"
        )


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder to write to, which then takes the place of `folder`, an absolute path.

    It stands beside `folder` until it is complete and on the disk. Then the old folder, if there is one, is moved
    aside and the new one into its place. Between these two moves neither is in its place: a process that is killed
    just then leaves that to `settled`. If anything fails, the old folder is as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_up(folder)
    prefix = f"{_prefix(folder)}{_host()}-{os.getpid()}-"
    aside = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    new, old = aside / _NEW, aside / _OLD
    try:
        new.mkdir()
        yield new
        _flush(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _flush_folder(folder.parent)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(aside)


def settled(folder: Path) -> Path:
    """Return where a folder is that `replacing_folder` wrote: in its place, or aside if that was cut short."""
    if not folder.exists() and folder.parent.is_dir():
        for aside in _asides(folder):
            if (aside / _OLD).is_dir():
                return aside / _OLD
    return folder


def write_manifest(folder: Path, form: int) -> None:
    """Write the size and the SHA-256 of every file of a folder into it, with the version of the format."""
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, {"format_version": form, "files": files})


def check_manifest(folder: Path, form: int, read: tuple[str, ...]) -> None:
    """Compare the files that are to be read with a folder's manifest.

    Raises
    ------
    ModelFileError
        If the manifest is of a newer version than `form`, or is damaged, or one of the files is not as it says.
    """
    path = folder / MANIFEST
    manifest = read_json(path, dict)
    version = manifest.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path} must hold the version of the format, got {version!r}: the file is damaged")
    if version > form:
        raise ModelFileError(
            f"{path}: format_version must be at most {form}, got {version}; a newer version of han wrote it"
        )
    files = manifest.get("files")
    for name in read:
        entry = files.get(name) if isinstance(files, Mapping) else None
        if not isinstance(entry, Mapping) or not {"bytes", "sha256"} <= entry.keys():
            raise ModelFileError(f"{path} must hold the size and the SHA-256 of {name}: the file is damaged")
        size = (folder / name).stat().st_size
        if size != entry["bytes"]:
            raise ModelFileError(f"{folder / name} must have {entry['bytes']} bytes, got {size}: the file is damaged")
        if _sha256(folder / name) != entry["sha256"]:
            raise ModelFileError(f"{folder / name} must have the SHA-256 that {MANIFEST} has: the file is damaged")


def read_json(path: Path, kind: type[Any]) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    ModelFileError
        If it is too large, is not JSON, or holds something else than a `kind`.
    """
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ModelFileError(f"{path} must have at most {MAX_JSON_BYTES:,} bytes, got {path.stat().st_size:,}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} must hold JSON: {error}") from error
    if not isinstance(value, kind):
        raise ModelFileError(f"{path} must hold a {kind.__name__}, got a {type(value).__name__}")
    return value


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON that people can read."""
    # Half of a surrogate pair, which UTF-8 has not, as JSON has it.
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", errors="backslashreplace")


def copy_others(source: Path, target: Path, known: Callable[[str], bool]) -> None:
    """Copy what a folder holds besides files that are known by their names."""
    for other in source.iterdir():
        if known(other.name):
            continue
        if other.is_dir() and not other.is_symlink():
            shutil.copytree(other, target / other.name, symlinks=True)
        else:
            shutil.copy2(other, target / other.name, follow_symlinks=False)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.saving-"


def _host() -> str:
    return re.sub(r"\W", "_", platform.node())


def _asides(folder: Path) -> list[Path]:
    """Return the folders in which replacements of a folder were written, or are being written."""
    return sorted(path for path in folder.parent.iterdir() if path.name.startswith(_prefix(folder)))


def clear_up(folder: Path) -> None:
    """Undo and remove what processes of this machine left that were killed while they replaced the folder."""
    for aside in _asides(folder):
        host, _, rest = aside.name.removeprefix(_prefix(folder)).partition("-")
        process = rest.partition("-")[0]
        if host != _host() or not process.isdigit() or psutil.pid_exists(int(process)):
            continue
        if (aside / _OLD).is_dir() and not folder.exists():
            (aside / _OLD).rename(folder)
        shutil.rmtree(aside)


def _flush(folder: Path) -> None:
    """Have a folder and all in it on the disk, so that a power cut after the move finds it whole."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    for path in (*(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()), folder):
        _flush_folder(path)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
