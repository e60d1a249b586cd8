"""Explanations as HTML, without scripts or external resources.

Words that increase the probability of the explained class are blue, words that decrease it are orange; colour-blind
readers can distinguish the two. Browsers do not print backgrounds, so words are underlined as well: the higher the
score, the thicker the line, and dotted for words that decrease the probability.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from han.explain.explanation import Explanation, Sentence

# Colours of words that increase and decrease the probability.
POSITIVE, NEGATIVE = (0, 114, 178), (213, 94, 0)
# Words whose score is below this share of the highest score in the document are not highlighted.
MIN_STRENGTH = 0.1
STYLE = f"""
.han {{ margin: 0; font: 16px/1.75 system-ui, sans-serif; color: inherit; }}
.han .caption, .han .others {{ margin: 0 0 .6em; }}
.han .legend, .han .others {{ opacity: .75; font-size: .85em; }}
.han .legend i {{ display: inline-block; width: 1em; height: .8em; vertical-align: middle; margin-right: .3em;
  background: rgb(var(--c) / .5); border-bottom: 4px solid rgb(var(--c)); box-sizing: border-box; }}
.han .legend i.negative {{ border-bottom-style: dotted; }}
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
.han b.negative {{ border-bottom-style: dotted; }}
.han b.word:hover::after, .han b.word:focus::after {{ content: attr(data-score); font-size: .75em; margin-left: .3em;
  padding: 0 .35em; border-radius: .3em; color: Canvas; background: CanvasText; }}
.han b.word:focus {{ outline: 2px solid; outline-offset: 1px; }}
@media (max-width: 40rem) {{
  .han .sentence {{ display: flex; flex-direction: column-reverse; gap: 0; margin-bottom: .6em; }} }}
.han * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
.han .positive {{ --c: {" ".join(map(str, POSITIVE))}; }}
.han .negative {{ --c: {" ".join(map(str, NEGATIVE))}; }}
@media (prefers-color-scheme: dark) {{ .han .positive {{ --c: 86 180 233; }} .han .negative {{ --c: 230 159 0; }} }}
"""
_PAGE_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.6 system-ui, sans-serif; }
nav a { margin-right: 1em; }
@media print { details::details-content { content-visibility: visible; block-size: auto; } nav { display: none; } }
details { border-top: 1px solid rgb(128 128 128 / .4); padding: .4em 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary .p { display: inline-block; min-width: 14em; }
.wrong { font-weight: bold; }
"""
_CONTROL_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
_UNPRINTABLE = [*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
# A table for `str.translate` that replaces characters which pages, terminals or fonts cannot display.
VISIBLE = _CONTROL_PICTURES | dict.fromkeys(_UNPRINTABLE, 0xFFFD)


def fragment(explanation: Explanation) -> str:
    """Return an explanation as an HTML element with its style, which can be embedded in any page.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    str
        HTML in which the text is escaped and control characters are replaced by their pictures.
    """
    return f"<style>{STYLE}</style>{explanation_block(explanation)}"


def blocks(explanations: Sequence[Explanation], opened: int = 3) -> str:
    """Return several explanations as an HTML element with its style, of which the first are open."""
    details = "".join(
        f"<details{' open' if number < opened else ''}><summary>{escape(prediction_text(one))} · "
        f"{escape(excerpt(one.text))}</summary>{explanation_block(one)}</details>"
        for number, one in enumerate(explanations)
    )
    return f"<style>{STYLE}</style>{details}"


def excerpt(text: str, length: int = 90) -> str:
    """Return the beginning of a text on one line."""
    words = " ".join(text[: 4 * length].split())
    return words if len(words) <= length else words[: length - 1] + "…"


def strength_parts(explanation: Explanation) -> Iterator[tuple[Sentence | None, list[tuple[str, float]]]]:
    """Yield each sentence with the parts of its text, and the strength of each part.

    The strength of a word is its score relative to the highest absolute score in the document; the strength of the text
    between words is 0. The parts of all sentences make up the whole text. Words that do not occur in the text follow
    the preceding word in brackets. Text that the network did not read, after the last sentence, is yielded with None.
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
        if following is None:  # there is no next sentence, or its offset is unknown
            following = cursor
        yield sentence, [*parts, (text[cursor:following], 0.0)]
        cursor = following
    if text[cursor:].strip():
        yield None, [(text[cursor:], 0.0)]


def explanation_block(explanation: Explanation) -> str:
    """Return an explanation as an HTML element, without its style."""
    sentences = explanation.sentences
    highest = max((abs(sentence.score) for sentence in sentences), default=0.0) or 1.0
    strongest = float(np.abs(explanation.combined_scores()).max(initial=0.0))
    scores = iter(score_texts([sentence.score for sentence in sentences]))
    blocks = []
    for sentence, parts in strength_parts(explanation):
        words = "".join(_highlight(part, strength, strength * strongest) for part, strength in parts).strip()
        if sentence is None:
            blocks.append(f'<div class="sentence unread"><span>not read</span><div class="words">{words}</div></div>')
            continue
        bar = f'<span style="width:{100 * abs(sentence.score) / highest:.0f}%"></span>'
        blocks.append(
            f'<div class="sentence"><div class="weight {_sign(sentence.score)}"><span class="bar">{bar}</span>'
            f'{next(scores)}</div><div class="words" dir="auto">{words}</div></div>'
        )
    caption = f"<strong>{escape(prediction_text(explanation))}</strong>"
    swatches = '<i class="positive"></i>'
    if explanation.method != "attention":
        swatches += '<i class="negative"></i>'
    legend = f'<span class="legend">{swatches}{escape(legend_text(explanation))}</span>'
    others = other_classes(explanation)
    shown = f'<p class="others">{escape(others)}</p>' if others else ""
    return f'<div class="han"><p class="caption">{caption} {legend}</p>{shown}{"".join(blocks)}</div>'


def score_texts(scores: list[float]) -> list[str]:
    """Format scores with two decimals, or up to four if different scores would look the same."""
    for decimals in (2, 3, 4):
        texts = [f"{score:.{decimals}f}" for score in scores]
        if len(set(texts)) == len(set(scores)):
            break
    return texts


def other_classes(explanation: Explanation, most: int = 5) -> str:
    """Return the probabilities of the most probable classes that are not predicted; "" if there are none."""
    by_class = zip(explanation.classes, explanation.probabilities.tolist(), strict=True)
    others = sorted((item for item in by_class if item[0] not in explanation.labels), key=lambda item: -item[1])
    listed = ", ".join(f"{label} {share:.1%}" for label, share in others[:most])
    return listed + (f" and {len(others) - most} more" if len(others) > most else "")


def html_page(title: str, body: str, rules: str = "") -> str:
    """Return a page that cannot load external resources, not even the icon that browsers request by default."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{_PAGE_STYLE}{STYLE}{rules}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _highlight(part: str, strength: float, score: float) -> str:
    if abs(strength) < MIN_STRENGTH:
        return escape(part)
    number = f'tabindex="0" data-score="{score:+.3f}"'
    return f'<b class="word {_sign(strength)}" {number} style="--a:{abs(strength):.2f}">{escape(part)}</b>'


def _sign(score: float) -> str:
    return "positive" if score >= 0 else "negative"


def prediction_text(explanation: Explanation) -> str:
    """Return the predicted classes with their probabilities."""
    if explanation.thresholds is None:
        return f"{explanation.predicted} {explanation.probabilities.max():.0%}"
    by_class = dict(zip(explanation.classes, explanation.probabilities, strict=True))
    return join_labels([f"{label} {by_class[label]:.0%}" for label in explanation.labels])


def join_labels(labels: list[Any]) -> str:
    """Return labels as text; an empty list is "no class"."""
    return ", ".join(map(str, labels)) or "no class"


def legend_text(explanation: Explanation) -> str:
    """Return the meaning of the colours."""
    if explanation.method == "attention":
        return "attention: the darker, the higher the weight"
    name = explanation.method.replace("_", " ")
    meaning = f"{name}: blue counts towards {explanation.target}, orange against it"
    share = explanation.network_share
    return meaning if share in (None, 1.0) else f"{meaning}; decided to {1 - share:.0%} by n-grams"


def escape(text: object) -> str:
    """Escape text for HTML, and replace control characters by visible ones."""
    return html.escape(str(text).translate(VISIBLE))
