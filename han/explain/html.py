"""Explanations as HTML, without a script or anything that is loaded.

Blue marks words that speak for the explained class, orange those that speak against it; the two can be told apart by
colour-blind readers. A line under each word, thicker for a higher score and dotted where the word speaks against the
class, shows the same in print, where browsers leave out backgrounds.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from han.explain.explanation import Explanation, Sentence

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
    return f"<style>{_STYLE}</style>{explanation_block(explanation)}"


def strength_parts(explanation: Explanation) -> Iterator[tuple[Sentence | None, list[tuple[str, float]]]]:
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


def explanation_block(explanation: Explanation) -> str:
    """Return an explanation as an HTML element, without its style."""
    most = max((abs(sentence.score) for sentence in explanation.sentences), default=0.0) or 1.0
    blocks = []
    for sentence, parts in strength_parts(explanation):
        words = "".join(_marked(part, strength) for part, strength in parts).strip()
        if sentence is None:
            blocks.append(f'<div class="sentence unread"><span>not read</span><div class="words">{words}</div></div>')
            continue
        bar = f'<span style="width:{100 * abs(sentence.score) / most:.0f}%"></span>'
        blocks.append(
            f'<div class="sentence"><div class="weight {_side(sentence.score)}"><span class="bar">{bar}</span>'
            f'{sentence.score:.2f}</div><div class="words" dir="auto">{words}</div></div>'
        )
    caption = f"<strong>{escape(prediction_text(explanation))}</strong>"
    legend = f'<span class="legend">{escape(legend_text(explanation))}</span>'
    return f'<div class="han"><p class="caption">{caption} {legend}</p>{"".join(blocks)}</div>'


def html_page(title: str, body: str, rules: str = "") -> str:
    """Return a page that may load nothing, not even the icon that browsers ask for on their own."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{_PAGE_STYLE}{_STYLE}{rules}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _marked(part: str, strength: float) -> str:
    if abs(strength) < FAINTEST:
        return escape(part)
    return f'<b class="word {_side(strength)}" style="--a:{abs(strength):.2f}">{escape(part)}</b>'


def _side(score: float) -> str:
    return "for" if score >= 0 else "against"


def prediction_text(explanation: Explanation) -> str:
    """Return the predicted classes with their probabilities."""
    if explanation.thresholds is None:
        return f"{explanation.predicted} {explanation.probabilities.max():.0%}"
    by_class = dict(zip(explanation.classes, explanation.probabilities, strict=True))
    return joined_labels([f"{label} {by_class[label]:.0%}" for label in explanation.labels])


def joined_labels(labels: list[Any]) -> str:
    """Return labels as text; "no class" for none."""
    return ", ".join(map(str, labels)) or "no class"


def legend_text(explanation: Explanation) -> str:
    """Return what the colours mean."""
    if explanation.method == "attention":
        return "attention: the darker, the more weight"
    name = explanation.method.replace("_", " ")
    return f"{name}: blue speaks for {explanation.target}, orange against"


def escape(text: object) -> str:
    """Return text for HTML, with visible characters in place of control characters."""
    return html.escape(str(text).translate(VISIBLE))
