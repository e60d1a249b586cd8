"""Fits or predicts documents of 20,000 words, and writes what that took and what it was expected to take, in bytes.

Arguments: "fit" or "predict", and hyper-parameters as a JSON object. The peak is that of this process alone, on Linux,
beside what it held before.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from han import HANClassifier
from han.exceptions import MemoryLimitWarning
from han.hyperparameters import Hyperparameters
from han.inference.prediction import CHUNK, predict
from han.memory.limits import find_limit
from han.memory.planning import (
    CORPUS_WORD,
    FIXED_TRAINING,
    NetworkSize,
    plan_prediction,
    prediction_cost,
    training_cost,
    words_per_character,
)
from han.model import HierarchicalAttentionNetwork
from han.text.reader import DocumentReader

DOCUMENTS, WORDS, DISTINCT = 8, 20_000, 3000


def held(name):
    """Return VmRSS, what the process holds, or VmHWM, the most that it has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def measured(work):
    """Do the work, and return the bytes that it took at its peak and the number of warnings about memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = held("VmRSS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    of_memory = [warning for warning in caught if issubclass(warning.category, MemoryLimitWarning)]
    return {"peak": held("VmHWM") - before, "warnings": len(of_memory)}


def fit(texts, settings):
    classifier = HANClassifier(**settings)
    result = measured(lambda: classifier.fit(texts, [0, 1] * (DOCUMENTS // 2)))
    network = NetworkSize.of(classifier.model_.get_config())
    corpus = classifier.reader().encode(texts)
    step, _ = training_cost(network, corpus, classifier.batch_size)
    estimate = FIXED_TRAINING + network.training_table + CORPUS_WORD * len(corpus.word_ids) + step
    return {**result, "estimate": estimate}


def predict_untrained(texts, settings):
    """Predict with a network as it begins: a fit before would have compiled and allocated most of what is measured."""
    classifier = HANClassifier(**settings)
    splitter = Hyperparameters.check(classifier.get_params()).splitter()
    reader, _ = DocumentReader.learn(texts, splitter, 1, None)
    model = HierarchicalAttentionNetwork(reader.vocabulary.size, 2, classifier.embedding_dim, classifier.units)
    model.build((None, None, None))

    def work():
        limit = find_limit(classifier.memory_limit)
        plan = plan_prediction(NetworkSize.of(model.get_config()), texts, chunk=CHUNK, splitter=splitter, limit=limit)
        predict(model, texts, reader, plan)

    estimate, _ = prediction_cost(
        NetworkSize.of(model.get_config()), texts, chunk=CHUNK, max_sentences=splitter.max_sentences,
        density=words_per_character(texts, splitter),
    )  # fmt: skip
    return {**measured(work), "estimate": estimate}


def main():
    settings = {
        "epochs": 1, "batch_size": DOCUMENTS, "validation_fraction": 0.0, "ngram_evidence": False,
        "max_sentences": WORDS // 20, "random_state": 0, "verbose": 0,
    } | json.loads(sys.argv[2])  # fmt: skip
    rng = np.random.default_rng(0)
    sentences = rng.integers(0, DISTINCT, (DOCUMENTS, WORDS // 20, 20)).tolist()
    texts = [". ".join(" ".join(f"w{word}" for word in words) for words in document) for document in sentences]
    result = (fit if sys.argv[1] == "fit" else predict_untrained)(texts, settings)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
