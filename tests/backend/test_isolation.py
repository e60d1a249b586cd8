from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from han import HANClassifier
from han.backend import keras, tf
from han.backend.isolation import SETTINGS, isolated
from han.exceptions import ExecutionModeError
from tests.small_training import TEXTS, train, weights

TRAINING = {"epochs": 1, "monitor": "macro_f1", "calibrate": True}


@pytest.fixture(scope="module")
def plain():
    return train(settings=TRAINING)


@pytest.fixture
def odd_settings():
    """Change the global settings of the process, as other code may do."""
    values = ["float16", 0.01, True, True, "autoclustering"]
    keras.config.set_dtype_policy("mixed_bfloat16")
    for setting, value in zip(SETTINGS, values, strict=True):
        setting.write(value)
    with np.errstate(all="raise"):
        yield lambda: [setting.read() for setting in SETTINGS] == values and np.geterr()["under"] == "raise"
    keras.config.set_dtype_policy("float32")
    for setting in SETTINGS:
        setting.write(setting.default)


def test_settings_have_their_defaults():
    assert [setting.read() for setting in SETTINGS] == [setting.default for setting in SETTINGS]


def test_global_settings_have_no_effect(plain, odd_settings, tmp_path):
    # As in code for TensorFlow 1. Without isolation, all operations would be added to this graph.
    with tf.Graph().as_default(), keras.name_scope("other"):
        classifier = train(settings=TRAINING)
        assert classifier.history_ == plain.history_
        np.testing.assert_array_equal(classifier.predict_proba(TEXTS), plain.predict_proba(TEXTS))
        classifier.save(tmp_path / "model")
        loaded = HANClassifier.load(tmp_path / "model")
        for method in ("gradient_x_input", "occlusion"):
            for found, expected in zip(
                loaded.explain(TEXTS[:3], method=method), plain.explain(TEXTS[:3], method=method), strict=True
            ):
                np.testing.assert_array_equal(found.word_scores, expected.word_scores)
        loaded.export(tmp_path / "exported")
        assert odd_settings()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    for weight, expected in zip(weights(classifier), weights(plain), strict=True):
        np.testing.assert_array_equal(weight, expected)
    exported = tf.saved_model.load(tmp_path / "exported").signatures["serving_default"]
    found = exported(tf.constant(plain.encode(TEXTS)))["probabilities"]
    np.testing.assert_allclose(found, plain.predict_proba(TEXTS), atol=1e-6)


def test_global_settings_have_no_effect_on_partial_fit(odd_settings):
    def learn():
        classifier = HANClassifier(embedding_dim=4, units=2, random_state=0)
        return weights(classifier.partial_fit(TEXTS, ["good", "bad"] * 20, classes=["bad", "good"]))

    found = learn()
    assert odd_settings()
    with isolated():
        expected = learn()
    for weight, one in zip(found, expected, strict=True):
        np.testing.assert_array_equal(weight, one)


def test_the_last_block_to_end_restores_the_settings(odd_settings):
    inside, may_leave = threading.Event(), threading.Event()

    def stay():
        with isolated():
            inside.set()
            may_leave.wait()

    thread = threading.Thread(target=stay)
    with isolated(), isolated():
        thread.start()
        inside.wait()
    assert keras.config.floatx() == "float32"
    may_leave.set()
    thread.join()
    assert odd_settings()


def test_an_error_restores_the_settings(odd_settings):
    with pytest.raises(ZeroDivisionError), isolated():
        1 / int(keras.config.epsilon() != 1e-7)
    assert odd_settings()


def test_the_scope_of_a_distribution_strategy_is_refused():
    with tf.distribute.OneDeviceStrategy("/CPU:0").scope(), pytest.raises(ExecutionModeError, match="one device"):
        train(settings=TRAINING)


@pytest.mark.slow
def test_clearing_the_keras_session_does_not_change_a_fitted_classifier(plain):
    before = plain.predict_proba(TEXTS)
    keras.utils.clear_session()
    np.testing.assert_array_equal(plain.predict_proba(TEXTS), before)
    np.testing.assert_array_equal(train(settings=TRAINING).predict_proba(TEXTS), before)


def test_global_random_states_are_neither_used_nor_changed(plain):
    keras.utils.set_random_seed(11)
    state, numbers = np.random.get_state()[1].copy(), tf.random.uniform([3])  # noqa: NPY002
    keras.utils.set_random_seed(11)
    classifier = train(settings=TRAINING)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.testing.assert_array_equal(tf.random.uniform([3]), numbers)
    for weight, expected in zip(weights(classifier), weights(plain), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.slow
def test_modes_of_tensorflow_that_cannot_be_turned_off_again(plain, tmp_path):
    np.save(tmp_path / "expected.npy", plain.predict_proba(TEXTS))
    code = f"""
import numpy as np
from han.backend import keras, tf
tf.experimental.numpy.experimental_enable_numpy_behavior(prefer_float32=True)
keras.utils.set_random_seed(1)
tf.config.experimental.enable_op_determinism()
tf.compat.v1.disable_eager_execution()
from tests.small_training import TEXTS, train
expected = np.load("{tmp_path}/expected.npy")
np.testing.assert_allclose(train(settings={TRAINING}).predict_proba(TEXTS), expected, atol=1e-5)
assert not tf.executing_eagerly()
tf.compat.v1.disable_v2_behavior()
train(settings={TRAINING})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 1, run.stderr
    assert "ExecutionModeError: han requires TensorFlow 2 behaviour" in run.stderr.splitlines()[-1]
