"""The command line: in the process of the tests, or in one of its own where that is what is tested."""

from __future__ import annotations

import inspect
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from han import HANClassifier
from han.cli import cli, main
from han.cli.hyperparameters import chosen
from han.explain.explanation import Explanation
from tests.mounts import needs_mounts, run_with_mounts

HAN = Path(sys.executable).with_name("han")


def run(*arguments, folder):
    """Run a command in this process, which has TensorFlow imported, and return what a process of its own would."""
    written = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(written[0]), redirect_stderr(written[1]):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [str(HAN), *arguments])
        patch.setattr(sys, "path", [*sys.path])
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code
    texts = [stream.buffer.getvalue().decode() for stream in written]
    return subprocess.CompletedProcess(arguments, code, *texts)


def run_process(*arguments, folder, **environment):
    return subprocess.run(  # noqa: S603
        [HAN, *arguments], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, news):
    """A folder where `han train` has been run on a CSV file of real documents, and what it printed."""
    folder = tmp_path_factory.mktemp("train")
    texts, labels, _, _ = news
    pd.DataFrame({"article": texts, "topic": labels}).to_csv(folder / "news.csv", index=False)
    return folder, run_process(
        "train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "2", folder=folder
    )


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


def test_train_writes_a_card_with_what_was_measured(trained):
    card = (trained[0] / "models" / "news" / "README.md").read_text(encoding="utf-8")
    matter = yaml.safe_load(card.split("---\n")[1])
    (accuracy,) = [
        metric["value"] for metric in matter["model-index"][0]["results"][0]["metrics"] if metric["type"] == "accuracy"
    ]
    shown = next(line for line in trained[1].stdout.splitlines() if line.startswith("han  "))
    assert f"{accuracy:.4f}" in shown


def test_train_saves_a_classifier_and_figures(trained):
    from han import HANClassifier

    folder = trained[0] / "models" / "news"
    assert HANClassifier.load(folder).predict(["Shares fell."])[0] in ("business", "sports")
    for name in ("training_curve.png", "confusion_matrix.png", "reliability.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 300


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_train_replaces_an_earlier_model_only_if_forced_and_reports_the_coverage_of_vectors(trained, monkeypatch):
    from han import HANClassifier

    (trained[0] / "vectors.txt").write_text("the 1 0\nof 0 1\n")
    command = ["train", "news.csv", "--text", "article", "--label", "topic", "--epochs", "1", "--quiet"]
    command += ["--embeddings", "~/vectors.txt", "--calibrate"]  # the shell leaves it in settings.toml and behind "="
    monkeypatch.setenv("HOME", str(trained[0]))
    before = contents(trained[0])
    result = run(*command, folder=trained[0])
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "han: models/news holds a classifier: replace it with --force, or write another folder with --output\n"
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
        (("train", "news.csv", "--text", "body", "--label", "topic"), "text must be a column of news.csv, got 'body'"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--output", "photos"), "has other contents"),
        (("train", "news.csv", "--text", "article", "--label", "topic", "--embeddings", "nowhere.txt"), "no such file"),
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
        (("train", "news.csv", "--config", "wrong.toml"), "wrong.toml must hold hyper-parameters (han train --help"),
        (("train", "news.csv", "--config", "broken.yaml"), "broken.yaml must hold YAML"),
        (("train", "news.csv", "--tokenizer", "str.split"), "tokenizer must be MODULE:FUNCTION, got 'str.split'"),
        (("train",), "Missing argument 'SOURCE...'"),
        (("tarin",), "No such command 'tarin'"),
    ],
)
def test_refused_commands_say_why_in_one_line_and_write_nothing(arguments, message, trained, tmp_path):
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


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("--version",)])
def test_help_does_not_wait_for_heavy_imports(arguments, tmp_path):
    assert run_process(*arguments, folder=tmp_path).returncode == 0
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
    assert lines[0].endswith("[attention: the darker, the higher the weight]")
    assert [line[7:] for line in lines[1:3]] == ["Shares fell.", "A goal!"]
    assert lines[3].startswith("strongest words: ")
    assert "\x1b" not in result.stdout  # colours are for terminals


def test_what_a_terminal_cannot_show_is_escaped(saved):
    result = run_process(
        "explain", "model", "--text", "Aktien \N{EURO SIGN}.", folder=saved, PYTHONIOENCODING="latin-1"
    )
    assert result.returncode == 0, result.stderr
    assert r"Aktien \u20ac." in result.stdout


def test_explain_reads_files_and_writes_a_page(saved):
    result = run("explain", "model", "one.txt", "two.txt", "--output", "page.html", folder=saved)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith("han: two.txt: read 1 byte that is not UTF-8 as Windows-1252")
    page = (saved / "page.html").read_text(encoding="utf-8")
    assert page.count("<details") == 2
    assert "Café" in page
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
        (["nowhere", "--text", "x"], "got 'nowhere': no such folder"),
        ([".", "--text", "x"], "saved classifier"),
    ],
)
def test_explain_refuses_in_one_line(saved, arguments, message):
    result = run("explain", *arguments, folder=saved)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_every_hyperparameter_is_an_option_with_its_default():
    from han import HANClassifier
    from han.cli.hyperparameters import hyperparameters

    found = {name: parameter.default for name, parameter in hyperparameters().items()}
    expected = {name: value.default for name, value in inspect.signature(HANClassifier).parameters.items()}
    assert {name: expected.pop(name) for name in ("warm_start", "verbose")} == {"warm_start": False, "verbose": 1}
    assert found == expected
    assert all(parameter.description and parameter.kind for parameter in hyperparameters().values())
    words = CliRunner().invoke(cli, ["train", "--help"]).output.split()
    assert {f"--{name.replace('_', '-')}" for name in found} <= set(words)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"units": "64", "l2": "1e-5", "clipnorm": "none"}, {"units": 64, "l2": 1e-5, "clipnorm": None}),
        ({"epochs": "auto", "cell": "gru", "residual": False}, {"epochs": "auto", "cell": "gru", "residual": False}),
        ({"class_weight": '{"a": 2}', "language": "de"}, {"class_weight": {"a": 2}, "language": "de"}),
        ({"embeddings": "7", "random_state": "7"}, {"embeddings": "7", "random_state": 7}),
        ({"tokenizer": "builtins:str.split"}, {"tokenizer": str.split}),
        ({"units": None}, {}),
    ],
)
def test_options_are_read_as_values(given, expected):
    assert chosen(None, given) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.toml", 'units = 7\nclipnorm = "none"\nclass-weight = {a = 2}\n'),
        ("settings.yaml", "units: 7\nclipnorm: null\nclass_weight: {a: 2}\n"),
        ("settings.yml", "# nothing but this\n"),
    ],
)
def test_options_overrule_the_configuration(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    expected = {"units": 9} if name.endswith("yml") else {"units": 9, "clipnorm": None, "class_weight": {"a": 2}}
    assert chosen(tmp_path / name, {"units": "9", "cell": None}) == expected


def test_yaml_names_its_extra(tmp_path, monkeypatch):
    (tmp_path / "settings.yaml").write_text("units: 7")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[yaml\]'"):
        chosen(tmp_path / "settings.yaml", {})


def test_tensorboard_names_its_extra(trained, monkeypatch):
    monkeypatch.setattr(sys.modules["han.cli.train"], "find_spec", lambda _: None)
    monkeypatch.chdir(trained[0])
    source = ["news.csv", "--text", "article", "--label", "topic"]
    result = CliRunner().invoke(cli, ["train", *source, "--tensorboard", "logs", "--quiet", "--force"])
    assert result.exit_code == 2
    assert "pip install 'han-classifier[tensorboard]'" in result.output


def test_train_of_several_labels_with_weights_and_logs(trained, tmp_path):
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


@pytest.fixture(scope="module")
def table(news):
    return pd.DataFrame({"id": range(30), "text": news[2], "topic": news[3]})


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_predict_adds_columns_to_each_row_in_order(form, saved, table, fitted, tmp_path):
    write = {
        "csv": lambda path: table.to_csv(path, index=False),
        "tsv": lambda path: table.to_csv(path, index=False, sep="\t"),
        "jsonl": lambda path: table.to_json(path, orient="records", lines=True),
        "parquet": table.to_parquet,
    }[form]
    read = {"tsv": lambda path: pd.read_csv(path, sep="\t"), "jsonl": lambda path: pd.read_json(path, lines=True)}
    write(tmp_path / f"in.{form}")
    command = ["predict", str(saved / "model"), f"in.{form}", "--output", f"out.{form}", "--probabilities"]
    result = run(*command, folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    assert "30 documents" in result.stderr
    found = read.get(form, getattr(pd, f"read_{form}", None))(tmp_path / f"out.{form}")
    pd.testing.assert_frame_equal(found[["id", "text", "topic"]], table, check_dtype=False)
    assert found["prediction"].tolist() == fitted.predict(table["text"]).tolist()
    probabilities = fitted.predict_proba(table["text"])
    np.testing.assert_allclose(found[["probability_business", "probability_sports"]], probabilities, atol=1e-6)
    np.testing.assert_allclose(found["probability"], probabilities.max(axis=1), atol=1e-6)


def test_evaluate_agrees_with_score(saved, table, fitted, tmp_path):
    table.to_csv(tmp_path / "in.csv", index=False)
    command = ["evaluate", str(saved / "model"), "in.csv", "--label", "topic"]
    result = run(*command, "--format", "json", folder=tmp_path)
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(fitted.score(table["text"], table["topic"]))
    assert f"accuracy: {json.loads(result.stdout)['accuracy']:.4f}" in run(*command, folder=tmp_path).stdout


def test_evaluate_takes_labels_for_what_the_classifier_takes_them(tmp_path):
    from han import HANClassifier

    texts = ["good film", "bad film"] * 10
    settings = {"embedding_dim": 8, "units": 2, "epochs": 1, "random_state": 0, "verbose": 0}
    cases = {
        "text": (["1", "0"], ["1", "0"]),
        "bool": ([True, False], ["True", "False"]),
        "float": ([1.0, 0.0], ["1", "0"]),
        "int": ([1, 0], ["1.0", "0.0"]),
        "matrix": (np.array([[0, 1], [1, 1]]), ["1", "0;1"]),
    }
    for name, (labels, written) in cases.items():
        y = np.tile(labels, (10, 1)) if name == "matrix" else labels * 10
        classifier = HANClassifier(**settings).fit(texts, y)
        classifier.save(tmp_path / name)
        separator = ["--label-separator", ";"] if name == "matrix" else []
        for more in ([], ["7"]):
            frame = pd.DataFrame({"text": [*texts, *(["film"] * len(more))], "label": [*written * 10, *more]})
            frame.to_csv(tmp_path / "in.csv", index=False)
            result = run("evaluate", name, "in.csv", "--format", "json", *separator, folder=tmp_path)
            assert result.returncode == 0, result.stderr
            right = classifier.score(texts, y) * len(texts)
            assert json.loads(result.stdout)["accuracy"] == pytest.approx(right / len(frame))
            warned = "1 of 21 documents in y have classes that the classifier was not trained on" in result.stderr
            assert warned == bool(more)


def test_predict_takes_no_text_for_an_empty_one_and_says_what_is_none(saved, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": null}\n{"text": ["Split.", "Already."]}\n')
    result = run("predict", str(saved / "model"), "in.jsonl", "--quiet", folder=tmp_path)
    assert [json.loads(line)["prediction"] in ("business", "sports") for line in result.stdout.splitlines()] == [
        True
    ] * 2
    (tmp_path / "in.jsonl").write_text('{"text": 7}\n')
    result = run("predict", str(saved / "model"), "in.jsonl", "--quiet", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("han: in.jsonl: line 1 must hold a text in 'text', got 7; ")
    (tmp_path / "in.docx").write_text("")
    assert (
        "in.docx must end in one of .txt, .csv"
        in run("predict", str(saved / "model"), "in.docx", folder=tmp_path).stderr
    )


def test_predict_is_part_of_a_pipe(saved, table):
    content = pd.concat([table] * 300).to_json(orient="records", lines=True)
    shell = f"{HAN} predict model --input-format jsonl --drop-text --quiet | head -2"
    result = subprocess.run(shell, shell=True, cwd=saved, input=content, capture_output=True, text=True, check=True)  # noqa: S602
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == [0, 1]
    assert {*rows[0]} == {"id", "topic", "prediction", "probability"}
    assert result.stderr == ""


def test_predict_of_text_files_is_a_row_for_each(saved):
    result = run("predict", "model", "one.txt", "two.txt", "--drop-text", "--quiet", folder=saved)
    rows = pd.read_csv(io.StringIO(result.stdout))
    assert rows["file"].tolist() == ["one.txt", "two.txt"]


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("id,body\n1,x\n", [], "text must be a column of in.csv, got 'text'; its columns are 'id', 'body'"),
        ("text,prediction\nx,1\n", [], "in.csv must not have a column 'prediction'"),
        ("text\nx\n", ["--output", "nowhere/out.csv"], "no file can be written at"),
        ("text,id\nx,1,2\n", [], "in.csv: line 2 has 3 fields, expected 2"),
        ("text\nx\n", ["--output", "out.json"], "--output must end in .csv, .tsv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_predict_refuses_in_one_line_and_leaves_nothing(content, arguments, message, saved, tmp_path):
    (tmp_path / "in.csv").write_text(content)
    arguments = arguments or ["--output", "out.csv"]
    result = run("predict", str(saved / "model"), "in.csv", "--quiet", *arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_training_is_gone_on_with_and_ctrl_c_ends_one(news, tmp_path):
    pd.DataFrame({"text": news[0], "label": news[1]}).to_csv(tmp_path / "news.csv", index=False)
    small = ["train", "news.csv", "--units", "4", "--embedding-dim", "8", "--epochs", "6", "--patience", "none"]
    whole = run_process(*small, "--output", "whole", folder=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert not (tmp_path / "whole.checkpoint").exists()

    command = [*small, "--output", "killed", "--checkpoint-steps", "2"]
    state = tmp_path / "killed.checkpoint" / "checkpoint" / "state.json"
    with subprocess.Popen([HAN, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        wait_for(lambda: state.exists() and json.loads(state.read_text())["epoch"] >= 1, process)
        process.kill()
    assert "holds an unfinished training: continue it with --resume" in run_process(*command, folder=tmp_path).stderr
    resumed = run_process(*command, "--resume", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/6" not in resumed.stderr
    assert "epoch 6/6" in resumed.stderr
    expected, found = (HANClassifier.load(tmp_path / name) for name in ("whole", "killed"))
    np.testing.assert_array_equal(found.predict_proba(news[2]), expected.predict_proba(news[2]))
    assert found.history_ == expected.history_

    command = [*small, "--epochs", "1000", "--output", "ended"]
    with subprocess.Popen([HAN, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        wait_for((tmp_path / "ended.checkpoint" / "checkpoint").exists, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "han: Ctrl-C in epoch" in errors
    assert "--resume continues the training in ended.checkpoint" in errors
    assert len(HANClassifier.load(tmp_path / "ended").history_["loss"]) < 1000


@pytest.fixture
def long_epochs(tmp_path):
    """A file of documents, and options that make each epoch take ten seconds or more."""
    lines = [f"The {('good', 'bad')[n % 2]} film of number {n}.,{n % 2}" for n in range(4000)]
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return ["train", "films.csv", "--batch-size", "1", "--units", "2", "--embedding-dim", "4", "--epochs", "1000"]


def stopped(command, folder, condition, number=signal.SIGINT):
    """Send a command a signal on a condition, and return its code and what it printed."""
    with subprocess.Popen(  # noqa: S603
        [HAN, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(condition, process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def test_ctrl_c_in_the_first_epoch_leaves_a_classifier_that_is_tested(long_epochs, tmp_path):
    command = [*long_epochs, "--output", "model", "--tensorboard", "logs"]
    code, output, errors = stopped(command, tmp_path, lambda: [*tmp_path.glob("logs/train/*")])
    assert code == 130, errors
    assert "han: Ctrl-C in epoch 1 of 1000: training has stopped, the weights of epoch 1 are kept" in errors
    assert errors.splitlines()[-1] == "--resume has nothing to continue, for no epoch was completed"
    assert "800 test documents" in output
    assert "TF-IDF + logistic regression" in output
    folder = tmp_path / "model"
    assert {"training_curve.png", "confusion_matrix.png", "reliability.png"} <= {path.name for path in folder.iterdir()}
    assert 'type: "accuracy"' in (folder / "README.md").read_text(encoding="utf-8")
    assert len(HANClassifier.load(folder).history_["loss"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films.csv", "logs", "model"]


def test_ctrl_c_before_the_first_epoch_leaves_nothing(long_epochs, tmp_path):
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "def split(text):\n    pathlib.Path('begun').touch()\n    time.sleep(0.1)\n    return text.split()\n"
    )
    command = [*long_epochs, "--tokenizer", "slow:split", "--quiet"]
    code, output, errors = stopped(command, tmp_path, (tmp_path / "begun").exists)
    assert (code, output) == (130, "")
    assert errors.splitlines()[-3:] == [
        "--resume has nothing to continue, for no epoch was completed",
        "",
        "han: interrupted",
    ]
    assert not {path.name for path in tmp_path.iterdir()} & {"models", "model"}


@pytest.mark.slow
def test_sigterm_saves_and_ctrl_c_while_testing_loses_nothing(long_epochs, tmp_path):
    command = [*long_epochs, "--output", "model", "--checkpoint-steps", "5"]
    state, model = tmp_path / "model.checkpoint" / "checkpoint", tmp_path / "model" / "manifest.json"
    code, output, errors = stopped(command, tmp_path, state.exists, signal.SIGTERM)
    assert (code, output) == (143, "")
    assert errors.splitlines()[-4:] == [
        "the classifier is saved in model, but not fully tested",
        "--resume continues the training in model.checkpoint",
        "",
        "han: terminated",
    ]
    assert len(HANClassifier.load(tmp_path / "model").history_["loss"]) == 1

    shutil.rmtree(tmp_path / "model")
    shutil.rmtree(tmp_path / "model.checkpoint")
    command = [*long_epochs, "--output", "model", "--batch-size", "64", "--epochs", "2"]
    saving = ".model.saving-*"
    code, _, errors = stopped(command, tmp_path, lambda: model.exists() and not [*tmp_path.glob(saving)])
    assert code == 130, errors
    assert errors.splitlines()[-4:] == [
        "the classifier is saved in model, but not fully tested",
        "--resume continues the training in model.checkpoint",
        "",
        "han: interrupted",
    ]
    resumed = run(*command, "--resume", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/2" not in resumed.stderr
    assert "800 test documents" in resumed.stdout
    assert not (tmp_path / "model.checkpoint").exists()


@needs_mounts
def test_train_writes_to_a_volume_in_a_read_only_folder(trained, tmp_path):
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
    # A training that was not finished is on the volume too.
    (tmp_path / "kept" / ".checkpoint" / "checkpoint").mkdir(parents=True)
    run = run_with_mounts(mounts, *command, paths=[tmp_path])
    assert (run.returncode, run.stdout) == (2, "")
    assert "volume/.checkpoint holds an unfinished training" in run.stderr


def test_ctrl_c_leaves_no_half_written_output(saved, table, tmp_path):
    pd.concat([table] * 3000).to_json(tmp_path / "in.jsonl", orient="records", lines=True)
    command = [HAN, "predict", saved / "model", "in.jsonl", "--output", "out.jsonl"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        while not list(tmp_path.glob(".out.jsonl.*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "han: interrupted"
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_ctrl_c_is_ignored_where_a_shell_has_said_so(saved, table, tmp_path):
    pd.concat([table] * 100).to_json(tmp_path / "in.jsonl", orient="records", lines=True)
    program = "import os, sys, signal as s; s.signal(s.SIGINT, s.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", program, HAN, "predict", saved / "model", "in.jsonl", "--output", "out.jsonl"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        while not list(tmp_path.glob(".out.jsonl.*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 100 * len(table)


def test_a_failure_is_one_line_and_a_traceback_on_request(saved, tmp_path):
    (tmp_path / "splits.py").write_text("def split(text):\n    return 1 / 0\n")
    command = ["explain", str(saved / "model"), "--text", "x", "--tokenizer", "splits:split"]
    assert "tokenizer must not be given" in run(*command, folder=tmp_path).stderr
    assert "Traceback" in run(*command, "--debug", folder=tmp_path).stderr
    (tmp_path / "in.csv").write_text("text,label\n" + "".join(f"A text {n}.,{n % 2}\n" for n in range(20)))
    result = run("train", "in.csv", "--tokenizer", "splits:split", "--quiet", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "han: ZeroDivisionError: division by zero (--debug shows where)\n"
    assert not (tmp_path / "models").exists()


def test_info_and_export(saved, tmp_path):
    assert "  business: 40\n  sports: 40\n" in run("info", "model", folder=saved).stdout
    result = run("export", str(saved / "model"), "model.onnx", folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "wrote model.onnx, model.tokenizer.json\n")
    result = run("export", str(saved / "model"), "served", folder=tmp_path)
    assert result.stdout == "wrote served, served/assets.extra/tokenizer.json\n"
    result = run("export", str(saved / "model"), "model.onnx", folder=tmp_path)
    assert result.returncode == 2
    assert "model.onnx' exists; use overwrite=True (han export --force) to replace it" in result.stderr
    assert run("export", str(saved / "model"), "model.onnx", "--force", folder=tmp_path).returncode == 0
    result = run("export", str(saved / "model"), "out.xyz", folder=tmp_path)
    assert (result.returncode, (tmp_path / "out.xyz").exists()) == (2, False)
    assert "path must end in .onnx for an ONNX file" in result.stderr
    assert (tmp_path / "served" / "saved_model.pb").is_file()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    script = run("completion", shell, folder=tmp_path).stdout
    assert f"_HAN_COMPLETE={shell}_complete" in script
    if shell == "bash":
        asked = f"{script}\nCOMP_WORDS=(han pre); COMP_CWORD=1; _han_completion {HAN}; echo ${{COMPREPLY[@]}}"
        result = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603, S607
        assert result.stdout.split() == ["predict"]


SMALL = ["--units", "2", "--embedding-dim", "4", "--epochs", "1", "--quiet"]


def test_tables_as_they_come_are_trained_on_and_evaluated(tmp_path):
    """Two files as a spreadsheet writes them, with a title and a body, and a file to test on in another format."""
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
    for said in (
        "han: january.csv: assumed the delimiter ';'; see --delimiter",
        "han: january.csv: read 1 byte that is not UTF-8 as Windows-1252",
        "han: january.csv: skipped 1 bad row, on line 32; the first has no label",
        "han: february.csv.gz: assumed the delimiter ';'; see --delimiter",
        "han: 2 of 22 test documents are also training documents",
    ):
        assert said in result.stderr
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
def test_options_of_tables_are_refused_before_training(arguments, message, tmp_path):
    (tmp_path / "in.csv").write_text("text,label\n" + "".join(f"A text {n}.,{n % 2}\n" for n in range(20)))
    result = run("train", *arguments, *SMALL, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_tsv_without_a_header_is_trained_on_by_position(tmp_path):
    lines = [f'{"ab"[n % 2]}\t{"it said " * (n % 3)}"text {n}\n' for n in range(40)]
    (tmp_path / "SMSSpamCollection").write_text("".join(lines))
    command = ["train", "SMSSpamCollection", "--input-format", "tsv", "--no-header", "--text", "1", "--label", "0"]
    result = run(*command, *SMALL, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert HANClassifier.load(tmp_path / "models" / "SMSSpamCollection").n_samples_fit_ == 32
