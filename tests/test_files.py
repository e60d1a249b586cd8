from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from han.exceptions import DestinationError, ModelFileError
from han.files import (
    MANIFEST,
    check_manifest,
    check_writable,
    copy_others,
    read_json,
    replacing_folder,
    settled,
    write_json,
    write_manifest,
)

# A process that replaces a folder and is killed at the given move: 1 moves the old one aside, 2 the new one in, and 3
# removes the old one.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from han.files import replacing_folder

moves = 0

def counted(function):
    def move(*arguments):
        global moves
        moves += 1
        if moves == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return move

Path.rename, shutil.rmtree = counted(Path.rename), counted(shutil.rmtree)
with replacing_folder(Path(sys.argv[1])) as new:
    (new / "file").write_text("new")
"""


needs_permission_bits = pytest.mark.skipif(
    os.name == "nt",
    reason="takes rights away by chmod and tries as another user by seteuid, neither of which Windows has",
)


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


def test_a_move_that_fails_is_undone(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old")
    rename = Path.rename

    def fail(path, target):
        if path.name == "new":
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="gone"), replacing_folder(folder):
        pass
    assert (folder / "file").read_text() == "old"
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("move", [1, 2, 3])
def test_a_killed_process_leaves_a_whole_folder_where_it_is_found(move, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old")
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(move)], check=False)  # noqa: S603
    assert run.returncode == -signal.SIGKILL
    assert folder.exists() == (move != 2)
    assert len(names(tmp_path)) == 1 + (move != 2)
    left = "new" if move == 3 else "old"
    assert (settled(folder) / "file").read_text() == left
    # The next one to write clears up: what it replaces is what was left.
    with replacing_folder(folder) as new:
        assert (folder / "file").read_text() == left
        assert len(names(tmp_path)) == 2
        (new / "file").write_text("newer")
    assert (folder / "file").read_text() == "newer"
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_nobody_has_written_is_where_it_would_be(tmp_path):
    for folder in (tmp_path / "folder", tmp_path / "none" / "folder"):
        assert settled(folder) == folder


def test_the_folders_above_are_made(tmp_path):
    with replacing_folder(tmp_path / "a" / "b" / "folder") as new:
        (new / "file").write_text("one")
    assert names(tmp_path / "a" / "b") == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="watches folders being flushed, which Windows cannot open for it")
def test_all_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (elsewhere / "folder").mkdir(parents=True)
    (elsewhere / "file").write_text("not ours")
    flushed = {True: [], False: []}
    flush = os.fsync

    def watched(descriptor):
        flushed[folder.exists()].append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with replacing_folder(folder) as new:
        (new / "inner").mkdir()
        (new / "inner" / "file").write_text("one")
        (new / "link").symlink_to(elsewhere / "file")
        (new / "linked").symlink_to(elsewhere / "folder")
    written = [folder, folder / "inner", folder / "inner" / "file"]
    assert sorted(flushed[False]) == sorted(path.stat().st_ino for path in written)
    assert flushed[True] == [tmp_path.stat().st_ino]


def test_what_others_are_writing_is_left_alone(tmp_path):
    folder = tmp_path / "folder"
    with replacing_folder(folder) as first, replacing_folder(folder) as second:
        (first / "file").write_text("first")
        (second / "file").write_text("second")
    assert (folder / "file").read_text() == "first"
    host = re.sub(r"\W", "_", platform.node())
    # Of another machine, where a process of that number may be alive; and not made by this project. The first comes
    # before what a process of this machine has left, which is not left alone.
    others = [f".folder.saving-{rest}-x" for rest in (f"!-{ended_process()}", f"another-{ended_process()}", host)]
    for name in [*others, f".folder.saving-{host}-{ended_process()}-x"]:
        (tmp_path / name).mkdir()
    with replacing_folder(folder) as new:
        (new / "file").write_text("third")
    assert names(tmp_path) == sorted([*others, "folder"])


def ended_process():
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_other_files_are_copied_as_they_are(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "file").write_text("inner")
    (source / "folder" / "link").symlink_to("file")
    for name in ("a", "known", "z"):
        (source / name).write_text(name)
    (source / "link").symlink_to("z")
    (source / "linked").symlink_to("folder")
    copy_others(source, target, ["known"].__contains__)
    assert names(target) == ["a", "folder", "link", "linked", "z"]
    assert {(target / name).read_text() for name in ("a", "z")} == {"a", "z"}
    assert (target / "folder" / "file").read_text() == "inner"
    links = [target / "link", target / "linked", target / "folder" / "link"]
    assert [os.fspath(link.readlink()) for link in links] == ["z", "folder", "file"]


@pytest.fixture
def as_any_user():
    """Have the superuser asked about what any other user may do."""
    if os.getuid():
        yield
        return
    os.setreuid(65534, 0)  # the real one, which os.access goes by
    try:
        yield
    finally:
        os.setreuid(0, 0)


@needs_permission_bits
@pytest.mark.usefixtures("as_any_user")
@pytest.mark.parametrize(("mode", "allowed"), [(0o777, True), (0o555, False), (0o666, False)])
def test_only_a_folder_that_can_be_written_is_accepted(mode, allowed):
    with tempfile.TemporaryDirectory() as name:  # which any user can reach, as pytest's cannot be
        parent = Path(name)
        parent.chmod(mode)
        try:
            if allowed:
                check_writable(parent / "folder")
                check_writable(parent / "a" / "folder")
            else:
                with pytest.raises(DestinationError, match=f"can be written, got '{name}/a', but not so '{name}'"):
                    check_writable(parent / "a")
        finally:
            parent.chmod(0o777)


def test_a_folder_that_cannot_be_replaced_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"but not so '.*file'"):
        check_writable(tmp_path / "file" / "folder")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    check_writable(tmp_path / "here" / "folder")
    for folder in (tmp_path / "here", tmp_path):
        with pytest.raises(DestinationError, match="where this process stands"):
            check_writable(folder)


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
    (tmp_path / "two").unlink()
    write_manifest(tmp_path, 1)
    check_manifest(tmp_path, 1, ("one",))
    for damaged, message in (
        ("{", "must hold JSON"),
        ("[]", "must hold a dict, got a list"),
        ('{"format_version": true}', "must hold the version of the format, got True"),
        ('{"format_version": 0}', "must hold the version of the format, got 0"),
        ('{"format_version": 1, "files": []}', "must hold the size and the SHA-256 of one"),
        ('{"format_version": 1, "files": {"one": []}}', "must hold the size and the SHA-256 of one"),
        ('{"format_version": 1, "files": {"one": {"bytes": 1}}}', "must hold the size and the SHA-256 of one"),
    ):
        (tmp_path / MANIFEST).write_text(damaged)
        with pytest.raises(ModelFileError, match=f"{MANIFEST} {message}"):
            check_manifest(tmp_path, 3, ("one",))


def test_people_can_read_what_is_written(tmp_path):
    write_json(tmp_path / "file", {"größe": [1], "half": "\ud83d"})
    assert (tmp_path / "file").read_text(encoding="utf-8") == '{\n "größe": [\n  1\n ],\n "half": "\\ud83d"\n}\n'
    assert read_json(tmp_path / "file", dict) == {"größe": [1], "half": "\ud83d"}


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(512 * 2**20 + 1)  # which takes no place on the disk
    with pytest.raises(ModelFileError, match="at most 536,870,912 bytes, got 536,870,913"):
        read_json(tmp_path / "file", list)
    monkeypatch.setattr("han.files.MAX_JSON_BYTES", 10)
    (tmp_path / "file").write_text("[1, 2, 3, 4, 5]")
    with pytest.raises(ModelFileError, match="at most 10 bytes, got 15"):
        read_json(tmp_path / "file", list)
    (tmp_path / "file").write_text("[1, 2, 33]")
    assert read_json(tmp_path / "file", list) == [1, 2, 33]


@needs_permission_bits
def test_a_folder_that_cannot_be_written():
    with tempfile.TemporaryDirectory() as name:  # which any user can reach, as pytest's cannot be
        Path(name).chmod(0o555)
        superuser = os.geteuid() == 0  # who may write anywhere
        try:
            if superuser:
                os.seteuid(65534)
            with pytest.raises(PermissionError), replacing_folder(Path(name) / "folder"):
                pass
        finally:
            if superuser:
                os.seteuid(0)
            Path(name).chmod(0o777)
        assert not list(Path(name).iterdir())
