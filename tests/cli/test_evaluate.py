"""`han evaluate`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from han import HANClassifier
from tests.cli.running import run


def test_the_accuracy_agrees_with_score(saved, table, fitted, tmp_path):
    table.to_csv(tmp_path / "in.csv", index=False)
    command = ["evaluate", str(saved / "model"), "in.csv", "--label", "topic", "--output", "found"]
    result = run(*command, "--format", "json", folder=tmp_path)
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(fitted.score(table["text"], table["topic"]))
    assert f"accuracy: {json.loads(result.stdout)['accuracy']:.4f}" in run(*command, folder=tmp_path).stdout


def test_the_report_goes_to_the_folder_of_the_classifier_if_it_can(saved, table, tmp_path):
    table.to_csv(tmp_path / "in.csv", index=False)
    shutil.copytree(saved / "model", tmp_path / "model")
    result = run("evaluate", "model", "in.csv", "--label", "topic", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("\nreport:   model/report.html\n")
    report = json.loads((tmp_path / "model" / "report.json").read_text(encoding="utf-8"))
    assert report["test_documents"] == len(table)
    printed = " ".join(result.stdout.split())
    assert all(sentence in printed for sentence in report["conclusions"])
    assert HANClassifier.load(tmp_path / "model").predict(["Shares fell."]) == ["business"]
    # Something in its place is no reason to lose the results.
    (tmp_path / "model" / "report.html").unlink()
    (tmp_path / "model" / "report.html").mkdir()
    result = run("evaluate", "model", "in.csv", "--label", "topic", folder=tmp_path)
    assert (result.returncode, "accuracy: " in result.stdout) == (0, True)
    assert "the report is not written, choose a folder with --output" in result.stderr


@pytest.mark.slow
def test_labels_are_converted_to_the_types_of_the_classes(tmp_path):

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
