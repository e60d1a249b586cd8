"""Where and with what a benchmark was run."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any


def describe() -> dict[str, Any]:
    """Return the date, the machine and the versions that matter, for the head of a file of results."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in ("tensorflow", "keras")}},
    }
