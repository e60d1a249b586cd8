"""Mistakes on the command line are refused before the libraries are imported that take seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Runs a command, and prints which of the slow libraries it has imported.
RUN = """
import sys
from han.cli import main
try:
    main()
finally:
    print(*sorted({"tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib"} & sys.modules.keys()))
"""


def refuse(*arguments, folder):
    """Return the message, once nothing slow has been imported."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", RUN, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert result.returncode == 2, result.stderr
    assert result.stdout == "\n"
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def files(tmp_path_factory, saved):
    folder = tmp_path_factory.mktemp("refusal")
    (folder / "reviews.csv").write_text("review,stars\nA good film.,5\nA bad film.,1\n")
    (folder / "model").symlink_to(saved / "model")
    return folder


COLUMNS = ("--text", "review", "--label", "stars")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian", "reviews.csv"), "No such command 'trian', did you mean 'train'?"),
        (("train", "revews.csv", *COLUMNS), "no such file, did you mean 'reviews.csv'?"),
        (("train", "reviews.csv", "--text", "reveiw", "--label", "stars"), "did you mean 'review'?"),
        (("train", "reviews.csv", "--text", "review", "--label", "star"), "did you mean 'stars'?"),
        (("train", "reviews.csv", *COLUMNS, "--cell", "rnn"), "cell must be one of 'lstm', 'gru', got 'rnn'"),
        (("train", "reviews.csv", *COLUMNS, "--epochs", "many"), "epochs must be an int of at least 1"),
        (("train", "reviews.csv", *COLUMNS, "--dropout", "1.5"), "dropout must be a number in [0, 1), got 1.5"),
        (("train", "reviews.csv", *COLUMNS, "--epoch", "3"), "--epochs"),
        (("train", "reviews.csv", *COLUMNS, "--test", "tests.csv"), "no such file"),
        (("evaluate", "model", "reviews.csv", *COLUMNS[:2], "--label", "star"), "did you mean 'stars'?"),
        (("evaluate", "modl", "reviews.csv", *COLUMNS), "path must be the folder of a saved classifier, got 'modl'"),
        (
            ("predict", "modl", "reviews.csv", "--text", "review"),
            "path must be the folder of a saved classifier, got 'modl'",
        ),
        (("explain", "modl", "--text", "A film."), "path must be the folder of a saved classifier, got 'modl'"),
        (("export", "modl", "out.onnx"), "path must be the folder of a saved classifier, got 'modl'"),
        (("predict", "model", "reviews.csv", "--text", "reveiw"), "did you mean 'review'?"),
        (("info", "modl"), "path must be the folder of a saved classifier, got 'modl'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_nothing_slow_is_imported_for_a_mistake(files, arguments, message):
    assert message in refuse(*arguments, folder=files)


def test_info_needs_nothing_slow_either(files):
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", RUN, "info", "model"], cwd=files, capture_output=True, text=True, check=True
    )
    assert "  business: 40\n  sports: 40\n" in result.stdout
    assert result.stdout.endswith("\n\n")
