"""The picture in the README: what a classifier trained by `make train` looked at in a review. `make picture`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from han import HANClassifier
from han.corpus import Corpus
from han.text import DocumentSplitter

MODEL = Path("models/imdb")
RESULT = Path(__file__).parent / "results" / "attention.png"
REVIEW = (
    "I went in expecting very little. The first hour drags, and some of the jokes are as old as the actors. "
    "Then the two sisters meet, and it turns into something else. "
    "The last act is wonderful: tense, funny and beautifully acted. I left the cinema happy."
)


def main() -> None:
    """Classify the review and draw its words, shaded by attention, beside its sentences' weights."""
    classifier = HANClassifier.load(MODEL)
    splitter = DocumentSplitter()
    documents = Corpus.encode([REVIEW], splitter, classifier.vocabulary_).batch([0])
    probabilities, words, sentence_scores = (
        result.numpy() for result in classifier.model_(documents, return_attention_scores=True)
    )
    word_scores = np.split(words, np.cumsum(documents.sentence_lengths)[:-1])
    spans = splitter.spans(REVIEW)
    # The paper's scaling: a word counts as far as its sentence does, by the square root.
    strongest = max(np.sqrt(weight) * scores.max() for weight, scores in zip(sentence_scores, word_scores, strict=True))

    figure = Figure(figsize=(11, 0.52 * len(spans) + 1.0), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(-13, 69)
    axes.set_ylim(len(spans) - 0.4, -0.9)
    axes.axis("off")
    axes.text(-12.5, -0.75, "sentence", color="#555555", fontsize=9)
    axes.text(0, -0.75, "words", color="#555555", fontsize=9)
    for row, sentence in enumerate(spans):
        weight = float(sentence_scores[row])
        axes.barh(row, -12 * weight, left=-1, height=0.62, color="#d1495b")
        axes.text(-12.5, row, f"{weight:.2f}", va="center", color="#555555", fontsize=9, family="monospace")
        start = sentence[0][0]
        for (first, last), score in zip(sentence, word_scores[row], strict=True):
            strength = min(1.0, float(np.sqrt(weight) * score / strongest))
            axes.text(
                0.82 * (first - start),
                row,
                REVIEW[first:last],
                va="center",
                family="monospace",
                fontsize=11,
                bbox={"boxstyle": "round,pad=0.12", "facecolor": (0.0, 0.45, 0.7, strength), "edgecolor": "none"},
                color="white" if strength > 0.6 else "black",
            )
    winner = int(probabilities.argmax())
    axes.set_title(f"{classifier.classes_[winner]}, {probabilities[winner]:.0%}", loc="left", fontweight="bold")
    figure.savefig(RESULT, dpi=110)


if __name__ == "__main__":
    main()
