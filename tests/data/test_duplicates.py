from __future__ import annotations

import time

import pytest

from han.data.duplicates import warn_of_conflicts
from han.exceptions import TrainingWarning


def warn(texts, labels):
    warn_of_conflicts(texts, labels.__getitem__, "so what")


def test_documents_with_different_labels_are_counted_and_the_first_is_shown():
    texts = ["once", "agrees", "late ", "early", "agrees", "early\n", " early", "late"]
    with pytest.warns(TrainingWarning) as caught:
        warn(texts, [1, 2, 3, 4, 2, 4, 5, 6])
    assert str(caught[0].message) == (
        "5 documents have the text of another one and not its label; so what; the first is 'late ', labelled [3, 6]"
    )
    assert caught[0].filename == __file__


def test_long_texts_are_shown_shortened():
    with pytest.warns(TrainingWarning, match=r"the first is 'word word .{40,60}\.\.\., labelled \[\['a'\], \[\]\]$"):
        warn(["word " * 10_000] * 2, [["a"], []])


def test_documents_that_agree_are_no_reason_to_warn():
    warn(["a", "a", "b", "b "], [["x"], ["x"], [], []])
    warn([], [])


def test_many_documents_are_compared_in_no_time():
    texts = [f"{index} and more of it" * 50 for index in range(25_000)]
    started = time.perf_counter()
    warn(texts, [0] * 25_000)
    assert time.perf_counter() - started < 1  # 0.03 s, where nothing else runs
