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

from han.exceptions import DestinationError
from han.files.folders import can_be_renamed, check_writable, clear_up, replacing_folder, settled
from tests.mounts import needs_mounts, run_with_mounts

# A process that replaces a folder and is killed at the given move: 1 moves the old one aside, 2 the new one in, and 3
# removes the old one.
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


def test_other_files_stay_as_they_are(tmp_path):
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


@pytest.fixture
def as_any_user():
    """Have the superuser, who may write anywhere, do what any other user may do."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """Give a folder that any user can reach, as pytest's cannot be."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)
        Path(name).chmod(0o777)


@needs_permission_bits
@pytest.mark.parametrize(("mode", "allowed"), [(0o777, True), (0o555, False), (0o666, False)])
def test_only_a_folder_that_can_be_written_is_accepted(mode, allowed, open_folder, request):
    open_folder.chmod(mode)
    request.getfixturevalue("as_any_user")
    if allowed:
        check_writable(open_folder / "folder")
        check_writable(open_folder / "a" / "folder")
    else:
        with pytest.raises(DestinationError, match=f"no folder can be written at '{open_folder}/a': Permission denied"):
            check_writable(open_folder / "a")
    assert not list(open_folder.iterdir()) if mode != 0o666 else True


def test_a_file_is_no_place_for_a_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(DestinationError, match=r"no folder can be written at '.*file.*': Not a directory"):
            check_writable(path)


@needs_permission_bits
def test_a_folder_in_one_that_cannot_be_written_is_replaced_from_within(open_folder, request):
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


def test_the_folder_in_which_a_process_works_is_replaced_from_within(tmp_path, monkeypatch):
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


# A process that replaces the folder in which it works and is killed at the given step: 1 makes the new version count, 2
# to 4 put its files in their places, 5 takes it away, and 6 and 7 remove what is left.
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
def test_killed_at_any_step_a_folder_replaced_from_within_is_whole(links, tmp_path):
    refusing = "def refuse(*_): raise PermissionError\nos.link = refuse\n"
    code = KILLED_WITHIN if links else KILLED_WITHIN.replace("steps = 0", refusing + "steps = 0")
    for step in range(1, 9):
        folder = tmp_path / str(step)
        folder.mkdir()
        for name in ("a", "b", "c", "mine"):
            (folder / name).write_text("old")
        run = subprocess.run([sys.executable, "-c", code, str(step)], cwd=folder, check=False, capture_output=True)  # noqa: S603
        assert run.returncode == (-signal.SIGKILL if step < 8 else 0), run.stderr
        found = {(settled(folder) / name).read_text() for name in ("a", "b", "c")}
        assert found == ({"old"} if step == 1 else {"new"})
        clear_up(folder)  # as the next one that writes
        assert {(folder / name).read_text() for name in ("a", "b", "c")} == found
        assert names(folder) == ["a", "b", "c", "mine"]
        assert (folder / "mine").read_text() == "old"


def test_a_version_that_another_machine_left_complete_counts(tmp_path, monkeypatch):
    (tmp_path / ".complete").mkdir()
    (tmp_path / ".complete" / "file").write_text("left")
    (tmp_path / "file").write_text("old")
    assert (settled(tmp_path) / "file").read_text() == "left"
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
        # A folder of an image in a container.
        'mount -t tmpfs none "$1/upper" && mkdir "$1/upper/"{files,work} && mount -t overlay overlay '
        '-o "lowerdir=$1/lower,upperdir=$1/upper/files,workdir=$1/upper/work" "$1/lower"',
    ],
    ids=["volume", "tmpfs", "volume in a read-only folder", "image"],
)
def test_a_folder_that_cannot_be_renamed_is_replaced_from_within(mounts, tmp_path):
    for name in ("volume", "lower/folder", "upper"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("old")
    folder = tmp_path / "lower" / "folder"
    run = run_with_mounts(mounts, sys.executable, "-c", REPLACE, folder, paths=[tmp_path, folder])
    assert (run.returncode, run.stdout) == (0, "False\nnew file\n"), run.stderr


@needs_mounts
def test_a_volume_that_is_read_only_is_refused(tmp_path):
    run = run_with_mounts(
        'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"', sys.executable, "-c", REPLACE, tmp_path,
        paths=[tmp_path],
    )  # fmt: skip
    assert run.stderr.splitlines()[-1].endswith(f"no folder can be written at '{tmp_path}': Read-only file system")


@needs_mounts
def test_a_disk_that_is_full_is_refused(tmp_path):
    run = run_with_mounts(
        'mount -t tmpfs -o size=64k none "$1" && ! head -c 1M /dev/zero > "$1/file" 2> /dev/null',
        sys.executable, "-c", REPLACE, tmp_path, paths=[tmp_path],
    )  # fmt: skip
    assert run.stderr.splitlines()[-1].endswith(f"no folder can be written at '{tmp_path}': No space left on device")


@needs_permission_bits
def test_a_folder_that_cannot_be_written(open_folder, request):
    open_folder.chmod(0o555)
    request.getfixturevalue("as_any_user")
    with pytest.raises(PermissionError), replacing_folder(open_folder / "folder"):
        pass
    assert not list(open_folder.iterdir())
