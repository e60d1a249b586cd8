from __future__ import annotations

from pathlib import Path

import pytest

from han import HANClassifier, load_dataset
from han.exceptions import InvalidTypeError, InvalidValueError
from han.files.paths import local_path
from han.saving.layout import check_destination
from han.text.word_vectors import check_source
from han.training.checkpoint import has_checkpoint, remove_checkpoint


class CloudPath:
    """A path like those of `cloudpathlib`: its string is a URL, its file path that of a local copy."""

    def __str__(self):
        return "s3://bucket/model"

    def __fspath__(self):
        return "copies/model"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/model", "gs://bucket/model", "abfss://files@account.dfs.core.windows.net/model",
        "https://example.org/a.csv", "hf://owner/model", "dbfs:/mnt/model", Path("s3://bucket/model"), CloudPath(),
    ],
)  # fmt: skip
def test_urls_are_rejected_with_advice(url):
    with pytest.raises(
        InvalidValueError, match=r"^--output must be a path on this machine, got the URL '.*; mount the storage"
    ):
        local_path("--output", url)


def test_file_urls_are_rejected_with_the_path_to_use():
    for url in ("file:///data/my%20model", "file:/data/my%20model"):
        with pytest.raises(InvalidValueError, match="use '/data/my model' instead"):
            local_path("path", url)


@pytest.mark.parametrize(
    "path", ["a.csv", "./s3:/x", "/s3:/x", "C:/models", "C:\\models", "2026-01-01T10:00/model", "a:b", "~$report.xlsx"]
)
def test_other_paths_do_not_change(path):
    assert local_path("path", path) == Path(path)
    if not path.startswith("."):
        assert local_path("path", Path(path)) == Path(path)


def test_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert local_path("path", "~/model") == local_path("path", Path("~/model")) == Path("/home/someone/model")
    assert local_path("path", "a/~/model") == Path("a/~/model")


@pytest.mark.parametrize("value", ["", "a\0b", None, 3, b"model", ["a.csv"]])
def test_values_that_are_not_paths_are_rejected(value):
    error = InvalidValueError if isinstance(value, str) else InvalidTypeError
    with pytest.raises(error, match=r"^path must be a path, got "):
        local_path("path", value)


def test_errors_abbreviate_long_values():
    for value in ["s3://" + "x" * 1000, [1] * 1000]:
        with pytest.raises((InvalidTypeError, InvalidValueError)) as caught:
            local_path("path", value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("url", ["s3://bucket/x.csv", Path("s3://bucket/x.csv")])
def test_every_argument_rejects_urls_before_any_work(url, fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = ["A text.", "Another."] * 10, [0, 1] * 10
    for call in (
        lambda: fitted.save(url),
        lambda: fitted.export(url, format="savedmodel"),
        lambda: HANClassifier.load(url),
        lambda: load_dataset(url),
        lambda: HANClassifier(embeddings=url).fit(X, y),
        lambda: HANClassifier().fit(X, y, checkpoint_dir=url),
        lambda: check_source(url),
        lambda: has_checkpoint(url),
        lambda: remove_checkpoint(url),
        lambda: check_destination(url),
    ):
        with pytest.raises(InvalidValueError, match="must be a path on this machine, got the URL 's3:/"):
            call()
    assert not list(tmp_path.iterdir())


def test_models_can_be_saved_in_the_home_folder(fitted, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    fitted.save("~/models/news")
    assert (tmp_path / "models" / "news" / "manifest.json").is_file()
    assert HANClassifier.load(Path("~/models/news")).classes_.tolist() == fitted.classes_.tolist()
    fitted.export("~/news.onnx")
    assert (tmp_path / "news.onnx").is_file()
    (tmp_path / "vectors.txt").write_text("film 1 0\n")
    check_source("~/vectors.txt")
    assert not list((tmp_path / "work").iterdir())
