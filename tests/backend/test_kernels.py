from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from han.backend import kernels
from tests.mounts import needs_mounts, run_with_mounts

# Compiles or loads the loop of a number of units, and prints its outputs and whether it was compiled or loaded.
RUN = """
import sys
import numpy as np
from han.recurrence.contributions_loop import contributions_loop
units = int(sys.argv[1])
loop = contributions_loop("gru", units)
one = np.array([3], np.int32)
table, kept, weights = (
    np.linspace(-1, 1, 6 * rows * units, dtype=np.float32).reshape(6, rows * units) for rows in (8, 4, 2)
)
totals = np.empty(3, np.float32)
loop(table, np.arange(3, dtype=np.int32), one, True, 0, table[0, :3].copy(), kept, one[:0, None], weights, totals)
print(totals.tobytes().hex(), sum(loop.stats.cache_hits.values()) if loop.stats.cache_path else "not kept")
"""
COMPILED, LOADED, NOT_KEPT = "0", "1", "not kept"


def run(cache, units=5):
    """Return the outputs, and what was done."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", RUN, str(units)],
        env={**os.environ, "HAN_CACHE": str(cache)},
        capture_output=True,
        text=True,
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
        mount, sys.executable, "-c", RUN, "5", paths=[tmp_path], env={**os.environ, "HAN_CACHE": str(tmp_path)}
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
    for age, name in enumerate("abcd"):
        path = tmp_path / f"kernels-{name}" / "x" / "loop.nbc"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(100))
        os.utime(path.parents[1], (1000 - age, 1000 - age))
    kernels._delete_oldest(tmp_path / "kernels-d")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["kernels-a", "kernels-b", "kernels-d"]


def test_a_kernel_in_use_is_not_among_the_oldest(filled):
    folder, _ = filled
    os.utime(files(folder)[0].parents[1], (1000, 1000))
    run(folder)
    assert files(folder)[0].parents[1].stat().st_mtime > 1000


@pytest.mark.slow
def test_processes_that_need_the_same_kernel_compile_it_once(filled, tmp_path):
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(run, [tmp_path] * 3))
    assert {outputs for outputs, _ in results} == {filled[1]}
    assert sorted(done for _, done in results) == [COMPILED, LOADED, LOADED]


@pytest.mark.slow
def test_processes_that_keep_different_kernels_at_the_same_time_do_not_mix_them_up(tmp_path):
    with ThreadPoolExecutor(4) as threads:
        compiled = list(threads.map(run, [tmp_path] * 4, range(2, 6)))
    assert [done for _, done in compiled] == [COMPILED] * 4
    assert [run(tmp_path, units) for units in range(2, 6)] == [(outputs, LOADED) for outputs, _ in compiled]
