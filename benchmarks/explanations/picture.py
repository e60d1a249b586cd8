"""The README's picture: a review explained by the classifier of `make train`. `make bench NAME=picture`."""

from __future__ import annotations

from benchmarks.reporting import RESULTS
from han import HANClassifier
from han.heatmap import figure

REVIEW = (
    "I went in expecting very little. The first hour drags, and some of the jokes are as old as the actors. "
    "Then the two sisters meet, and it turns into something else. "
    "The last act is wonderful: tense, funny and beautifully acted. I left the cinema happy."
)


def main() -> None:
    """Explain the review and draw it."""
    (explanation,) = HANClassifier.load("models/imdb").explain([REVIEW])
    figure(explanation).savefig(RESULTS / "explanation.png", dpi=110)


if __name__ == "__main__":
    main()
