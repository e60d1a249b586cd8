"""Programs that fork; `test_forked.py` runs each in a new process."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import psutil

SMALL = {"embedding_dim": 8, "units": 4, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
TEXTS = ["A fine film. I liked it.", "A dull film. I slept."] * 10
LABELS = ["good", "bad"] * 10
QUERIES = ["I liked it. It is fine.", "", "Dull. I slept.", "A film of nothing known."]
METHODS = ("attention", "gradient_x_input", "integrated_gradients", "occlusion")
# For functions that run in a pool.
classifier = None


def in_a_fork(function, *args):
    """Run a function in a forked process; return its result or exception, and the process id."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.close(reading)
            try:
                result = function(*args)
            except Exception as error:
                result = error
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(result, pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return pickle.loads(content), pid  # noqa: S301


def children(pid):
    """Return the ids of the running child processes of a process."""
    return [process.pid for process in psutil.Process(pid).children()]


def have_exited(pids):
    """Wait for up to 20 seconds; return whether all processes have exited."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(map(psutil.pid_exists, pids)):
            return True
        time.sleep(0.1)
    return False


def scores(explanations):
    return [(part.word_scores, part.sentence_scores, part.probabilities, part.target) for part in explanations]


def error_of(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return [kind.__name__ for kind in type(error).__mro__], str(error)
    return None


def outputs(trained, folder):
    """Return the outputs of every method of a trained classifier in this process, and save it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "1 of 1 documents")
        results = {
            "probabilities": trained.predict_proba(QUERIES),
            "labels": trained.predict(QUERIES).tolist(),
            "score": trained.score(TEXTS, LABELS),
            "scores": {method: scores(trained.explain(QUERIES, method=method, n_steps=4)) for method in METHODS},
            "encoded": trained.encode(QUERIES),
            "summary": {name: value for name, value in trained.describe().items() if name != "parameters"},
            "errors": [error_of(trained.predict, [3]), error_of(trained.explain, TEXTS, target="no such class")],
            "truncated": trained.predict_proba(["So. " * 600]),
        }
        trained.save(folder)
    return results | {"warnings": [(str(warning.message), warning.filename) for warning in caught]}


def outputs_after_fork(trained, folder):
    """Call every method in a forked process, including those that are refused."""
    from han import HANClassifier

    results = outputs(trained, folder)
    helpers = children(os.getpid())
    with ThreadPoolExecutor(4) as threads:
        results["threads"] = list(threads.map(lambda text: trained.predict_proba([text])[0], QUERIES * 3))
    results["refused"] = [
        error_of(trained.fit, TEXTS, LABELS),
        error_of(trained.partial_fit, TEXTS, LABELS),
        error_of(trained.export, folder / "exported"),
    ]
    reloaded = HANClassifier.load(folder, tokenizer=trained.tokenizer)
    results["reloaded"] = reloaded.predict_proba(QUERIES)
    results["reloaded weights"] = reloaded.describe()["weights"]
    reloaded.save(folder / "again")
    return results | {"helpers": [helpers, children(os.getpid())]}


def after_training(folder):
    """Train a classifier, then fork."""
    from han import HANClassifier
    from han.inference.forked import was_forked

    # A lambda cannot be pickled, and does not have to be.
    trained = HANClassifier(**SMALL, tokenizer=lambda sentence: sentence.split())
    trained.partial_fit(TEXTS, LABELS, classes=["bad", "good"])
    results, child = in_a_fork(outputs_after_fork, trained, folder / "forked")
    return {
        "child": results,
        "parent": outputs(trained, folder / "parent"),
        "was_forked": was_forked(),
        "helpers exited": have_exited([child, *results["helpers"][-1]]),
    }


def predict_inherited(text):
    return classifier.predict_proba([text])[0]


def in_pools(folder):
    """Fork before TensorFlow is initialised, then load a classifier and predict in pools of each kind."""
    global classifier
    from han import HANClassifier
    from han.inference.forked import was_forked

    HANClassifier.load  # noqa: B018 TensorFlow is imported, but not initialised
    early, _ = in_a_fork(lambda: (HANClassifier.load(folder).predict_proba(QUERIES), was_forked()))
    classifier = HANClassifier.load(folder)
    results = {"early": early, "parent": classifier.predict_proba(QUERIES), "threads": threading.active_count()}
    fork, spawn = (multiprocessing.get_context(method) for method in ("fork", "spawn"))
    parts = [[text] for text in QUERIES]
    with fork.Pool(1) as pool:
        # The classifier is pickled with its method, once per task.
        results["fork, Pool"] = pool.map(classifier.predict_proba, parts, chunksize=1)
        results["fork, Pool, helpers"] = len(pool.apply(children, [pool.apply(os.getpid)]))
        started = [pid for worker in children(os.getpid()) for pid in [worker, *children(worker)]]
    with ProcessPoolExecutor(1, mp_context=fork) as pool:
        results["fork, ProcessPoolExecutor"] = list(pool.map(predict_inherited, QUERIES))
        started += [pid for worker in children(os.getpid()) for pid in [worker, *children(worker)]]
    results["processes exited"] = have_exited(started)
    with spawn.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=spawn) as executor:
        pending = pool.map_async(classifier.predict_proba, parts)
        results["spawn, ProcessPoolExecutor"] = list(executor.map(classifier.predict_proba, parts))
        results["spawn, Pool"] = pending.get()
    return results


if __name__ == "__main__":
    import faulthandler

    faulthandler.dump_traceback_later(110)
    program, folder, file = sys.argv[1:]
    result = {"after_training": after_training, "in_pools": in_pools}[program](Path(folder))
    Path(file).write_bytes(pickle.dumps(result))
