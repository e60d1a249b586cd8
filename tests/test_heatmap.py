from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy import sparse
from sklearn.preprocessing import MultiLabelBinarizer

from han.explain.explanation import Explanation
from han.heatmap import corpus_page, figure, fragment, page, terminal
from tests.explain.test_explanation import HOSTILE
from tests.text.test_splitting import DOCUMENTS

TEXTS = [*DOCUMENTS, *HOSTILE, 'x" onmouseover="alert(1)" &amp; \'y\'']


class Elements(HTMLParser):
    """The elements of an HTML page: tags with their attributes, text and style."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.open, self.text, self.style = [], [], "", ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def explanations(fitted, news):
    return fitted.explain([*TEXTS, *news[2][:4]])


@pytest.fixture(scope="module")
def attention(fitted, news):
    return fitted.explain(news[2][:1], "attention")[0]


@pytest.fixture(scope="module")
def signed(fitted, news):
    return fitted.explain(news[2][:1], method="occlusion", target="sports")[0]


def test_pages_contain_no_scripts_and_no_external_resources(explanations, signed):
    for source in (*map(page, [*explanations, signed]), corpus_page(explanations, ["sports"] * len(explanations))):
        elements = Elements(source)
        assert not elements.open
        tags = {tag for tag, _ in elements.tags}
        assert not tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
        for _, attributes in elements.tags:
            assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
            assert attributes.get("href", "#").startswith(("#", "data:,"))
        assert "url(" not in elements.style
        assert "@import" not in elements.style
        source.encode("utf-8")


def test_the_whole_text_is_shown(explanations):
    for explanation in explanations:
        shown = "".join(Elements(fragment(explanation)).text.split())
        for word in re.findall(r"[^\W_]+", explanation.text):
            assert word in shown
        if all(character.isprintable() for character in explanation.text):
            assert (
                "".join(explanation.text.split()) in re.sub(r"-?\d\.\d{2,4}(?=\D|$)", "", shown)
                or "." in explanation.text
            )


def test_control_characters_are_shown_as_pictures(fitted):
    source = page(fitted.explain(["A\x00B \x1b[31m \ud83d \x85 end"])[0])
    assert "␀" in source
    assert "␛" in source
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]", source)


def test_the_strongest_word_is_the_darkest(explanations):
    for explanation in explanations[-4:]:
        words = [word for sentence in explanation.sentences for word in sentence.words]
        strongest = max(words, key=lambda word: abs(word.combined_score))
        marked = re.findall(r'style="--a:([\d.]+)">([^<]*)<', fragment(explanation))
        assert ("1.00", escape(strongest.text)) in marked
        assert all(0 < float(alpha) <= 1 for alpha, _ in marked)


def test_the_legend_says_what_the_colours_mean(explanations, attention, signed):
    assert "attention: the darker, the higher the weight" in page(attention)
    assert "occlusion: blue counts towards sports, orange against it<" in page(signed)
    pattern = "contributions: blue counts towards business, orange against it; decided to [0-9]+% by n-grams<"
    assert re.search(pattern, page(explanations[-1]))


def test_positive_and_negative_scores_have_different_colours(signed):
    source = fragment(signed)
    assert 'class="word positive"' in source
    assert 'class="word negative"' in source
    assert "blue counts towards sports, orange against it" in source


def test_text_that_was_not_read_is_marked():
    from han import HANClassifier

    texts = ["Shares fell. Goal!", "A cup. Shares rose."] * 5
    settings = {"embedding_dim": 4, "units": 2, "epochs": 1, "max_sentences": 1, "validation_fraction": 0, "verbose": 0}
    with pytest.warns(UserWarning, match="were truncated"):
        classifier = HANClassifier(**settings, random_state=0).fit(texts, ["a", "b"] * 5)
    with pytest.warns(UserWarning, match="1 of 1 documents have more than max_sentences=1"):
        (explanation,) = classifier.explain(["Shares fell. Goal!"])
    elements = Elements(fragment(explanation))
    assert ("div", {"class": "sentence unread"}) in elements.tags
    assert "Goal!" in elements.text
    assert "Goal!" in terminal(explanation)
    figure(explanation).canvas.draw()


def test_the_corpus_page_starts_with_the_most_uncertain_document_and_marks_mistakes(explanations):
    truths = ["sports"] * len(explanations)
    source = corpus_page(explanations, truths)
    shares = [int(share) for share in re.findall(r"<summary>.*?(\d+)%", source)]
    assert shares == sorted(shares)
    mistakes = sum(explanation.predicted != "sports" for explanation in explanations)
    assert 0 < mistakes == source.count("✗")
    assert source.count("<details") == len(explanations)
    links = re.findall(r'<a href="#(f\d)">([^<]+) \((\d+)\)<', source)
    assert [name for _, name, _ in links] == [
        "predicted business", "predicted sports", "true business", "true sports", "mistakes",
    ]  # fmt: skip
    for anchor, name, count in links:
        assert len(re.findall(rf'<details class="[^"]*\b{anchor}\b', source)) == int(count)
        assert f"{count} of {len(explanations)} documents: {name}<" in source
    cells = dict(re.findall(r'<a href="#(c\d-\d)">(\d+)</a>', source))
    assert cells == {"c1-0": str(mistakes), "c1-1": str(len(explanations) - mistakes)}
    for anchor, *_ in links:
        assert f'<i id="{anchor}"></i>' in source
        assert f"#{anchor}:target ~ main details:not(.{anchor}) {{ display: none; }}" in source
    assert "✗" not in corpus_page(explanations)
    with pytest.raises(ValueError, match="explanations and y_true must have the same length"):
        corpus_page(explanations, ["sports"])


PREDICTED = [["business"], [], ["business", "sports"], ["sports"]]


@pytest.fixture(scope="module")
def multi_label(explanations):
    """Multi-label explanations with the predictions in `PREDICTED`."""
    return [
        replace(explanation, probabilities=np.float32(["business" in labels, "sports" in labels]) * 0.8 + 0.1,
                thresholds=(0.5, 0.5))
        for explanation, labels in zip(explanations, PREDICTED, strict=False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "convert",
    [
        list, lambda labels: [*map(tuple, labels)], lambda labels: [*map(set, labels)],
        lambda labels: pd.Series([*map(np.array, labels)]), lambda labels: matrix(labels),
        lambda labels: matrix(labels).tolist(), lambda labels: sparse.csr_matrix(matrix(labels)),
        lambda labels: pd.DataFrame(matrix(labels), columns=["business", "sports"])[["sports", "business"]],
    ],
    ids=["lists", "tuples", "sets", "arrays", "matrix", "rows", "sparse", "frame"],
)  # fmt: skip
def test_the_corpus_page_marks_multi_label_mistakes_for_labels_in_any_format(multi_label, convert):
    assert [explanation.labels for explanation in multi_label] == PREDICTED
    assert "✗" not in corpus_page(multi_label, convert(PREDICTED))
    source = corpus_page(multi_label, convert([["business"], ["sports"], ["business"], ["sports"]]))
    assert source.count("✗") == 2
    assert "no class, true: sports" in source
    assert "business 90%, sports 90%, true: business" in source
    # The link of a class shows the documents for which it is predicted.
    assert len(re.findall(r'<details class="[^"]*\bf0\b', source)) == 2


def test_the_corpus_page_rejects_labels_in_another_format(multi_label):
    with pytest.raises(TypeError, match="y_true must contain a collection of labels for each document"):
        corpus_page(multi_label, ["business"] * 4)
    with pytest.raises(ValueError, match="got 4 documents and 1"):
        corpus_page(multi_label, [["business"]])


def test_multi_label_explanations_survive_json(multi_label):
    for explanation in multi_label:
        assert Explanation.from_json(explanation.to_json()) == explanation
    old = {name: value for name, value in multi_label[0].to_dict().items() if name != "thresholds"}
    assert Explanation.from_dict(old).thresholds is None


def matrix(labels):
    return MultiLabelBinarizer(classes=["business", "sports"]).fit_transform(labels)


def test_control_characters_never_reach_the_terminal(explanations, signed):
    for explanation in [*explanations, signed]:
        text = terminal(explanation)
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", plain)
        assert plain.startswith(f"{explanation.predicted} {explanation.probabilities.max():.0%}")
        assert plain.count("\n") >= len(explanation.sentences)


def test_the_figure_shows_every_sentence(explanations):
    for explanation in explanations[-2:]:
        drawn = figure(explanation)
        drawn.canvas.draw()
        texts = " ".join(text.get_text() for text in drawn.axes[0].texts)
        for sentence in explanation.sentences:
            assert f"{sentence.score:.2f}" in texts
            assert all(word.text in texts for word in sentence.words)


@pytest.mark.parametrize("columns", [40, 62, 90])
def test_the_title_of_a_figure_fits_its_width(explanations, columns):
    for explanation in explanations[-2:]:
        drawn = figure(explanation, columns)
        drawn.canvas.draw()
        (title,) = (text for text in drawn.findobj(Text) if str(explanation.predicted) in text.get_text())
        extent = title.get_window_extent()
        assert extent.x1 <= drawn.bbox.x1
        assert extent.y1 <= drawn.bbox.y1


def test_notebooks_display_explanations(explanations):
    assert explanations[-1]._repr_html_() == fragment(explanations[-1])
