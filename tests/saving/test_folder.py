from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.model_selection import cross_validate

from han import HANClassifier
from han.cli import cli
from han.data.labels import LabelEncoder
from han.exceptions import DestinationError, InvalidValueError, MissingFileError, ModelFileError
from han.files.atomic import read_json, write_json, write_manifest
from han.hyperparameters import Hyperparameters
from han.saving.conversion import to_saved
from han.saving.folder import _from_settings, _to_settings
from han.saving.layout import FORMAT_VERSION, check_destination
from tests.memory_growth import growth

SAVED = Path(__file__).parents[1] / "saved"
TEXTS = ["A fine film. I liked it.", "A dull film. I slept."] * 10
LABELS = ["good", "bad"] * 10
SMALL = {"embedding_dim": 8, "units": 4, "epochs": 1, "batch_size": 8, "random_state": 0, "verbose": 0}


class Grade(str, Enum):  # noqa: UP042 - a common pattern
    GOOD = "good"
    BAD = "bad"


@pytest.fixture(scope="module")
def small():
    return HANClassifier(**SMALL).fit(TEXTS, LABELS)


def test_a_new_process_predicts_the_same(fitted, news, tmp_path):
    texts = news[2]
    fitted.save(tmp_path / "model")
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = (
        "import json, sys, numpy; from han import HANClassifier; "
        "classifier = HANClassifier.load('model'); "
        "numpy.save('probabilities.npy', classifier.predict_proba(json.load(open('texts.json')))); "
        "print(classifier.predict(['Shares rose.'])[0])"
    )
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), fitted.predict_proba(texts), atol=1e-6)
    assert run.stdout.strip() == fitted.predict(["Shares rose."])[0]
    assert run.stderr == ""


def test_all_fitted_attributes_are_restored(small, tmp_path):
    small.save(tmp_path / "model")
    loaded = HANClassifier.load(tmp_path / "model")
    assert loaded.get_params() == small.get_params()
    assert loaded.history_ == small.history_
    assert loaded.mixture_ == small.mixture_
    assert loaded.mixture_.network_interval[0] < loaded.mixture_.network < loaded.mixture_.network_interval[1]
    assert dict(loaded.vocabulary_) == dict(small.vocabulary_)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "README.md",
        "manifest.json",
        "model.keras",
        "settings.json",
        "vocabulary.json",
    ]


def test_parameters_that_json_lacks(tmp_path):
    classifier = HANClassifier(**SMALL, embeddings={"film": [1.0, 0.0]}, class_weight={3: 1, np.int64(7): 2.5})
    classifier.set_params(calibrate=True).fit(TEXTS, [3, 7] * 10).save(tmp_path / "model")
    loaded = HANClassifier.load(tmp_path / "model")
    assert loaded.get_params() == classifier.get_params() | {"embeddings": None}
    assert loaded.temperature_ == classifier.temperature_ != 1.0
    assert loaded.embedding_coverage_ == classifier.embedding_coverage_
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    (tmp_path / "vectors.txt").write_text("film 1 0\n")
    classifier.set_params(embeddings=tmp_path / "vectors.txt").fit(TEXTS, [3, 7] * 10).save(tmp_path / "model")
    assert HANClassifier.load(tmp_path / "model").embeddings == str(tmp_path / "vectors.txt")


@pytest.mark.parametrize("labels", [[3, 7], [True, False], ["é", "日本"]])
def test_classes_keep_their_types(labels, tmp_path):
    y = np.array([*labels] * 10)
    classifier = HANClassifier(**SMALL).fit(TEXTS, y)
    classifier.save(tmp_path / "model")
    loaded = HANClassifier.load(tmp_path / "model")
    assert loaded.classes_.dtype == classifier.classes_.dtype
    assert loaded.predict(TEXTS).tolist() == classifier.predict(TEXTS).tolist()


@pytest.mark.parametrize(
    "y",
    [
        pd.Series([1.0, 0.0]), np.array([1, 0], np.float32), np.array([1, 0], np.float16),
        np.array([1, 0], np.longdouble), np.array([1, 0], np.uint8), np.array([2**63, 2**63 + 1], np.uint64),
        np.array([1, 0], ">i4"), np.array([1, 0], ">f8"), [2**70, 1], [2**63, -1], [1e300, -0.0], [1, 2.0],
        np.array([1, 2], object), np.array([True, False], object), pd.array([1, 2], "Int64"),
        pd.array([1.0, 2.0], "Float64"), pd.array([True, False], "boolean"), pd.array(["a", "b"], "string"),
        pd.Categorical([2.0, 1.0], [3.0, 2.0, 1.0]), pd.array([1, 2], "double[pyarrow]"),
        [np.str_("a"), np.str_("b")], np.array(["a", "b"], np.dtypes.StringDType()), ["a\0", "a"], ["\ud800", "b"],
        ["a" * 20_000, "b"], np.array(["a" * 20_000, "b"]), np.array(["a" * 9999, "b"]), ["", "b"],
        [Grade.GOOD, Grade.BAD], pd.DataFrame([[1, 1], [0, 1]], columns=[2.0, 1.0]), [{1.0}, {1.0, 2.0}],
        pd.Series([np.array(["a"]), np.array(["a", "b"])]),
    ],
)  # fmt: skip
def test_classes_of_all_label_types_are_restored(small, y, tmp_path):
    form = LabelEncoder.learn(y, len(y))
    # The network does not depend on the names of the classes.
    saved = replace(
        to_saved(small._fitted_classifier(), Hyperparameters.check(small.get_params())), classes=form.classes
    )
    write_json(tmp_path / "settings.json", _to_settings(saved))
    read = _from_settings(read_json(tmp_path / "settings.json", dict), small.vocabulary_)["classes"]
    assert read.dtype == form.classes.dtype
    assert read.tolist() == form.classes.tolist()
    assert [*map(type, read.tolist())] == [*map(type, form.classes.tolist())]
    targets = np.eye(2, dtype=int) if form.multi_label else np.arange(2)
    assert repr(form._replace(classes=read).decode(targets)) == repr(form.decode(targets))


@pytest.mark.slow
def test_a_column_of_floats_after_dropna(tmp_path):
    y = pd.Series([0.0, 1.0, None] * 14).dropna()[:20]
    classifier = HANClassifier(**SMALL, class_weight={1.0: 2.0}).fit(TEXTS, y)
    classifier.save(tmp_path / "model")
    (tmp_path / "texts.csv").write_text("text\nA fine film.\nA dull film.\n")
    result = CliRunner().invoke(cli, ["predict", str(tmp_path / "model"), str(tmp_path / "texts.csv"), "--quiet"])
    assert result.exit_code == 0, result.output
    written = pd.read_csv(io.StringIO(result.stdout))["prediction"]
    joblib.dump(classifier, tmp_path / "model.joblib")
    for same in (
        HANClassifier.load(tmp_path / "model"),
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(classifier),
    ):
        assert same.classes_.dtype == np.float64
        assert same.class_weight == {1.0: 2.0}
        assert same.predict(["A fine film.", "A dull film."]).tolist() == written.tolist()


@pytest.mark.slow
def test_classifiers_with_float_classes_return_from_other_processes():
    result = cross_validate(
        HANClassifier(**SMALL), TEXTS, np.array([0.0, 1.0] * 10), cv=2, n_jobs=2, return_estimator=True,
        error_score="raise",
    )  # fmt: skip
    for classifier in result["estimator"]:
        assert classifier.predict(TEXTS).dtype == np.float64


def test_saving_replaces_a_classifier_and_keeps_other_files(small, tmp_path):
    folder = tmp_path / "model"
    small.save(folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "figures").mkdir()
    (folder / "figures" / "curve.png").write_bytes(b"png")
    HANClassifier(**{**SMALL, "random_state": 1}).fit(TEXTS, LABELS).save(folder)
    assert HANClassifier.load(folder).random_state == 1
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "figures" / "curve.png").read_bytes() == b"png"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_classifier_can_be_saved_in_an_empty_folder(small, tmp_path):
    small.save(tmp_path)
    assert HANClassifier.load(tmp_path).history_ == small.history_


def test_other_folders_are_never_overwritten(small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.png").write_bytes(b"png")
    with pytest.raises(DestinationError, match=r"photos.*has other contents"):
        small.save(folder)
    (tmp_path / "file").write_text("text")
    with pytest.raises(DestinationError, match="a classifier needs a new folder"):
        small.save(tmp_path / "file")
    assert [path.name for path in folder.iterdir()] == ["cat.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "photos"]


@pytest.mark.parametrize("name", ["manifest.json", "model.keras", "settings.json", "vocabulary.json"])
def test_a_changed_file_is_named(name, small, tmp_path):
    small.save(tmp_path / "model")
    path = tmp_path / "model" / name
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (content[:middle], content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :], b""):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=name):
            HANClassifier.load(tmp_path / "model")
    path.unlink()
    with pytest.raises(ModelFileError, match=f"without {name}"):
        HANClassifier.load(tmp_path / "model")


def test_the_card_may_be_edited(small, tmp_path):
    small.save(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("mine")
    HANClassifier.load(tmp_path / "model")


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_every_version_of_the_format_can_be_read(version, tmp_path):
    loaded = HANClassifier.load(SAVED / f"{version}")
    expected = json.loads((SAVED / f"{version}.json").read_text())
    np.testing.assert_allclose(loaded.predict_proba(expected["documents"]), expected["probabilities"], atol=1e-6)
    loaded.save(tmp_path / "model")
    assert HANClassifier.load(tmp_path / "model").get_params() == loaded.get_params()


def test_a_failed_move_restores_the_old_classifier(small, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    small.save(folder)
    (folder / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rename = Path.rename

    def interrupted(self, target):
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_destinations_that_are_not_writable_are_rejected(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(DestinationError, match=r"no folder can be written at '.*model': Not a directory"):
        check_destination(tmp_path / "file" / "model")


def test_a_classifier_can_be_saved_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lost+found").mkdir()  # as in the root folder of a new volume
    for random_state in (0, 1):
        HANClassifier(**{**SMALL, "random_state": random_state}).fit(TEXTS, LABELS).save(".")
        (tmp_path / "notes.txt").write_text("mine")
        assert HANClassifier.load(".").random_state == random_state
    expected = ["README.md", "lost+found", "manifest.json", "model.keras", "notes.txt", "settings.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*expected, "vocabulary.json"]


def test_a_complete_version_that_was_not_moved_is_loaded(small, tmp_path):
    small.save(tmp_path / "model")
    HANClassifier(**{**SMALL, "random_state": 1}).fit(TEXTS, LABELS).save(tmp_path / "newer")
    (tmp_path / "newer").rename(tmp_path / "model" / ".complete")  # as left by a process that was killed at this point
    assert HANClassifier.load(tmp_path / "model").random_state == 1
    small.save(tmp_path / "model")
    assert HANClassifier.load(tmp_path / "model").random_state == 0
    assert not (tmp_path / "model" / ".complete").exists()


def test_a_link_to_a_classifier_stays_a_link(small, tmp_path):
    small.save(tmp_path / "v1")
    (tmp_path / "latest").symlink_to("v1")
    HANClassifier(**{**SMALL, "random_state": 1}).fit(TEXTS, LABELS).save(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert HANClassifier.load(tmp_path / "v1").random_state == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("settings.json", "[1]", "must contain a dict, got a list"),
        ("settings.json", '{"format_version": 1', "must contain JSON"),
        ("settings.json", '{"format_version": 1}', "must contain valid settings"),
        ("vocabulary.json", "{}", "must contain a list, got a dict"),
        ("vocabulary.json", "[1]", "must contain unique strings"),
        ("vocabulary.json", "[" * 100_000, "must contain JSON"),
    ],
)
def test_damaged_files_are_named(name, content, message, small, tmp_path):
    small.save(tmp_path / "model")
    (tmp_path / "model" / name).write_text(content)
    (tmp_path / "model" / "manifest.json").unlink()
    write_manifest(tmp_path / "model", FORMAT_VERSION)  # as an attacker would
    with pytest.raises(ModelFileError, match=f"{name} {message}"):
        HANClassifier.load(tmp_path / "model")


def test_the_optimizer_is_not_saved(small, tmp_path):
    small.save(tmp_path / "model")
    weights = 4 * small.model_.count_params()
    assert (tmp_path / "model" / "model.keras").stat().st_size < weights + 100_000


def test_a_failed_write_leaves_the_old_classifier(small, tmp_path):
    folder = tmp_path / "model"
    small.save(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = HANClassifier(**SMALL).fit(TEXTS, LABELS)
    other.history_ = {"loss": [object()]}  # cannot be written as JSON
    with pytest.raises(TypeError):
        other.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_missing_and_invalid_folders_are_rejected(small, tmp_path):
    with pytest.raises(MissingFileError, match="no such folder"):
        HANClassifier.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("text")
    with pytest.raises(MissingFileError, match="no such folder"):
        HANClassifier.load(tmp_path / "file")
    folder = tmp_path / "model"
    small.save(folder)
    for version, message in ((99, "format_version must be at most 2, got 99"), ("2", "must contain the version")):
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "format_version": version}))
        with pytest.raises(ModelFileError, match=rf"manifest.json:? {message}"):
            HANClassifier.load(folder)
    (folder / "manifest.json").unlink()
    settings = json.loads((folder / "settings.json").read_text())
    newer = "settings.json: format_version must be at most 2, got"
    damaged = "settings.json must contain the version of the format, got"
    for version, message in ((99, newer), (3, newer), (0, damaged), ("2", damaged), (None, damaged)):
        (folder / "settings.json").write_text(json.dumps({**settings, "format_version": version}))
        with pytest.raises(ModelFileError, match=f"{message} {version!r}"):
            HANClassifier.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["bad", None]},
        {"classes": ["bad"]},
        {"classes_dtype": "<U999999999"},
        {"classes_dtype": 7},
        {"parameters": None},
        {"parameters": {"class_weight": None, "no_such_parameter": 1}},
        {"parameters": {"class_weight": None, "units": -1}},
        {"attributes": {}},
        {"attributes": {"history_": {}, "embedding_coverage_": None, "temperature_": 1.0, "thresholds": [0.5]}},
        {"functions": [1]},
    ],
)
def test_invalid_settings_are_rejected(changes, small, tmp_path):
    folder = tmp_path / "model"
    small.save(folder)
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps({**settings, **changes}))
    (folder / "manifest.json").unlink()
    write_manifest(folder, FORMAT_VERSION)
    with pytest.raises(ModelFileError, match=r"settings|model\.keras: classes"):
        HANClassifier.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": [["bad"], ["good"]]}, "classes are not labels of one type"),
        ({"classes": [1.5, 2.5], "classes_dtype": "|O"}, "classes are not labels of one type"),
        ({"classes": [1.5, 2.0], "classes_dtype": "<i8"}, "classes are not labels of one type"),
        ({"classes": [1.0, float("inf")], "classes_dtype": "<f8"}, "classes are not labels of one type"),
        ({"classes": ["bad", 1], "classes_dtype": "|O"}, "classes are not labels of one type"),
        ({"classes": ["bad", "good"], "classes_dtype": "<U3"}, "classes are not labels of one type"),
        ({"classes_dtype": "<c8"}, "classes_dtype '<c8'"),
        ({"attributes": {"class_count": [10]}}, "class_count does not have one value for each class"),
    ],
)
def test_errors_name_the_invalid_setting(changes, message, small, tmp_path):
    small.save(tmp_path / "model")
    path = tmp_path / "model" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    (tmp_path / "model" / "manifest.json").unlink()
    write_manifest(tmp_path / "model", FORMAT_VERSION)
    with pytest.raises(ModelFileError, match=message):
        HANClassifier.load(tmp_path / "model")


def test_a_pickled_classifier_predicts_the_same(small):
    loaded = pickle.loads(pickle.dumps(small))  # noqa: S301
    assert loaded.get_params() == small.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), small.predict_proba(TEXTS))


def test_functions_must_be_passed_to_load(tmp_path):
    classifier = HANClassifier(**SMALL, tokenizer=str.split).fit(TEXTS, LABELS)
    classifier.save(tmp_path / "model")
    with pytest.raises(InvalidValueError, match=r"tokenizer must be given: .* with .*split"):
        HANClassifier.load(tmp_path / "model")
    with pytest.raises(ValueError, match="tokenizer must be a callable or None, got 5"):
        HANClassifier.load(tmp_path / "model", tokenizer=5)
    with pytest.raises(ValueError, match="sentence_splitter must not be given"):
        HANClassifier.load(tmp_path / "model", tokenizer=str.split, sentence_splitter=str.splitlines)
    loaded = HANClassifier.load(tmp_path / "model", tokenizer=str.split)
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS), atol=1e-6)


def test_a_random_state_instance_is_not_saved(tmp_path):
    classifier = HANClassifier(**{**SMALL, "random_state": np.random.RandomState(3)}).fit(TEXTS, LABELS)
    classifier.save(tmp_path / "model")
    assert HANClassifier.load(tmp_path / "model").random_state is None


@pytest.mark.slow
def test_repeated_loading_does_not_leak_memory(small, tmp_path):
    small.save(tmp_path / "model")
    # In MB; without cleaning up, TensorFlow would keep 20.
    assert growth(lambda _: HANClassifier.load(tmp_path / "model"), times=20) < 8
