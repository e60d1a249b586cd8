"""Inputs that a generator makes up, given to `fit`, `predict_proba` and `explain`: `make bench NAME=generated`.

Hypothesis makes documents, labels, weights and hyper-parameters, right ones and wrong ones. Each call must give a right
result, or raise an error of the project's own, within ten seconds; and `fit` that fails must leave the classifier as it
was. A result is right if probabilities are finite and sum to one, do not depend on the other documents, and if scores
are finite and stand where their words do.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.reporting import describe, peak_memory, store
from han import HANClassifier
from han.backend import keras
from han.exceptions import HANError

LIMIT = 10.0  # seconds that a call may take
WORDS = ["good", "bad", "film", "Film", "dull", "don't", "3.5", "日本", "हिन्दी", "🙂", "the"]
SENTENCES = st.lists(st.sampled_from([*WORDS, ".", "!", "\n", ","]), max_size=12).map(" ".join)
ODD_TEXTS = st.text(max_size=40) | st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["", " ", "\0", "\n\n", "." * 300, "good " * 300, "\ud800", "a" * 5000, "\r\nfilm\r", "\u202e\u200d"]
)  # fmt: skip
SPLIT = st.lists(SENTENCES, max_size=4) | st.lists(st.lists(st.sampled_from(WORDS), max_size=5), max_size=4)
DOCUMENTS = SENTENCES | SENTENCES | ODD_TEXTS | SPLIT
WRONG = st.none() | st.integers() | st.floats() | st.binary(max_size=5) | st.just([1]) | st.just({"a": 1})
RIGHT_LABELS = [
    st.sampled_from(["a", "b"]),
    st.sampled_from(["a", "b", "c", ""]),
    st.integers(-2, 2),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
    st.lists(st.integers(0, 1), min_size=3, max_size=3),
]
WRONG_LABELS = [st.sampled_from(["a", "b", None, 3, 1.5, float("nan")]), st.floats(), WRONG]
CONTAINERS: st.SearchStrategy[Callable[[list[Any]], Any]] = st.sampled_from(
    [
        list,
        list,
        tuple,
        lambda items: pd.Series(items, dtype=object),
        lambda items: np.array([*items, None], object)[:-1],
    ]
)
# Hyper-parameters of which some are wrong; the first of each is the default, or small.
HYPERPARAMETERS: dict[str, list[Any]] = {
    "units": [2, 1, 3, 0, -1, "2", None],
    "embedding_dim": [3, 1, 0],
    "cell": ["lstm", "gru", "rnn"],
    "pooling": ["attention", "mean", "max", 3],
    "residual": [True, False, None],
    "ngram_evidence": [True, False],
    "dropout": [0.5, 0.0, 1.0, -0.1, float("nan")],
    "sentence_dropout": [0.0, 0.9],
    "word_dropout": [0.4, 0.0],
    "recurrent_dropout": [0.0, 0.5],
    "learning_rate": [2e-3, 1e30, 0.0, float("inf")],
    "averaging": [0.995, 0.0],
    "batch_size": [8, 1, 1000, 0],
    "validation_fraction": [0.1, 0.0, 0.5, 1.0],
    "calibrate": [False, True],
    "tune_thresholds": [False, True],
    "class_weight": [None, "balanced", {"a": 2.0}, {"z": 1.0}, {"a": -1}],
    "min_count": [1, 2, 100, 0],
    "max_vocabulary": [30_000, None, 1, 0],
    "max_sentences": [512, 1, 2, 0],
    "max_words": [50, 1, 3, 0],
    "language": ["en", "zh", "xx", "English"],
    "monitor": ["loss", "accuracy", "macro_f1", "f1"],
    "memory_limit": [None, "1GB", "10MB", -1, "much"],
    "random_state": [0, None, -1],
}


@st.composite
def texts(draw: st.DrawFn, fewest: int = 1, most: int = 12) -> Any:
    """Return documents in a container; in one of some ten cases with something in it that is no document, or none."""
    odd = draw(st.integers(0, 19))
    documents = DOCUMENTS | WRONG if odd == 19 else DOCUMENTS
    found = draw(st.lists(documents, min_size=0 if odd == 18 else fewest, max_size=most))
    return draw(WRONG) if odd == 17 else draw(CONTAINERS)(found)


@st.composite
def trainings(draw: st.DrawFn) -> tuple[dict[str, Any], Any, Any, Any]:
    """Return hyper-parameters, documents, labels and weights."""
    parameters = {}
    for name in draw(st.lists(st.sampled_from(sorted(HYPERPARAMETERS)), max_size=2)):
        parameters[name] = draw(st.sampled_from(HYPERPARAMETERS[name]))
    documents = draw(texts(4, 16))
    odd = draw(st.integers(0, 19))
    count = (len(documents) if hasattr(documents, "__len__") else 3) + (odd == 19)
    label = draw(st.sampled_from(WRONG_LABELS if odd == 18 else RIGHT_LABELS))
    labels = draw(CONTAINERS)(draw(st.lists(label, min_size=count, max_size=count)))
    weights: Any = None
    if odd in (15, 16):
        weights = draw(st.lists(st.floats(0, 3), min_size=count, max_size=count))
    elif odd == 17:
        weights = draw(WRONG)
    return parameters, documents, labels, weights


class Counts:
    """How calls ended; what should not be is printed."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.slowest = 0.0
        self.wrong: list[str] = []

    def call(self, function: Callable[[], Any], check: Callable[[Any], str | None], shown: object) -> None:
        """Call a function, and count how it ended."""
        end, result, fault = "right", None, None
        started = time.monotonic()
        faulthandler.dump_traceback_later(20 * LIMIT, exit=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = function()
        except HANError as error:
            end = "refused"
            self.errors[type(error).__name__] += 1
        except Exception as error:
            end, fault = "other error", f"{type(error).__name__}: {error}"
        finally:
            faulthandler.cancel_dump_traceback_later()
        seconds = time.monotonic() - started
        if fault is None:
            try:
                fault = check(result)
            except Exception as error:
                fault = f"{type(error).__name__} afterwards: {error}"
            end = end if fault is None else "wrong"
        self.slowest = max(self.slowest, seconds)
        if seconds > LIMIT:
            self.ends["slow"] += 1
            print(f"{seconds:.1f} s: {str(shown)[:300]!r}", flush=True)
        self.ends[end] += 1
        if fault is not None:
            self.wrong.append(f"{fault}: {str(shown)[:300]!r}")
            print(f"{end}: {self.wrong[-1]}", flush=True)


def main() -> None:
    """Generate, call, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="a twentieth to fit")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    fitted = HANClassifier(embedding_dim=4, units=3, epochs=2, random_state=0, verbose=0)
    fitted.fit(["A good film. I liked it.", "A bad film.", "日本 good 🙂", "don't the 3.5"] * 10, [*"abca"] * 10)
    shares = {"fit": 0.05, "predict_proba": 0.6, "explain": 0.35}
    results: dict[str, Any] = {}
    for name, share in shares.items():
        counts = Counts()
        examples = max(round(share * arguments.inputs), 1)
        options = settings(
            max_examples=examples, deadline=None, database=None, phases=[Phase.generate], print_blob=False,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        seed(arguments.seed)(options(CALLS[name](fitted, counts)))()
        results[name] = {
            "inputs": sum(counts.ends[end] for end in ("right", "refused", "wrong", "other error")),
            **counts.ends,
            "slowest_seconds": round(counts.slowest, 2),
            "errors": dict(counts.errors),
            "faults": counts.wrong,
        }
        print(name, results[name]["inputs"], dict(counts.ends), f"{peak_memory():.0f} MB", flush=True)
    head = "| | inputs | right result | rejected with an error of `han` | wrong result, or a changed classifier "
    lines = [head + "| other errors | over 10 s | slowest |", "|---|---|---|---|---|---|---|---|"]
    for name, found in results.items():
        ends = [found.get(end, 0) for end in ("inputs", "right", "refused", "wrong", "other error", "slow")]
        numbers = " | ".join(f"{number:,}" for number in ends)
        lines.append(f"| `{name}` | {numbers} | {found['slowest_seconds']:.1f} s |")
    setting = {"setting": f"seed {arguments.seed}", "spread": "one run"}
    store("generated", {"command": "make bench NAME=generated", **describe("hypothesis"), **setting, **results}, lines)


def fit_calls(fitted: HANClassifier, counts: Counts) -> Callable[[], None]:
    """Return a test of `fit` on a classifier that is fitted already."""
    before = {name: getattr(fitted, name) for name in vars(fitted) if name.endswith("_")}
    weights = fitted.model_.get_weights()

    @given(trainings())
    def test(training: tuple[dict[str, Any], Any, Any, Any]) -> None:
        parameters, documents, labels, sample_weight = training
        classifier = HANClassifier(**{"units": 2, "embedding_dim": 3, "epochs": 1, "verbose": 0, **parameters})
        classifier.__dict__.update(before)

        def check(result: HANClassifier | None) -> str | None:
            if result is None:
                changed = [name for name, value in before.items() if getattr(classifier, name) is not value]
                same = all(map(np.array_equal, fitted.model_.get_weights(), weights))
                return None if same and not changed else f"changed: {changed}, weights {'same' if same else 'changed'}"
            return wrong_probabilities(result, documents, result.predict_proba(documents))

        counts.call(lambda: classifier.fit(documents, labels, sample_weight), check, training)
        if sum(counts.ends.values()) % 50 == 0:
            keras.backend.clear_session()
            gc.collect()

    return test


def predict_calls(fitted: HANClassifier, counts: Counts) -> Callable[[], None]:
    """Return a test of `predict_proba`."""

    @given(texts())
    def test(documents: Any) -> None:
        def check(found: Any) -> str | None:
            return None if found is None else wrong_probabilities(fitted, documents, found)

        counts.call(lambda: fitted.predict_proba(documents), check, documents)

    return test


def explain_calls(fitted: HANClassifier, counts: Counts) -> Callable[[], None]:
    """Return a test of `explain`."""
    methods = st.sampled_from(["attention", "gradient_x_input", "integrated_gradients", "occlusion", "guess"])
    targets = st.sampled_from([None, None, "a", "b", "z", 3])

    @given(texts(1, 4), methods, targets)
    def test(documents: Any, method: str, target: Any) -> None:
        def check(found: Any) -> str | None:
            if found is None:
                return None
            for explanation in found:
                frame = explanation.to_frame()
                places = zip(frame["word"], frame["start"], frame["end"], strict=True)
                if any(explanation.text[start:end] != word for word, start, end in places):
                    return "words that are not where they are said to be"
                scores = frame["word_score"].to_numpy(float)
                if not np.isfinite(scores).all():
                    return "scores that are not finite"
                if method == "attention" and not np.allclose(
                    frame.groupby("sentence")["word_score"].sum(), 1, atol=1e-4
                ):
                    return "attention that does not sum to one"
            return None

        shown = (documents, method, target)
        counts.call(lambda: fitted.explain(documents, method=method, target=target, n_steps=4), check, shown)

    return test


CALLS: dict[str, Callable[[HANClassifier, Counts], Callable[[], None]]] = {
    "fit": fit_calls,
    "predict_proba": predict_calls,
    "explain": explain_calls,
}


def wrong_probabilities(classifier: HANClassifier, documents: Any, found: Any) -> str | None:
    """Return what is wrong with probabilities."""
    if found.shape != (len(documents), len(classifier.classes_)):
        return f"shape {found.shape}"
    if not np.isfinite(found).all() or found.min(initial=0) < 0 or found.max(initial=0) > 1 + 1e-6:
        return "probabilities that are none"
    if not classifier.label_encoder_.multi_label and not np.allclose(found.sum(axis=1), 1, atol=1e-5):
        return "probabilities that do not sum to one"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = classifier.predict_proba([list(documents)[-1]])
    return None if np.allclose(alone[0], found[-1], atol=1e-5) else "another probability alone than in company"


if __name__ == "__main__":
    main()
