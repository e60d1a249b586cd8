"""Heatmaps of explanations: HTML pages, figures, and coloured text for terminals.

The colours of HTML and figures are defined in `han.explain.html`, those of terminals in this module. The HTML contains
no scripts and loads no external resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any
from unicodedata import east_asian_width

from matplotlib.figure import Figure

from han.data.labels import LabelEncoder, detect_label_format
from han.data.validation import check_labels
from han.explain.explanation import Explanation, Sentence
from han.explain.html import (
    MIN_STRENGTH,
    NEGATIVE,
    POSITIVE,
    VISIBLE,
    escape,
    explanation_block,
    fragment,
    html_page,
    join_labels,
    legend_text,
    prediction_text,
    strength_parts,
)

__all__ = ["corpus_page", "figure", "fragment", "page", "terminal"]


def page(explanation: Explanation) -> str:
    """Return an explanation as an HTML page, to be written with `encoding="utf-8"`.

    Parameters
    ----------
    explanation : Explanation
    """
    return html_page(f"{explanation.predicted}: {explanation.method}", explanation_block(explanation))


def corpus_page(explanations: Sequence[Explanation], y_true: Any = None, title: str = "Explanations") -> str:
    """Return an HTML page of many documents, the most uncertain first, with links that filter by class or mistakes.

    Parameters
    ----------
    explanations : sequence of Explanation
        Explanations of the same classifier.
    y_true : labels [documents], optional
        The true labels, in any format that `fit` accepts. If given, wrong predictions are marked; in multi-label
        classification these are all predictions that differ from the true set of labels.
    title : str, default "Explanations"

    Raises
    ------
    TypeError, ValueError
        If `y_true` does not contain valid labels, one for each explanation.

    Warns
    -----
    UnknownClassWarning
        If documents have classes that the classifier was not trained on.
    """
    truths = None if y_true is None else _true_labels(explanations, y_true)
    classes = list(dict.fromkeys(label for explanation in explanations for label in explanation.classes))
    filters = [f"predicted {label}" for label in classes]
    if truths is not None:
        filters.append("mistakes")
    # Filtering without scripts: the style hides documents that do not match the anchor whose link was followed.
    rules = "".join(f"#f{i}:target ~ main details:not(.f{i}) {{ display: none; }}\n" for i in range(len(filters)))
    anchors = "".join(f'<i id="f{i}"></i>' for i in range(len(filters)))
    links = "".join(f'<a href="#f{i}">{escape(name)}</a>' for i, name in enumerate(filters))
    blocks = []
    for index in sorted(range(len(explanations)), key=lambda index: float(explanations[index].probabilities.max())):
        explanation = explanations[index]
        truth = None if truths is None else truths[index]
        is_wrong = truth is not None and set(truth) != set(explanation.labels)
        matching = [f"f{classes.index(label)}" for label in explanation.labels] + [f"f{len(classes)}"] * is_wrong
        summary = prediction_text(explanation) + (f", true: {join_labels(truth or [])}" if is_wrong else "")
        blocks.append(
            f'<details class="{" ".join(matching)}"><summary><span class="p{" wrong" if is_wrong else ""}">'
            f"{'✗ ' if is_wrong else ''}{escape(summary)}</span> {escape(_excerpt(explanation.text))}</summary>"
            f"{explanation_block(explanation)}</details>"
        )
    count = f"{len(explanations)} documents, the most uncertain first"
    body = (
        f'<h1>{escape(title)}</h1>{anchors}<nav><a href="#">all</a>{links}</nav><p>{count}</p>'
        f"<main>{''.join(blocks)}</main>"
    )
    return html_page(title, body, rules)


def _true_labels(explanations: Sequence[Explanation], y_true: Any) -> list[list[Any]]:
    """Return the list of true labels of each document."""
    if not explanations:
        return []
    multi_label = explanations[0].thresholds is not None
    kind = detect_label_format(y_true) if multi_label else "single"
    if multi_label and kind == "single":
        kind = "list"  # raises the error for labels that are not collections
    classes = check_labels(explanations[0].classes, None, "the classes of explanations")
    encoder, targets = LabelEncoder(classes, kind).encode_test(y_true, len(explanations), "y_true", "explanations")
    return [encoder.label_of(target) if multi_label else [encoder.label_of(target)] for target in targets]


def terminal(explanation: Explanation) -> str:
    """Return an explanation as text with ANSI colours.

    Each sentence is preceded by its score, and the strongest words are listed at the end, so that colours are not
    needed to read it. Control characters of the text are replaced by visible ones.

    Parameters
    ----------
    explanation : Explanation
    """
    lines = [f"{prediction_text(explanation)}   [{legend_text(explanation)}]".translate(VISIBLE)]
    for sentence, parts in strength_parts(explanation):
        line = "".join(_color(part.translate(VISIBLE), strength) for part, strength in parts)
        lines.append(f"{sentence.score:+.2f}  {' '.join(line.split())}" if sentence else " ".join(line.split()))
    words = [word for sentence in explanation.sentences for word in sentence.words]
    strongest = sorted(words, key=lambda word: -abs(word.combined_score))[:5]
    listed = ", ".join(f"{word.text} {word.combined_score:+.2f}" for word in strongest)
    return "\n".join([*lines, f"strongest words: {listed}".translate(VISIBLE)])


def figure(explanation: Explanation, columns: int = 90) -> Figure:
    """Draw an explanation with matplotlib.

    Parameters
    ----------
    explanation : Explanation
    columns : int, default 90
        The number of characters in a line.
    """
    rows = list(_wrap_lines(explanation, columns))
    title = fill(f"{prediction_text(explanation)}  ({legend_text(explanation)})".translate(VISIBLE), columns + 5)
    height = 0.34 * len(rows) + 0.2 * title.count("\n") + 0.8
    result = Figure(figsize=(0.088 * (columns + 15), height), layout="constrained")
    axes = result.subplots()
    axes.set_xlim(-15, columns)
    axes.set_ylim(len(rows), -0.7)
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    highest = max((abs(sentence.score) for sentence in explanation.sentences), default=0.0) or 1.0
    for y, (sentence, parts) in enumerate(rows):
        if sentence:
            color = _rgb(sentence.score)
            axes.barh(y, -7 * abs(sentence.score) / highest, left=-1, height=0.6, color=color)
            axes.text(-15, y, f"{sentence.score:.2f}", va="center", fontsize=9, family="monospace", color="#555555")
        for x, part, strength in parts:
            box = {"boxstyle": "square,pad=0.08", "facecolor": (*_rgb(strength), 0.6 * abs(strength)), "lw": 0}
            axes.text(
                x, y, part, va="center", family="monospace", fontsize=10, parse_math=False,
                bbox=box if abs(strength) >= MIN_STRENGTH else None,
            )  # fmt: skip
    return result


def _color(part: str, strength: float) -> str:
    """Add one of four background colours of the 256-colour palette, with a readable foreground colour."""
    level = int(min(abs(strength), 0.999) * 5)
    if not level:
        return part
    background = ((153, 117, 75, 25) if strength > 0 else (223, 216, 208, 130))[level - 1]
    return f"\x1b[38;5;{15 if level == 4 else 16};48;5;{background}m{part}\x1b[0m"


def _wrap_lines(
    explanation: Explanation, columns: int
) -> Iterator[tuple[Sentence | None, list[tuple[float, str, float]]]]:
    """Yield lines of at most `columns` characters: the sentence on its first line, and parts as (x, text, strength)."""
    for sentence, parts in strength_parts(explanation):
        heading, x = sentence, 0.0
        line: list[tuple[float, str, float]] = []
        for part, strength in parts:
            pieces = [part] if strength else part.split()
            for number, piece in enumerate(pieces):
                x += bool(x and (number or part[0].isspace()))
                shown = piece.translate(VISIBLE)
                width = sum(2 if east_asian_width(character) in "WF" else 1 for character in shown)
                if x and x + width > columns:
                    yield heading, line
                    heading, line, x = None, [], 0.0
                line.append((x, shown, strength))
                x += width
            if part[-1:].isspace() and x:
                x += 1
        yield heading, line


def _rgb(score: float) -> tuple[float, float, float]:
    red, green, blue = POSITIVE if score >= 0 else NEGATIVE
    return red / 255, green / 255, blue / 255


def _excerpt(text: str, length: int = 90) -> str:
    words = " ".join(text[: 4 * length].split())
    return words if len(words) <= length else words[: length - 1] + "…"
