"""Ctrl-C, SIGTERM and kills."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from han import HANClassifier
from tests.cli.running import HAN, run, run_process, stop, wait_for


@pytest.mark.slow
def test_training_resumes_after_a_kill_and_stops_after_ctrl_c(news, tmp_path):
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
    assert "contains an unfinished training run: resume it" in run_process(*command, folder=tmp_path).stderr
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
    assert "use --resume to resume training from ended.checkpoint" in errors
    assert len(HANClassifier.load(tmp_path / "ended").history_["loss"]) < 1000


@pytest.fixture
def long_epochs(tmp_path):
    """A file of documents, and options with which each epoch takes at least ten seconds."""
    lines = [f"The {('good', 'bad')[n % 2]} film of number {n}.,{n % 2}" for n in range(4000)]
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return ["train", "films.csv", "--batch-size", "1", "--units", "2", "--embedding-dim", "4", "--epochs", "1000"]


@pytest.mark.slow
def test_ctrl_c_in_the_first_epoch_saves_and_evaluates_the_classifier(long_epochs, tmp_path):
    command = [*long_epochs, "--output", "model", "--tensorboard", "logs"]
    code, output, errors = stop(command, tmp_path, lambda: [*tmp_path.glob("logs/train/*")])
    assert code == 130, errors
    assert "han: Ctrl-C in epoch 1 of 1000: training stopped; the weights of epoch 1 were kept" in errors
    assert errors.splitlines()[-1] == "training cannot be resumed: no epoch was completed"
    assert "800 test documents" in output
    assert "TF-IDF + logistic regression" in output
    folder = tmp_path / "model"
    assert {"training_curve.png", "confusion_matrix.png", "reliability.png"} <= {path.name for path in folder.iterdir()}
    assert 'type: "accuracy"' in (folder / "README.md").read_text(encoding="utf-8")
    assert len(HANClassifier.load(folder).history_["loss"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films.csv", "logs", "model"]


def test_ctrl_c_before_the_first_epoch_saves_nothing(long_epochs, tmp_path):
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "def split(text):\n    pathlib.Path('begun').touch()\n    time.sleep(0.1)\n    return text.split()\n"
    )
    command = [*long_epochs, "--tokenizer", "slow:split", "--quiet"]
    code, output, errors = stop(command, tmp_path, (tmp_path / "begun").exists)
    assert (code, output) == (130, "")
    assert errors.splitlines()[-3:] == [
        "training cannot be resumed: no epoch was completed",
        "",
        "han: interrupted",
    ]
    assert not {path.name for path in tmp_path.iterdir()} & {"models", "model"}


@pytest.mark.slow
def test_sigterm_and_ctrl_c_during_evaluation_keep_the_classifier(long_epochs, tmp_path):
    command = [*long_epochs, "--output", "model", "--checkpoint-steps", "5"]
    state, model = tmp_path / "model.checkpoint" / "checkpoint", tmp_path / "model" / "manifest.json"
    code, output, errors = stop(command, tmp_path, state.exists, signal.SIGTERM)
    assert (code, output) == (143, "")
    assert errors.splitlines()[-4:] == [
        "the classifier is saved in model, but not fully evaluated",
        "use --resume to resume training from model.checkpoint",
        "",
        "han: terminated",
    ]
    assert len(HANClassifier.load(tmp_path / "model").history_["loss"]) == 1

    shutil.rmtree(tmp_path / "model")
    shutil.rmtree(tmp_path / "model.checkpoint")
    command = [*long_epochs, "--output", "model", "--batch-size", "64", "--epochs", "2"]
    saving = ".model.saving-*"
    code, _, errors = stop(command, tmp_path, lambda: model.exists() and not [*tmp_path.glob(saving)])
    assert code == 130, errors
    assert errors.splitlines()[-4:] == [
        "the classifier is saved in model, but not fully evaluated",
        "use --resume to resume training from model.checkpoint",
        "",
        "han: interrupted",
    ]
    resumed = run(*command, "--resume", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/2" not in resumed.stderr
    assert "800 test documents" in resumed.stdout
    assert not (tmp_path / "model.checkpoint").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_no_partial_output(saved, table, tmp_path):
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


@pytest.mark.slow
def test_background_jobs_ignore_ctrl_c(saved, table, tmp_path):
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
