from __future__ import annotations

import os
import subprocess
import sys

import pytest

from han.backend import program_cache
from han.backend.program_cache import request_programs
from tests.mounts import needs_mounts, run_with_mounts

# Runs the compiled recurrence of both directions, which is one program, and prints its outputs.
RUN = """
import sys
if "first" in sys.argv:
    import tensorflow
import numpy as np
from han.layers import BidirectionalEncoder
print(BidirectionalEncoder(units=5, seed=0)(np.ones((1, 3, 2), np.float32)).numpy().tobytes().hex())
"""
LOG = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "device_executable_persistor=1"}
COMPILED, LOADED = ("Serializing and saving",), ("Loading cached entry",)


def run(cache, *arguments):
    """Return the outputs, and whether the program was compiled, loaded, or neither (without a cache)."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, **LOG, "HAN_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout, tuple(line for line in (*COMPILED, *LOADED) if line in result.stderr)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache with one program, and the outputs of the process that compiled it."""
    folder = tmp_path_factory.mktemp("cache")
    outputs, said = run(folder)
    assert said == COMPILED
    return folder, outputs


def programs(folder):
    return sorted(folder.glob("programs-*/*.pb"))


def test_the_next_process_loads_programs_and_gets_the_same_outputs(filled):
    folder, outputs = filled
    (program,) = programs(folder)
    assert program.parent.stat().st_mode & 0o777 == 0o700
    assert run(folder) == (outputs, LOADED)
    assert programs(folder) == [program]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_program_is_compiled_again(filled, damage):
    folder, outputs = filled
    (program,) = programs(folder)
    content = program.read_bytes()
    middle = len(content) // 2
    program.write_bytes(
        content[:middle] if damage == "truncated" else content[:middle] + b"\x90" * 16 + content[middle + 16 :]
    )
    assert run(folder) == (outputs, COMPILED)
    assert run(folder) == (outputs, LOADED)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_a_folder_that_others_can_write_to_is_ignored(filled):
    folder, outputs = filled
    (program,) = programs(folder)
    content = program.read_bytes()
    program.parent.chmod(0o770)
    try:
        program.write_bytes(b"machine code of another user")
        assert run(folder) == (outputs, COMPILED)
        assert program.read_bytes() == b"machine code of another user"
    finally:
        program.parent.chmod(0o700)
        program.write_bytes(content)


@pytest.mark.slow
def test_the_cache_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    assert run("off")[1] == ()
    assert run(tmp_path, "first")[1] == ()
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@needs_mounts
@pytest.mark.parametrize("options", ["ro", "size=64k"])
def test_a_full_or_read_only_disk_is_no_error(filled, tmp_path, options):
    _, outputs = filled
    mount = f"mount -t tmpfs -o {options} none $1"
    result = run_with_mounts(
        mount, sys.executable, "-c", RUN, paths=[tmp_path], env={**os.environ, "HAN_CACHE": str(tmp_path)}
    )
    assert (result.returncode, result.stdout) == (0, outputs)
    assert "Error" not in result.stderr


@pytest.mark.slow
def test_a_user_without_a_home_folder_has_no_cache(filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("~nobody-of-this-name/cache") == (filled[1], COMPILED)
    assert not any(tmp_path.iterdir())


def test_the_oldest_programs_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(program_cache, "MAX_BYTES", 250)
    for age, name in enumerate(("a/3", "b/2", "a/1")):
        path = tmp_path / f"programs-{name}.pb"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    program_cache._delete_oldest(tmp_path)
    assert [path.stem for path in programs(tmp_path)] == ["3", "2"]


@pytest.mark.parametrize(
    ("flags", "provided"),
    [
        ("", True),
        ("--tf_xla_min_cluster_size=3", True),
        ("--tf_xla_persistent_cache_directory=/elsewhere", False),
    ],
)
def test_flags_of_the_user_are_kept(flags, provided, monkeypatch):
    monkeypatch.setenv("HAN_CACHE", "")
    monkeypatch.setenv("TF_XLA_FLAGS", flags)
    assert request_programs(quiet=True) is provided
    assert os.environ["TF_XLA_FLAGS"].startswith(flags)
    assert request_programs(quiet=True) is provided  # in a child process
    assert os.environ["TF_XLA_FLAGS"].count("directory") == 1
    monkeypatch.setenv("HAN_CACHE", "off")
    assert not request_programs(quiet=True)
    assert os.environ["TF_XLA_FLAGS"] == flags


def test_programs_are_only_loaded_without_log_messages_unless_the_folder_is_named(monkeypatch):
    monkeypatch.delenv("HAN_CACHE", raising=False)
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    assert not request_programs(quiet=False)
    assert "TF_XLA_FLAGS" not in os.environ
    monkeypatch.setenv("HAN_CACHE", "/some/folder")
    assert request_programs(quiet=False)
