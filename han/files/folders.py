"""Folders that are replaced whole: by renaming, or inside where they cannot be renamed.

A folder that is a mount point (a volume of Docker or Kubernetes), whose parent is read-only, or in which this process
works, cannot be renamed. A new version is then prepared in a subfolder. Renaming that to `.complete` is the moment at
which it counts: `settled` returns it from then on. Then each file is put in its place, and `.complete` is removed. A
process that is killed meanwhile leaves the rest to the next one that writes to the folder.

This is weaker than renaming in two ways. A process that reads the folder while another one writes to it may find files
of two versions, which it refuses because of the manifest. And two processes must not write to it at once.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from han.exceptions import DestinationError
from han.files.atomic import TRIAL_BYTES, flush

COMPLETE = ".complete"
LOST_AND_FOUND = "lost+found"  # at the top of each new ext4 file system
_SAVING = ".saving-"
_OLD, _NEW = "old", "new"


def check_writable(folder: Path) -> None:
    """Raise a DestinationError unless a folder can be put at `folder`, an absolute path; found out by trying."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with _aside(nearest, _SAVING) as aside:
            (aside / "trial").mkdir()
            with (aside / "trial" / "file").open("wb") as file:
                file.write(bytes(TRIAL_BYTES))
                flush(file)
            # Some file systems over a network cannot rename folders.
            (aside / "trial").rename(aside / "renamed")
    except OSError as error:
        raise DestinationError(f"no folder can be written at {str(folder)!r}: {error.strerror}") from error


def can_be_renamed(folder: Path) -> bool:
    """Tell whether a folder can be moved aside, or does not exist yet; found out by trying, without moving it."""
    if not folder.exists():
        return True
    try:
        if Path.cwd().is_relative_to(folder):
            return False
        with _aside(folder.parent, _beside(folder)) as aside:
            target = aside / "trial"
            (target / "file").mkdir(parents=True)
            folder.rename(target)  # A folder with something in it is never replaced: this fails in any case.
            target.rename(folder)  # Unless the file system is at fault.
    except OSError as error:
        return error.errno in (errno.ENOTEMPTY, errno.EEXIST)
    return True


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder to write to, which then takes the place of `folder`, an absolute path.

    What `folder` holds besides the files of the new one is kept. The new folder stands beside `folder` until it is
    complete and on the disk. Then the old folder, if there is one, is moved aside and the new one into its place.
    Between these two moves neither is in its place: a process that is killed just then leaves that to `settled`. If
    anything fails, the old folder is as it was.

    Where `folder` cannot be renamed, the new one is written inside it; see the module's description.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_up(folder)
    renames = can_be_renamed(folder)
    with _aside(folder.parent, _beside(folder)) if renames else _aside(folder, _SAVING) as aside:
        new, old = aside / _NEW, aside / _OLD
        new.mkdir()
        yield new
        if not renames:
            _flush(new)
            _complete(folder)  # what another process may have left meanwhile
            new.rename(folder / COMPLETE)
            _flush_folder(folder)
            _complete(folder)
            return
        if folder.exists():
            _copy_others(folder, new)
        _flush(new)
        try:
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            _flush_folder(folder.parent)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)


def settled(folder: Path) -> Path:
    """Return where the complete version of a folder is that `replacing_folder` wrote, even if that was cut short."""
    if (folder / COMPLETE).is_dir():
        return folder / COMPLETE
    if not folder.exists():
        for aside in _asides(folder.parent, _beside(folder)):
            if (aside / _OLD).is_dir():
                return aside / _OLD
    return folder


def clear_up(folder: Path) -> None:
    """Complete or undo what processes of this machine left that were killed while they replaced a folder."""
    for aside in _left(folder.parent, _beside(folder)):
        if (aside / _OLD).is_dir() and not folder.exists():
            (aside / _OLD).rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
    if folder.is_dir():
        for aside in _left(folder, _SAVING):
            shutil.rmtree(aside, ignore_errors=True)
        _complete(folder)


def is_empty(folder: Path, ignored: Container[str] = ()) -> bool:
    """Tell whether a folder holds nothing but what `replacing_folder` or the file system has put there."""
    return folder.is_dir() and all(
        _is_temporary(path.name) or path.name == LOST_AND_FOUND or path.name in ignored for path in folder.iterdir()
    )


def _is_temporary(name: str) -> bool:
    return name == COMPLETE or name.startswith(_SAVING)


def _complete(folder: Path) -> None:
    """Put each file of a complete version in its place, and remove that version."""
    version = folder / COMPLETE
    if not version.is_dir():
        return
    with _aside(folder, _SAVING) as aside:
        part = aside / "part"
        for source in sorted(version.rglob("*")):
            target = folder / source.relative_to(version)
            if source.is_dir():
                target.mkdir(exist_ok=True)
                continue
            try:
                os.link(source, part)  # which takes no space
            except OSError:
                shutil.copyfile(source, part)
                with part.open("rb+") as file:
                    flush(file)
            part.replace(target)
            part.unlink(missing_ok=True)  # it is still there if it was the same file as its target
        _flush_folder(folder)
        version.rename(aside / _OLD)  # at once, or what is left of it would be taken for the whole


def _copy_others(source: Path, target: Path) -> None:
    """Copy what a folder holds and another one does not."""
    for other in source.iterdir():
        if _is_temporary(other.name) or (target / other.name).exists():
            continue
        if other.is_dir() and not other.is_symlink():
            shutil.copytree(other, target / other.name, symlinks=True)
        else:
            shutil.copy2(other, target / other.name, follow_symlinks=False)


def _beside(folder: Path) -> str:
    return f".{folder.name}{_SAVING}"


@contextmanager
def _aside(holder: Path, prefix: str) -> Iterator[Path]:
    """Give a folder that is removed at the end, and whose name tells which process has made it."""
    aside = Path(tempfile.mkdtemp(prefix=f"{prefix}{_host()}-{os.getpid()}-", dir=holder))
    try:
        yield aside
    finally:
        shutil.rmtree(aside)


def _host() -> str:
    return re.sub(r"\W", "_", platform.node())


def _asides(holder: Path, prefix: str) -> list[Path]:
    """Return the folders in which replacements were written, or are being written."""
    try:
        return sorted(path for path in holder.iterdir() if path.name.startswith(prefix))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _left(holder: Path, prefix: str) -> Iterator[Path]:
    """Yield those of `_asides` whose process was one of this machine and has ended."""
    for aside in _asides(holder, prefix):
        host, _, rest = aside.name.removeprefix(prefix).partition("-")
        process = rest.partition("-")[0]
        if host == _host() and process.isdigit() and not psutil.pid_exists(int(process)):
            yield aside


def _flush(folder: Path) -> None:
    """Have a folder and all in it on the disk, so that a power cut after the move finds it whole."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb+") as file:
                flush(file)
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
