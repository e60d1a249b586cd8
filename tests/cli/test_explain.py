"""`han explain`."""

from __future__ import annotations

import json
import re
import subprocess

import pandas as pd
import pytest

from han.explain.explanation import Explanation
from tests.cli.running import HAN, run
from tests.small_training import train


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    train(settings={"epochs": 1}).save(folder)
    return str(folder)


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.jsonl", "in.json", "in.parquet", "in.csv.gz", "data"])
def test_tables_are_rejected_before_the_model_is_loaded(name, tmp_path):
    frame = pd.DataFrame({"text": ["A fine film."], "id": [1]})
    if name == "in.parquet":
        frame.to_parquet(tmp_path / name)
    elif "json" in name or name == "data":
        frame.to_json(tmp_path / name, orient="records", lines=True)
    else:
        frame.to_csv(tmp_path / name, sep="\t" if name == "in.tsv" else ",")
    result = run("explain", "no-model", name, folder=tmp_path)
    assert result.returncode == 2
    assert f"{name} is a table (" in result.stderr
    assert "pass the text of a row with --text" in result.stderr


@pytest.mark.slow
def test_a_piped_table_is_rejected_and_a_document_is_not(model):
    command = [HAN, "explain", model, "--format", "json"]
    for text, code in (("id,text\n1,A fine film.\n", 2), ("Dear sir, the text\nwas fine.\n", 0)):
        result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
        assert (result.returncode, "standard input is a table (csv)" in result.stderr) == (code, code == 2)


def test_the_encoding_of_files_can_be_set(model, tmp_path):
    (tmp_path / "review.txt").write_bytes("Прекрасный фильм.".encode("cp1251"))
    command = ["explain", model, "review.txt", "--format", "json"]
    result = run(*command, "--encoding", "cp1251", folder=tmp_path)
    assert json.loads(result.stdout)["text"] == "Прекрасный фильм."
    assert "encoding must be a text encoding" in run(*command, "--encoding", "cp-1", folder=tmp_path).stderr


@pytest.mark.parametrize("content", [b"%PDF-1.7\n...", b"PK\x03\x04..."])
def test_binary_files_are_rejected(content, tmp_path):
    (tmp_path / "review.txt").write_bytes(content)
    result = run("explain", "no-model", "review.txt", folder=tmp_path)
    assert "review.txt must be a text file" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "x.pdf"], "--output must end in .html, .htm, .json, .jsonl, .ndjson, .txt"),
        (["--output", "x"], "--output must end in .html"),
        (["--output", "x.html", "--format", "json"], "--output must not end in .html if --format is json"),
        (["--output", "nowhere/x.html"], "nowhere/x.html"),
    ],
)
def test_suffixes_that_do_not_match_the_format_are_rejected(arguments, message, tmp_path):
    result = run("explain", "no-model", "--text", "A fine film.", *arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert [*tmp_path.iterdir()] == []


def test_the_suffix_determines_the_format(model, tmp_path):
    texts = ["--text", "A fine film.", "--text", "A dull film."]
    for name in ("x.html", "x.json", "x.jsonl", "x.txt"):
        assert run("explain", model, *texts, "--output", name, folder=tmp_path).returncode == 0
    assert run("explain", model, *texts, "--output", "x.log", "--format", "json", folder=tmp_path).returncode == 0
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")
    assert [explanation["text"] for explanation in json.loads((tmp_path / "x.json").read_text())] == texts[1::2]
    assert (tmp_path / "x.jsonl").read_text() == (tmp_path / "x.log").read_text()
    assert [json.loads(line)["text"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == texts[1::2]
    assert "strongest words: " in (tmp_path / "x.txt").read_text()


def test_a_text_is_explained_in_the_terminal(saved):
    result = run("explain", "model", "--text", "Shares fell. A goal!", folder=saved)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r".*\[contributions: blue counts towards \w+, orange against it; .* n-grams\]", lines[0])
    assert [line[7:] for line in lines[1:3]] == ["Shares fell.", "A goal!"]
    assert lines[3].startswith("strongest words: ")
    assert "\x1b" not in result.stdout  # only terminals get colours


def test_files_are_explained_on_a_page(saved):
    result = run("explain", "model", "one.txt", "two.txt", "--output", "page.html", folder=saved)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith("han: two.txt: read 1 byte that is not UTF-8 as Windows-1252")
    page = (saved / "page.html").read_text(encoding="utf-8")
    assert page.count("<details") == 2
    assert "Café" in page
    assert "<goal>" not in page


@pytest.mark.slow
def test_standard_input_is_explained_as_json(saved):
    command = [HAN, "explain", "model", "--method", "occlusion", "--target", "sports", "--format", "json"]
    result = subprocess.run(command, cwd=saved, input="A goal!", capture_output=True, text=True, check=True)  # noqa: S603
    explanation = Explanation.from_json(result.stdout)
    assert (explanation.text, explanation.target, explanation.method) == ("A goal!", "sports", "occlusion")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "--text", "x", "--target", "politics"], "target must be one of ['business', 'sports']"),
        (["model", "--text", "x", "--method", "lime"], "method must be one of 'contributions'"),
        (["nowhere", "--text", "x"], "got 'nowhere': no such folder"),
        ([".", "--text", "x"], "saved classifier"),
    ],
)
def test_invalid_arguments_are_rejected_in_one_line(saved, arguments, message):
    result = run("explain", *arguments, folder=saved)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
