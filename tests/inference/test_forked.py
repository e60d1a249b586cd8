from __future__ import annotations

import gc
import operator
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from han.exceptions import ForkedProcessError
from han.inference import forked
from tests.forking import children, have_exited

ROOT = Path(__file__).parents[2]
# Seconds; long enough for a busy machine.
TIMEOUT = 300

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")


def run(program, folder, tmp):
    """Run a program of `forking.py`; return its results, and the completed process with its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    file = tmp / "results.pickle"
    command = [sys.executable, str(ROOT / "tests" / "forking.py"), program, str(folder), str(file)]
    result = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, timeout=TIMEOUT, env=environment
    )
    assert result.returncode == 0, result.stderr
    return pickle.loads(file.read_bytes()), result  # noqa: S301


@pytest.fixture(scope="module")
def after_training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("after_training")
    return *run("after_training", folder / "models", folder), folder / "models"


@pytest.fixture(scope="module")
def in_pools(tmp_path_factory):
    return run("in_pools", ROOT / "tests" / "saved" / "1", tmp_path_factory.mktemp("in_pools"))[0]


@needs_fork
@pytest.mark.parametrize("name", ["labels", "score", "summary", "errors", "warnings"])
def test_a_forked_process_gives_the_same_outputs_as_its_parent(after_training, name):
    results, _, _ = after_training
    assert results["child"][name] == results["parent"][name]


@needs_fork
def test_probabilities_and_scores_are_the_same_after_a_fork(after_training):
    results, expected = after_training[0]["child"], after_training[0]["parent"]
    assert np.ptp(expected["probabilities"]) > 0.01
    for name in ("probabilities", "encoded", "truncated"):
        np.testing.assert_allclose(results[name], expected[name], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(results["threads"], [*expected["probabilities"]] * 3, atol=1e-6)
    for method, explanations in expected["scores"].items():
        for (*arrays, target), (*expected_arrays, expected_target) in zip(
            results["scores"][method], explanations, strict=True
        ):
            for array, expected_array in zip(arrays, expected_arrays, strict=True):
                np.testing.assert_allclose(array, expected_array, atol=1e-6, err_msg=method)
            assert target == expected_target


@needs_fork
def test_a_forked_process_raises_and_warns_in_the_calling_code(after_training):
    results = after_training[0]["child"]
    (not_text, _), (unknown_class, _) = results["errors"]
    assert (not_text[0], unknown_class[0]) == ("InvalidTypeError", "InvalidValueError")
    ((message, file),) = results["warnings"]
    assert "max_sentences=512" in message
    assert file == str(ROOT / "tests" / "forking.py")


@needs_fork
def test_training_is_refused_after_a_fork(after_training):
    results, _, folder = after_training
    for (kinds, message), name in zip(results["child"]["refused"], ("fit", "partial_fit", "export"), strict=True):
        assert kinds[0] == "ForkedProcessError"
        assert message.startswith(f"HANClassifier.{name} cannot run in this process")
        assert 'multiprocessing.get_context("spawn")' in message
    assert not (folder / "forked" / "exported").exists()
    assert not results["was_forked"]


@needs_fork
def test_a_forked_process_saves_and_loads(after_training):
    results, _, folder = after_training
    child, expected = results["child"], results["parent"]
    np.testing.assert_allclose(child["reloaded"], expected["probabilities"], atol=1e-6)
    assert child["reloaded weights"] == expected["summary"]["weights"]
    saved, saved_again, parent = (folder / name for name in ("forked", "forked/again", "parent"))
    assert (saved_again / "model.keras").read_bytes() == (saved / "model.keras").read_bytes()
    for name in ("vocabulary.json", "settings.json"):
        assert (saved / name).read_bytes() == (parent / name).read_bytes()


@needs_fork
def test_each_network_has_one_helper_that_exits_with_its_process(after_training):
    results, output, _ = after_training
    first, both = results["child"]["helpers"]
    assert (len(first), len(both)) == (1, 2)
    assert results["helpers exited"]
    assert output.stdout == ""


@pytest.mark.slow
@needs_fork
def test_a_process_forked_before_tensorflow_is_initialised_needs_no_helper(in_pools):
    probabilities, was_forked = in_pools["early"]
    assert not was_forked
    np.testing.assert_allclose(probabilities, in_pools["parent"], atol=1e-6)


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
def test_pools_predict(in_pools, method, kind):
    probabilities = np.array(in_pools[f"{method}, {kind}"]).reshape(in_pools["parent"].shape)
    np.testing.assert_allclose(probabilities, in_pools["parent"], atol=1e-6)


@pytest.mark.slow
@needs_fork
def test_each_process_of_a_pool_has_one_helper_and_all_exit(in_pools):
    assert in_pools["fork, Pool, helpers"] == 1
    assert in_pools["processes exited"]


class Table:
    """A stand-in for a network that needs no TensorFlow."""

    def builder(self):
        return dict, ({"pid": os.getpid()},)


class Unbuildable:
    def builder(self):
        return int, ("not a number",)


class UnpicklableError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def raise_unpicklable(table):
    raise UnpicklableError(1, table)


def pid_after_printing(table):
    sys.stdout.write(f"printed by a helper: {table}\n")
    sys.stdout.flush()
    os.write(1, b"written by a helper\n")
    return os.getpid()


def test_refuse_does_not_raise_in_a_process_that_was_not_forked():
    assert not forked.was_forked()
    forked.refuse("anything")


def test_a_helper_answers_many_threads():
    table = Table()
    with ThreadPoolExecutor(8) as threads:
        pids = list(threads.map(lambda _: forked.ask(pid_after_printing, table), range(50)))
        assert set(threads.map(lambda _: forked.ask(operator.getitem, table, "pid"), range(50))) == {os.getpid()}
    assert len(set(pids)) == 1
    assert pids[0] != os.getpid()


def test_a_helper_handles_large_messages():
    numbers = np.arange(3_000_000)
    np.testing.assert_array_equal(forked.ask(arguments, Table(), numbers)[1], numbers)


def arguments(table, numbers):
    return table, numbers


def test_errors_in_a_helper_are_raised_with_its_traceback():
    table = Table()
    with pytest.raises(KeyError, match="missing") as caught:
        forked.ask(operator.getitem, table, "missing")
    assert "In the helper process:" in caught.value.__notes__[0]
    with pytest.raises(ForkedProcessError, match=r"UnpicklableError: 1"):
        forked.ask(raise_unpicklable, table)
    assert forked.ask(operator.getitem, table, "pid") == os.getpid()


def test_a_network_that_cannot_be_built_raises_an_error_at_each_call():
    network = Unbuildable()
    for _ in range(2):
        with pytest.raises(ValueError, match="not a number"):
            forked.ask(operator.getitem, network, "pid")


def test_a_killed_helper_is_replaced():
    table = Table()
    first = forked.ask(pid_after_printing, table)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ForkedProcessError, match="ended with exit code -9"):
        forked.ask(pid_after_printing, table)
    assert forked.ask(pid_after_printing, table) != first


@needs_fork
def test_a_helper_exits_when_its_network_is_deleted():
    table = Table()
    helper = forked.ask(pid_after_printing, table)
    assert helper in children(os.getpid())
    del table
    gc.collect()
    assert have_exited([helper])


@needs_fork
@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_helper_exits_when_its_process_exits(end):
    result = python(f"print(forked.ask(pid_after_printing, table := Table()), flush=True); {end}")
    assert "Warning" not in result.stderr
    assert have_exited([int(result.stdout)])


@needs_fork
def test_a_helper_is_not_shared_with_a_fork():
    result = python(
        """
table = Table()
own_helper = forked.ask(pid_after_printing, table)
child_helper, pid = in_a_fork(lambda: forked.ask(pid_after_printing, table))
assert own_helper != child_helper and forked.ask(pid_after_printing, table) == own_helper
if not os.fork():
    # The helper exits with its process, although this one inherited the pipes.
    os.wait4 and sys.stdin.read()
    print(own_helper, child_helper, have_exited([own_helper, child_helper]), flush=True)
    os._exit(0)
sys.stdin.close()
os._exit(0)
"""
    )
    assert result.stdout.split()[-1] == "True"


def python(code):
    """Run code in a new Python process, after importing the names of this module."""
    code = f"import os, sys; from tests.inference.test_forked import *; from tests.forking import *\n{code}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env=environment, input=""
    )
