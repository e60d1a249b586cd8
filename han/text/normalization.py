"""Normalise words before they are looked up, so that variant spellings of a word share one vector.

A normalised word is in lower case and in Unicode normalization form C (NFC). Invisible characters are removed, and
typographic quotes, apostrophes and dashes are replaced by their ASCII counterparts. Of Unicode's compatibility
characters, only variant shapes of the same letter or mark are replaced: full-width and half-width forms, ligatures,
mathematical alphabets and the positional forms of Arabic. NFKC goes too far: it equates "10²" with "102" and "№" with
"no".

Words are lower-cased, not case-folded, because "ß" and "ss" distinguish German words ("Maße", measures; "Masse", mass).
Letters of different scripts stay distinct, even if they look the same.
"""

from __future__ import annotations

import re
import unicodedata

import regex

# Unicode's default ignorable characters (soft hyphens, zero-width spaces and joiners, variation selectors, directional
# marks), except the tags that distinguish the flag of Scotland from that of Wales. Searching for those of the basic
# multilingual plane (BMP) alone is three times as fast.
INVISIBLE_BMP = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8"
)
INVISIBLE = f"[{INVISIBLE_BMP}\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f\U000e0080-\U000e0fff]"
# Variant shapes of letters, digits, spaces and punctuation, which are replaced by their NFKC form. Superscripts,
# fractions, circled numbers and most symbols are not included.
SHAPES = (
    r"[\p{dt=Font}\p{dt=Wide}\p{dt=Narrow}\p{dt=Small}\p{dt=Vertical}\p{dt=NoBreak}"
    r"\p{dt=Initial}\p{dt=Medial}\p{dt=Final}\p{dt=Isolated}"
    r"[\p{dt=Compat}&&[\p{L}\p{Nl}\p{Zs}\p{Block=Kangxi_Radicals}\p{Block=CJK_Radicals_Supplement}]]]"
)
# Primes, free-standing accents and the apostrophes of Armenian, Hebrew, Hawaiian and Ukrainian are often typed as "'".
APOSTROPHES = "'`´‘’‚‛′‵ʹʻʼʽꞌ՚׳＇｀"
_VARIANTS = {"'": APOSTROPHES, '"': "“”„‟″‶〝〞〟״＂", "-": "‐‑‒–—―−⁃﹘﹣－"}
# Each variant of a quote, an apostrophe or a dash, with its replacement.
PLAIN = {variant: plain for plain, variants in _VARIANTS.items() for variant in variants if variant != plain}

_INVISIBLE_BMP = re.compile(f"[{INVISIBLE_BMP}]")
_INVISIBLE = re.compile(INVISIBLE)
_SHAPES = regex.compile(SHAPES, regex.VERSION1)
_PLAIN = str.maketrans(PLAIN)


def normalize(word: str) -> str:
    r"""Return the normalised form of a word, which is looked up in the vocabulary.

    Examples
    --------
    >>> from han.text.normalization import normalize
    >>> [normalize(word) for word in ("Couldn\u2019t", "co\u00adoperate", "\ufb01lm", "m²")]
    ["couldn't", 'cooperate', 'film', 'm²']
    """
    if word.isascii():
        return word.lower().replace("`", "'")
    word = _INVISIBLE_BMP.sub("", word)
    if max(word, default="") > "\uffff":
        word = _INVISIBLE.sub("", word)
    if not unicodedata.is_normalized("NFKC", word):
        # Decomposed first, because a mark may follow a letter of a variant shape.
        word = _SHAPES.sub(_nfkc, unicodedata.normalize("NFD", word))
        word = unicodedata.normalize("NFC", word)
    # Lower-casing "İ" leaves a combining dot, which is redundant on an "i".
    word = word.lower().replace("i\u0307", "i")
    return unicodedata.normalize("NFC", word).translate(_PLAIN)


def _nfkc(match: regex.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())
