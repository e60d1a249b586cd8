"""Mutation testing: whether the tests see small changes of the code: `make bench NAME=mutation`.

Cosmic Ray's operators change a module in one place at a time, in a copy of the repository, and the tests that mirror
the module run on it. A change that they let pass has survived: `mutation_survivors.toml` says why, for each.

A result is filed under the SHA-256 of the changed module, in the file that `--session` names. A run that was stopped
goes on where it was; after a change of the module, what is new is tested; after a change of the tests, `--again` tests
the survivors once more.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from benchmarks.reporting import MEASUREMENTS, RESULTS, describe, source
from benchmarks.robustness.mutants import ROOT, Mutant, mutants

# Each module is tested by what mirrors it; the examples in its documentation belong to that.
MODULES = {
    "text/sentences": ["tests/text/test_sentences.py", "tests/text/test_splitting.py", "han/text/sentences.py"],
    "text/words": ["tests/text/test_words.py", "tests/text/test_splitting.py", "han/text/words.py"],
    "text/splitting": ["tests/text/test_splitting.py", "han/text/splitting.py"],
    "text/corpus": ["tests/text/test_corpus.py"],
    "text/batches": ["tests/text/test_batches.py"],
    "files/atomic": ["tests/files/test_atomic.py"],
    "saving/keras_file": ["tests/saving/test_keras_file.py"],
    "saving/folder": ["tests/saving/test_folder.py"],
    "training/checkpoint": ["tests/training/test_checkpoint.py"],
    "layers/pooling": ["tests/layers/test_pooling.py", "tests/layers/test_layers.py", "han/layers/pooling.py"],
    "layers/encoder": ["tests/layers/test_encoder.py", "tests/layers/test_layers.py", "han/layers/encoder.py"],
}
# Imported before the fork, so that no mutant waits for them. None of them starts a thread when it is imported alone,
# or runs an operation of TensorFlow's.
HEAVY = ("tensorflow", "keras", "h5py", "pandas", "scipy.sparse", "sklearn.pipeline", "regex", "sentencex")
SESSION = ROOT / ".venv" / "mutation.jsonl"  # where it is not copied with the repository
MEMORY = 8 * 2**30  # bytes that a mutant may take
WAIT = 0.02  # seconds from one look at a mutant to the next


class Order:
    """A pytest plugin: the quickest tests first, as they were in a run before."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.before = seconds
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put those last that share a classifier, which the first of them has to train."""
        items.sort(key=lambda item: ("fitted" in getattr(item, "fixturenames", ()), self.before.get(item.nodeid, 0)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up what a test takes."""
        self.seconds[report.nodeid] += report.duration


def main() -> None:
    """Test the mutants that are not yet tested, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=[*MODULES], help=f"of {', '.join(MODULES)}")
    parser.add_argument("--session", type=Path, default=SESSION, help="file of the results so far")
    parser.add_argument("--again", action="store_true", help="test the survivors once more")
    parser.add_argument("--sample", type=int, default=10**6, help="mutants of each module, at random")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which mutants are tested")
    arguments = parser.parse_args()
    session = arguments.session.resolve()
    done = read(session)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "models"))
        for module in arguments.modules:
            chosen = mutants(module, arguments.seed)[: arguments.sample]
            again = {mutant.key for mutant in chosen if arguments.again and outcome(done, mutant) == "survived"}
            left = [mutant for mutant in chosen if mutant.key in again or mutant.key not in done]
            for mutant, found in test_all(tree, module, left):
                done[mutant.key] = {"key": mutant.key, "module": module, **found}
                with session.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done[mutant.key]) + "\n")
                if found["outcome"] == "survived":
                    print(f"survived: han/{module}.py:{mutant.line}\n- {mutant.before}\n+ {mutant.after}", flush=True)
    report(done, arguments.seed)


def read(session: Path) -> dict[str, dict[str, Any]]:
    """Return the last result of each mutant that was tested."""
    lines = session.read_text(encoding="utf-8").splitlines() if session.exists() else []
    return {found["key"]: found for found in map(json.loads, lines)}


def outcome(done: dict[str, dict[str, Any]], mutant: Mutant) -> str | None:
    """Return killed, timeout, survived, or None for a mutant that was not tested."""
    return done[mutant.key]["outcome"] if mutant.key in done else None


def test_all(tree: Path, module: str, left: list[Mutant]) -> Iterator[tuple[Mutant, dict[str, Any]]]:
    """Yield each mutant with its outcome."""
    if not left:
        return
    for name in HEAVY:
        importlib.import_module(name)
    # A busy machine is no reason for a test to fail, nor is an example that another mutant failed on.
    settings.register_profile("mutation", deadline=None, database=None)
    settings.load_profile("mutation")
    path = tree / "han" / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    run(tree, MODULES[module], 600)
    found, seconds = run(tree, MODULES[module], 600)
    if found != "survived":
        raise RuntimeError(f"the tests of {module} do not pass:\n{(tree / 'output').read_text(encoding='utf-8')}")
    # Python would take the module's cache for that of a mutant of the same size and second.
    for cache in path.parent.glob(f"__pycache__/{path.stem}.*"):
        cache.unlink()
    print(f"{module}: {len(left)} mutants, the tests take {seconds:.1f} s", flush=True)
    try:
        for mutant in left:
            path.write_text(mutant.source, encoding="utf-8")
            found, taken = run(tree, MODULES[module], 3 * seconds + 10, caching=False)
            yield mutant, {"outcome": found, "seconds": round(taken, 1)}
    finally:
        path.write_text(source, encoding="utf-8")


def run(tree: Path, tests: list[str], limit: float, *, caching: bool = True) -> tuple[str, float]:
    """Run tests in a process of their own; return survived, killed or timeout, and the seconds it took."""
    started = time.monotonic()
    child = os.fork()
    if not child:
        try:
            os._exit(_pytest(tree, tests, caching=caching))
        except BaseException:
            traceback.print_exc()
            os._exit(70)
    ended, status, waited = 0, 0, 0.0
    # By the waits, not by the clock: while somebody has this process paused, no mutant's time runs out.
    while not ended and waited < limit:
        time.sleep(WAIT)
        waited += WAIT
        ended, status = os.waitpid(child, os.WNOHANG)
    seconds = time.monotonic() - started
    with suppress(ProcessLookupError):  # and all that the tests have started
        os.killpg(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
        return "timeout", seconds
    return "killed" if status else "survived", seconds


def _pytest(tree: Path, tests: list[str], *, caching: bool) -> int:
    """Be the process that runs the tests; return pytest's exit code."""
    os.setsid()
    os.chdir(tree)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with Path("output").open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    sys.dont_write_bytecode = not caching
    if not caching:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    seconds = Path("seconds.json")
    order = Order(json.loads(seconds.read_text(encoding="utf-8")) if seconds.exists() else {})
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis has been imported already
    code = int(pytest.main([*options, *tests], [order]))
    if caching:
        seconds.write_text(json.dumps(order.seconds), encoding="utf-8")
    sys.stdout.flush()
    return code


def report(done: dict[str, dict[str, Any]], seed: int) -> None:
    """Write what all runs so far have found."""
    reasons = tomllib.loads(Path(__file__).with_name("mutation_survivors.toml").read_text(encoding="utf-8"))
    known = {(entry["before"], entry["after"]): entry for entry in reasons["survivor"]}
    table, listed, results = [], [], {}
    for module in MODULES:
        every = mutants(module, seed)
        tested = [(mutant, found) for mutant in every if (found := outcome(done, mutant))]
        survivors = sorted((mutant for mutant, found in tested if found == "survived"), key=lambda mutant: mutant.line)
        entries = [
            {"line": mutant.line, **known.get((mutant.before, mutant.after), _unexplained(mutant))}
            for mutant in survivors
        ]
        counts = Counter(found for _, found in tested)
        kinds = Counter(entry["kind"] for entry in entries)
        killed = len(tested) - len(survivors)
        tellable = len(tested) - kinds["equivalent"]
        results[module] = {
            "mutants": len(every), "tested": len(tested), "killed": counts["killed"], "timeouts": counts["timeout"],
            "survived": len(survivors), "equivalent": kinds["equivalent"], "speed": kinds["speed"],
            "score": round(killed / len(tested), 3) if tested else None,
            "score_of_tellable": round(killed / tellable, 3) if tellable else None,
            "survivors": entries,
        }  # fmt: skip
        table.append(_row(module, results[module]))
        listed += [f"\n## `han/{module}.py`"] if entries else []
        listed += [_paragraph(module, entry) for entry in entries]
    head = {"command": "make bench NAME=mutation", **describe("cosmic-ray"), "seed": seed}
    (RESULTS / "mutation.json").write_text(json.dumps({**head, "modules": results}, indent=1) + "\n", encoding="utf-8")
    text = "\n".join([HEAD, *table, "", f"{source(head)}; seed {seed}.", *listed])
    (MEASUREMENTS / "mutation.md").write_text(text + "\n", encoding="utf-8")


HEAD = """# Mutation testing

A mutant is a module with one small change, made by an operator of Cosmic Ray's; it is killed if one of the tests that
mirror the module fails, or takes three times as long as without the change and ten seconds more (timeouts). A survivor
is equivalent if no caller can tell it from the module by what it returns, writes or raises; where the difference is in
time or memory alone, its kind is "speed". Each is explained below. Where fewer mutants were tested than there are, they
are a random sample. File names and line numbers are those of the day of the measurement; they differ from
today's if the modules were reorganised since.

| module | mutants | tested | killed | timeouts | survived | equivalent | speed | score | without equivalent |
|---|---|---|---|---|---|---|---|---|---|"""


def _unexplained(mutant: Mutant) -> dict[str, str]:
    return {"before": mutant.before, "after": mutant.after, "kind": "unexplained", "why": mutant.operator}


def _row(module: str, result: dict[str, Any]) -> str:
    names = ("mutants", "tested", "killed", "timeouts", "survived", "equivalent", "speed")
    scores = ("-" if result[name] is None else f"{result[name]:.1%}" for name in ("score", "score_of_tellable"))
    return f"| `{module}.py` | " + " | ".join([*(str(result[name]) for name in names), *scores]) + " |"


def _paragraph(module: str, entry: dict[str, Any]) -> str:
    changes = f"```diff\n- {entry['before']}\n+ {entry['after']}\n```"
    return f"\n{module}.py:{entry['line']}, {entry['kind']}: {entry['why']}\n\n{changes}"


if __name__ == "__main__":
    main()
