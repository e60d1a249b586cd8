from __future__ import annotations

import pytest

from han.data.duplicates import warn_of_conflicts
from han.exceptions import TrainingWarning


def warn(texts, labels):
    warn_of_conflicts(texts, labels.__getitem__, "both are kept")


def test_the_warning_counts_documents_and_shows_the_first():
    texts = ["once", "agrees", "late ", "early", "agrees", "early\n", " early", "late"]
    with pytest.warns(TrainingWarning) as caught:
        warn(texts, [1, 2, 3, 4, 2, 4, 5, 6])
    assert str(caught[0].message) == (
        "5 documents have the same text as another one but a different label; both are kept; the first is 'late ', "
        "labelled [3, 6]"
    )
    assert caught[0].filename == __file__


def test_long_texts_are_abbreviated():
    with pytest.warns(TrainingWarning, match=r"the first is 'word word .{40,60}\.\.\., labelled \[\['a'\], \[\]\]$"):
        warn(["word " * 10_000] * 2, [["a"], []])


def test_documents_with_equal_labels_cause_no_warning():
    warn(["a", "a", "b", "b "], [["x"], ["x"], [], []])
    warn([], [])


def test_labels_are_looked_up_only_for_repeated_documents():
    looked_up = []
    texts = [str(index % 9_000) for index in range(10_000)]
    warn_of_conflicts(texts, looked_up.append, "both are kept")
    assert sorted(looked_up) == [*range(1_000), *range(9_000, 10_000)]
