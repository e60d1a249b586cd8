"""`han train`."""

from __future__ import annotations

import io
import json
import sys

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from han import HANClassifier
from han.cli import cli
from tests.cli.running import HAN, SMALL, run, run_process
from tests.mounts import needs_mounts, run_with_mounts


@pytest.fixture(scope="module")
def trained(tmp_path_factory, news):
    """A folder in which `han train` was run on a CSV file of real documents, and the result of the command."""
    folder = tmp_path_factory.mktemp("train")
    texts, labels, _, _ = news
    pd.DataFrame({"article": texts, "topic": labels}).to_csv(folder / "news.csv", index=False)
    return folder, run_process(
        "train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "2", folder=folder
    )


def test_results_go_to_standard_output_and_progress_to_standard_error(trained):
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


def test_the_model_card_contains_the_scores(trained):
    card = (trained[0] / "models" / "news" / "README.md").read_text(encoding="utf-8")
    matter = yaml.safe_load(card.split("---\n")[1])
    (accuracy,) = [
        metric["value"] for metric in matter["model-index"][0]["results"][0]["metrics"] if metric["type"] == "accuracy"
    ]
    shown = next(line for line in trained[1].stdout.splitlines() if line.startswith("han  "))
    assert f"{accuracy:.4f}" in shown


def test_a_classifier_and_figures_are_saved(trained):
    from han import HANClassifier

    folder = trained[0] / "models" / "news"
    assert HANClassifier.load(folder).predict(["Shares fell."])[0] in ("business", "sports")
    for name in ("training_curve.png", "confusion_matrix.png", "reliability.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 300


def test_the_report_says_what_is_printed(trained):
    report = json.loads((trained[0] / "models" / "news" / "report.json").read_text(encoding="utf-8"))
    printed = " ".join(trained[1].stdout.split())
    assert all(sentence in printed for sentence in report["conclusions"])
    assert [*report["classifiers"]] == [
        "han", "majority class", "TF-IDF + logistic regression", "network alone", "n-grams alone",
    ]  # fmt: skip
    assert report["test_documents"] == 16
    assert "<h2 id=" in (trained[0] / "models" / "news" / "report.html").read_text(encoding="utf-8")
    for command in ("han predict models/news", "han explain models/news"):
        assert command in trained[1].stdout


def test_all_documents_can_be_fitted_after_the_test(trained):
    command = ["train", "news.csv", "--text", "article", "--label", "topic", *SMALL, "--output", "refitted"]
    result = run(*command, "--test-fraction", "0.5", "--refit", folder=trained[0])
    assert result.returncode == 0, result.stderr
    report = json.loads((trained[0] / "refitted" / "report.json").read_text(encoding="utf-8"))
    assert (report["training_documents"], report["test_documents"]) == (40, 40)
    assert any("fitted again on the test documents, too" in sentence for sentence in report["conclusions"])
    assert HANClassifier.load(trained[0] / "refitted").n_samples_fit_ == 80
    card = (trained[0] / "refitted" / "README.md").read_text(encoding="utf-8")
    assert f"{report['classifiers']['han']['accuracy']:.4f}"[:5] in card


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_earlier_classifier_is_only_replaced_with_force(trained, monkeypatch):
    from han import HANClassifier

    (trained[0] / "vectors.txt").write_text("the 1 0\nof 0 1\n")
    command = ["train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "1", "--quiet"]
    command += [
        "--embeddings",
        "~/vectors.txt",
        "--calibrate",
    ]  # not expanded by shells after "="
    monkeypatch.setenv("HOME", str(trained[0]))
    before = contents(trained[0])
    result = run(*command, folder=trained[0])
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "han: models/news contains a classifier: replace it with --force, or choose another folder with --output\n"
    )
    assert contents(trained[0]) == before
    result = run(*command, "--force", folder=trained[0])
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
        (("train", "news.csv", "--test", "news.csv", "--test-fraction", "0.5"), "must not be combined with --test"),
        (("train", "news.csv", "--text", "body", "--label", "topic"), "text must be a column of news.csv, got 'body'"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--output", "photos"), "has other contents"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--embeddings", "nowhere.txt"), "no such file"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--embeddings", "photos"), "is a folder, but"),
        (
            ("train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "0"),
            "epochs must be an int of at",
        ),
        (
            ("train", "news.csv", "--text", "article", "--label", "topic", "--cell", "rnn"),
            "cell must be one of 'lstm'",
        ),
        (
            ("train", "news.csv", "--output", "s3://bucket/model"),
            "--output must be a path on this machine, got the URL",
        ),
        (("train", "https://example.org/news.csv"), "source must be a path on this machine, got the URL"),
        (
            ("train", "news.csv", "--text", "article", "--label", "topic", "--output", "news.csv/x"),
            "no folder can be written",
        ),
        (("train", "news.csv", "--tensorboard", "gs://logs"), "--tensorboard must be a path on this machine"),
        (("predict", "s3://bucket/model", "news.csv"), "MODEL must be a path on this machine"),
        (("export", "photos", "gs://bucket/x.onnx"), "PATH must be a path on this machine"),
        (("train", "news.csv", "--config", "settings.ini"), "config must end in .toml, .yaml or .yml"),
        (
            ("train", "news.csv", "--config", "wrong.toml"),
            "wrong.toml must only contain hyper-parameters (see han train --help",
        ),
        (("train", "news.csv", "--config", "broken.yaml"), "broken.yaml must contain valid YAML"),
        (("train", "news.csv", "--tokenizer", "str.split"), "tokenizer must be MODULE:FUNCTION, got 'str.split'"),
        (("train",), "Missing argument 'SOURCE...'"),
        (("tarin",), "No such command 'tarin'"),
    ],
)
def test_invalid_commands_print_one_line_and_write_nothing(arguments, message, trained, tmp_path):
    (tmp_path / "news.csv").write_bytes((trained[0] / "news.csv").read_bytes())
    (tmp_path / "settings.ini").write_text("[han]")
    (tmp_path / "wrong.toml").write_text("unitz = 3")
    (tmp_path / "broken.yaml").write_text("units: [3")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"png")
    before = sorted(tmp_path.rglob("*"))
    result = run(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_tensorboard_names_the_extra(trained, monkeypatch):
    monkeypatch.setattr(sys.modules["han.cli.train"], "find_spec", lambda _: None)
    monkeypatch.chdir(trained[0])
    source = ["news.csv", "--text", "article", "--label", "topic"]
    result = CliRunner().invoke(cli, ["train", *source, "--tensorboard", "logs", "--quiet", "--force"])
    assert result.exit_code == 2
    assert "pip install 'han-classifier[tensorboard]'" in result.output


def test_multi_label_training_with_a_configuration_file_and_logs(trained, tmp_path):
    frame = pd.read_csv(trained[0] / "news.csv")
    frame["tags"] = [f"{topic}; even" if index % 2 else topic for index, topic in enumerate(frame["topic"])]
    frame.to_csv(tmp_path / "news.csv", index=False)
    (tmp_path / "settings.toml").write_text("units = 4\nepochs = 2\nembedding-dim = 8\n")
    command = ["train", "news.csv", "--text", "article", "--label", "tags", "--label-separator", ";", "--quiet"]
    result = run(*command, "--config", "settings.toml", "--tensorboard", "logs", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "micro F1" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith(("bus", "even", "spo"))] == [
        "business",
        "even",
        "sports",
    ]
    assert list((tmp_path / "logs" / "train").glob("events.*"))
    assert not (tmp_path / "models" / "news" / "confusion_matrix.png").exists()
    measured = run("evaluate", "models/news", "news.csv", "--text", "article", "--label", "tags",
                   "--label-separator", ";", "--format", "json", folder=tmp_path)  # fmt: skip
    assert json.loads(measured.stdout)["documents"] == len(frame)
    predicted = run(
        "predict", "models/news", "news.csv", "--text", "article", "--drop-text", "--quiet", folder=tmp_path
    )
    rows = pd.read_csv(io.StringIO(predicted.stdout), keep_default_na=False)
    assert [*rows.columns] == ["topic", "tags", "prediction"]
    assert {label for cell in rows["prediction"] for label in cell.split(";") if label} <= {
        "business",
        "sports",
        "even",
    }
    info = json.loads(run("info", "models/news", "--format", "json", folder=tmp_path).stdout)
    assert info["multi_label"]
    assert info["parameters"]["units"] == 4


@pytest.mark.slow
@needs_mounts
def test_the_output_may_be_a_volume_in_a_read_only_folder(trained, tmp_path):
    (tmp_path / "volume").mkdir()
    command = [
        HAN, "train", trained[0] / "news.csv", "--text", "article", "--label", "topic", "--epochs", "1", "--quiet",
        "--units", "2", "--embedding-dim", "4", "--output", "volume",
    ]  # fmt: skip
    mounts = (
        'mkdir -p "$1/kept" && mount --bind "$1" "$1" && mount --bind "$1/kept" "$1/volume" '
        '&& mount -o remount,ro,bind "$1" && cd "$1"'
    )
    run = run_with_mounts(mounts, *command, paths=[tmp_path])
    assert run.returncode == 0, run.stderr
    files = [path.name for path in (tmp_path / "kept").iterdir()]
    assert {"manifest.json", "training_curve.png"} <= {*files}
    assert not [name for name in files if name.startswith(".")]
    assert HANClassifier.load(tmp_path / "kept").classes_.tolist() == ["business", "sports"]
    # The checkpoint is on the volume too.
    (tmp_path / "kept" / ".checkpoint" / "checkpoint").mkdir(parents=True)
    run = run_with_mounts(mounts, *command, paths=[tmp_path])
    assert (run.returncode, run.stdout) == (2, "")
    assert "volume/.checkpoint contains an unfinished training run" in run.stderr


@pytest.mark.slow
def test_spreadsheet_exports_are_read_without_options(tmp_path):
    """Two files as written by a spreadsheet program, with a title and a body, and a test file in another format."""
    table = [(f"Film {n}", ("fine, " if n % 2 else "dull, ") + f"I say {n}", "ab"[n % 2]) for n in range(60)]
    frame = pd.DataFrame(table, columns=["title", "body", "stars"])
    excel = {"index": False, "sep": ";", "encoding": "cp1252", "lineterminator": "\r\n"}
    frame[:30].to_csv(tmp_path / "january.csv", **excel)
    frame[30:40].to_csv(tmp_path / "february.csv.gz", **excel)
    with (tmp_path / "january.csv").open("ab") as file:
        file.write(b"caf\xe9;no label;\r\n")
    frame[38:].to_json(tmp_path / "march.json", orient="records")
    columns = ["--text", "title", "--text", "body", "--label", "stars"]
    command = ["train", "january.csv", "february.csv.gz", *columns, "--test", "march.json", *SMALL]
    refused = run(*command, folder=tmp_path)
    assert refused.returncode == 2
    assert (
        "january.csv 1 labels are missing, the first on line 32; to skip such rows, use --skip-bad-rows"
        in refused.stderr
    )
    assert not (tmp_path / "models").exists()
    result = run(*command, "--skip-bad-rows", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "22 test documents" in result.stdout
    for note in (
        "han: january.csv: assumed the delimiter ';'; see --delimiter",
        "han: january.csv: read 1 byte that is not UTF-8 as Windows-1252",
        "han: january.csv: skipped 1 bad row, on line 32; the first has no label",
        "han: february.csv.gz: assumed the delimiter ';'; see --delimiter",
        "han: 2 of 22 test documents are also training documents",
    ):
        assert note in result.stderr
    result = run("evaluate", "models/january+1", "march.json", *columns, "--format", "json", folder=tmp_path)
    assert json.loads(result.stdout)["documents"] == 22
    assert HANClassifier.load(tmp_path / "models" / "january+1").n_samples_fit_ == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.csv", "--test", "nowhere.csv"], "got 'nowhere.csv': no such file"),
        (["in.csv", "imdb"], "source must be files and folders, or one data set alone, got 'imdb'"),
        (
            ["in.csv", "--text", "txet"],
            "got 'txet', did you mean 'text'? its columns are 'text', 'label'; to choose",
        ),
        (["in.csv", "--encoding", "utf-9"], "encoding must be a text encoding"),
        (["in.csv", "--delimiter", ""], "delimiter must be one character"),
        (["in.csv", "--no-header"], "got 'text'; its columns are '0', '1'; to choose another, use --text"),
        (["in.csv", "--quoting", "all"], "'all' is not one of 'minimal', 'none', 'backslash'"),
    ],
)
def test_invalid_table_options_are_rejected_before_training(arguments, message, tmp_path):
    (tmp_path / "in.csv").write_text("text,label\n" + "".join(f"A text {n}.,{n % 2}\n" for n in range(20)))
    result = run("train", *arguments, *SMALL, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.slow
def test_columns_of_a_tsv_without_a_header_are_selected_by_number(tmp_path):
    lines = [f'{"ab"[n % 2]}\t{"it said " * (n % 3)}"text {n}\n' for n in range(40)]
    (tmp_path / "SMSSpamCollection").write_text("".join(lines))
    command = ["train", "SMSSpamCollection", "--input-format", "tsv", "--no-header", "--text", "1", "--label", "0"]
    result = run(*command, *SMALL, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert HANClassifier.load(tmp_path / "models" / "SMSSpamCollection").n_samples_fit_ == 32
