from __future__ import annotations

import pytest

from han.exceptions import InvalidValueError
from han.tables.document_folders import find_split, read_folder


def write(folder, *names, content=b"A text."):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_hidden_files_and_system_files_are_ignored(tmp_path):
    write(tmp_path, "pos/1.txt", "neg/1.txt", ".ipynb_checkpoints/1.txt", "pos/.ipynb_checkpoints/1-checkpoint.txt")
    write(tmp_path, "pos/._1.txt", ".DS_Store", "pos/.DS_Store", "__MACOSX/pos/._1.txt", "neg/Thumbs.db", "neg/~$1.txt")
    assert read_folder(tmp_path) == (["A text."] * 2, ["neg", "pos"], [])


def test_a_note_counts_other_files(tmp_path):
    write(tmp_path, "readme.md", "pos/1.txt", "pos/2.TXT", "pos/3", "pos/4.pdf", "neg/1.txt", "neg/2.pdf", "neg/3.html")
    (tmp_path / "none").mkdir()
    texts, classes, notes = read_folder(tmp_path)
    assert (len(texts), classes) == (4, ["neg", "pos", "pos", "pos"])
    assert notes == [
        f"{tmp_path}: the folder none has no documents",
        f"{tmp_path}: left out 4 files (2 .pdf, 1 .html, 1 .md), the first neg/2.pdf",
    ]


def test_nested_documents_belong_to_the_class_of_the_outermost_folder(tmp_path):
    write(tmp_path, "pos/2023/may/1.txt", "pos/2.txt", "neg/2023/1.txt")
    texts, classes, notes = read_folder(tmp_path)
    assert (len(texts), classes) == (3, ["neg", "pos", "pos"])
    assert notes == [f"{tmp_path}: 2 documents in nested folders belong to the class of the outermost folder"]


def test_each_file_has_its_own_encoding(tmp_path):
    write(tmp_path, "a/1.txt", content="naïve\r\n".encode("utf-16"))
    write(tmp_path, "a/2.txt", "b/1.txt", content="naïve".encode("cp1252"))
    write(tmp_path, "b/2.txt", content="\ufeffnaïve".encode())
    texts, _, notes = read_folder(tmp_path)
    assert texts == ["naïve\n", "naïve", "naïve", "naïve"]
    assert len(notes) == 1
    assert notes[0].startswith(f"{tmp_path / 'a' / '2.txt'}: read 1 byte that is not UTF-8 as Windows-1252")
    assert notes[0].endswith("(and similarly in 1 other files)")
    write(tmp_path, "a/1.txt", content=("Очень хороший фильм. " * 5).encode("cp1251"))
    with pytest.raises(InvalidValueError, match=r"1\.txt is not in UTF-8, and"):
        read_folder(tmp_path)


def test_a_folder_without_documents_is_rejected(tmp_path):
    write(tmp_path, "1.txt", "pos/1.pdf")
    with pytest.raises(InvalidValueError, match=r"source must be a folder of <class>/\*\.txt, got .* no such files"):
        read_folder(tmp_path)


def test_training_and_test_parts_are_found(tmp_path):
    write(tmp_path, "train/pos/1.txt", "train/urls.txt", "test/pos/1.txt")
    assert find_split(tmp_path) == (tmp_path / "train", tmp_path / "test")
    assert find_split(tmp_path).notes() == []
    assert find_split(tmp_path / "train") is None
    write(tmp_path, "val/pos/1.txt", "README", ".DS_Store")
    assert find_split(tmp_path).notes() == [f"{tmp_path}: left out README, val, which are neither train nor test"]
    write(tmp_path, "classes/train/1.txt", "classes/test/1.txt")
    assert find_split(tmp_path / "classes") is None  # two classes
