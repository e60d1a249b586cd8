"""What a benchmark reports: when and where it ran, its results as JSON, and its table in the documentation."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# Tables with a page of their own.
MEASUREMENTS = ROOT / "docs" / "measurements"
# Where tables go.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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
    """Write results to `results/<name>.json`, and a table to the page that has a place for it.

    Parameters
    ----------
    name : str
        The place is between `<!-- name: start -->` and `<!-- name: end -->`, in the README or a page of `docs/`.
    results : dict
        What was measured, with `command`, `spread` and what `describe` returns, which are printed below the table.
    table : list of str
        Lines of Markdown.
    """
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    setting = f"{results['setting']}; " if "setting" in results else ""
    fill(name, [*table, "", f"{source(results)}; {setting}{results['spread']}."])


def source(results: dict[str, Any]) -> str:
    """Return the command, date, machine and versions of results as a line of Markdown."""
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    return f"`{results['command']}`, {results['date']}, {results['machine']}, {versions}"


def fill(name: str, lines: list[str]) -> None:
    """Write lines of Markdown between the markers of this name, wherever they are."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    pages = [page for page in PAGES if start in page.read_text(encoding="utf-8")]
    if len(pages) != 1:
        raise ValueError(f"one page must have a place for {name}, {start}, found {len(pages)}")
    before, rest = pages[0].read_text(encoding="utf-8").split(start)
    block = "\n".join([start, *lines, end])
    pages[0].write_text(before + block + rest.split(end)[1], encoding="utf-8")
