from __future__ import annotations

import pandas as pd
import pytest

from han import HANClassifier
from tests.cli.running import BAD, GOOD, run


@pytest.fixture(scope="session")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    fitted.save(folder / "model")
    (folder / "one.txt").write_text("Shares fell. A <goal>!", encoding="utf-8")
    (folder / "two.txt").write_bytes(b"Caf\xe9. The match was lost.")
    return folder


@pytest.fixture(scope="session")
def table(news):
    return pd.DataFrame({"id": range(30), "text": news[2], "topic": news[3]})


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    settings = {"embedding_dim": 4, "units": 2, "epochs": 4, "learning_rate": 0.05, "random_state": 0, "verbose": 0}
    HANClassifier(**settings).fit([GOOD, BAD] * 20, ["good", "bad"] * 20).save(folder)
    return str(folder)


@pytest.fixture
def predict(model, tmp_path):
    """A function that writes files to a folder, runs `han predict` in it, and returns the result."""

    def call(*arguments, **files):
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content, encoding="utf-8", newline="")
        return run("predict", model, *arguments, "--quiet", folder=tmp_path)

    return call
