"""Documents for tests of encoded text."""

from __future__ import annotations

import re

import numpy as np

from han.text.corpus import Corpus
from han.text.normalization import INVISIBLE

DOCUMENTS = [
    "Dr. Smith paid £3.50. Why? “Because,” he said.\n\nA new paragraph… and 10,000 more!",
    "İstanbul'da hava güzel. Ça va? 你好。 हिन्दी भाषा। 😀😀 ok",
    "no capital letters. no end",
    "   leading and trailing   \n\n",
    "tabs\tand\r\nwindows lines.\r\nNext one.\x00NUL",
    "",
]


def corpus_from_lists(documents):
    """Return a corpus of documents given as lists of sentences of word ids."""
    sentences = [sentence for document in documents for sentence in document]
    return Corpus(
        np.array([id_ for sentence in sentences for id_ in sentence], np.int32),
        np.cumsum([0, *map(len, sentences)]),
        np.cumsum([0, *map(len, documents)]),
    )


def visible(text):
    """Return the visible characters of a text."""
    # `normalize` keeps the tags that make flags of emojis; on their own they are invisible.
    return re.sub(f"{INVISIBLE}|[\U000e0020-\U000e007f]", "", "".join(text.split()))
