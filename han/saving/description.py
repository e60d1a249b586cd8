"""Descriptions of a fitted classifier: for people, and for programs that tokenize documents without `han`."""

from __future__ import annotations

from typing import Any

import numpy as np

from han.fitted import FittedClassifier
from han.hyperparameters import Hyperparameters
from han.saving.functions import function_name
from han.text.normalization import INVISIBLE, PLAIN, SHAPES
from han.text.vocabulary import FIRST_WORD_ID, PADDING_ID, UNKNOWN_ID
from han.text.words import WORD_PATTERN


def describe(fitted: FittedClassifier, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return classes, sizes, training results and hyper-parameters; see `HANClassifier.describe`."""
    history, labels = fitted.history, fitted.labels
    facts: dict[str, Any] = {
        "classes": dict(zip(map(str, labels.classes.tolist()), fitted.class_count.tolist(), strict=True)),
        "multi_label": labels.multi_label,
        "training_documents": fitted.n_samples,
        "known_words": len(fitted.vocabulary),
        "ngrams": fitted.network.get_config()["ngrams"],
        "weights": int(fitted.network.count_params()),
        "epochs": len(history.get("loss", [])),
    }
    if "val_loss" in history:
        # `monitor` may have been changed since.
        monitor = hyperparameters.monitor if f"val_{hyperparameters.monitor}" in history else "loss"
        monitored = np.array(history[f"val_{monitor}"])
        best = int(monitored.argmin() if monitor == "loss" else monitored.argmax())
        facts["validation"] = {
            name.removeprefix("val_"): values[best] for name, values in history.items() if name.startswith("val_")
        }
    if fitted.embedding_coverage is not None:
        facts["words_with_a_vector"] = fitted.embedding_coverage
    if fitted.mixture is not None:
        facts["mixture"] = fitted.mixture._asdict()
    if fitted.temperature != 1.0:
        facts["temperature"] = fitted.temperature
    return {**facts, "parameters": hyperparameters.as_dict()}


def tokenizer_settings(fitted: FittedClassifier, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return everything that turns documents into word ids, as `HANClassifier.export` writes it."""
    splitter, tokenizer = hyperparameters.sentence_splitter, hyperparameters.tokenizer
    return {
        "max_sentences": hyperparameters.max_sentences,
        "max_words": hyperparameters.max_words,
        "language": hyperparameters.language,
        "sentence_splitter": splitter and function_name(splitter),
        "tokenizer": tokenizer and function_name(tokenizer),
        **({} if tokenizer else {"word_pattern": WORD_PATTERN}),
        "lower_case": True,
        "normalization": {"invisible": INVISIBLE, "shapes": SHAPES, "plain": PLAIN},
        "padding_id": PADDING_ID,
        "unknown_id": UNKNOWN_ID,
        "first_word_id": FIRST_WORD_ID,
        "classes": fitted.labels.classes.tolist(),
        "thresholds": fitted.thresholds.tolist() if fitted.labels.multi_label else None,
        "words": fitted.vocabulary.words,
    }
