"""Explanations drawn: as HTML, as a figure, as coloured terminal text, and a page of many.

Blue speaks for the explained class, orange against it: the two are told apart by the colour-blind too. On paper, where
browsers leave backgrounds out, a line under each word, thicker where the score is higher and dotted where the word
speaks against, says the same. The HTML holds no script and asks for nothing from anywhere.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from matplotlib.figure import Figure

from han.explanation import Explanation, Sentence
from han.labels import LabelForm, kind_of_labels
from han.validation import check_labels

FOR, AGAINST = (0, 114, 178), (213, 94, 0)
# Words below this share of the document's strongest are left plain.
FAINTEST = 0.1

_STYLE = f"""
.han {{ margin: 0; font: 16px/1.75 system-ui, sans-serif; color: inherit; }}
.han .caption {{ margin: 0 0 .6em; }}
.han .legend {{ opacity: .75; font-size: .85em; }}
.han .sentence {{ display: grid; grid-template-columns: 7.5em 1fr; gap: 1em; break-inside: avoid; }}
.han .weight {{ font: .8em/2.2 ui-monospace, monospace; white-space: nowrap; }}
.han .bar {{ display: inline-block; width: 4.5em; height: .8em; margin-right: .5em; vertical-align: middle;
  border: 1px solid rgb(128 128 128 / .5); }}
.han .bar span {{ display: block; height: 100%; background: rgb(var(--c)); }}
.han .words {{ white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }}
.han .unread {{ opacity: .5; }}
.han b.word {{ font-weight: inherit; padding: .1em 0; border-radius: .15em;
  background: rgb(var(--c) / calc(var(--a) * .5));
  border-bottom: calc(var(--a) * 4px) solid rgb(var(--c)); }}
.han b.against {{ border-bottom-style: dotted; }}
.han * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
.han .for {{ --c: {" ".join(map(str, FOR))}; }}
.han .against {{ --c: {" ".join(map(str, AGAINST))}; }}
@media (prefers-color-scheme: dark) {{ .han .for {{ --c: 86 180 233; }} .han .against {{ --c: 230 159 0; }} }}
"""
_PAGE_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.6 system-ui, sans-serif; }
nav a { margin-right: 1em; }
details { border-top: 1px solid rgb(128 128 128 / .4); padding: .4em 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary .p { display: inline-block; min-width: 14em; }
.wrong { font-weight: bold; }
"""

_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
_NOTHING = [*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
# What a page, a terminal or a font has no sign for, and what stands in its place.
VISIBLE = _PICTURES | dict.fromkeys(_NOTHING, 0xFFFD)


def fragment(explanation: Explanation) -> str:
    """Return an explanation as an HTML element with its style, to stand in any page; notebooks show it.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    str
        What is in the text is escaped; control characters are shown as pictures.
    """
    return f"<style>{_STYLE}</style>{_body(explanation)}"


def page(explanation: Explanation) -> str:
    """Return an explanation as a whole HTML page; write it with `encoding="utf-8"`.

    Parameters
    ----------
    explanation : Explanation
    """
    return _document(f"{explanation.predicted}: {explanation.method}", _body(explanation))


def corpus_page(explanations: Sequence[Explanation], y_true: Any = None, title: str = "Explanations") -> str:
    """Return a page of many documents, the most uncertain first; links show one class only, or the mistakes.

    Parameters
    ----------
    explanations : sequence of Explanation
        Of one classifier.
    y_true : labels [documents], optional
        The true classes: mistakes are marked. Where a document may have several, in any of the forms that `fit` takes;
        a mistake is then any class too many or too few.
    title : str, default "Explanations"

    Raises
    ------
    TypeError, ValueError
        If `y_true` is not labels, or there is not one for each explanation.

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
    # A link to an anchor makes it the target, and the style then hides what is not of its kind: no script is needed.
    rules = "".join(f"#f{i}:target ~ main details:not(.f{i}) {{ display: none; }}\n" for i in range(len(filters)))
    anchors = "".join(f'<i id="f{i}"></i>' for i in range(len(filters)))
    links = "".join(f'<a href="#f{i}">{_escaped(name)}</a>' for i, name in enumerate(filters))
    documents = []
    for index in sorted(range(len(explanations)), key=lambda index: float(explanations[index].probabilities.max())):
        explanation = explanations[index]
        truth = None if truths is None else truths[index]
        wrong = truth is not None and set(truth) != set(explanation.labels)
        kinds = [f"f{classes.index(label)}" for label in explanation.labels] + [f"f{len(classes)}"] * wrong
        verdict = _verdict(explanation) + (f", truly {_listed(truth or [])}" if wrong else "")
        documents.append(
            f'<details class="{" ".join(kinds)}"><summary><span class="p{" wrong" if wrong else ""}">'
            f"{'✗ ' if wrong else ''}{_escaped(verdict)}</span> {_escaped(_beginning(explanation.text))}</summary>"
            f"{_body(explanation)}</details>"
        )
    count = f"{len(explanations)} documents, the most uncertain first"
    body = (
        f'<h1>{_escaped(title)}</h1>{anchors}<nav><a href="#">all</a>{links}</nav><p>{count}</p>'
        f"<main>{''.join(documents)}</main>"
    )
    return _document(title, body, rules)


def _true_labels(explanations: Sequence[Explanation], y_true: Any) -> list[list[Any]]:
    """Return the labels of each document."""
    if not explanations:
        return []
    multi_label = explanations[0].thresholds is not None
    kind = kind_of_labels(y_true) if multi_label else "single"
    if multi_label and kind == "single":
        kind = "list"  # which it is not: that is an error
    classes = check_labels(explanations[0].classes, None, "the classes of explanations")
    form, targets = LabelForm(classes, kind).encode_test(y_true, len(explanations), "y_true", "explanations")
    return [form.named(target) if multi_label else [form.named(target)] for target in targets]


def terminal(explanation: Explanation) -> str:
    """Return an explanation as text with ANSI colours.

    Sentences have their scores before them, and the strongest words stand below, so that it can be read without
    colours too. No control character of the text is passed on.

    Parameters
    ----------
    explanation : Explanation
    """
    lines = [f"{_verdict(explanation)}   [{_legend(explanation)}]".translate(VISIBLE)]
    for sentence, parts in _parts(explanation):
        line = "".join(_coloured(part.translate(VISIBLE), strength) for part, strength in parts)
        lines.append(f"{sentence.score:+.2f}  {' '.join(line.split())}" if sentence else " ".join(line.split()))
    words = [word for sentence in explanation.sentences for word in sentence.words]
    strongest = sorted(words, key=lambda word: -abs(word.combined_score))[:5]
    named = ", ".join(f"{word.text} {word.combined_score:+.2f}" for word in strongest)
    return "\n".join([*lines, f"strongest words: {named}".translate(VISIBLE)])


def figure(explanation: Explanation, columns: int = 90) -> Figure:
    """Draw an explanation with matplotlib.

    Parameters
    ----------
    explanation : Explanation
    columns : int, default 90
        Characters in a line.
    """
    rows = list(_rows(explanation, columns))
    result = Figure(figsize=(0.088 * (columns + 15), 0.34 * len(rows) + 0.8), layout="constrained")
    axes = result.subplots()
    axes.set_xlim(-15, columns)
    axes.set_ylim(len(rows), -0.7)
    axes.axis("off")
    axes.set_title(
        f"{_verdict(explanation)}  ({_legend(explanation)})".translate(VISIBLE), loc="left", fontsize=11,
        parse_math=False,
    )  # fmt: skip
    most = max((abs(sentence.score) for sentence in explanation.sentences), default=0.0) or 1.0
    for y, (sentence, parts) in enumerate(rows):
        if sentence:
            color = _rgb(sentence.score)
            axes.barh(y, -7 * abs(sentence.score) / most, left=-1, height=0.6, color=color)
            axes.text(-15, y, f"{sentence.score:.2f}", va="center", fontsize=9, family="monospace", color="#555555")
        for x, part, strength in parts:
            box = {"boxstyle": "square,pad=0.08", "facecolor": (*_rgb(strength), 0.6 * abs(strength)), "lw": 0}
            axes.text(
                x, y, part, va="center", family="monospace", fontsize=10, parse_math=False,
                bbox=box if abs(strength) >= FAINTEST else None,
            )  # fmt: skip
    return result


def _parts(explanation: Explanation) -> Iterator[tuple[Sentence | None, list[tuple[str, float]]]]:
    """Yield each sentence with its text in parts, and each part's strength: its share of the strongest score, or 0.

    The parts are the whole text in order. Words without a place in it stand in brackets after the preceding word. What
    follows the last sentence that was read comes with None.
    """
    strongest = float(np.abs(explanation.combined_scores()).max(initial=0.0)) or 1.0
    text, cursor = explanation.text, 0
    sentences = explanation.sentences
    starts = [sentence.start for sentence in sentences]
    for number, sentence in enumerate(sentences):
        parts = []
        for word in sentence.words:
            strength = word.combined_score / strongest
            if word.start is None or word.end is None:
                parts += [(" ", 0.0), (f"[{word.text}]", strength), (" ", 0.0)]
            else:
                parts += [(text[cursor : word.start], 0.0), (text[word.start : word.end], strength)]
                cursor = word.end
        following = starts[number + 1] if number + 1 < len(starts) else None
        if following is None:  # where the next sentence starts is not known, or there is none
            following = cursor
        yield sentence, [*parts, (text[cursor:following], 0.0)]
        cursor = following
    if text[cursor:].strip():
        yield None, [(text[cursor:], 0.0)]


def _body(explanation: Explanation) -> str:
    most = max((abs(sentence.score) for sentence in explanation.sentences), default=0.0) or 1.0
    blocks = []
    for sentence, parts in _parts(explanation):
        words = "".join(_marked(part, strength) for part, strength in parts).strip()
        if sentence is None:
            blocks.append(f'<div class="sentence unread"><span>not read</span><div class="words">{words}</div></div>')
            continue
        bar = f'<span style="width:{100 * abs(sentence.score) / most:.0f}%"></span>'
        blocks.append(
            f'<div class="sentence"><div class="weight {_side(sentence.score)}"><span class="bar">{bar}</span>'
            f'{sentence.score:.2f}</div><div class="words" dir="auto">{words}</div></div>'
        )
    caption = f"<strong>{_escaped(_verdict(explanation))}</strong>"
    legend = f'<span class="legend">{_escaped(_legend(explanation))}</span>'
    return f'<div class="han"><p class="caption">{caption} {legend}</p>{"".join(blocks)}</div>'


def _document(title: str, body: str, rules: str = "") -> str:
    """Return a page that may load nothing, not even the icon that browsers ask for on their own."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{_escaped(title)}</title>\n'
        f"<style>{_PAGE_STYLE}{_STYLE}{rules}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _marked(part: str, strength: float) -> str:
    if abs(strength) < FAINTEST:
        return _escaped(part)
    return f'<b class="word {_side(strength)}" style="--a:{abs(strength):.2f}">{_escaped(part)}</b>'


def _coloured(part: str, strength: float) -> str:
    """Return a part in one of four backgrounds of the 256-colour palette, each with a readable foreground."""
    level = int(min(abs(strength), 0.999) * 5)
    if not level:
        return part
    background = ((153, 117, 75, 25) if strength > 0 else (223, 216, 208, 130))[level - 1]
    return f"\x1b[38;5;{15 if level == 4 else 16};48;5;{background}m{part}\x1b[0m"


def _rows(explanation: Explanation, columns: int) -> Iterator[tuple[Sentence | None, list[tuple[float, str, float]]]]:
    """Yield lines of at most `columns` characters, each part with its column; a sentence with its first line only."""
    for sentence, parts in _parts(explanation):
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


def _side(score: float) -> str:
    return "for" if score >= 0 else "against"


def _rgb(score: float) -> tuple[float, float, float]:
    red, green, blue = FOR if score >= 0 else AGAINST
    return red / 255, green / 255, blue / 255


def _verdict(explanation: Explanation) -> str:
    if explanation.thresholds is None:
        return f"{explanation.predicted} {explanation.probabilities.max():.0%}"
    by_class = dict(zip(explanation.classes, explanation.probabilities, strict=True))
    return _listed([f"{label} {by_class[label]:.0%}" for label in explanation.labels])


def _listed(labels: list[Any]) -> str:
    return ", ".join(map(str, labels)) or "no class"


def _legend(explanation: Explanation) -> str:
    if explanation.method == "attention":
        return "attention: the darker, the more weight"
    name = explanation.method.replace("_", " ")
    return f"{name}: blue speaks for {explanation.target}, orange against"


def _beginning(text: str, length: int = 90) -> str:
    words = " ".join(text[: 4 * length].split())
    return words if len(words) <= length else words[: length - 1] + "…"


def _escaped(text: object) -> str:
    return html.escape(str(text).translate(VISIBLE))
