from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from han.exceptions import ModelFileError
from han.files import MANIFEST, check_manifest, read_json, replacing_folder, settled, write_manifest

# A process that replaces a folder and is killed at the given move: 1 moves the old one aside, 2 the new one in.
KILLED = """
import os, signal, sys
from pathlib import Path
from han.files import replacing_folder

moves = 0

def rename(self, target, plain=Path.rename):
    global moves
    moves += 1
    if moves == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, target)

Path.rename = rename
with replacing_folder(Path(sys.argv[1])) as new:
    (new / "file").write_text("new")
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "folder"
    with replacing_folder(folder) as new:
        (new / "file").write_text("one")
        assert not folder.exists()

    def fail():
        with replacing_folder(folder) as new:
            (new / "file").write_text("two")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert (folder / "file").read_text() == "one"
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("move", [1, 2])
def test_a_killed_process_leaves_the_old_folder_where_it_is_found(move, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old")
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(move)], check=False)  # noqa: S603
    assert run.returncode == -signal.SIGKILL
    assert folder.exists() == (move == 1)
    assert len(names(tmp_path)) == 1 + (move == 1)
    assert (settled(folder) / "file").read_text() == "old"
    # The next one to write clears up: what is not replaced is the old folder.
    with replacing_folder(folder) as new:
        assert (folder / "file").read_text() == "old"
        (new / "file").write_text("new")
    assert (folder / "file").read_text() == "new"
    assert names(tmp_path) == ["folder"]


def test_what_others_are_writing_is_left_alone(tmp_path):
    folder = tmp_path / "folder"
    with replacing_folder(folder) as first, replacing_folder(folder) as second:
        (first / "file").write_text("first")
        (second / "file").write_text("second")
    assert (folder / "file").read_text() == "first"
    elsewhere = tmp_path / ".folder.saving-another_machine-1-x"
    elsewhere.mkdir()
    with replacing_folder(folder) as new:
        (new / "file").write_text("third")
    assert names(tmp_path) == [elsewhere.name, "folder"]


def test_a_manifest_tells_what_is_damaged(tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    write_manifest(tmp_path, 3)
    check_manifest(tmp_path, 3, ("one", "two"))
    (tmp_path / "two").write_text("3")
    check_manifest(tmp_path, 3, ("one",))
    with pytest.raises(ModelFileError, match="two must have the SHA-256"):
        check_manifest(tmp_path, 3, ("one", "two"))
    (tmp_path / "two").write_text("33")
    with pytest.raises(ModelFileError, match="two must have 1 bytes, got 2"):
        check_manifest(tmp_path, 3, ("two",))
    with pytest.raises(ModelFileError, match="at most 2, got 3; a newer version"):
        check_manifest(tmp_path, 2, ("one",))
    for damaged in ("{", "[]", '{"format_version": true}', '{"format_version": 1, "files": []}'):
        (tmp_path / MANIFEST).write_text(damaged)
        with pytest.raises(ModelFileError, match=MANIFEST):
            check_manifest(tmp_path, 3, ("one",))


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("han.files.MAX_JSON_BYTES", 10)
    (tmp_path / "file").write_text("[1, 2, 3, 4, 5]")
    with pytest.raises(ModelFileError, match="at most 10 bytes, got 15"):
        read_json(tmp_path / "file", list)


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError), replacing_folder(tmp_path / "folder"):
        pass
