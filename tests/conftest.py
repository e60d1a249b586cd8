from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Background jobs of a shell ignore Ctrl-C, and child processes inherit this; some tests need Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline, which would make tests fail on a busy machine.
settings.register_profile("han", deadline=None)
settings.load_profile("han")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def news():
    """BBC News articles of two classes: 40 of each for training and 15 of each for testing."""
    from han import load_dataset

    dataset = load_dataset("bbc-news")

    def pick(texts, labels, count):
        chosen = [index for name in ("business", "sports") for index in np.flatnonzero(labels == name)[:count]]
        return [texts[index] for index in chosen], labels[chosen]

    return *pick(dataset.X_train, dataset.y_train, 40), *pick(dataset.X_test, dataset.y_test, 15)


@pytest.fixture(scope="session")
def fitted(news):
    """A small classifier trained on `news`; tests must not modify it."""
    from han import HANClassifier

    settings = {"embedding_dim": 24, "units": 8, "epochs": 8, "batch_size": 8, "learning_rate": 0.01, "dropout": 0.2}
    return HANClassifier(**settings, max_sentences=600, random_state=0, verbose=0).fit(news[0], news[1])


@pytest.fixture
def as_any_user():
    """Give the superuser the permissions of an ordinary user."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """Create a folder that any user can access, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)
        Path(name).chmod(0o777)
