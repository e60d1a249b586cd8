from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from han.exceptions import DestinationError, ModelFileError
from han.files.atomic import MANIFEST, check_manifest, read_json, replacing, write_json, write_manifest
from tests.mounts import needs_mounts, run_with_mounts


def test_a_manifest_reveals_damaged_files(tmp_path):
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
        ("{", "must contain JSON"),
        ("[]", "must contain a dict, got a list"),
        ('{"format_version": true}', "must contain the version of the format, got True"),
        ('{"format_version": 0}', "must contain the version of the format, got 0"),
        ('{"format_version": 1, "files": []}', "must contain the size and the SHA-256 of one"),
        ('{"format_version": 1, "files": {"one": []}}', "must contain the size and the SHA-256 of one"),
        ('{"format_version": 1, "files": {"one": {"bytes": 1}}}', "must contain the size and the SHA-256 of one"),
    ):
        (tmp_path / MANIFEST).write_text(damaged)
        with pytest.raises(ModelFileError, match=f"{MANIFEST} {message}"):
            check_manifest(tmp_path, 3, ("one",))


def test_json_is_readable_and_keeps_unpaired_surrogates(tmp_path):
    write_json(tmp_path / "file", {"größe": [1], "half": "\ud83d"})
    assert (tmp_path / "file").read_text(encoding="utf-8") == '{\n "größe": [\n  1\n ],\n "half": "\\ud83d"\n}\n'
    assert read_json(tmp_path / "file", dict) == {"größe": [1], "half": "\ud83d"}


def test_large_json_files_are_rejected(tmp_path, monkeypatch):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(512 * 2**20 + 1)  # a sparse file, which takes no space on the disk
    with pytest.raises(ModelFileError, match="at most 536,870,912 bytes, got 536,870,913"):
        read_json(tmp_path / "file", list)
    monkeypatch.setattr("han.files.atomic.MAX_JSON_BYTES", 10)
    (tmp_path / "file").write_text("[1, 2, 3, 4, 5]")
    with pytest.raises(ModelFileError, match="at most 10 bytes, got 15"):
        read_json(tmp_path / "file", list)
    (tmp_path / "file").write_text("[1, 2, 33]")
    assert read_json(tmp_path / "file", list) == [1, 2, 33]


def test_pipes_and_links_are_written_through(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as executor:
        read = executor.submit((tmp_path / "pipe").read_bytes)
        with replacing(tmp_path / "pipe") as stream:
            stream.write(b"through")
        assert read.result() == b"through"
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("file")
    with replacing(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_a_file_is_replaced_once_it_is_complete(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with replacing(path) as stream:
        stream.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_does_not_change_if_writing_fails(error, tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def write_half():
        with replacing(path) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_files_of_a_process_with_the_same_id_do_not_interfere(tmp_path):
    (tmp_path / f".out.csv.{os.getpid()}.part").touch()  # in a container, every process may have the id 1
    with replacing(tmp_path / "out.csv") as first, replacing(tmp_path / "out.csv") as second:
        first.write(b"first")
        second.write(b"second")
    assert (tmp_path / "out.csv").read_bytes() == b"first"


def test_names_may_have_the_maximum_length(tmp_path):
    path = tmp_path / ("n" * 251 + ".csv")
    with replacing(path) as stream:
        stream.write(b"x")
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["none/out.csv", "folder", "file/out.csv"])
def test_unwritable_paths_are_rejected_before_writing(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="no file can be written at"), replacing(tmp_path / name):
        pytest.fail("nothing should have been written")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


WRITE = """
import sys
from pathlib import Path
from han.files.atomic import replacing
with replacing(Path(sys.argv[1])) as stream:
    stream.write(int(sys.argv[2]) * b"n")
    print("written", Path(sys.argv[1]).read_text())
"""


def write_with_mounts(mounts, folder, size, **environment):
    """Write a file with the given mounts; return the process and the files left in its temporary folder."""
    (folder / "elsewhere").mkdir()
    path = folder / "out.csv"
    command = ["bash", "-c", '"$@"; code=$?; echo "found $(head -c 9 "$0")"; exit $code', path]
    run = run_with_mounts(
        mounts, *command, sys.executable, "-c", WRITE, path, size, paths=[folder, path],
        env={**os.environ, "TMPDIR": str(folder / "elsewhere"), **environment},
    )  # fmt: skip
    return run, [*(folder / "elsewhere").iterdir()]


@needs_mounts
@pytest.mark.parametrize(
    "mounts",
    [
        'mount --bind "$1/file" "$2"',
        'mount --bind "$1" "$1" && mount --bind "$1/file" "$2" && mount -t tmpfs none "$1/elsewhere" '
        '&& mount -o remount,ro,bind "$1"',
    ],
    ids=["writable folder", "read-only folder"],
)
def test_a_mounted_file_is_overwritten_in_place(mounts, tmp_path):
    (tmp_path / "file").write_text("old and long")
    (tmp_path / "out.csv").touch()
    run, left = write_with_mounts(mounts, tmp_path, 3)
    assert (run.returncode, run.stdout) == (0, "written old and long\nfound nnn\n"), run.stderr
    assert (tmp_path / "file").read_text() == "nnn"
    assert not left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "file", "out.csv"]


@needs_mounts
def test_a_file_mounted_read_only_is_rejected(tmp_path):
    (tmp_path / "out.csv").write_text("old")
    run, _ = write_with_mounts('mount --bind "$2" "$2" && mount -o remount,ro,bind "$2"', tmp_path, 3)
    assert run.stdout == "found old\n"
    assert f"no file can be written at '{tmp_path / 'out.csv'}': Read-only file system" in run.stderr


@needs_mounts
def test_the_complete_content_is_kept_if_overwriting_fails(tmp_path):
    (tmp_path / "out.csv").touch()
    (tmp_path / "small").mkdir()
    mounts = 'mount -t tmpfs -o size=64k none "$1/small" && touch "$1/small/out" && mount --bind "$1/small/out" "$2"'
    run, _ = write_with_mounts(mounts, tmp_path, 200_000)
    assert run.returncode == 1
    (kept,) = tmp_path.glob(".out.csv.*.part")
    assert f"is incomplete; the complete content is in '{kept}': [Errno 28] No space left on device" in run.stderr
    assert kept.read_bytes() == 200_000 * b"n"
