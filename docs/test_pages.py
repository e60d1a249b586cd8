"""Every block of code in the tutorial and the how-to guides runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how_to").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_run(page, tmp_path):
    python, shell = blocks(page, "python"), blocks(page, "sh")
    assert python or shell
    # A process of its own: the pages set what is global.
    interpreter = [sys.executable, "-W", "error::UserWarning:han", "-c", "\n".join(python)]
    commands = (interpreter, ["bash", "-euo", "pipefail", "-c", "".join(shell)])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, parts in zip(commands, (python, shell), strict=True):
        if parts:
            result = subprocess.run(  # noqa: S603
                command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
            )
            assert result.returncode == 0, result.stderr
