from __future__ import annotations

import os
import subprocess
import sys

import pytest

from han.backend import kernels
from tests.mounts import needs_mounts, run_with_mounts

# Compiles or loads a loop, and prints its outputs and whether it was compiled or loaded.
RUN = """
import numpy as np
from han.recurrence.contributions_loop import contributions_loop
loop = contributions_loop("gru", 5)
one = np.array([3], np.int32)
table, kept, weights = (np.linspace(-1, 1, 6 * width, dtype=np.float32).reshape(6, width) for width in (40, 20, 10))
totals = np.empty(3, np.float32)
loop(table, np.arange(3, dtype=np.int32), one, True, 0, table[0, :3].copy(), kept, one[:0, None], weights, totals)
print(totals.tobytes().hex(), sum(loop.stats.cache_hits.values()) if loop.stats.cache_path else "not kept")
"""
COMPILED, LOADED, NOT_KEPT = "0", "1", "not kept"


def run(cache):
    """Return the outputs, and what was done."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", RUN], env={**os.environ, "HAN_CACHE": str(cache)}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    outputs, _, done = result.stdout.strip().partition(" ")
    return outputs, done


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache with one kernel, and the outputs of the process that compiled it."""
    folder = tmp_path_factory.mktemp("cache")
    outputs, done = run(folder)
    assert done == COMPILED
    return folder, outputs


def files(folder):
    return sorted(path for path in folder.glob("kernels-*/*/*") if path.is_file())


def test_the_next_process_loads_kernels_and_gets_the_same_outputs(filled):
    folder, outputs = filled
    before = files(folder)
    assert {path.suffix for path in before} == {".nbc", ".nbi"}
    assert before[0].parents[1].stat().st_mode & 0o777 == 0o700
    assert run(folder) == (outputs, LOADED)
    assert files(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nbc", ".nbi"])
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_kernel_is_compiled_again(filled, damage, suffix):
    folder, outputs = filled
    (path,) = (path for path in files(folder) if path.suffix == suffix)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        content[:middle] if damage == "truncated" else content[:middle] + b"\x90" * 16 + content[middle + 16 :]
    )
    assert run(folder) == (outputs, COMPILED)
    assert run(folder) == (outputs, LOADED)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_a_folder_that_others_can_write_to_is_ignored(filled):
    folder, outputs = filled
    path = files(folder)[0]
    content = path.read_bytes()
    path.parents[1].chmod(0o770)
    try:
        path.write_bytes(b"machine code of another user")
        assert run(folder) == (outputs, NOT_KEPT)
        assert path.read_bytes() == b"machine code of another user"
    finally:
        path.parents[1].chmod(0o700)
        path.write_bytes(content)


@pytest.mark.slow
def test_the_cache_can_be_turned_off(filled):
    assert run("off") == (filled[1], NOT_KEPT)


@pytest.mark.slow
@needs_mounts
@pytest.mark.parametrize("options", ["ro", "size=16k"])
def test_a_full_or_read_only_disk_is_no_error(filled, tmp_path, options):
    _, outputs = filled
    mount = f"mount -t tmpfs -o {options} none $1"
    result = run_with_mounts(
        mount, sys.executable, "-c", RUN, paths=[tmp_path], env={**os.environ, "HAN_CACHE": str(tmp_path)}
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(outputs)


@pytest.mark.slow
def test_a_user_without_a_home_folder_has_no_cache(filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("~nobody-of-this-name/cache") == (filled[1], NOT_KEPT)
    assert not any(tmp_path.iterdir())


def test_the_oldest_kernels_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "MAX_BYTES", 250)
    for age, name in enumerate(("a/x/3", "b/x/2", "a/x/1")):
        path = tmp_path / f"kernels-{name}.nbc"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    kernels._delete_oldest(tmp_path)
    assert [path.stem for path in files(tmp_path)] == ["3", "2"]
