from __future__ import annotations

import os
import subprocess
import sys


def run(code, **environment):
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


def test_importing_is_quiet_unless_asked():
    code = "from han.backend import tf; tf.zeros(1)"
    assert run(code).stderr == ""
    # What there is to say depends on the machine: its processor, its graphics card.
    assert run(code, TF_CPP_MIN_LOG_LEVEL="0").stderr != ""


def test_another_backend_of_keras_is_refused(tmp_path):
    result = run("import han.backend", KERAS_BACKEND="jax")
    assert result.returncode == 1
    assert "ImportError: han runs on Keras with the TensorFlow backend" in result.stderr
    assert "'jax'" in result.stderr
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')  # says less than the environment
    code = "import os, han.backend; assert 'KERAS_BACKEND' not in os.environ"
    assert run(code, KERAS_HOME=str(tmp_path)).stderr == ""


def test_the_package_is_light_until_it_is_used():
    code = (
        "import sys, han; assert 'tensorflow' not in sys.modules; assert 'HANClassifier' in dir(han); "
        "han.HANClassifier; assert 'tensorflow' in sys.modules; han.nothing"
    )
    result = run(code)
    assert "AttributeError: module 'han' has no attribute 'nothing'" in result.stderr
