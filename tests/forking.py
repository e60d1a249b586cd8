"""Programs that fork, for `test_forked.py`, which runs them in processes of their own."""

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
ASKED = ["I liked it. It is fine.", "", "Dull. I slept.", "A film of nothing known."]
METHODS = ("attention", "gradient_x_input", "integrated_gradients", "occlusion")
# For functions that a pool runs.
classifier = None


def in_a_fork(function, *args):
    """Return what a function returns, or the exception it raises, in a forked process, and that process's id."""
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
    """Return the processes that a process has started and that are there yet."""
    return [process.pid for process in psutil.Process(pid).children()]


def gone(pids):
    """Return whether processes end within some seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
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


def work(trained, folder):
    """Return what a trained classifier gives in this process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "1 of 1 documents")
        found = {
            "probabilities": trained.predict_proba(ASKED),
            "labels": trained.predict(ASKED).tolist(),
            "score": trained.score(TEXTS, LABELS),
            "scores": {method: scores(trained.explain(ASKED, method=method, n_steps=4)) for method in METHODS},
            "encoded": trained.encode(ASKED),
            "described": {name: value for name, value in trained.describe().items() if name != "parameters"},
            "errors": [error_of(trained.predict, [3]), error_of(trained.explain, TEXTS, target="no such class")],
            "cut": trained.predict_proba(["So. " * 600]),
        }
        trained.save(folder)
    return found | {"warnings": [(str(warning.message), warning.filename) for warning in caught]}


def all_there_is(trained, folder):
    """Do all that can be done in a forked process, and all that cannot."""
    from han import HANClassifier

    found = work(trained, folder)
    helpers = children(os.getpid())
    with ThreadPoolExecutor(4) as threads:
        found["of threads"] = list(threads.map(lambda text: trained.predict_proba([text])[0], ASKED * 3))
    found["refused"] = [
        error_of(trained.fit, TEXTS, LABELS),
        error_of(trained.partial_fit, TEXTS, LABELS),
        error_of(trained.export, folder / "exported"),
    ]
    copied = HANClassifier.load(folder, tokenizer=trained.tokenizer)
    found["copied"] = copied.predict_proba(ASKED)
    found["copied, described"] = copied.describe()["weights"]
    copied.save(folder / "again")
    return found | {"helpers": [helpers, children(os.getpid())]}


def after_training(folder):
    """Train, fork."""
    from han import HANClassifier
    from han.inference.forked import was_forked

    # A function without a name cannot be pickled, and need not.
    trained = HANClassifier(**SMALL, tokenizer=lambda sentence: sentence.split())
    trained.partial_fit(TEXTS, LABELS, classes=["bad", "good"])
    found, child = in_a_fork(all_there_is, trained, folder / "forked")
    return {
        "forked": found,
        "here": work(trained, folder / "here"),
        "was_forked": was_forked(),
        "gone": gone([child, *found["helpers"][-1]]),
    }


def ask_inherited(text):
    return classifier.predict_proba([text])[0]


def in_pools(folder):
    """Fork before TensorFlow works, then load a classifier and ask it from pools of each kind."""
    global classifier
    from han import HANClassifier
    from han.inference.forked import was_forked

    HANClassifier.load  # noqa: B018 TensorFlow is imported, and does nothing yet
    early, _ = in_a_fork(lambda: (HANClassifier.load(folder).predict_proba(ASKED), was_forked()))
    classifier = HANClassifier.load(folder)
    results = {"early": early, "here": classifier.predict_proba(ASKED), "threads": threading.active_count()}
    fork, spawn = (multiprocessing.get_context(method) for method in ("fork", "spawn"))
    parts = [[text] for text in ASKED]
    with fork.Pool(1) as pool:
        # The method takes the classifier along, anew for each task.
        results["fork, Pool"] = pool.map(classifier.predict_proba, parts, chunksize=1)
        results["fork, Pool, helpers"] = len(pool.apply(children, [pool.apply(os.getpid)]))
        started = [pid for worker in children(os.getpid()) for pid in [worker, *children(worker)]]
    with ProcessPoolExecutor(1, mp_context=fork) as pool:
        results["fork, ProcessPoolExecutor"] = list(pool.map(ask_inherited, ASKED))
        started += [pid for worker in children(os.getpid()) for pid in [worker, *children(worker)]]
    results["gone"] = gone(started)
    with spawn.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=spawn) as executor:
        one = pool.map_async(classifier.predict_proba, parts)
        results["spawn, ProcessPoolExecutor"] = list(executor.map(classifier.predict_proba, parts))
        results["spawn, Pool"] = one.get()
    return results


if __name__ == "__main__":
    import faulthandler

    faulthandler.dump_traceback_later(110)
    program, folder, file = sys.argv[1:]
    answer = {"after_training": after_training, "in_pools": in_pools}[program](Path(folder))
    Path(file).write_bytes(pickle.dumps(answer))
