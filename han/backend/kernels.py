"""Functions compiled by Numba, kept in the user's cache folder for the next process.

Numba can keep compiled functions itself, but it does not notice damaged files or changes of functions that are inlined
into others, it fails on a full disk, and two processes that keep functions at the same time may mix them up. Here, a
folder belongs to one function in one version of its source code, and to one process at a time. A file of Numba's
without a correct digest is deleted before Numba may read it. A function that cannot be kept is compiled each time.

Files contain machine code, so a folder that another user can write to is ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numba
import platformdirs
from filelock import FileLock
from numba.extending import register_jitable

from han.exceptions import DestinationError
from han.files.atomic import replacing

__all__ = ["either", "inlined", "kernel", "reduction"]

# "off", or the folder; by default, "han" in the user's cache folder.
VARIABLE = "HAN_CACHE"
# Of all kernels together; those of one cell and number of units take about 1 MB.
MAX_BYTES = 32 * 2**20
DIGESTS, LOCK = "digests.json", "lock"
# Seconds to wait for another process that compiles the same function, which takes some five seconds.
PATIENCE = 60.0
# Other Python threads run while a kernel does. Products and sums may be fused, but not reordered.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
_lock = Lock()

F = TypeVar("F", bound=Callable[..., Any])


def either(function: F) -> F:
    """Let a function be called by kernels as well as by Python."""
    callable_by_both: F = register_jitable(function)
    return callable_by_both


def inlined(function: F) -> F:
    """Compile a function where others call it, into their code."""
    compiled: F = numba.njit(forceinline=True, **_OPTIONS)(function)
    return compiled


def reduction(function: F) -> F:
    """Do as `inlined`, and add the terms of its sums in any order, several at a time."""
    compiled: F = numba.njit(forceinline=True, **{**_OPTIONS, "fastmath": {"contract", "reassoc"}})(function)
    return compiled


def kernel(signature: str, source: tuple[Path, ...]) -> Callable[[F], F]:
    """Compile a function for arguments of the types in a signature, or load it from the cache.

    Parameters
    ----------
    signature : str
        As Numba writes it, such as `"void(float32[:, ::1], int32[::1])"`.
    source : tuple of paths
        The files whose code is compiled: that of the function, and those of the functions it calls.
    """

    def compiled(function: F) -> F:
        with _lock:
            folder = _cache_folder(source, signature, function)
            if folder is not None:
                # Whatever keeps Numba from reading or writing the cache; an error in the function is raised below.
                with suppress(Exception), _locked(folder), _numba_folder(folder):
                    _delete_damaged(folder)
                    kept: F = numba.njit(signature, cache=True, **_OPTIONS)(function)
                    _write_digests(folder)
                    return kept
        fresh: F = numba.njit(signature, **_OPTIONS)(function)
        return fresh

    return compiled


def _cache_folder(source: tuple[Path, ...], signature: str, function: Callable[..., Any]) -> Path | None:
    """Return the folder for a function, which exists and is private; None if there is no such folder."""
    cache = os.environ.get(VARIABLE, "")
    # Unlike `Path.expanduser`, this is no error for a user without a home folder, as in some containers.
    root = os.path.expanduser(cache or platformdirs.user_cache_dir("han", appauthor=False))  # noqa: PTH111
    if cache == "off" or root.startswith("~"):
        return None
    # The numbers that the function takes from the one around it, such as the units.
    constants = [cell.cell_contents for cell in function.__closure__ or ()]
    name = repr((function.__qualname__, signature, constants, numba.__version__, sys.version))
    version = _digest(name.encode(), *(path.read_bytes() for path in source))
    folder = Path(root).absolute() / f"kernels-{version[:16]}"
    try:
        if folder.exists():
            os.utime(folder)
        else:
            folder.mkdir(mode=0o700, parents=True)
            _delete_oldest(folder)
        status = folder.stat()
    except OSError:
        return None
    private = os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)
    return folder if private else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder."""
    with FileLock(folder / LOCK, timeout=PATIENCE):
        yield


@contextmanager
def _numba_folder(folder: Path) -> Iterator[None]:
    """Let Numba keep functions in a folder. Functions of others that are decorated meanwhile may go there, too."""
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _delete_damaged(folder: Path) -> None:
    """Delete files without a correct digest."""
    try:
        digests = json.loads((folder / DIGESTS).read_bytes())
    except (OSError, ValueError):
        digests = {}
    for path in _files(folder):
        if digests.get(_name(path, folder)) != _digest(path.read_bytes()):
            path.unlink()


def _write_digests(folder: Path) -> None:
    digests = {_name(path, folder): _digest(path.read_bytes()) for path in _files(folder)}
    content = json.dumps(digests, indent=1).encode()
    path = folder / DIGESTS
    if not path.exists() or path.read_bytes() != content:
        with suppress(DestinationError), replacing(path) as file:
            file.write(content)


def _delete_oldest(newest: Path) -> None:
    """Delete the folders that have not been used for the longest time, until the others take at most `MAX_BYTES`."""
    folders = [folder for folder in newest.parent.glob("kernels-*") if folder != newest]
    size = 0
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True):
        size += sum(path.stat().st_size for path in _files(folder))
        if size > MAX_BYTES:
            shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """Return Numba's files: an index, and machine code for each kind of processor."""
    return sorted([*folder.glob("*/*.nbi"), *folder.glob("*/*.nbc")])


def _name(path: Path, folder: Path) -> str:
    """Return the name of a file in its folder, where each installation of this version has a folder of its own."""
    return path.relative_to(folder).as_posix()


def _digest(*contents: bytes) -> str:
    return hashlib.blake2b(b"".join(contents), digest_size=16).hexdigest()
