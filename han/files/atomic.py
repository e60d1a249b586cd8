"""Files that are written whole or not at all; JSON, and a manifest of a folder's files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from han.exceptions import DestinationError, ModelFileError

MANIFEST = "manifest.json"
# The largest JSON file that is read, in bytes; a vocabulary of a million words takes some 20 MB.
MAX_JSON_BYTES = 512 * 2**20
# What is written on trial: a full disk still takes names.
TRIAL_BYTES = 2**16


def check_output(path: Path) -> None:
    """Raise a DestinationError unless a file can be written at `path`, which is found out by trying."""
    try:
        path = path.resolve()
        if path.is_file():
            path.open("r+b").close()
        elif not path.exists():
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".han-") as trial:
                trial.write(bytes(TRIAL_BYTES))
                flush(trial.file)
        elif path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise DestinationError(f"no file can be written at {str(path)!r}: {error.strerror}") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once all of it is written; if that fails, nothing has changed.

    It is written beside `path` and renamed, or in the folder for temporary files if nothing can be written beside it.
    What cannot be replaced, such as a single file that is mounted into a container, is overwritten at the end; an error
    just then leaves it incomplete, and names the file that holds everything.
    What is not a file, such as a pipe, is written to as it is.

    Raises
    ------
    DestinationError
        If no file can be written at `path`; before anything is written.
    """
    path = path.resolve()
    check_output(path)
    if path.exists() and not path.is_file():
        with path.open("wb") as special:
            yield special
        return
    stream, part = _open_part(path)
    try:
        with stream:
            yield stream
            flush(stream)
        try:
            part.replace(path)
        except OSError:
            if not path.is_file():
                raise
        else:
            return
    except BaseException:
        part.unlink()
        raise
    _overwrite(path, part)
    part.unlink()


def _open_part(path: Path) -> tuple[BinaryIO, Path]:
    # Not by the process' number alone: in a container that is the same each time. Names have 255 bytes at most.
    part = path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        return part.open("xb"), part
    except OSError:
        if not path.is_file():
            raise
        descriptor, name = tempfile.mkstemp(prefix="han-", suffix=path.suffix)
        os.close(descriptor)
        return Path(name).open("wb"), Path(name)


def _overwrite(path: Path, part: Path) -> None:
    """Copy a file's content into another one."""
    try:
        with part.open("rb") as source, path.open("r+b") as target:
            shutil.copyfileobj(source, target)
            target.truncate()
            flush(target)
    except BaseException as error:
        message = f"{str(path)!r} is incomplete; everything is in {str(part)!r}"
        if isinstance(error, Exception):
            raise DestinationError(f"{message}: {error}") from error
        warnings.warn(message, stacklevel=4)
        raise


def flush(stream: IO[bytes]) -> None:
    """Have what was written to a file on the disk."""
    stream.flush()
    os.fsync(stream.fileno())


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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
