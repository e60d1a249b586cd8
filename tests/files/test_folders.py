from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from han.exceptions import DestinationError
from han.files.folders import can_be_renamed, check_writable, complete_version, recover, replacing_folder
from tests.mounts import needs_mounts, run_with_mounts

# A process that replaces a folder and is killed before the given step: 1 moves the old folder aside, 2 moves the new
# one into place, and 3 removes the old one.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from han.files.folders import replacing_folder

moves = 0

def counted(function):
    def move(*arguments):
        global moves
        moves += 1
        if moves == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return move

with replacing_folder(Path(sys.argv[1])) as new:
    (new / "file").write_text("new")
    Path.rename, shutil.rmtree = counted(Path.rename), counted(shutil.rmtree)
"""


needs_permission_bits = pytest.mark.skipif(
    os.name == "nt",
    reason="uses chmod and seteuid, which Windows lacks",
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path):
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


def test_a_failed_move_is_undone(tmp_path, monkeypatch):
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
def test_a_killed_process_leaves_a_complete_folder(move, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old")
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(move)], check=False)  # noqa: S603
    assert run.returncode == -signal.SIGKILL
    assert folder.exists() == (move != 2)
    assert len(names(tmp_path)) == 1 + (move != 2)
    left = "new" if move == 3 else "old"
    assert (complete_version(folder) / "file").read_text() == left
    # The next process that writes to the folder recovers it first.
    with replacing_folder(folder) as new:
        assert (folder / "file").read_text() == left
        assert len(names(tmp_path)) == 2
        (new / "file").write_text("newer")
    assert (folder / "file").read_text() == "newer"
    assert names(tmp_path) == ["folder"]


def test_a_missing_folder_is_its_own_complete_version(tmp_path):
    for folder in (tmp_path / "folder", tmp_path / "none" / "folder"):
        assert complete_version(folder) == folder


def test_parent_folders_are_created(tmp_path):
    with replacing_folder(tmp_path / "a" / "b" / "folder") as new:
        (new / "file").write_text("one")
    assert names(tmp_path / "a" / "b") == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="records which folders are flushed, but Windows cannot flush folders")
def test_a_new_folder_is_flushed_before_it_is_moved_into_place(tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (elsewhere / "folder").mkdir(parents=True)
    (elsewhere / "file").write_text("not ours")
    flushed = {True: [], False: []}
    flush = os.fsync

    def recorded(descriptor):
        flushed[folder.exists()].append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    with replacing_folder(folder) as new:
        (new / "inner").mkdir()
        (new / "inner" / "file").write_text("one")
        (new / "link").symlink_to(elsewhere / "file")
        (new / "linked").symlink_to(elsewhere / "folder")
    written = [folder, folder / "inner", folder / "inner" / "file"]
    assert sorted(flushed[False]) == sorted(path.stat().st_ino for path in written)
    assert flushed[True] == [tmp_path.stat().st_ino]


def test_temporary_folders_of_running_processes_are_kept(tmp_path):
    folder = tmp_path / "folder"
    with replacing_folder(folder) as first, replacing_folder(folder) as second:
        (first / "file").write_text("first")
        (second / "file").write_text("second")
    assert (folder / "file").read_text() == "first"
    host = re.sub(r"\W", "_", platform.node())
    # From another machine, where the process may still run, or from another program. The first one sorts before the
    # folder of a process of this machine that has ended, which is removed.
    others = [f".folder.saving-{rest}-x" for rest in (f"!-{ended_process()}", f"another-{ended_process()}", host)]
    for name in [*others, f".folder.saving-{host}-{ended_process()}-x"]:
        (tmp_path / name).mkdir()
    with replacing_folder(folder) as new:
        (new / "file").write_text("third")
    assert names(tmp_path) == sorted([*others, "folder"])


def ended_process():
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_other_files_are_kept(tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("inner")
    (folder / "inner" / "link").symlink_to("file")
    for name in ("a", "known", "z"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to("z")
    (folder / "linked").symlink_to("inner")
    with replacing_folder(folder) as new:
        (new / "known").write_text("new")
    assert names(folder) == ["a", "inner", "known", "link", "linked", "z"]
    assert {name: (folder / name).read_text() for name in ("a", "known", "z")} == {"a": "a", "known": "new", "z": "z"}
    assert (folder / "inner" / "file").read_text() == "inner"
    links = [folder / "link", folder / "linked", folder / "inner" / "link"]
    assert [os.fspath(link.readlink()) for link in links] == ["z", "inner", "file"]


@needs_permission_bits
@pytest.mark.parametrize(("mode", "allowed"), [(0o777, True), (0o555, False), (0o666, False)])
def test_only_writable_folders_are_accepted(mode, allowed, open_folder, request):
    open_folder.chmod(mode)
    request.getfixturevalue("as_any_user")
    if allowed:
        check_writable(open_folder / "folder")
        check_writable(open_folder / "a" / "folder")
    else:
        with pytest.raises(DestinationError, match=f"no folder can be written at '{open_folder}/a': Permission denied"):
            check_writable(open_folder / "a")
    assert not list(open_folder.iterdir()) if mode != 0o666 else True


def test_a_folder_cannot_be_written_at_or_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(DestinationError, match=r"no folder can be written at '.*file.*': Not a directory"):
            check_writable(path)


@needs_permission_bits
def test_a_folder_in_a_read_only_one_is_replaced_from_within(open_folder, request):
    (open_folder / "folder").mkdir(mode=0o777)
    (open_folder / "folder").chmod(0o777)
    (open_folder / "folder" / "file").write_text("old")
    (open_folder / "folder" / "file").chmod(0o666)
    open_folder.chmod(0o555)
    request.getfixturevalue("as_any_user")
    folder = open_folder / "folder"
    assert not can_be_renamed(folder)
    check_writable(folder)
    with replacing_folder(folder) as new:
        (new / "file").write_text("new")
        assert (folder / "file").read_text() == "old"
    assert (folder / "file").read_text() == "new"
    assert names(folder) == ["file"]


def test_the_working_directory_is_replaced_from_within(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("old")
    (folder / "other").write_text("mine")
    before = folder.stat().st_ino
    monkeypatch.chdir(folder / "inner")
    with replacing_folder(folder) as new:
        (new / "inner").mkdir()
        (new / "inner" / "file").write_text("new")
        (new / "another").write_text("new")
    assert Path("file").read_text() == "new"
    assert names(folder) == ["another", "inner", "other"]
    assert folder.stat().st_ino == before

    def fail():
        with replacing_folder(folder) as new:
            (new / "another").write_text("newer")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (folder / "another").read_text() == "new"
    assert names(folder) == ["another", "inner", "other"]


# A process that replaces its working directory and is killed before the given step: 1 marks the new version as
# complete, 2 to 4 move its files into place, 5 moves it aside, and 6 and 7 remove temporary folders.
KILLED_WITHIN = """
import os, shutil, signal, sys
from pathlib import Path
from han.files.folders import replacing_folder

steps = 0

def counted(function):
    def step(*arguments):
        global steps
        steps += 1
        if steps == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return step

replace = Path.replace
with replacing_folder(Path.cwd()) as new:
    for name in ("a", "b", "c"):
        (new / name).write_text("new")
    Path.rename, Path.replace, shutil.rmtree = counted(Path.rename), counted(replace), counted(shutil.rmtree)
print(steps)
"""


@pytest.mark.parametrize("links", [True, False], ids=["with hard links", "without"])
def test_a_folder_replaced_from_within_stays_complete_if_killed_at_any_step(links, tmp_path):
    refusing = "def refuse(*_): raise PermissionError\nos.link = refuse\n"
    code = KILLED_WITHIN if links else KILLED_WITHIN.replace("steps = 0", refusing + "steps = 0")
    for step in range(1, 9):
        folder = tmp_path / str(step)
        folder.mkdir()
        for name in ("a", "b", "c", "mine"):
            (folder / name).write_text("old")
        run = subprocess.run([sys.executable, "-c", code, str(step)], cwd=folder, check=False, capture_output=True)  # noqa: S603
        assert run.returncode == (-signal.SIGKILL if step < 8 else 0), run.stderr
        found = {(complete_version(folder) / name).read_text() for name in ("a", "b", "c")}
        assert found == ({"old"} if step == 1 else {"new"})
        recover(folder)  # as the next process that writes does
        assert {(folder / name).read_text() for name in ("a", "b", "c")} == found
        assert names(folder) == ["a", "b", "c", "mine"]
        assert (folder / "mine").read_text() == "old"


def test_a_complete_version_left_by_another_machine_is_installed(tmp_path, monkeypatch):
    (tmp_path / ".complete").mkdir()
    (tmp_path / ".complete" / "file").write_text("left")
    (tmp_path / "file").write_text("old")
    assert (complete_version(tmp_path) / "file").read_text() == "left"
    monkeypatch.chdir(tmp_path)
    with replacing_folder(tmp_path) as new:
        assert (tmp_path / "file").read_text() == "left"
        (new / "file").write_text("new")
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file"]


REPLACE = """
import sys
from pathlib import Path
from han.files.folders import can_be_renamed, check_writable, replacing_folder
folder = Path(sys.argv[1])
check_writable(folder)
print(can_be_renamed(folder))
with replacing_folder(folder) as new:
    (new / "file").write_text("new")
print((folder / "file").read_text(), *sorted(path.name for path in folder.iterdir()))
"""


@needs_mounts
@pytest.mark.parametrize(
    "mounts",
    [
        'mount --bind "$1/volume" "$2"',
        'mount -t tmpfs none "$2" && echo old > "$2/file"',
        'mount --bind "$1" "$1" && mount -t tmpfs none "$2" && mount -o remount,ro,bind "$1"',
        # A folder of a container image.
        'mount -t tmpfs none "$1/upper" && mkdir "$1/upper/"{files,work} && mount -t overlay overlay '
        '-o "lowerdir=$1/lower,upperdir=$1/upper/files,workdir=$1/upper/work" "$1/lower"',
    ],
    ids=["volume", "tmpfs", "volume in a read-only folder", "image"],
)
def test_a_mounted_folder_is_replaced_from_within(mounts, tmp_path):
    for name in ("volume", "lower/folder", "upper"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("old")
    folder = tmp_path / "lower" / "folder"
    run = run_with_mounts(mounts, sys.executable, "-c", REPLACE, folder, paths=[tmp_path, folder])
    assert (run.returncode, run.stdout) == (0, "False\nnew file\n"), run.stderr


@needs_mounts
def test_a_read_only_volume_is_rejected(tmp_path):
    run = run_with_mounts(
        'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"', sys.executable, "-c", REPLACE, tmp_path,
        paths=[tmp_path],
    )  # fmt: skip
    assert run.stderr.splitlines()[-1].endswith(f"no folder can be written at '{tmp_path}': Read-only file system")


@needs_mounts
def test_a_full_disk_is_rejected(tmp_path):
    run = run_with_mounts(
        'mount -t tmpfs -o size=64k none "$1" && ! head -c 1M /dev/zero > "$1/file" 2> /dev/null',
        sys.executable, "-c", REPLACE, tmp_path, paths=[tmp_path],
    )  # fmt: skip
    assert run.stderr.splitlines()[-1].endswith(f"no folder can be written at '{tmp_path}': No space left on device")


@needs_permission_bits
def test_an_error_in_a_read_only_folder_leaves_no_files(open_folder, request):
    open_folder.chmod(0o555)
    request.getfixturevalue("as_any_user")
    with pytest.raises(PermissionError), replacing_folder(open_folder / "folder"):
        pass
    assert not list(open_folder.iterdir())
