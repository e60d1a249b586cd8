from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from han.datasets import load_dataset, load_labelled
from han.exceptions import DataWarning, TrainingWarning

ROWS = pd.DataFrame(
    {
        "review": ["äöü 日本", *(f"Text number {index}, with a comma\nand a line." for index in range(21))],
        "stars": [1, 5] * 11,
    }
)


@pytest.mark.parametrize(("name", "classes", "documents"), [("imdb", 2, 24_903), ("bbc-news", 5, 2_127)])
def test_named_data_sets_are_stratified_and_have_no_duplicates(name, classes, documents):
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
def test_files_of_any_format_are_loaded(suffix, write, tmp_path):
    path = tmp_path / f"reviews.{suffix}"
    write(ROWS, path)
    dataset = load_dataset(path, text="review", label="stars")
    assert dataset.name == "reviews"
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert found == dict(zip(ROWS["review"], ROWS["stars"], strict=True))
    assert len(dataset.X_test) == 4


def test_folders_of_text_files_are_loaded(tmp_path):
    for name, texts in {"pos": ["gut", "schön", "fein"], "neg": ["übel", "schlecht"]}.items():
        (tmp_path / name).mkdir()
        for index, text in enumerate(texts):
            (tmp_path / name / f"{index}.txt").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path, test_fraction=0.5)
    assert sorted(dataset.X_train + dataset.X_test) == ["fein", "gut", "schlecht", "schön", "übel"]
    assert set(dataset.y_test) == {"pos", "neg"}


def test_duplicates_are_dropped_before_splitting(tmp_path):
    frame = pd.DataFrame({"text": ["same", " same\n", *map(str, range(8))], "label": ["a", "b"] * 5})
    frame.to_csv(tmp_path / "file.csv", index=False)
    with pytest.warns(
        TrainingWarning,
        match=r"^2 documents have the same text .*only the first .* is kept; .*'same', labelled \['a', 'b'\]",
    ):
        dataset = load_dataset(tmp_path / "file.csv")
    assert dataset.duplicates == 1
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert found["same"] == "a"
    assert len(dataset.X_train) + len(dataset.X_test) == 9


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "2", "1", "2"], [1, 2, 1, 2]),
        (["01", "02", "01", "02"], ["01", "02", "01", "02"]),
        (["1", "2", "1", "2.5"], ["1", "2", "1", "2.5"]),
        (["None", "NA", "None", "NA"], ["None", "NA", "None", "NA"]),
    ],
)
def test_only_canonical_whole_numbers_are_converted(labels, expected, tmp_path):
    texts = ["N/A", "12", "null", "1e5"] * 2
    lines = [f"{text} {line},{label}" for line, (text, label) in enumerate(zip(texts, labels * 2, strict=True))]
    (tmp_path / "file.csv").write_text("\n".join(["text,label", "N/A,1", *lines]))
    dataset = load_dataset(tmp_path / "file.csv", test_fraction=0.5)
    found = dict(zip(dataset.X_train + dataset.X_test, [*dataset.y_train, *dataset.y_test], strict=True))
    assert found.pop("N/A") in (1, "1")
    assert list(map(found.get, [line.split(",")[0] for line in lines])) == expected * 2


def test_texts_may_contain_unpaired_surrogates(tmp_path):
    rows = [{"text": f"\ud800 {n % 10}", "label": "\ud800" if n % 2 else "b"} for n in range(20)]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read = load_dataset(tmp_path / "file.jsonl", test_fraction=0.5)
    assert (read.duplicates, set(read.y_train)) == (10, {"\ud800", "b"})


def test_duplicates_with_equal_labels_cause_no_warning(tmp_path):
    rows = [{"text": f"text {n % 10}", "tags": ["b", "a"] if n < 10 else ["a", "b"]} for n in range(20)]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert load_dataset(tmp_path / "file.jsonl", label="tags", test_fraction=0.5).duplicates == 10
    rows[15]["tags"] = ["a"]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.warns(TrainingWarning, match=r"^2 documents .* is 'text 5', labelled \[\['a', 'b'\], \['a'\]\]"):
        load_dataset(tmp_path / "file.jsonl", label="tags", test_fraction=0.5)


def test_texts_may_contain_nuls_and_line_breaks(tmp_path):
    texts = ["a\0b", "c\rd", "e\r\nf", "g\nh", "i\u2028j", "\ufeffk"]
    rows = "".join(f'"{text}",{index % 2}\r' for index, text in enumerate(texts))
    (tmp_path / "file.csv").write_bytes(("text,label\r" + rows).encode())
    assert load_labelled(tmp_path / "file.csv")[0] == texts


def test_byte_order_marks_are_removed(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_bytes(b"\xef\xbb\xbfOne.\r\nTwo.")
    assert load_labelled(tmp_path)[0] == ["One.\nTwo."] * 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_documents_may_have_several_labels(suffix, tmp_path):
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


def test_load_labelled_loads_the_test_part_of_a_named_data_set():
    texts, labels = load_labelled("bbc-news")
    dataset = load_dataset("bbc-news")
    assert texts == dataset.X_test
    assert labels.tolist() == dataset.y_test.tolist()


def write(folder, name, rows, columns=("text", "label")):
    pd.DataFrame(rows, columns=[*columns]).to_csv(folder / name, index=False)
    return folder / name


def rows(first, last):
    return [(f"text {n}", "ab"[n % 2]) for n in range(first, last)]


def test_several_files_form_one_data_set(tmp_path):
    paths = [write(tmp_path, "one.csv", rows(0, 20)), write(tmp_path, "two.csv", rows(15, 40))]
    pd.DataFrame(rows(40, 50), columns=["text", "label"]).to_json(tmp_path / "3.jsonl", orient="records", lines=True)
    dataset = load_dataset([*paths, tmp_path / "3.jsonl"])
    assert dataset.name == "one+2"
    (tmp_path / "one.csv").rename(tmp_path / "reviews.v2.csv")
    assert load_dataset(tmp_path / "reviews.v2.csv").name == "reviews.v2"
    paths[0] = tmp_path / "reviews.v2.csv"
    assert dataset.duplicates == 5
    assert {*dataset.X_train, *dataset.X_test} == {text for text, _ in rows(0, 50)}
    texts, labels = load_labelled(paths)
    assert (len(texts), len(labels)) == (45, 45)  # including duplicates


def test_labels_are_numbers_only_if_they_are_numbers_in_all_files(tmp_path):
    numbers = [(f"text {n}", n % 2) for n in range(20)]
    first, second = (
        write(tmp_path, "one.csv", numbers),
        write(tmp_path, "two.csv", [("other", "unsure"), ("more", "2")]),
    )
    assert {*load_dataset(first).y_train} == {0, 1}
    assert {*load_dataset([first, second]).y_train} | {"2"} == {"0", "1", "2", "unsure"}


def test_all_documents_are_for_training_if_test_is_given(tmp_path):
    source, test = (
        write(tmp_path, "source.csv", rows(0, 20)),
        write(tmp_path, "test.csv", [*rows(19, 24), *rows(22, 24)]),
    )
    with pytest.warns(DataWarning, match="^1 of 7 test documents are also training documents"):
        dataset = load_dataset(source, test=test)
    assert dataset.X_train == [text for text, _ in rows(0, 20)]
    assert dataset.X_test == [text for text, _ in [*rows(19, 24), *rows(22, 24)]]
    assert dataset.y_test.tolist() == [label for _, label in [*rows(19, 24), *rows(22, 24)]]
    assert (dataset.name, dataset.duplicates) == ("source", 0)


def test_test_labels_have_the_types_of_the_classes(tmp_path):
    source = write(tmp_path, "source.csv", [(f"text {n}", n % 2) for n in range(10)])
    frame = pd.DataFrame({"text": ["x", "y"], "label": ["1", "0"]})
    frame.to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    assert load_dataset(source, test=tmp_path / "test.jsonl").y_test.tolist() == [1, 0]
    frame.assign(label=[1, 0]).to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    dataset = load_dataset(source, test=tmp_path / "test.jsonl")
    assert dataset.y_test.tolist() == [*map(type(dataset.y_train[0]), [1, 0])]
    frame.assign(label=[["1"], []]).to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    with pytest.raises(
        ValueError, match=r"test must contain one label for each document, as source does, got lists .* test"
    ):
        load_dataset(source, test=tmp_path / "test.jsonl")


def test_a_folder_with_train_and_test_is_not_split_again(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for name in ("pos", "neg"):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(count):
                (tmp_path / part / name / f"{index}.txt").write_text(f"{part} {name} {index}")
    dataset = load_dataset(tmp_path)
    assert (dataset.name, len(dataset.X_train), len(dataset.X_test)) == (tmp_path.name, 12, 6)
    assert all(text.startswith("test") for text in dataset.X_test)
    assert {*dataset.y_train} == {*dataset.y_test} == {"pos", "neg"}
    assert sorted(load_labelled(tmp_path)[0]) == sorted(dataset.X_test)
    assert len(load_dataset(tmp_path / "train").X_train) < 12
    (tmp_path / "val").mkdir()
    with pytest.warns(DataWarning, match="left out val, which is neither train nor test"):
        load_dataset(tmp_path)


def test_several_text_columns_are_joined(tmp_path):
    table = [("A title", "A body.", "a"), ("", "Only a body.", "b"), ("Only a title", "", "a"), ("x", "y", "b")]
    path = write(tmp_path, "file.csv", table, ["title", "body", "label"])
    texts, _ = load_labelled(path, text=["title", "body"])
    assert texts == ["A title\n\nA body.", "Only a body.", "Only a title", "x\n\ny"]
    with pytest.raises(ValueError, match="text must name one or more different columns"):
        load_dataset(path, text=["title", "title"])
    write(tmp_path, "file.csv", [*table, ("", "", "a")], ["title", "body", "label"])
    with pytest.raises(
        ValueError, match=r"in 'title' and 'body' of .*file\.csv 1 texts are missing, the first on line 6"
    ):
        load_labelled(path, text=["title", "body"])


def test_the_error_for_a_missing_column_is_short_and_suggests_a_name(tmp_path):
    columns = ["Text ", "lable", *(f"column {n}" for n in range(300))]
    path = write(tmp_path, "file.csv", [["x" * 10_000] * 302] * 2, columns)
    with pytest.raises(
        ValueError, match=r"^text must be a column of .*file\.csv, got 'text', did you mean 'Text '\?"
    ) as text:
        load_dataset(path)
    assert "and 294 more; to choose another, use --text; for a file without a header, use --no-header" in str(
        text.value
    )
    assert len(str(text.value)) < 500
    with pytest.raises(ValueError, match=r"^label must be .* got 'label', did you mean 'lable'\?.* use --label"):
        load_dataset(path, text="Text ")
    path.write_text("x" * 5000 + ",a\n" + "y" * 5000 + ",b\n")  # no header
    with pytest.raises(ValueError, match="--no-header") as headless:
        load_dataset(path)
    assert len(str(headless.value)) < 500


def test_tables_without_a_header_have_numbered_columns(tmp_path):
    path = tmp_path / "SMSSpamCollection"
    path.write_text("".join(f'{label}\t"text {text}\n' for text, label in rows(0, 20)))
    dataset = load_dataset(path, input_format="tsv", header=False, text=1, label=0)
    assert {*dataset.y_train} == {"a", "b"}
    assert all(text.startswith('"text') for text in dataset.X_train)
    with pytest.raises(ValueError, match=r"SMSSpamCollection must end in one of .*--input-format"):
        load_dataset(path)


def test_skipped_rows_are_counted_in_a_warning(tmp_path):
    path = tmp_path / "file.csv"
    good = "".join(f"{text},{label}\n" for text, label in rows(0, 20))
    path.write_text("text,label\n" + good + ",a\nno label,\nthree,a,b\n")
    for message in ("line 24 has 3 fields", "--skip-bad-rows"):
        with pytest.raises(ValueError, match=message):
            load_dataset(path)
    with pytest.warns(DataWarning, match=r"file\.csv: skipped 3 bad rows, on line 22, 23, 24; the first has no text"):
        dataset = load_dataset(path, skip_bad_rows=True)
    assert {*dataset.X_train, *dataset.X_test} == {text for text, _ in rows(0, 20)}


def test_repeated_headers_are_skipped_with_a_warning(tmp_path):
    path = write(tmp_path, "file.csv", rows(0, 20))
    path.write_text(path.read_text() + path.read_text().replace("text ", "more "))
    with pytest.warns(DataWarning, match=r"file\.csv: the header is repeated 1 time, first on line 22"):
        dataset = load_dataset(path)
    assert dataset.class_count == 2
    assert len(dataset.X_train) + len(dataset.X_test) == 40


def test_assumptions_about_a_file_cause_warnings(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(
        "".join(f"{text}é;{label}\n" for text, label in [("text", "label"), *rows(0, 20)]).encode("cp1252")
    )
    with pytest.warns(DataWarning) as warned:
        dataset = load_dataset(path, text="texté")
    assert [str(warning.message).removeprefix(f"{path}: ").partition(";")[0] for warning in warned] == [
        "assumed the delimiter '",
        "read 21 bytes that are not UTF-8 as Windows-1252, the first on line 1",
    ]
    assert all(text.endswith("é") for text in dataset.X_train)
    assert load_dataset(path, text="texté", delimiter=";", encoding="cp1252").X_train == dataset.X_train
