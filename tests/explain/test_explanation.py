from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from han.explain.attribution import METHODS
from han.explain.explanation import Explanation
from han.faithfulness import faithfulness
from han.heatmap import figure, page, terminal
from han.inference.prediction import divide
from tests.small_training import TEXTS, train
from tests.text.documents import DOCUMENTS, visible

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
    (explanation,) = fitted.explain([text], "attention")
    assert explanation.text == text
    if explanation.sentences:
        assert explanation.sentence_scores.sum() == pytest.approx(1.0, abs=1e-5)
    words = []
    for sentence in explanation.sentences:
        assert sum(word.score for word in sentence.words) == pytest.approx(1.0, abs=1e-5)
        assert sentence.text == text[sentence.start : sentence.end]
        words += sentence.words
    assert [text[word.start : word.end] for word in words] == [word.text for word in words]
    # All visible characters have been read: none of these texts is truncated.
    assert visible("".join(word.text for word in words)) == visible(text)
    assert Explanation.from_json(explanation.to_json()) == explanation
    np.testing.assert_allclose(explanation.probabilities, fitted.predict_proba([text])[0], atol=1e-5)


def test_scores_are_combined_as_in_the_paper(fitted, news):
    (explanation,) = fitted.explain(news[2][:1], "attention")
    (first, second, *_), scores = explanation.sentences, explanation.sentence_scores
    combined = explanation.combined_scores()
    position = len(first.words)
    assert combined[position] == pytest.approx(np.sqrt(scores[1]) * second.words[0].score)
    products = explanation.combined_scores("product")
    assert products[position] == pytest.approx(scores[1] * second.words[0].score)
    assert products.sum() == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match='scaling must be "sqrt" or "product", got \'square\''):
        explanation.combined_scores("square")


def test_a_frame_has_a_row_for_each_word(fitted, news):
    # Half of a surrogate pair is an ordinary word.
    (explanation,) = fitted.explain([news[2][0] + " \ud800."], "attention")
    frame = explanation.to_frame()
    assert frame["word"].tolist() == [word.text for sentence in explanation.sentences for word in sentence.words]
    assert frame.groupby("sentence")["word_score"].sum().to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert frame["sentence"].nunique() == len(explanation.sentences)
    assert [explanation.text[start:end] for start, end in zip(frame["start"], frame["end"], strict=True)] == frame[
        "word"
    ].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_everything_survives_json(fitted, method):
    for explanation in fitted.explain(["Shares fell. A goal!", ""], method=method):
        again = Explanation.from_json(explanation.to_json(indent=1))
        assert again == explanation
        assert again.word_scores.dtype == explanation.word_scores.dtype
        assert json.loads(again.to_json()) == explanation.to_dict()


def test_contributions_are_divided_between_network_and_ngrams(fitted, news):
    for explanation in fitted.explain(news[2][:3]):
        assert explanation.method == "contributions"
        probability = explanation.probabilities[list(explanation.classes).index(explanation.target)]
        log_odds = np.log(probability / (1 - probability))
        assert explanation.base_value + explanation.word_scores.sum() == pytest.approx(log_odds, abs=1e-3)
        assert explanation.completeness_error < 1e-4
        frame = explanation.to_frame()
        of_ngrams, of_network = (abs(part.sum()) for part in (frame.ngram_score, frame.word_score - frame.ngram_score))
        assert explanation.network_share == pytest.approx(of_network / (of_network + of_ngrams), abs=1e-5)
        assert f"decided to {1 - explanation.network_share:.0%} by n-grams" in terminal(explanation)
    assert fitted.explain(news[2][:1], "occlusion")[0].network_share is None


@pytest.mark.parametrize("method", METHODS)
def test_explanations_do_not_depend_on_how_documents_are_divided_between_threads(fitted, news, monkeypatch, method):
    expected = fitted.explain(news[2][:6], method, n_steps=2)
    monkeypatch.setattr("han.explain.attribution.CHUNK", 2000)
    assert len(divide([len(text) for text in news[2][:6]], 2000)) > 1
    for explanation, reference in zip(fitted.explain(news[2][:6], method, n_steps=2), expected, strict=True):
        assert explanation.words == reference.words
        np.testing.assert_allclose(explanation.word_scores, reference.word_scores, atol=1e-5)
        np.testing.assert_allclose(explanation.probabilities, reference.probabilities, atol=1e-6)


def test_files_of_earlier_versions_can_be_read(fitted):
    (explanation,) = fitted.explain(["Shares fell."], "occlusion")
    values = explanation.to_dict()
    for name in ("thresholds", "base_value", "ngram_scores"):
        assert values.pop(name) is None
    assert Explanation.from_dict(values) == explanation


def test_invalid_data_is_rejected(fitted):
    values = fitted.explain(["Shares fell."])[0].to_dict()
    for broken in ({}, {**values, "sentences": 3}, {**values, "text": "Nothing of it."}, {**values, "predicted": "x"}):
        with pytest.raises(ValueError, match="values must be the result of to_dict"):
            Explanation.from_dict(broken)
    with pytest.raises(ValueError, match="Expecting value"):
        Explanation.from_json("no")


def stems(sentence):
    """Stem, drop punctuation, and write "#" for numbers that are not alone."""
    words = [word.lower().removesuffix("s").removesuffix("ed") for word in re.findall(r"[\w’']+", sentence)]
    return ["#" if word[0].isdigit() and len(words) > 1 else word for word in words]


@pytest.fixture(scope="module")
def stemming():
    return train(settings={"tokenizer": stems})


@pytest.mark.parametrize("method", ["attention", "integrated_gradients"])
def test_words_changed_by_a_tokenizer(stemming, method):
    text = "A fine film, the 5th. I LIKED it; others walked."
    (explanation,) = stemming.explain([text], method=method)
    words = [word for sentence in explanation.sentences for word in sentence.words]
    assert [word.text for word in words] == [
        *stems("A fine film, the 5th."),
        *stems("I LIKED it; others walked."),
    ]
    places = {word.text: text[word.start : word.end] for word in words if word.start is not None}
    assert places["film"] == "film"
    assert places["lik"] == "LIKED"
    assert places["walk"] == "walked"
    assert "#" not in places
    np.testing.assert_allclose(explanation.probabilities, stemming.predict_proba([text])[0], atol=1e-6)
    again = Explanation.from_json(explanation.to_json())
    assert again == explanation
    frame = explanation.to_frame()
    assert frame["word"].tolist() == [word.text for word in words]
    assert frame["start"].isna().tolist() == [word.start is None for word in words]
    assert frame["word_score"].notna().all()
    assert frame.to_json()


def test_words_without_offsets_have_scores():
    (explanation,) = train(settings={"tokenizer": lambda sentence: [f"w{len(sentence)}", "x"]}).explain(
        ["So good! Yes."]
    )
    assert [sentence.text for sentence in explanation.sentences] == ["w9 x", "w4 x"]
    assert {(sentence.start, sentence.end) for sentence in explanation.sentences} == {(None, None)}
    assert Explanation.from_json(explanation.to_json()) == explanation
    for drawn in (page(explanation), terminal(explanation)):
        assert "[w9]" in drawn
        assert "So good! Yes." in drawn
    assert figure(explanation).axes


def test_faithfulness_of_a_classifier_that_changes_words(stemming):
    result = faithfulness(stemming, TEXTS[:6], methods=["attention", "occlusion"], fractions=[0.2])
    assert result.per_document["comprehensiveness"].notna().all()
