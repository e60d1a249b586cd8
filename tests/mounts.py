"""Real mount points for tests, in a namespace of their own that ends with the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

UNSHARE = ["unshare", "--mount"] if sys.platform == "linux" and os.geteuid() == 0 else ["unshare", "--mount", "-r"]


def _can_mount():
    try:
        return not subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode  # noqa: S603
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="no mount namespaces here, as in a container without rights")


def run_with_mounts(mounts, *command, **options):
    """Run a command where shell commands have mounted something, and return what it returned and printed.

    `mounts` finds paths in its positional parameters, as $1: those of the option `paths`.
    """
    script = f'set -e; command=("${{@:{len(options["paths"]) + 1}}}"); {mounts}; exec "${{command[@]}}"'
    return subprocess.run(  # noqa: S603
        [*UNSHARE, "bash", "-c", script, "bash", *map(str, options.pop("paths")), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
