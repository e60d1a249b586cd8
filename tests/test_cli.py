"""The command line as its users meet it: as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from han.explanation import Explanation

HAN = Path(sys.executable).with_name("han")


def run(*arguments, folder):
    return subprocess.run([HAN, *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.fixture(scope="module")
def trained(tmp_path_factory, news):
    """A folder where `han train` has been run on a CSV file of real documents, and what it printed."""
    folder = tmp_path_factory.mktemp("train")
    texts, labels, _, _ = news
    pd.DataFrame({"article": texts, "topic": labels}).to_csv(folder / "news.csv", index=False)
    return folder, run("train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "2", folder=folder)


def test_train_prints_its_results_on_standard_output_and_progress_on_standard_error(trained):
    _, result = trained
    assert result.returncode == 0, result.stderr
    for expected in ("16 test documents", "majority class", "TF-IDF + logistic regression", "accuracy", "macro F1"):
        assert expected in result.stdout
    assert "log loss" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith(("business", "sports"))] == [
        "business",
        "sports",
    ]
    assert "epoch 1/2" in result.stderr
    assert "epoch" not in result.stdout
    assert "Warning" not in result.stderr


def test_train_saves_a_classifier_and_figures(trained):
    from han import HANClassifier

    folder = trained[0] / "models" / "news"
    assert HANClassifier.load(folder).predict(["Shares fell."])[0] in ("business", "sports")
    for name in ("training_curve.png", "confusion_matrix.png", "reliability.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 300


def test_train_with_word_vectors_replaces_an_earlier_model_and_reports_their_coverage(trained):
    from han import HANClassifier

    (trained[0] / "vectors.txt").write_text("the 1 0\nof 0 1\n")
    command = ["train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "1", "--quiet"]
    result = run(*command, "--embeddings", "vectors.txt", "--calibrate", folder=trained[0])
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    classifier = HANClassifier.load(trained[0] / "models" / "news")
    assert 0.01 < classifier.embedding_coverage_ < 0.2
    assert classifier.temperature_ != 1.0
    assert f"{classifier.embedding_coverage_:.1%} of the training documents' words" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "missing.csv"), "no such file"),
        (("train", "news.csv", "--text", "body", "--label", "topic"), "text must be a column of news.csv, got 'body'"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--output", "photos"), "holds something else"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--embeddings", "nowhere.txt"), "no such file"),
        (("train", "news.csv", "--epochs", "0"), "Invalid value for '--epochs'"),
        (("train",), "Missing argument 'SOURCE'"),
        (("tarin",), "No such command 'tarin'"),
    ],
)
def test_refused_commands_say_why_in_one_line_and_write_nothing(arguments, message, trained, tmp_path):
    (tmp_path / "news.csv").write_bytes((trained[0] / "news.csv").read_bytes())
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"png")
    before = sorted(tmp_path.rglob("*"))
    result = run(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("--version",)])
def test_help_does_not_wait_for_heavy_imports(arguments, tmp_path):
    assert run(*arguments, folder=tmp_path).returncode == 0
    code = (
        "import sys; from han.cli import cli; "
        f"cli({[*arguments]!r}, standalone_mode=False); "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    fitted.save(folder / "model")
    (folder / "one.txt").write_text("Shares fell. A <goal>!", encoding="utf-8")
    (folder / "two.txt").write_bytes(b"Caf\xe9. The match was lost.")
    return folder


def test_explain_shows_a_text_in_the_terminal(saved):
    result = run("explain", "model", "--text", "Shares fell. A goal!", folder=saved)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].endswith("[attention: the darker, the more weight]")
    assert [line[7:] for line in lines[1:3]] == ["Shares fell.", "A goal!"]
    assert lines[3].startswith("strongest words: ")
    assert "\x1b" not in result.stdout  # colours are for terminals


def test_explain_reads_files_and_writes_a_page(saved):
    result = run("explain", "model", "one.txt", "two.txt", "--output", "page.html", folder=saved)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    page = (saved / "page.html").read_text(encoding="utf-8")
    assert page.count("<details") == 2
    assert "Caf\ufffd" in page
    assert "<goal>" not in page


def test_explain_reads_standard_input_and_writes_json(saved):
    command = [HAN, "explain", "model", "--method", "occlusion", "--target", "sports", "--format", "json"]
    result = subprocess.run(command, cwd=saved, input="A goal!", capture_output=True, text=True, check=True)  # noqa: S603
    explanation = Explanation.from_json(result.stdout)
    assert (explanation.text, explanation.target, explanation.method) == ("A goal!", "sports", "occlusion")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "--text", "x", "--target", "politics"], "target must be one of ['business', 'sports']"),
        (["model", "--text", "x", "--method", "lime"], "method must be one of 'attention'"),
        (["nowhere", "--text", "x"], "'nowhere' does not exist"),
        ([".", "--text", "x"], "saved classifier"),
    ],
)
def test_explain_refuses_in_one_line(saved, arguments, message):
    result = run("explain", *arguments, folder=saved)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
