"""Atomic writes, JSON files, and manifests with the checksums of a folder's files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from han.exceptions import DataWarning, DestinationError, ModelFileError, warn_user

MANIFEST = "manifest.json"
# Larger JSON files are rejected; a vocabulary of a million words takes about 20 MB.
MAX_JSON_BYTES = 512 * 2**20
# Bytes of a trial file: on a full disk, creating an empty file still succeeds.
TRIAL_BYTES = 2**16


def check_output(path: Path) -> None:
    """Raise a DestinationError if a trial write at `path` fails."""
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
    """Open a file that replaces `path` once it is complete; if an error occurs before that, `path` does not change.

    The file is written next to `path`, or in the folder for temporary files if that is not possible, and then renamed.
    A file that cannot be replaced, such as one that is mounted into a container, is overwritten at the end. If that
    fails, it is incomplete, and the error names a file with the complete content. Anything other than a file, such
    as a pipe, is written to directly.

    Raises
    ------
    DestinationError
        If no file can be written at `path`; raised before anything is written.
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
    # A process id is not unique, since a container often starts with the same one. Names have at most 255 bytes.
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
    """Overwrite `path` with the content of `part`."""
    try:
        with part.open("rb") as source, path.open("r+b") as target:
            shutil.copyfileobj(source, target)
            target.truncate()
            flush(target)
    except BaseException as error:
        message = f"{str(path)!r} is incomplete; the complete content is in {str(part)!r}"
        if isinstance(error, Exception):
            raise DestinationError(f"{message}: {error}") from error
        warn_user(message, DataWarning)
        raise


def flush(stream: IO[bytes]) -> None:
    """Flush a file to the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def write_manifest(folder: Path, format_version: int) -> None:
    """Write a manifest of a folder: the version of its format, and the size and SHA-256 of each file."""
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, {"format_version": format_version, "files": files})


def check_manifest(folder: Path, format_version: int, names: tuple[str, ...]) -> None:
    """Check the given files of a folder against its manifest.

    Raises
    ------
    ModelFileError
        If the manifest has a later version than `format_version`, or the manifest or one of the files is damaged.
    """
    path = folder / MANIFEST
    manifest = read_json(path, dict)
    check_version(path, manifest.get("format_version"), format_version)
    files = manifest.get("files")
    for name in names:
        entry = files.get(name) if isinstance(files, Mapping) else None
        if not isinstance(entry, Mapping) or not {"bytes", "sha256"} <= entry.keys():
            raise ModelFileError(f"{path} must contain the size and the SHA-256 of {name}: the file is damaged")
        size = (folder / name).stat().st_size
        if size != entry["bytes"]:
            raise ModelFileError(f"{folder / name} must have {entry['bytes']} bytes, got {size}: the file is damaged")
        if _sha256(folder / name) != entry["sha256"]:
            raise ModelFileError(f"{folder / name} must have the SHA-256 in {MANIFEST}: the file is damaged")


def check_version(path: Path, version: object, newest: int) -> None:
    """Raise a ModelFileError if `version`, the `format_version` in a file, is invalid or newer than `newest`."""
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path} must contain the version of the format, got {version!r}: the file is damaged")
    if version > newest:
        raise ModelFileError(
            f"{path}: format_version must be at most {newest}, got {version}; a newer version of han wrote it"
        )


def read_json(path: Path, kind: type[Any]) -> Any:
    """Return the value in a JSON file.

    Raises
    ------
    ModelFileError
        If the file is too large or not JSON, or its value is not of the type `kind`.
    """
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ModelFileError(f"{path} must have at most {MAX_JSON_BYTES:,} bytes, got {path.stat().st_size:,}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} must contain JSON: {error}") from error
    if not isinstance(value, kind):
        raise ModelFileError(f"{path} must contain a {kind.__name__}, got a {type(value).__name__}")
    return value


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON."""
    # UTF-8 cannot encode an unpaired surrogate; `backslashreplace` writes the escape sequence that JSON uses.
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", errors="backslashreplace")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
