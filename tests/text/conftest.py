from __future__ import annotations

import pytest
import sentencex

from han.text import sentences


@pytest.fixture
def segmented(monkeypatch):
    """The numbers of characters in which sentences have been searched, one for each call."""
    sizes = []

    class Counting:
        @staticmethod
        def segment(language, text):
            sizes.append(len(text))
            return sentencex.segment(language, text)

    monkeypatch.setattr(sentences, "sentencex", Counting)
    return sizes
