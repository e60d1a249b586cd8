from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from han.explanation import Explanation
from tests.test_text import DOCUMENTS, visible

HOSTILE = [
    "<script>alert(1)</script>",
    "שלום עולם. مرحبا!",
    "e\u0301te\u0301. 👩‍👩‍👧 ok",
    "\x00\x1b[31mred\x07",
    "\u202eabc. def",
    "你好。再见。",
]


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=120), st.sampled_from([*DOCUMENTS, *HOSTILE])))
def test_attention_of_any_text(fitted, text):
    (explanation,) = fitted.explain([text])
    assert explanation.text == text
    if explanation.sentences:
        assert explanation.sentence_scores.sum() == pytest.approx(1.0, abs=1e-5)
    words = []
    for sentence in explanation.sentences:
        assert sum(word.score for word in sentence.words) == pytest.approx(1.0, abs=1e-5)
        assert sentence.text == text[sentence.start : sentence.end]
        words += sentence.words
    assert [text[word.start : word.end] for word in words] == [word.text for word in words]
    # All that is visible has been read: nothing of these texts is cut.
    assert visible("".join(word.text for word in words)) == visible(text)
    assert Explanation.from_json(explanation.to_json()) == explanation
    np.testing.assert_allclose(explanation.probabilities, fitted.predict_proba([text])[0], atol=1e-5)


def test_scores_are_combined_as_in_the_paper(fitted, news):
    (explanation,) = fitted.explain(news[2][:1])
    (first, second, *_), scores = explanation.sentences, explanation.sentence_scores
    combined = explanation.combined_scores()
    position = len(first.words)
    assert combined[position] == pytest.approx(np.sqrt(scores[1]) * second.words[0].score)
    products = explanation.combined_scores("product")
    assert products[position] == pytest.approx(scores[1] * second.words[0].score)
    assert products.sum() == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match='scaling must be "sqrt" or "product", got \'square\''):
        explanation.combined_scores("square")


def test_a_frame_has_a_row_a_word(fitted, news):
    (explanation,) = fitted.explain([news[2][0] + " \ud800."])  # half of a surrogate pair is a word like any other
    frame = explanation.to_frame()
    assert frame["word"].tolist() == [word.text for sentence in explanation.sentences for word in sentence.words]
    assert frame.groupby("sentence")["word_score"].sum().to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert frame["sentence"].nunique() == len(explanation.sentences)
    assert [explanation.text[start:end] for start, end in zip(frame["start"], frame["end"], strict=True)] == frame[
        "word"
    ].tolist()


@pytest.mark.parametrize("method", ["attention", "gradient_x_input", "integrated_gradients", "occlusion"])
def test_everything_survives_json(fitted, method):
    for explanation in fitted.explain(["Shares fell. A goal!", ""], method=method):
        again = Explanation.from_json(explanation.to_json(indent=1))
        assert again == explanation
        assert again.word_scores.dtype == explanation.word_scores.dtype
        assert json.loads(again.to_json()) == explanation.to_dict()


def test_other_data_is_refused(fitted):
    values = fitted.explain(["Shares fell."])[0].to_dict()
    for broken in ({}, {**values, "sentences": 3}, {**values, "text": "Nothing of it."}, {**values, "predicted": "x"}):
        with pytest.raises(ValueError, match="values must be what to_dict returns"):
            Explanation.from_dict(broken)
    with pytest.raises(ValueError, match="Expecting value"):
        Explanation.from_json("no")
