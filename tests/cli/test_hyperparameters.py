"""Hyper-parameters as options and in configuration files."""

from __future__ import annotations

import inspect
import re
import sys

import click
import pytest
from click.testing import CliRunner

from han import HANClassifier
from han.cli import cli
from han.cli.hyperparameters import read_hyperparameters
from han.cli.train import train


def test_every_hyperparameter_is_an_option_with_its_default():
    from han.cli.hyperparameters import hyperparameters

    found = {name: parameter.default for name, parameter in hyperparameters().items()}
    expected = {name: value.default for name, value in inspect.signature(HANClassifier).parameters.items()}
    assert {name: expected.pop(name) for name in ("warm_start", "verbose")} == {"warm_start": False, "verbose": 1}
    assert found == expected
    assert all(parameter.description and parameter.type for parameter in hyperparameters().values())
    words = CliRunner().invoke(cli, ["train", "--help-all"]).output.split()
    assert {f"--{name.replace('_', '-')}" for name in found} <= set(words)


def test_help_begins_with_the_options_that_matter_first():
    output = CliRunner().invoke(cli, ["train", "--help"]).output
    options = output.split("\nOptions:\n")[1]
    names = re.findall(r"^  (--[\w-]+)", options, flags=re.MULTILINE)
    assert names == ["--text", "--label", "--label-separator", "--test", "--refit", "--output", "--force", "--epochs",
                     "--help-all"]  # fmt: skip
    everything = [
        parameter for parameter in train.get_params(click.Context(train)) if isinstance(parameter, click.Option)
    ]
    assert f"{len(everything) - len(names)} more options" in options


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
def test_options_are_converted_to_values(given, expected):
    assert read_hyperparameters(None, given) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.toml", 'units = 7\nclipnorm = "none"\nclass-weight = {a = 2}\n'),
        ("settings.yaml", "units: 7\nclipnorm: null\nclass_weight: {a: 2}\n"),
        ("settings.yml", "# nothing but this\n"),
    ],
)
def test_options_override_the_configuration_file(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    expected = {"units": 9} if name.endswith("yml") else {"units": 9, "clipnorm": None, "class_weight": {"a": 2}}
    assert read_hyperparameters(tmp_path / name, {"units": "9", "cell": None}) == expected


def test_a_missing_pyyaml_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "settings.yaml").write_text("units: 7")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"pip install 'han-classifier\[yaml\]'"):
        read_hyperparameters(tmp_path / "settings.yaml", {})
