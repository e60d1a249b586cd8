"""Check paths that users pass: expand `~` and reject URLs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from han.exceptions import InvalidTypeError, InvalidValueError

# One slash suffices, because `Path` turns "s3://bucket" into "s3:/bucket"; a single letter is a Windows drive.
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
MAX_SHOWN = 200


def local_path(name: str, value: object) -> Path:
    """Return the path of a local file or folder, with `~` expanded.

    Parameters
    ----------
    name : str
        Name of the argument or option, for errors.
    value : str or os.PathLike

    Raises
    ------
    InvalidTypeError
        If `value` is not a path.
    InvalidValueError
        If it is empty, a URL, or contains a NUL character.
    """
    if not isinstance(value, str | os.PathLike):
        raise InvalidTypeError(f"{name} must be a path, got {repr(value)[:MAX_SHOWN]}")
    # The string of a cloud storage path is its URL; `os.fspath` would download the file.
    text = str(value)
    if URL.match(text):
        raise InvalidValueError(
            f"{name} must be a path on this machine, got the URL {text[:MAX_SHOWN]!r}; {_advice(text)}"
        )
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise InvalidValueError(f"{name} must be a path, got {path[:MAX_SHOWN]!r}")
    # Unlike `Path.expanduser`, this accepts names such as "~$report.xlsx".
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _advice(url: str) -> str:
    if url.lower().startswith("file:/"):
        return f"use {unquote(urlsplit(url).path)!r} instead"
    return "mount the storage, or copy the files to this machine"
