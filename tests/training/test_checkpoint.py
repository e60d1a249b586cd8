from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from han import HANClassifier
from han.backend import keras
from han.exceptions import CheckpointError, DestinationError
from han.files.atomic import write_manifest
from han.training import checkpoint_saver
from han.training.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    describe,
    digest,
    has_checkpoint,
    has_ended,
    remove_checkpoint,
)
from tests.mounts import needs_mounts, run_with_mounts
from tests.small_training import LABELS, SETTINGS, STEPS, TEXTS, At, train, weights


class PowerCutError(Exception):
    pass


class Count(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1


def cut_power():
    raise PowerCutError


@pytest.fixture(scope="module")
def whole():
    return train()


def assert_same(classifier, whole):
    assert classifier.history_ == whole.history_
    for weight, expected in zip(weights(classifier), weights(whole), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("step", "every", "first_step"),
    [
        (2 * STEPS, 3, STEPS + 3 + 1),
        pytest.param(2, None, 1, marks=pytest.mark.slow),  # no checkpoint before the end of the first epoch
        pytest.param(8, None, STEPS + 1, marks=pytest.mark.slow),
        pytest.param(3 * STEPS + 1, None, 3 * STEPS + 1, marks=pytest.mark.slow),
        pytest.param(8, 2, STEPS + 2 + 1, marks=pytest.mark.slow),
    ],
)
def test_interrupted_training_resumes_with_identical_results(step, every, first_step, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_saver, "MAX_SHARE", 1e9)  # saves after every epoch
    where = {"checkpoint_dir": tmp_path / "checkpoint", "checkpoint_steps": every}
    with pytest.raises(PowerCutError):
        train(**where, callbacks=[At(step, cut_power)])
    counted = Count()
    assert_same(train(**where, callbacks=[counted]), whole)
    assert counted.steps == 4 * STEPS - (first_step - 1)


@pytest.mark.slow
def test_training_can_be_interrupted_repeatedly(whole, tmp_path):
    for cut in (2, 4, 3, 6):  # steps after the last checkpoint
        with pytest.raises(PowerCutError):
            train(checkpoint_dir=tmp_path, checkpoint_steps=1, callbacks=[At(cut, cut_power)])
    state = json.loads((tmp_path / "checkpoint" / "state.json").read_text())
    assert state["epoch"] * STEPS + state["step"] == sum(cut - 1 for cut in (2, 4, 3, 6))
    assert_same(train(checkpoint_dir=tmp_path), whole)


def test_a_finished_checkpoint_restores_the_network_without_training(whole, tmp_path):
    assert_same(train(checkpoint_dir=tmp_path), whole)
    assert has_ended(tmp_path)
    counted = Count()
    assert_same(train(checkpoint_dir=tmp_path, callbacks=[counted]), whole)
    assert counted.steps == 0


@pytest.mark.parametrize(("steps", "expected"), [(None, [1, 4]), (STEPS, [1, 2, 3, 4])])
def test_short_epochs_are_saved_seldom_unless_steps_are_given(steps, expected, monkeypatch, tmp_path):
    epochs = []

    def write(_, state):
        time.sleep(0.2)  # many times as long as an epoch takes
        epochs.append(state["epoch"])

    monkeypatch.setattr(Checkpoint, "write", write)
    monkeypatch.setattr(checkpoint_saver, "MAX_SHARE", 1e-3)
    train(settings={"epochs": 4}, checkpoint_dir=tmp_path, checkpoint_steps=steps)
    assert epochs == expected


@pytest.mark.slow
def test_patience_is_restored(tmp_path):
    settings = {"patience": 1, "epochs": 30, "learning_rate": 0.05, "averaging": 0.0}
    whole = train(settings=settings)
    epochs = len(whole.history_["loss"])
    assert epochs < 30
    with pytest.raises(PowerCutError):
        train(settings=settings, checkpoint_dir=tmp_path, callbacks=[At(STEPS * (epochs - 1) + 1, cut_power)])
    assert_same(train(settings=settings, checkpoint_dir=tmp_path), whole)


def test_a_random_seed_is_restored(tmp_path):
    settings = {"random_state": None}
    with pytest.raises(PowerCutError):
        train(settings=settings, checkpoint_dir=tmp_path, callbacks=[At(STEPS + 1, cut_power)])
    seed = json.loads((tmp_path / "checkpoint" / "state.json").read_text())["seed"]
    resumed = train(settings=settings, checkpoint_dir=tmp_path)
    assert resumed.model_.get_config()["seed"] == seed


@pytest.mark.slow
def test_a_warm_start_is_resumed(tmp_path):
    def again(**arguments):
        classifier = HANClassifier(**SETTINGS, warm_start=True).fit(TEXTS, LABELS)
        return classifier.fit(TEXTS, LABELS, **arguments)

    expected = again()
    with pytest.raises(PowerCutError):
        again(checkpoint_dir=tmp_path, callbacks=[At(STEPS + 1, cut_power)])
    assert_same(again(checkpoint_dir=tmp_path), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"units": 4}}, "units differ"),
        ({"settings": {"random_state": 4, "dropout": 0.1}}, "dropout and random_state differ"),
        ({"sample_weight": [1] * 39 + [2]}, "sample_weight differ"),
        ({"validation_data": (TEXTS, LABELS)}, "validation_data differ"),
        ({"unlabelled": ["More."]}, "unlabelled differ"),
    ],
)
def test_a_checkpoint_of_another_training_is_rejected(changes, message, tmp_path):
    Checkpoint.open(tmp_path, None, described(), 1).write({"epoch": 1, "ended": False})
    with pytest.raises(CheckpointError, match=message):
        train(checkpoint_dir=tmp_path, **changes)


def described():
    """Return the description of the small training run, without training."""

    class Seen(Exception):  # noqa: N818
        pass

    seen = {}

    def look(_path, _steps, description, _seed):
        seen.update(description)
        raise Seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("han.training.fit.Checkpoint.open", look)
        with pytest.raises(Seen):
            train(checkpoint_dir="anywhere")
    return seen


def test_some_parameters_may_change_before_training_is_resumed(whole, tmp_path):
    with pytest.raises(PowerCutError):
        train(checkpoint_dir=tmp_path, callbacks=[At(STEPS + 1, cut_power)])
    assert_same(train(checkpoint_dir=tmp_path, checkpoint_steps=2, settings={"verbose": 1}), whole)


@pytest.mark.parametrize("name", ["state.json", "arrays.npz", "manifest.json"])
def test_a_damaged_checkpoint_is_rejected(name, tmp_path):
    Checkpoint.open(tmp_path, None, {}, 1).write({"epoch": 1, "ended": False, "variables": [np.ones(3)]})
    assert Checkpoint.open(tmp_path, None, {}, 2).seed == 1
    path = tmp_path / "checkpoint" / name
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (content[:-2], content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=name):
            Checkpoint.open(tmp_path, None, {}, 1)
    path.unlink()
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.open(tmp_path, None, {}, 1)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def sign(folder):
    """Write a matching manifest, as an attacker would."""
    (folder / "manifest.json").unlink()
    write_manifest(folder, FORMAT_VERSION)


def test_nothing_in_a_checkpoint_is_unpickled(tmp_path):
    Checkpoint.open(tmp_path, None, {}, 1).write({"epoch": 1, "ended": False, "variables": np.ones(3)})
    folder, mark = tmp_path / "checkpoint", tmp_path / "ran"
    assert json.loads((folder / "manifest.json").read_text())["format_version"] == 2
    np.savez(folder / "arrays.npz", array_0=np.array([Payload(mark)], object))
    sign(folder)
    with pytest.raises(CheckpointError, match="allow_pickle"):
        Checkpoint.open(tmp_path, None, {}, 1)
    assert not mark.exists()


@pytest.mark.parametrize("changed", [{"seed": None}, {"description": "units"}, {"variables": {"array": "array_9"}}])
def test_an_invalid_state_is_rejected(changed, tmp_path):
    Checkpoint.open(tmp_path, None, {}, 1).write({"epoch": 1, "ended": False, "variables": np.ones(3)})
    folder = tmp_path / "checkpoint"
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | changed))
    sign(folder)
    with pytest.raises(CheckpointError, match="written by `fit`"):
        Checkpoint.open(tmp_path, None, {}, 1)


def test_invalid_arrays_are_rejected(tmp_path):
    Checkpoint.open(tmp_path, None, {}, 1).write({"epoch": 1, "ended": False})
    folder = tmp_path / "checkpoint"
    (folder / "arrays.npz").write_bytes(b"PK\x03\x04 and no more")
    sign(folder)
    with pytest.raises(CheckpointError, match="written by `fit`"):
        Checkpoint.open(tmp_path, None, {}, 1)


def test_arguments_are_checked_before_training(tmp_path):
    for arguments, error, message in (
        ({"checkpoint_dir": 3}, TypeError, "checkpoint_dir must be a path, got 3"),
        ({"checkpoint_steps": 3}, ValueError, "checkpoint_steps needs a checkpoint_dir"),
        (
            {"checkpoint_dir": tmp_path, "checkpoint_steps": 0},
            ValueError,
            "checkpoint_steps must be an int of at least 1",
        ),
    ):
        with pytest.raises(error, match=message):
            train(**arguments)
    (tmp_path / "file").write_text("text")
    with pytest.raises(DestinationError, match="no folder can be written at"):
        train(checkpoint_dir=tmp_path / "file")


def test_removing_a_checkpoint_keeps_other_files(tmp_path):
    folder = tmp_path / "folder"
    assert not has_checkpoint(folder)
    remove_checkpoint(folder)
    assert not folder.exists()
    for others in ([], ["notes.txt"]):
        Checkpoint.open(folder, None, {}, 1).write({"epoch": 0, "ended": False})
        for name in others:
            (folder / name).write_text("mine")
        assert has_checkpoint(folder)
        assert not has_ended(folder)
        remove_checkpoint(folder)
        assert [path.name for path in folder.iterdir()] == others if others else not folder.exists()


def test_temporary_folders_of_a_killed_process_are_removed_with_the_checkpoint(tmp_path):
    Checkpoint.open(tmp_path / "folder", None, {}, 1).write({"epoch": 0, "ended": False})
    code = (
        "import os, signal, sys; from pathlib import Path; from han.files.folders import replacing_folder\n"
        "with replacing_folder(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "folder" / "checkpoint"], check=False)  # noqa: S603
    assert len(list((tmp_path / "folder").iterdir())) == 2
    remove_checkpoint(tmp_path / "folder")
    remove_checkpoint(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@needs_mounts
def test_a_checkpoint_is_removed_from_a_mounted_volume(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from han.training.checkpoint import Checkpoint, has_checkpoint, remove_checkpoint\n"
        "for epoch in (1, 2): Checkpoint.open(sys.argv[1], None, {}, 1).write({'epoch': epoch, 'ended': False})\n"
        "print(Checkpoint.open(sys.argv[1], None, {}, 1).state['epoch'])\n"
        "remove_checkpoint(sys.argv[1]); print(has_checkpoint(sys.argv[1]), *Path(sys.argv[1]).iterdir())"
    )
    mounts = 'mount -t tmpfs none "$1"'
    run = run_with_mounts(mounts, sys.executable, "-c", code, tmp_path, paths=[tmp_path])
    assert (run.returncode, run.stdout) == (0, "2\nFalse\n"), run.stderr


def test_different_data_have_different_digests():
    data = [["a", "b"], ["ab"], ["a", ["b"]], [np.ones(2)], [np.ones(2, np.float32)], [np.ones((1, 2))], ["\ud800"], []]
    assert len({digest(part) for part in data}) == len(data)
    assert digest("a", "b") != digest("ab")
    # Stored in checkpoints, so it must not change between versions.
    assert digest("a", ["b"]) == "cd9a5124a5bf0cdc122014e32efdad67f9253f762ce417a1d82725e2cec65a6b"


def test_functions_and_word_vectors_are_described_by_name():
    described = describe(
        {
            "tokenizer": str.split,
            "embeddings": {"a": [1.0]},  # may have a million words
            "class_weight": {"a": 2.0},
            "random_state": np.random.RandomState(1),
            "patience": None,
            "verbose": 1,
        }
    )
    assert described == {
        "tokenizer": "str.split",
        "embeddings": "dict",
        "class_weight": "{'a': 2.0}",
        "random_state": "RandomState",
        "patience": "None",
    }


def halving():
    return keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)


@pytest.mark.slow
def test_a_learning_rate_set_by_a_callback_is_resumed_within_an_epoch(tmp_path):
    expected = train(callbacks=[halving()])
    with pytest.raises(PowerCutError):
        train(callbacks=[halving(), At(2 * STEPS + 4, cut_power)], checkpoint_dir=tmp_path, checkpoint_steps=2)
    resumed = train(callbacks=[halving()], checkpoint_dir=tmp_path)
    assert_same(resumed, expected)
    assert len(resumed.history_["learning_rate"]) == 4


def test_a_checkpoint_of_format_1_is_resumed(tmp_path):
    # Written within an epoch by an earlier version, in which the learning rate was not a variable.
    settings = {"additive": False, "embedding_dropout": 0.5, "word_dropout": 0.4}  # its defaults
    settings |= {"cell": "lstm", "log_count_ratios": False}
    whole = train(settings=settings)
    shutil.copytree(Path(__file__).parents[1] / "saved" / "checkpoint_1", tmp_path, dirs_exist_ok=True)
    count = Count()
    resumed = train(settings=settings, checkpoint_dir=tmp_path, callbacks=[count])
    assert count.steps == 3 * STEPS - 2
    for name, values in whole.history_.items():
        np.testing.assert_allclose(resumed.history_[name], values, rtol=1e-4)
    for weight, expected in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)


def test_a_checkpoint_of_a_later_format_is_rejected(tmp_path):
    with pytest.raises(PowerCutError):
        train(checkpoint_dir=tmp_path, callbacks=[At(STEPS + 1, cut_power)])
    write_manifest(tmp_path / "checkpoint", FORMAT_VERSION + 1)
    with pytest.raises(CheckpointError, match=r"format_version must be .*; remove .* to train from the beginning"):
        train(checkpoint_dir=tmp_path)
