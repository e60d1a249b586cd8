"""Where and with what a benchmark was run, and where its results go."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def describe(*packages: str) -> dict[str, Any]:
    """Return the date, the machine and the versions that matter, for the head of a file of results."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{cores} core{'s' * (cores > 1)}, {platform.machine()}",
        "versions": {
            "Python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", *packages)},
        },
    }


def peak_memory() -> float:
    """Return the most MB that the process has held; not by `getrusage`, which begins with the parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def store(name: str, results: dict[str, Any], table: list[str]) -> None:
    """Write results to `results/<name>.json` and a Markdown table, with its source, to its place in the README."""
    folder = Path(__file__).parent
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    setting = f"{results['setting']}; " if "setting" in results else ""
    source = (
        f"`{results['command']}`, {results['date']}, {results['machine']}, {versions}; {setting}{results['spread']}."
    )
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    readme = folder.parent / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(start)
    after = rest.split(end)[1]
    block = "\n".join([start, *table, "", source, end])
    readme.write_text(before + block + after, encoding="utf-8")
