"""Programs that XLA compiled, kept in the user's cache folder for the next process.

XLA compiles the recurrence once per shape, which takes a few tenths of a second each time. TensorFlow can keep the
programs in a folder, but fails if the disk is full or a program in it is damaged. It is therefore given a folder in
memory. This module fills it with what earlier processes kept, and keeps what is new when the process ends.

A kept file is the file that TensorFlow wrote, followed by its digest; a damaged one is deleted and compiled again.
Programs contain machine code, so a folder that another user can write to is ignored.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from han.exceptions import DestinationError
from han.files.atomic import replacing

__all__ = ["load_programs", "request_programs"]

# "off", or the folder; by default, "han" in the user's cache folder.
VARIABLE = "HAN_CACHE"
# Of all programs together; a network that is trained and used has some twenty, of 0.1 MB each.
MAX_BYTES = 32 * 2**20
DIGEST_BYTES = 16
_FLAGS = "TF_XLA_FLAGS"
_FLAG = "--tf_xla_persistent_cache_directory"
_MEMORY = "ram://han-programs"


def request_programs(quiet: bool) -> bool:
    """Ask TensorFlow, before it is imported, for its programs; return whether it will provide them.

    TensorFlow logs errors, which mean nothing, when it loads a program. Unless its log is `quiet`, the user has to ask
    for programs by naming the folder.
    """
    own = f"{_FLAG}={_MEMORY}"
    flags = os.environ.get(_FLAGS, "").replace(own, "").strip()  # a parent process may have asked for its own
    cache = os.environ.get(VARIABLE, "")
    provided = cache != "off" and (quiet or cache != "") and _FLAG not in flags
    if provided or _FLAGS in os.environ:
        # TensorFlow reads it when it first compiles, so it cannot be removed after the import.
        os.environ[_FLAGS] = f"{flags} {own}".strip() if provided else flags
    return provided


def load_programs(tf: Any) -> None:
    """Give TensorFlow the programs that were kept, and keep new ones when the process ends."""
    # Unlike `Path.expanduser`, this is no error for a user without a home folder, as in some containers.
    root = os.path.expanduser(os.environ.get(VARIABLE) or platformdirs.user_cache_dir("han", appauthor=False))  # noqa: PTH111
    if root.startswith("~"):
        return
    folder = Path(root).absolute() / f"programs-{_machine(tf)}"
    tf.io.gfile.makedirs(_MEMORY)
    if _is_private(folder):
        for path in folder.glob("*.pb"):
            with suppress(OSError, tf.errors.OpError):
                program = path.read_bytes()
                content = program[:-DIGEST_BYTES]
                if _digest(content) != program[-DIGEST_BYTES:]:
                    path.unlink()
                    continue
                with tf.io.gfile.GFile(f"{_MEMORY}/{path.name}", "wb") as file:
                    file.write(content)
    atexit.register(_keep_programs, tf, folder, os.getpid())


def _keep_programs(tf: Any, folder: Path, process: int) -> None:
    """Write the programs that `folder` lacks to it. A cache is no reason to fail."""
    if os.getpid() != process:  # a forked process
        return
    with suppress(OSError, DestinationError, tf.errors.OpError):
        names = [name for name in tf.io.gfile.listdir(_MEMORY) if name.endswith(".pb")]
        new = [name for name in names if not (folder / name).exists()]
        if not new:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(folder):
            return
        for name in new:
            with tf.io.gfile.GFile(f"{_MEMORY}/{name}", "rb") as file:
                content = file.read()
            with replacing(folder / name) as kept:
                kept.write(content + _digest(content))
        _delete_oldest(folder.parent)


def _delete_oldest(root: Path) -> None:
    """Delete programs of all machines and versions until they take at most `MAX_BYTES`."""
    files = [(path, path.stat()) for path in root.glob("programs-*/*.pb")]
    size = 0
    for path, status in sorted(files, key=lambda file: file[1].st_mtime, reverse=True):
        size += status.st_size
        if size > MAX_BYTES:
            path.unlink(missing_ok=True)


def _is_private(folder: Path) -> bool:
    """Return whether a folder exists, belongs to this user, and no other user can write to it."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _machine(tf: Any) -> str:
    """Return a digest of what programs depend on besides their shapes: TensorFlow, the processor and its settings."""
    parts = [tf.version.VERSION, tf.version.GIT_VERSION, platform.machine(), os.environ.get("XLA_FLAGS", "")]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        parts += sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    except OSError:
        parts += [platform.processor(), platform.node()]
    # XLA divides the work of an operation among this number of threads.
    parts.append(str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    return _digest("\n".join(parts).encode()).hex()[:16]


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
