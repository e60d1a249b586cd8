"""The labelled documents that accuracy is measured on, split into training and test parts.

IMDB and BBC News come from packages. The others are read from a folder of research data beside the repository, or the
one that the environment variable HAN_DATA names, and are left out where there is none.
"""

from __future__ import annotations

import json
import lzma
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han import load_dataset
from han.data.labels import LabelEncoder
from han.data.splits import strata, stratified_split

SHARED = Path(os.environ.get("HAN_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = {
    "movie-polarity-2000": "movie-polarity-2000.jsonl.xz",
    "amazon-multidomain": "amazon-multidomain.jsonl.xz",
    "20newsgroups": "20newsgroups-train.jsonl.xz",
}
REUTERS = "reuters-modapte-train.jsonl.xz"
NAMES = ("imdb", "bbc-news", *FILES)
# The data set with published folds, and how many.
FOLDED, FOLDS = "movie-polarity-2000", 10
TEST_FRACTION = 0.2
SPLIT_SEED = 0
# A line of another message, as news readers mark it, and the line that introduces it.
_QUOTED = re.compile(r"\s*([>|:}]|\w{1,4}>)|.*(writes|wrote|says|said)[:.]*\s*$|In article|.*In article <")
# A signature is no longer than this.
_SIGNATURE_LINES = 12


class Split(NamedTuple):
    """Documents to learn from and documents to be tested on; labels are arrays."""

    X_train: list[str]
    y_train: npt.NDArray[Any]
    X_test: list[str]
    y_test: npt.NDArray[Any]


def available() -> list[str]:
    """Return the names of the data sets that are here."""
    return [name for name in NAMES if name not in FILES or (SHARED / FILES[name]).is_file()]


def splits(name: str) -> list[Split]:
    """Return a data set's splits: ten, the published folds, of the film reviews, and one of every other."""
    if name not in FILES:
        dataset = load_dataset(name)
        return [Split(dataset.X_train, dataset.y_train, dataset.X_test, dataset.y_test)]
    with lzma.open(SHARED / FILES[name], "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if name == "20newsgroups":
        for row in rows:
            row["text"] = stripped(row["text"])
    if name == FOLDED:
        folds = np.array([row["fold"] for row in rows])
        parts = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(FOLDS)]
    else:
        first = {row["text"].strip(): row for row in reversed(rows)}
        rows = [row for row in rows if row["text"].strip() and first[row["text"].strip()] is row]
        rng = np.random.default_rng(SPLIT_SEED)
        parts = [stratified_split([row["label"] for row in rows], TEST_FRACTION, rng)]
    texts, labels = [row["text"] for row in rows], np.array([row["label"] for row in rows])
    return [
        Split([texts[i] for i in train], labels[train], [texts[i] for i in test], labels[test]) for train, test in parts
    ]


def reuters() -> Split:
    """Return Reuters-21578's newswire articles, each with a list of topics; the file has to be there."""
    with lzma.open(SHARED / REUTERS, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [f"{row['title']}\n\n{row['text']}" for row in rows]
    first = {text.strip(): index for index, text in reversed(list(enumerate(texts)))}
    kept = sorted(first.values())
    topics = np.empty(len(kept), object)
    topics[:] = [rows[index]["topics"] for index in kept]
    return divided(Split([texts[index] for index in kept], topics, [], topics[:0]), SPLIT_SEED)


def divided(split: Split, seed: int) -> Split:
    """Return the training part of documents with lists of labels, divided once more."""
    targets = LabelEncoder.learn(split.y_train, len(split.X_train)).encode(split.y_train, len(split.X_train))
    train, test = stratified_split(strata(targets), TEST_FRACTION, np.random.default_rng(seed))
    texts, labels = split.X_train, split.y_train
    return Split([texts[i] for i in train], labels[train], [texts[i] for i in test], labels[test])


def development(split: Split) -> Split:
    """Return the training part, divided once more: what settings are chosen on."""
    train, test = stratified_split(split.y_train, TEST_FRACTION, np.random.default_rng(123))
    texts, labels = split.X_train, split.y_train
    return Split([texts[i] for i in train], labels[train], [texts[i] for i in test], labels[test])


def stripped(message: str) -> str:
    """Return a message of a news group without its headers, the lines it quotes, and its signature.

    In the file, its lines end in tabs.
    """
    body = message.replace("\t", "\n").partition("\n\n")[2]
    lines = [line for line in body.split("\n") if not _QUOTED.match(line)]
    while lines and not lines[-1].strip():
        lines.pop()
    for index in range(len(lines) - 1, max(len(lines) - _SIGNATURE_LINES, 0) - 1, -1):
        if lines[index].strip() in ("--", "---"):
            return "\n".join(lines[:index])
    return "\n".join(lines)
