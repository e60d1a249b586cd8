"""Paths as users write them: `~` is the home folder, and URLs are refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from han.exceptions import InvalidTypeError, InvalidValueError

# One slash is enough, for `Path` makes "s3:/bucket" of "s3://bucket"; one letter is a drive of Windows.
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
SHOWN = 200


def local_path(name: str, value: object) -> Path:
    """Return the path of a file or folder, with `~` expanded.

    Parameters
    ----------
    name : str
        The argument or option that holds the path, for errors.
    value : str or os.PathLike

    Raises
    ------
    InvalidTypeError
        If `value` is not a path.
    InvalidValueError
        If it is empty, a URL, or holds a NUL character.
    """
    if not isinstance(value, str | os.PathLike):
        raise InvalidTypeError(f"{name} must be a path, got {repr(value)[:SHOWN]}")
    # Cloud storage's path objects show their URL; `os.fspath` would download it.
    shown = str(value)
    if URL.match(shown):
        raise InvalidValueError(
            f"{name} must be a path on this machine, got the URL {shown[:SHOWN]!r}; {_advice(shown)}"
        )
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise InvalidValueError(f"{name} must be a path, got {path[:SHOWN]!r}")
    # `Path.expanduser` refuses names like "~$report.xlsx"; this leaves them alone.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _advice(url: str) -> str:
    if url.lower().startswith("file:/"):
        return f"write {unquote(urlsplit(url).path)!r}"
    return "mount the storage, or copy the files with its own tool"
