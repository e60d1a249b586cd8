"""Memory limits of the user, the machine and the container."""

from __future__ import annotations

import re
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import psutil

from han.exceptions import InvalidValueError


class Limit(NamedTuple):
    """A memory limit in bytes, and its source for messages."""

    size: int
    source: str

    def __str__(self) -> str:
        return f"{gigabytes(self.size)} ({self.source})"


def parse_size(size: object) -> int | None:
    """Return a size in bytes from an int or a string such as "2GB", "1.5 GiB" or "800MB"; None if it is invalid."""
    if isinstance(size, Integral) and not isinstance(size, bool):
        return int(size) if int(size) > 0 else None
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMGT]?)(I?)B", size.strip().upper()) if isinstance(size, str) else None
    if match is None:
        return None
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix or " ")) or None


def gigabytes(size: float) -> str:
    """Format a number of bytes as gigabytes."""
    return f"{size / 1e9:.2f} GB"


def find_limit(memory_limit: int | str | None) -> Limit:
    """Return the given limit, or else the memory available on the machine or in the container, whichever is less."""
    if memory_limit is not None:
        size = parse_size(memory_limit)
        if size is None:
            raise InvalidValueError(
                f'memory_limit must be a number of bytes or a string such as "2GB", got {memory_limit!r}'
            )
        return Limit(size, "memory_limit")
    free = Limit(int(psutil.virtual_memory().available), "available on this machine")
    left = container_memory()
    return free if left is None or left > free.size else Limit(left, "left to this container")


def container_memory(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return how many bytes the process may still use under the memory limits of its control groups.

    Parameters
    ----------
    root : Path
        Where Linux mounts the control groups.
    membership : Path
        The file that lists the groups of this process.

    Returns
    -------
    int or None
        None without a limit or without control groups.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, most, used, cached = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            mount, most, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = "total_inactive_file"
        else:
            continue
        # In a container, the root is often its own group, but `path` is that on the host. Limits of parents apply, too.
        group = mount / path.strip("/")
        for folder in (group, *group.parents):
            limit, usage = _number(folder / most), _number(folder / used)
            if limit is not None and usage is not None:
                # The kernel frees cached files when memory is needed.
                left.append(max(limit - usage + _statistic(folder / "memory.stat", cached), 0))
            if folder == mount:
                break
    return min(left, default=None)


def _number(file: Path) -> int | None:
    """Return the number in a file; None if it does not exist or is not a number, such as "max"."""
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _statistic(file: Path, name: str) -> int:
    """Return a number from a file of `name number` lines; 0 if it is missing."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
