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
from tests.forking import children, gone

ROOT = Path(__file__).parents[2]
# A machine with other work takes longer; what hangs, hangs for ever.
PATIENCE = 300

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")


def run(program, folder, tmp):
    """Return what a program of `forking.py` found, and what it wrote to standard output and standard error."""
    # Each of its processes compiles the same loops.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={tmp}"}
    file = tmp / "answer.pickle"
    command = [sys.executable, str(ROOT / "tests" / "forking.py"), program, str(folder), str(file)]
    result = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment
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
@pytest.mark.parametrize("name", ["labels", "score", "described", "errors", "warnings"])
def test_a_forked_process_says_what_its_parent_says(after_training, name):
    results, _, _ = after_training
    assert results["forked"][name] == results["here"][name]


@needs_fork
def test_probabilities_and_scores_are_the_same_after_a_fork(after_training):
    found, expected = after_training[0]["forked"], after_training[0]["here"]
    assert np.ptp(expected["probabilities"]) > 0.01
    for name in ("probabilities", "encoded", "cut"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found["of threads"], [*expected["probabilities"]] * 3, atol=1e-6)
    for method, explanations in expected["scores"].items():
        for got, wanted in zip(found["scores"][method], explanations, strict=True):
            for part, other in zip(got[:3], wanted[:3], strict=True):
                np.testing.assert_allclose(part, other, atol=1e-6, err_msg=method)
            assert got[3] == wanted[3]


@needs_fork
def test_errors_and_warnings_of_a_forked_process_are_its_own(after_training):
    found = after_training[0]["forked"]
    (no_text, _), (no_class, _) = found["errors"]
    assert (no_text[0], no_class[0]) == ("InvalidTypeError", "InvalidValueError")
    ((message, file),) = found["warnings"]
    assert "max_sentences=512" in message
    assert file == str(ROOT / "tests" / "forking.py")


@needs_fork
def test_training_is_refused_after_a_fork(after_training):
    results, _, folder = after_training
    for (kinds, message), name in zip(results["forked"]["refused"], ("fit", "partial_fit", "export"), strict=True):
        assert kinds[0] == "ForkedProcessError"
        assert message.startswith(f"HANClassifier.{name} cannot run in this process")
        assert 'multiprocessing.get_context("spawn")' in message
    assert not (folder / "forked" / "exported").exists()
    assert not results["was_forked"]


@needs_fork
def test_a_forked_process_saves_and_loads(after_training):
    results, _, folder = after_training
    found, expected = results["forked"], results["here"]
    np.testing.assert_allclose(found["copied"], expected["probabilities"], atol=1e-6)
    assert found["copied, described"] == expected["described"]["weights"]
    written, again, here = (folder / name for name in ("forked", "forked/again", "here"))
    assert (again / "model.keras").read_bytes() == (written / "model.keras").read_bytes()
    for name in ("vocabulary.json", "settings.json"):
        assert (written / name).read_bytes() == (here / name).read_bytes()


@needs_fork
def test_helpers_belong_to_one_process_and_end_with_it(after_training):
    results, output, _ = after_training
    first, both = results["forked"]["helpers"]
    assert (len(first), len(both)) == (1, 2)
    assert results["gone"]
    assert output.stdout == ""


@needs_fork
def test_a_process_forked_before_tensorflow_works_needs_no_helper(in_pools):
    probabilities, was_forked = in_pools["early"]
    assert not was_forked
    np.testing.assert_allclose(probabilities, in_pools["here"], atol=1e-6)


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
def test_pools_predict(in_pools, method, kind):
    found = np.array(in_pools[f"{method}, {kind}"]).reshape(in_pools["here"].shape)
    np.testing.assert_allclose(found, in_pools["here"], atol=1e-6)


@needs_fork
def test_a_pool_leaves_nothing_and_has_a_helper_for_each_process(in_pools):
    assert in_pools["fork, Pool, helpers"] == 1
    assert in_pools["gone"]


class Table:
    """What a helper can hold without TensorFlow."""

    def builder(self):
        return dict, ({"here": os.getpid()},)


class Unmade:
    def builder(self):
        return int, ("no number",)


class AwkwardError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def raise_awkwardly(table):
    raise AwkwardError(1, table)


def process_after_printing(table):
    sys.stdout.write(f"printed by a helper: {table}\n")
    sys.stdout.flush()
    os.write(1, b"written by a helper\n")
    return os.getpid()


def test_nothing_is_refused_in_a_process_that_was_not_forked():
    assert not forked.was_forked()
    forked.refuse("anything")


def test_a_helper_answers_many_threads():
    table = Table()
    with ThreadPoolExecutor(8) as threads:
        pids = list(threads.map(lambda _: forked.ask(process_after_printing, table), range(50)))
        assert set(threads.map(lambda _: forked.ask(operator.getitem, table, "here"), range(50))) == {os.getpid()}
    assert len(set(pids)) == 1
    assert pids[0] != os.getpid()


def test_a_helper_carries_large_messages():
    numbers = np.arange(3_000_000)
    np.testing.assert_array_equal(forked.ask(both, Table(), numbers)[1], numbers)


def both(table, numbers):
    return table, numbers


def test_errors_come_back_with_where_they_happened():
    table = Table()
    with pytest.raises(KeyError, match="there") as caught:
        forked.ask(operator.getitem, table, "there")
    assert "In the helper process:" in caught.value.__notes__[0]
    with pytest.raises(ForkedProcessError, match=r"AwkwardError: 1"):
        forked.ask(raise_awkwardly, table)
    assert forked.ask(operator.getitem, table, "here") == os.getpid()


def test_a_network_that_cannot_be_made_is_an_error_each_time():
    unmade = Unmade()
    for _ in range(2):
        with pytest.raises(ValueError, match="no number"):
            forked.ask(operator.getitem, unmade, "here")


def test_another_helper_follows_one_that_was_killed():
    table = Table()
    first = forked.ask(process_after_printing, table)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ForkedProcessError, match="ended with exit code -9"):
        forked.ask(process_after_printing, table)
    assert forked.ask(process_after_printing, table) != first


@needs_fork
def test_a_helper_ends_with_its_network():
    table = Table()
    helper = forked.ask(process_after_printing, table)
    assert helper in children(os.getpid())
    del table
    gc.collect()
    assert gone([helper])


@needs_fork
@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_helper_ends_with_its_process(end):
    result = python(f"print(forked.ask(process_after_printing, table := Table()), flush=True); {end}")
    assert "Warning" not in result.stderr
    assert gone([int(result.stdout)])


@needs_fork
def test_a_helper_is_not_shared_with_a_further_fork():
    result = python(
        """
table = Table()
mine = forked.ask(process_after_printing, table)
theirs, pid = in_a_fork(lambda: forked.ask(process_after_printing, table))
assert mine != theirs and forked.ask(process_after_printing, table) == mine
if not os.fork():
    # The helper goes with its own process, though one is left that has the pipes too.
    os.wait4 and sys.stdin.read()
    print(mine, theirs, gone([mine, theirs]), flush=True)
    os._exit(0)
sys.stdin.close()
os._exit(0)
"""
    )
    assert result.stdout.split()[-1] == "True"


def python(code):
    """Run code after the imports of this module in a Python of its own."""
    code = f"import os, sys; from tests.inference.test_forked import *; from tests.forking import *\n{code}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env=environment, input=""
    )
