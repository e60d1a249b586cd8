from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from han import HANClassifier
from han.evaluation import Report, baselines, evaluate
from han.evaluation.parts import NETWORK, NGRAMS, evaluate_parts
from han.evaluation.uncertainty import accuracy_interval

SMALL = {"embedding_dim": 8, "units": 4, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}


@pytest.fixture(scope="module")
def report(fitted, news):
    train, train_labels, texts, labels = news
    # One test document is a training document, and one has the wrong label.
    texts, labels = [*texts, train[0] + " Indeed."], [*labels, train_labels[0]]
    labels[0] = "sports" if labels[0] == "business" else "business"
    linear = baselines()["TF-IDF + logistic regression"].fit(train, train_labels)
    return Report.create(
        fitted,
        texts,
        labels,
        name="news <b>",
        training_texts=train,
        baselines={"linear": evaluate(linear, texts, labels)},
    )


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects identifiers, links and attributes that load something."""

    VOID = ("meta", "link", "br", "img", "path", "use", "hr", "rect")

    def __init__(self, source):
        super().__init__()
        self.open, self.ids, self.links, self.loaded = [], set(), set(), []
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a":
            self.links.add(found["href"])
        self.loaded += [found[name] for name in ("src", "xlink:href") if name in found and found[name][:1] != "#"]
        assert tag != "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "xlink:href") and value[:1] != "#"]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_scores_are_those_of_the_classifier_and_have_intervals(report, fitted):
    found = report.to_dict()["classifiers"]
    assert [*found] == ["han", "linear", NETWORK, NGRAMS]
    truth = [report.listed(index).true for index in range(len(report.texts))]
    assert found["han"]["accuracy"] == pytest.approx(fitted.score(report.texts, truth))
    assert found["han"]["accuracy_interval"] == [*accuracy_interval(report.evaluation.outcomes)[1:]]
    low, high = found["linear"]["accuracy_difference_interval"]
    assert low < found["linear"]["accuracy_difference"] < high
    assert found["linear"]["verdict"] == "not told apart"
    assert "accuracy_difference" not in found["han"]


def test_conclusions_say_in_words_what_is_not_told_apart(report):
    text = " ".join(report.conclusions())
    assert re.search(
        r"against 0\.\d{3} of linear on 31 documents, a difference of [+-]\d\.\d{3}.*: not told apart\.", text
    )
    assert "The network adds nothing to the n-grams that these documents show." in text


def test_parts_add_up_to_the_classifier(fitted, news):
    texts = news[2]
    parts = evaluate_parts(fitted, texts, news[3])

    def logits(probabilities):
        return np.diff(np.log(np.asarray(probabilities, np.float64)), axis=1)[:, 0]

    np.testing.assert_allclose(
        logits(parts[NETWORK].probabilities) + logits(parts[NGRAMS].probabilities),
        logits(fitted.predict_proba(texts)),
        atol=1e-4,
    )


def test_a_classifier_without_ngrams_has_no_parts(news):
    classifier = HANClassifier(**SMALL, ngram_evidence=False).fit(news[0], news[1])
    assert evaluate_parts(classifier, news[2], news[3]) == {}


def test_the_most_confident_mistakes_come_first_with_explanations(report):
    wrong = np.flatnonzero(~report.evaluation.outcomes.correct)
    assert {listed.position for listed, _ in report.mistakes} == set(wrong.tolist())
    confidences = [listed.confidence for listed, _ in report.mistakes]
    assert confidences == sorted(confidences, reverse=True)
    for listed, explanation in report.mistakes:
        assert explanation.text == report.texts[listed.position]
        assert str(explanation.predicted) == listed.predicted != listed.true


def test_the_wrong_label_is_suspected_and_the_copy_is_found(report):
    assert report.label_errors[0].position == 0
    assert [(pair.first, pair.second) for pair in report.duplicates.across] == [(0, 30)]
    assert any("flatter" in step for step in report.next_steps())


def test_the_page_is_complete_and_loads_nothing(report):
    source = report.to_html()
    page = Page(source)
    assert not page.loaded
    assert {link[1:] for link in page.links} <= page.ids
    assert "news &lt;b&gt;" in source
    assert "<b>" not in source.split("<main")[0].split("<body>")[1].split("</h1>")[0]
    for conclusion in report.conclusions():
        assert conclusion in source
    cells = {
        f"cell-{true}-{predicted}" for true, predicted in zip(*np.nonzero(report.evaluation.confusion), strict=True)
    }
    assert cells <= page.ids
    Page(report._repr_html_())


def test_the_data_are_valid_json(report):
    found = json.loads(report.to_json())
    assert found["test_documents"] == 31
    assert np.sum(found["confusion"]) == 31
    assert found["history"].keys() >= {"loss", "val_loss"}


def test_several_labels(news):
    train, labels, texts, test_labels = news
    y, y_test = ([[label, "long"] if len(text) > 2000 else [label] for text, label in zip(*part, strict=True)]
                 for part in ((train, labels), (texts, test_labels)))  # fmt: skip
    classifier = HANClassifier(**SMALL).fit(train, y)
    report = Report.create(classifier, texts, y_test)
    assert not report.cells
    source = report.to_html()
    Page(source)
    assert "threshold of every class" in source
    assert [*report.to_dict()["classifiers"]] == ["han", NETWORK, NGRAMS]


def test_without_the_extra_the_report_says_what_to_install(fitted, news, monkeypatch):
    for module in ("cleanlab", "cleanlab.filter", "datasketch"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    report = Report.create(fitted, news[2], news[3])
    assert "pip install 'han-classifier[report]'" in report.label_errors
    assert "pip install 'han-classifier[report]'" in report.duplicates
    assert report.to_html().count("han-classifier[report]") == 2


def test_an_evaluation_shows_itself_in_a_notebook(report):
    source = report.evaluation._repr_html_()
    assert f"{report.evaluation.accuracy:.3f}" in source
    Page(source)
