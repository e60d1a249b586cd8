from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from han import HANClassifier
from han.data.labels import LabelEncoder
from han.evaluation.measures import baselines, comparison, evaluate
from han.exceptions import UnknownClassWarning


class Fixed:
    """A classifier with fixed probabilities."""

    classes_ = np.array(["a", "b", "c"])

    def predict_proba(self, texts):
        table = {"1": [0.8, 0.1, 0.1], "2": [0.2, 0.5, 0.3], "3": [0.6, 0.3, 0.1], "4": [0.1, 0.8, 0.1]}
        return np.array([table[text] for text in texts], np.float32)


def test_metrics_agree_with_calculations_by_hand():
    # Predicted a, b, a, b; true a, b, b, b; c does not occur.
    result = evaluate(Fixed(), ["1", "2", "3", "4"], np.array(["a", "b", "b", "b"]))
    assert result.accuracy == 0.75
    assert result.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert result.log_loss == pytest.approx(-np.log([0.8, 0.5, 0.3, 0.8]).mean(), rel=1e-6)
    # Each document is alone in its bin, except the two at 0.8, which are correct. Errors: 0.2 + 0.5 + 0.6 + 0.2, of 4.
    assert result.reliability.error == pytest.approx((0.2 + 0.5 + 0.6 + 0.2) / 4)
    assert result.confusion.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert result.per_class.loc["b"].tolist() == pytest.approx([1.0, 2 / 3, 4 / 5, 3])
    assert result.per_class["documents"].tolist() == [1, 3, 0]


def test_unknown_classes_count_as_errors():
    labels = np.array(["a", "b", "d", "e"])  # predicted a, b, a, b
    with pytest.warns(UnknownClassWarning, match=r"2 of 4 documents in y .*\['d', 'e'\]") as warned:
        result = evaluate(Fixed(), ["1", "2", "3", "4"], labels)
    assert warned[0].filename == __file__
    predicted = np.array(["a", "b", "a", "b"])
    assert result.accuracy == accuracy_score(labels, predicted) == 0.5
    assert result.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    assert result.per_class["documents"].to_dict() == {"a": 1, "b": 1, "c": 0, "d": 1, "e": 1}
    assert result.confusion.tolist() == confusion_matrix(labels, predicted, labels=[*"abcde"]).tolist()
    assert result.log_loss == pytest.approx(-np.log([0.8, 0.5, *[np.finfo(float).eps] * 2]).mean(), rel=1e-6)
    # Those at 0.5 and 0.6 are as in the first test, and one of the two at 0.8 is correct.
    assert result.reliability.error == pytest.approx((0.5 + 0.6 + 2 * 0.3) / 4)


def test_unknown_classes_in_multi_label_classification():
    class MultiLabel(Fixed):
        label_encoder_ = LabelEncoder(np.array(["a", "b", "c"]), "set")

    labels = [{"a"}, {"b", "d"}, {"d"}, {"b"}]  # predicted a, b, a, b
    with pytest.warns(UnknownClassWarning, match="2 of 4 documents"):
        result = evaluate(MultiLabel(), ["1", "2", "3", "4"], labels)
    binarizer = MultiLabelBinarizer(classes=[*"abcd"])
    truth, predicted = binarizer.fit_transform(labels), binarizer.transform([["a"], ["b"], ["a"], ["b"]])
    assert result.accuracy == accuracy_score(truth, predicted) == 0.5
    assert result.micro_f1 == pytest.approx(f1_score(truth, predicted, average="micro"))
    assert result.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint64, bool])
def test_rows_are_named_by_classes_of_any_type(dtype):
    class Numbers(Fixed):
        classes_ = np.array([0, 1], dtype)

        def predict_proba(self, texts):
            return super().predict_proba(texts)[:, :2]

    result = evaluate(Numbers(), ["1", "2"], np.array([0, 1], dtype))
    assert result.per_class["documents"].to_dict() == {0: 1, 1: 1}
    assert result.accuracy == 1.0


def test_half_of_a_surrogate_pair_is_an_ordinary_class():
    class Surrogates(Fixed):
        classes_ = np.array(["a", "b", "\ud800"])

    result = evaluate(Surrogates(), ["1", "2"], np.array(["a", "\ud800"]))
    assert result.per_class["documents"].to_dict() == {"a": 1, "b": 0, "\ud800": 1}


def test_baselines_reach_the_expected_accuracy(news):
    train, train_labels, test, test_labels = news
    results = {name: evaluate(model.fit(train, train_labels), test, test_labels) for name, model in baselines().items()}
    assert results["majority class"].accuracy == 0.5
    assert results["TF-IDF + logistic regression"].accuracy > 0.9
    table = comparison(results)
    assert table.loc["majority class", "log loss"] == pytest.approx(np.log(2))
    assert table.loc["majority class", "calibration error"] == pytest.approx(0)
    assert [*table.columns] == ["accuracy", "macro F1", "log loss", "calibration error"]


def test_multi_label_metrics_agree_with_scikit_learn(news):
    train, train_labels, test, test_labels = news

    def matrix(labels):
        return np.column_stack([labels == "sports", np.arange(len(labels)) % 3 == 0])

    model = baselines(multi_label=True)["TF-IDF + logistic regression"].fit(train, matrix(train_labels))
    tags = matrix(test_labels)
    result = evaluate(model, test, tags)
    predicted, probabilities = model.predict(test), model.predict_proba(test)
    assert result.accuracy == (predicted == tags).all(axis=1).mean()
    assert result.micro_f1 == pytest.approx(f1_score(tags, predicted, average="micro"))
    assert result.macro_f1 == pytest.approx(f1_score(tags, predicted, average="macro", zero_division=0))
    right = np.where(tags, probabilities, 1 - probabilities)
    assert result.log_loss == pytest.approx(-np.log(right).mean())
    assert result.reliability.counts.sum() == tags.size
    assert result.confusion is None
    assert result.per_class["documents"].tolist() == tags.sum(axis=0).tolist()
    assert [*comparison({"linear": result}).columns] == [
        "accuracy", "micro F1", "macro F1", "log loss", "calibration error",
    ]  # fmt: skip


@pytest.mark.slow
def test_labels_must_have_the_format_that_the_classifier_was_fitted_with(news):
    tags = [["even"] if index % 2 else [] for index in range(80)]
    classifier = HANClassifier(embedding_dim=8, units=2, epochs=1, random_state=0, verbose=0)
    classifier.fit(news[0], [[label, *more] for label, more in zip(news[1], tags, strict=True)])
    result = evaluate(classifier, news[2], [[label] for label in news[3]])
    assert [*result.per_class.index] == ["business", "even", "sports"]
    with pytest.raises(TypeError, match="y must contain a collection of labels"):
        evaluate(classifier, news[2], news[3])
