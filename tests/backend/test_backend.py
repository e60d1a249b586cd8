from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(code, **environment):
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_importing_prints_nothing_by_default():
    code = "from han.backend import tf; tf.zeros(1)"
    assert run(code).stderr == ""
    # The messages depend on the CPU and GPU of the machine.
    assert run(code, TF_CPP_MIN_LOG_LEVEL="0").stderr != ""


@pytest.mark.slow
def test_another_backend_of_keras_is_refused(tmp_path):
    result = run("import han.backend", KERAS_BACKEND="jax")
    assert result.returncode == 1
    assert "ImportError: han runs on Keras with the TensorFlow backend" in result.stderr
    assert "'jax'" in result.stderr
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')  # has lower priority
    code = "import os, han.backend; assert 'KERAS_BACKEND' not in os.environ"
    assert run(code, KERAS_HOME=str(tmp_path)).stderr == ""


def test_tensorflow_is_imported_on_first_use():
    code = (
        "import sys, han; assert 'tensorflow' not in sys.modules; assert 'HANClassifier' in dir(han); "
        "han.HANClassifier; assert 'tensorflow' in sys.modules; han.nothing"
    )
    result = run(code)
    assert "AttributeError: module 'han' has no attribute 'nothing'" in result.stderr
