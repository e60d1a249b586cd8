"""Replace a whole folder atomically, by renaming it or, if it cannot be renamed, from within.

A folder cannot be renamed if it is a mount point (a volume of Docker or Kubernetes), if its parent is read-only, or if
it contains the working directory of this process. The new version is then prepared in a subfolder, and takes effect
when that is renamed to `.complete`: `complete_version` returns it from then on. Afterwards the files are moved into
place one by one, and `.complete` is removed. If the process is killed meanwhile, the next process that writes to the
folder finishes the work.

Replacing from within gives weaker guarantees than renaming. A process that reads the folder while another one writes to
it may find files of two versions, which do not match the manifest. And two processes must not write to the folder at
the same time.
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
LOST_AND_FOUND = "lost+found"  # in the root folder of every new ext4 file system
_SAVING = ".saving-"
_OLD, _NEW = "old", "new"


def check_writable(folder: Path) -> None:
    """Raise a DestinationError if a trial write of a folder at `folder`, an absolute path, fails."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with _temporary(nearest, _SAVING) as temporary:
            (temporary / "trial").mkdir()
            with (temporary / "trial" / "file").open("wb") as file:
                file.write(bytes(TRIAL_BYTES))
                flush(file)
            # Some network file systems cannot rename folders.
            (temporary / "trial").rename(temporary / "renamed")
    except OSError as error:
        raise DestinationError(f"no folder can be written at {str(folder)!r}: {error.strerror}") from error


def can_be_renamed(folder: Path) -> bool:
    """Return whether a folder can be renamed or does not exist, by trying a rename that cannot succeed."""
    if not folder.exists():
        return True
    try:
        if Path.cwd().is_relative_to(folder):
            return False
        with _temporary(folder.parent, _prefix(folder)) as temporary:
            target = temporary / "trial"
            (target / "file").mkdir(parents=True)
            folder.rename(target)  # fails, because a folder that is not empty cannot be replaced
            target.rename(folder)  # on a file system that replaces it nevertheless
    except OSError as error:
        return error.errno in (errno.ENOTEMPTY, errno.EEXIST)
    return True


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Create a folder to write to, which replaces `folder`, an absolute path, on exit.

    Files of `folder` that the new one lacks are kept. The new folder is written next to `folder` and flushed to the
    disk. Then the old folder, if it exists, is moved aside, and the new one is moved into place. If the process is
    killed between these two moves, `complete_version` still finds the old folder, and `recover` moves it back. If an
    error occurs, the old folder does not change.

    If `folder` cannot be renamed, it is replaced from within, as the module's docstring describes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    recover(folder)
    renamable = can_be_renamed(folder)
    with _temporary(folder.parent, _prefix(folder)) if renamable else _temporary(folder, _SAVING) as temporary:
        new, old = temporary / _NEW, temporary / _OLD
        new.mkdir()
        yield new
        if not renamable:
            _flush_tree(new)
            _install_complete(folder)  # in case another process left one meanwhile
            new.rename(folder / COMPLETE)
            _flush_folder(folder)
            _install_complete(folder)
            return
        if folder.exists():
            _copy_missing(folder, new)
        _flush_tree(new)
        try:
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            _flush_folder(folder.parent)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)


def complete_version(folder: Path) -> Path:
    """Return the path of the complete version of a folder, even if `replacing_folder` was interrupted."""
    if (folder / COMPLETE).is_dir():
        return folder / COMPLETE
    if not folder.exists():
        for temporary in _temporaries(folder.parent, _prefix(folder)):
            if (temporary / _OLD).is_dir():
                return temporary / _OLD
    return folder


def recover(folder: Path) -> None:
    """Finish or undo replacements of a folder whose processes on this machine were killed."""
    for temporary in _abandoned(folder.parent, _prefix(folder)):
        if (temporary / _OLD).is_dir() and not folder.exists():
            (temporary / _OLD).rename(folder)
        shutil.rmtree(temporary, ignore_errors=True)
    if folder.is_dir():
        for temporary in _abandoned(folder, _SAVING):
            shutil.rmtree(temporary, ignore_errors=True)
        _install_complete(folder)


def is_empty(folder: Path, ignored: Container[str] = ()) -> bool:
    """Return whether a folder contains at most `ignored` names and files of `replacing_folder` or the file system."""
    return folder.is_dir() and all(
        _is_temporary(path.name) or path.name == LOST_AND_FOUND or path.name in ignored for path in folder.iterdir()
    )


def _is_temporary(name: str) -> bool:
    return name == COMPLETE or name.startswith(_SAVING)


def _install_complete(folder: Path) -> None:
    """Move the files of the complete version, if there is one, into place, and remove that version."""
    version = folder / COMPLETE
    if not version.is_dir():
        return
    with _temporary(folder, _SAVING) as temporary:
        part = temporary / "part"
        for source in sorted(version.rglob("*")):
            target = folder / source.relative_to(version)
            if source.is_dir():
                target.mkdir(exist_ok=True)
                continue
            try:
                os.link(source, part)  # a link takes no space on the disk
            except OSError:
                shutil.copyfile(source, part)
                with part.open("rb+") as file:
                    flush(file)
            part.replace(target)
            part.unlink(missing_ok=True)  # renaming a hard link to a link of the same file leaves both
        _flush_folder(folder)
        # Renamed before it is removed, so that a partly removed version never counts as complete.
        version.rename(temporary / _OLD)


def _copy_missing(source: Path, target: Path) -> None:
    """Copy the entries of a folder that another one lacks."""
    for entry in source.iterdir():
        if _is_temporary(entry.name) or (target / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, target / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, target / entry.name, follow_symlinks=False)


def _prefix(folder: Path) -> str:
    """Return the prefix of temporary folders next to a folder."""
    return f".{folder.name}{_SAVING}"


@contextmanager
def _temporary(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder, named after this host and process, that is removed on exit."""
    temporary = Path(tempfile.mkdtemp(prefix=f"{prefix}{_host()}-{os.getpid()}-", dir=parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary)


def _host() -> str:
    return re.sub(r"\W", "_", platform.node())


def _temporaries(parent: Path, prefix: str) -> list[Path]:
    """Return the temporary folders of replacements, finished or not."""
    try:
        return sorted(path for path in parent.iterdir() if path.name.startswith(prefix))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _abandoned(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield the temporary folders of processes of this host that no longer run."""
    for temporary in _temporaries(parent, prefix):
        host, _, rest = temporary.name.removeprefix(prefix).partition("-")
        process = rest.partition("-")[0]
        if host == _host() and process.isdigit() and not psutil.pid_exists(int(process)):
            yield temporary


def _flush_tree(folder: Path) -> None:
    """Flush a folder and its content to the disk, so that it survives a power failure after the move."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb+") as file:
                flush(file)
    for path in (*(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()), folder):
        _flush_folder(path)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
