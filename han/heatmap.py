"""Heatmaps of explanations: HTML pages, figures, and coloured text for terminals.

The colours of HTML and figures are defined in `han.explain.html`, those of terminals in this module. The HTML contains
no scripts and loads no external resources.
"""

from __future__ import annotations

import re
import sys
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
    excerpt,
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
    known = [*classes, *dict.fromkeys(label for truth in truths or [] for label in truth if label not in classes)]
    filters = _filters(explanations, truths, classes, known)
    blocks = []
    for index in sorted(range(len(explanations)), key=lambda index: float(explanations[index].probabilities.max())):
        explanation = explanations[index]
        truth = None if truths is None else truths[index]
        is_wrong = truth is not None and set(truth) != set(explanation.labels)
        matching = [anchor for anchor, (_, rows) in filters.items() if index in rows]
        summary = prediction_text(explanation) + (f", true: {join_labels(truth or [])}" if is_wrong else "")
        blocks.append(
            f'<details class="{" ".join(matching)}"><summary><span class="p{" wrong" if is_wrong else ""}">'
            f"{'✗ ' if is_wrong else ''}{escape(summary)}</span> {escape(excerpt(explanation.text))}</summary>"
            f"{explanation_block(explanation)}</details>"
        )
    named = {anchor: found for anchor, found in filters.items() if anchor[0] == "f"}
    # Filtering without scripts: the style hides documents that do not match the anchor whose link was followed.
    rules = "".join(_filter_rules(anchor) for anchor in filters)
    anchors = "".join(f'<i id="{anchor}"></i>' for anchor in filters)
    links = "".join(f'<a href="#{anchor}">{escape(name)} ({len(rows)})</a>' for anchor, (name, rows) in named.items())
    total = f"{len(explanations)} documents"
    counts = "".join(
        f'<p class="count {anchor}">{len(rows)} of {total}: {escape(name)}</p>'
        for anchor, (name, rows) in filters.items()
    )
    body = (
        f'<h1>{escape(title)}</h1>{anchors}<nav><a href="#" class="all">all ({len(explanations)})</a>{links}</nav>'
        f'{_confusion_table(filters, classes, known)}<p class="everything">{total}, the most uncertain first</p>'
        f"{counts}<main>{''.join(blocks)}</main>"
    )
    return html_page(title, body, _CORPUS_STYLE + rules)


_CORPUS_STYLE = """
nav a.all, .count { font-weight: bold; }
.count { display: none; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid rgb(128 128 128 / .35); font-weight: normal; }
th:first-child { text-align: left; }
"""
# A table of more classes is not readable.
_MAX_TABLE = 20


def _filters(
    explanations: Sequence[Explanation], truths: list[list[Any]] | None, classes: list[Any], known: list[Any]
) -> dict[str, tuple[str, set[int]]]:
    """Return the name and the documents of each filter, by its anchor; "c0-1" are those of a cell of the table.

    `known` are the classes of the classifier and, after these, other true labels.
    """
    labels = [explanation.labels for explanation in explanations]
    named = [(f"predicted {label}", {row for row, found in enumerate(labels) if label in found}) for label in classes]
    cells: dict[str, tuple[str, set[int]]] = {}
    if truths is not None:
        named += [(f"true {label}", {row for row, truth in enumerate(truths) if label in truth}) for label in known]
        wrong = {row for row, truth in enumerate(truths) if set(truth) != set(labels[row])}
        named.append(("mistakes", wrong))
        if all(len(found) == 1 for found in (*labels, *truths)) and len(known) <= _MAX_TABLE:
            for row, (truth, found) in enumerate(zip(truths, labels, strict=True)):
                cell = f"c{known.index(truth[0])}-{classes.index(found[0])}"
                cells.setdefault(cell, (f"true {truth[0]}, predicted {found[0]}", set()))[1].add(row)
    return {f"f{number}": found for number, found in enumerate(named)} | cells


def _filter_rules(anchor: str) -> str:
    return (
        f"#{anchor}:target ~ main details:not(.{anchor}) {{ display: none; }}\n"
        f"#{anchor}:target ~ .everything {{ display: none; }}\n"
        f"#{anchor}:target ~ .count.{anchor} {{ display: block; }}\n"
        f"#{anchor}:target ~ nav a.all {{ font-weight: inherit; }}\n"
        f'#{anchor}:target ~ * a[href="#{anchor}"] {{ font-weight: bold; text-decoration: none; }}\n'
    )


def _confusion_table(filters: dict[str, tuple[str, set[int]]], classes: list[Any], known: list[Any]) -> str:
    """Return the numbers of documents by true and predicted class, each with a link that shows them."""
    cells = {
        tuple(map(int, anchor[1:].split("-"))): (anchor, len(rows))
        for anchor, (_, rows) in filters.items()
        if anchor[0] == "c"
    }
    if not cells:
        return ""

    def cell(row: int, column: int) -> str:
        anchor, count = cells.get((row, column), ("", 0))
        return f'<td><a href="#{anchor}">{count}</a></td>' if count else "<td>0</td>"

    head = "".join(f"<th>{escape(label)}</th>" for label in classes)
    lines = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(cell(row, column) for column in range(len(classes)))}</tr>"
        for row, name in enumerate(known)
    )
    return f"<table><tr><th>true / predicted</th>{head}</tr>{lines}</table>"


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


def terminal(explanation: Explanation, columns: int | None = None) -> str:
    """Return an explanation as text with ANSI colours.

    Each sentence is preceded by its score, and the strongest words are listed at the end, so that colours are not
    needed to read it. Control characters of the text are replaced by visible ones.

    Parameters
    ----------
    explanation : Explanation
    columns : int, optional
        Where lines are wrapped, between words.
    """
    width = columns or sys.maxsize
    lines = _wrapped(f"{prediction_text(explanation)}   [{legend_text(explanation)}]".translate(VISIBLE), width)
    for sentence, parts in strength_parts(explanation):
        line = "".join(_color(part.translate(VISIBLE), strength) for part, strength in parts)
        score = f"{sentence.score:+.2f}  " if sentence else ""
        lines += _wrapped(line, width, score)
    words = [word for sentence in explanation.sentences for word in sentence.words]
    strongest = sorted(words, key=lambda word: -abs(word.combined_score))[:5]
    listed = ", ".join(f"{word.text} {word.combined_score:+.2f}" for word in strongest)
    return "\n".join([*lines, *_wrapped(f"strongest words: {listed}".translate(VISIBLE), width)])


def _wrapped(line: str, columns: int, start: str = "") -> list[str]:
    """Cut a line of coloured words between these; later lines are indented by the width of the start."""
    lines, used = [start], len(start)
    for word in line.split():
        width = _width(re.sub(r"\x1b\[[^m]*m", "", word))
        if used > len(start) and used + 1 + width > columns:
            lines.append(" " * len(start))
            used = len(start)
        elif used > len(start):
            lines[-1] += " "
            used += 1
        lines[-1] += word
        used += width
    return lines


def _width(text: str) -> int:
    """Return the number of columns that a text takes in a terminal."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


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
                width = _width(shown)
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
