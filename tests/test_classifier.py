from __future__ import annotations

import copy
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from han import HANClassifier
from han.backend import keras
from han.explain.explanation import Explanation
from han.text import DocumentSplitter, split_sentences

SMALL = {"embedding_dim": 8, "units": 4, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
TEXTS = ["A fine film. I liked it.", "A dull film. I slept."] * 10
LABELS = ["good", "bad"] * 10


def test_real_documents_are_classified(fitted, news):
    _, _, texts, labels = news
    assert fitted.score(texts, labels) > 0.9
    assert fitted.classes_.tolist() == ["business", "sports"]


def test_attributes(fitted):
    assert set(fitted.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(isinstance(value, float) for values in fitted.history_.values() for value in values)
    assert fitted.vocabulary_["the"] >= 2
    assert fitted.model_.count_params() > 0
    assert not hasattr(fitted, "n_features_in_")


def test_predictions_are_the_most_probable_classes(fitted, news):
    texts = news[2]
    probabilities = fitted.predict_proba(texts)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert fitted.predict(texts).tolist() == fitted.classes_[probabilities.argmax(axis=1)].tolist()
    np.testing.assert_allclose(fitted.predict_proba(pd.Series(texts, dtype="string")), probabilities, atol=1e-6)


def test_predictions_do_not_depend_on_other_documents(fitted, news):
    documents = {
        "real": news[2][0],
        "ten times longer": "\n".join(news[2][:10]),
        "empty": "",
        "white space": " \n\t ",
        "unknown words": "xqzzy plvgh xqzzy",
        "one sentence": "Shares rose.",
        "500 sentences": "Shares rose again. " * 500,
        "one sentence of 3,000 words": "shares " * 3000,
    }
    together = fitted.predict_proba(list(documents.values()))
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-6)
    for row, (name, text) in zip(together, documents.items(), strict=True):
        np.testing.assert_allclose(fitted.predict_proba([text])[0], row, atol=1e-5, err_msg=name)


def test_equal_random_states_give_equal_predictions():
    first, second, other = (
        HANClassifier(**{**SMALL, "random_state": seed}).fit(TEXTS, LABELS).predict_proba(TEXTS) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_random_state_does_not_affect_global_generators():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    HANClassifier(**SMALL).fit(TEXTS, LABELS)
    assert np.random.rand() == expected  # noqa: NPY002


@pytest.mark.parametrize(
    ("labels", "kind"), [([7, 3], int), ([True, False], bool), (np.array(["b", "a"], object), str)]
)
def test_predictions_have_the_type_of_the_labels(labels, kind):
    y = np.array([*labels] * 10, dtype=getattr(labels, "dtype", None))
    classifier = HANClassifier(**SMALL).fit(TEXTS, y)
    assert classifier.classes_.tolist() == sorted(set(y.tolist()))
    predicted = classifier.predict(TEXTS)
    assert predicted.dtype == y.dtype
    assert type(predicted.tolist()[0]) is kind


@pytest.mark.slow
def test_documents_of_weight_zero_are_ignored():
    settings = {**SMALL, "epochs": 30, "learning_rate": 0.02, "dropout": 0.0, "patience": None}
    weights = np.tile([1.0, 0.0], 10)
    classifier = HANClassifier(**settings).fit(TEXTS, LABELS, sample_weight=weights)
    assert set(classifier.predict(TEXTS)) == {"good"}
    assert set(HANClassifier(**settings).fit(TEXTS, LABELS).predict(TEXTS)) == {"good", "bad"}


def test_validation_data_is_used_for_early_stopping_only():
    # Without n-grams, because the losses are those of the network alone.
    settings = {**SMALL, "epochs": 40, "patience": 1, "learning_rate": 0.02, "l2": 0.0, "ngram_evidence": False}
    held_out = (TEXTS[:4], ["bad", "good"] * 2)  # swapped labels, so the validation loss rises
    classifier = HANClassifier(**settings).fit(TEXTS, LABELS, validation_data=held_out)
    losses = classifier.history_["val_loss"]
    assert len(losses) < 40
    best = int(np.argmin(losses))
    assert len(losses) == best + 2
    probabilities = classifier.predict_proba(held_out[0])
    truth = [classifier.classes_.tolist().index(label) for label in held_out[1]]
    assert -np.log(probabilities[range(4), truth]).mean() == pytest.approx(losses[best], rel=1e-4)


def test_vocabulary_excludes_validation_documents():
    classifier = HANClassifier(**SMALL).fit(TEXTS, LABELS, validation_data=(["Surprise surprise."], ["good"]))
    assert "film" in classifier.vocabulary_
    assert "surprise" not in classifier.vocabulary_


def test_without_validation_all_epochs_are_run():
    classifier = HANClassifier(**SMALL, validation_fraction=0).fit(TEXTS, LABELS)
    assert set(classifier.history_) == {"loss", "accuracy"}
    assert len(classifier.history_["loss"]) == 2


@pytest.mark.parametrize(
    ("cell", "pooling"),
    [
        ("gru", "attention"),
        pytest.param("lstm", "mean", marks=pytest.mark.slow),
        pytest.param("lstm", "max", marks=pytest.mark.slow),
    ],
)
def test_every_kind_of_network_learns(cell, pooling):
    settings = {**SMALL, "epochs": 20, "dropout": 0.0, "word_dropout": 0.0, "learning_rate": 0.02}
    classifier = HANClassifier(**settings, cell=cell, pooling=pooling).fit(TEXTS, LABELS)
    assert classifier.score(TEXTS, LABELS) == 1.0


def test_parameters_may_be_numpy_numbers(tmp_path):
    settings = {**SMALL, "units": np.int64(4), "epochs": np.int32(1), "dropout": np.float32(0.1)}
    classifier = HANClassifier(**settings).fit(TEXTS, LABELS)
    classifier.save(tmp_path / "model")
    assert HANClassifier.load(tmp_path / "model").units == 4


def test_custom_splitter_and_tokenizer():
    classifier = HANClassifier(**SMALL, sentence_splitter=lambda text: text.split("\n"), tokenizer=str.split)
    classifier.fit([text.replace(". ", ".\n") for text in TEXTS], LABELS)
    assert "film." in classifier.vocabulary_


TOPICS = [["film"], ["film", "music"], ["music"], []]
SEVERAL = ["A fine film. I liked it.", "A film with songs. A band plays.", "The band plays songs.", "It rained."] * 8


@pytest.mark.parametrize("label_format", ["lists", "matrix"])
def test_multi_label_classification(label_format, tmp_path):
    matrix = np.array([[1, 0], [1, 1], [0, 1], [0, 0]] * 8)
    y = TOPICS * 8 if label_format == "lists" else matrix
    settings = SMALL | {"epochs": 25, "learning_rate": 0.02, "calibrate": True, "tune_thresholds": True}
    classifier = HANClassifier(**settings).fit(SEVERAL, y)
    assert classifier.classes_.tolist() == (["film", "music"] if label_format == "lists" else [0, 1])
    predicted = classifier.predict(SEVERAL)
    assert predicted == y if label_format == "lists" else (predicted == y).all()
    assert classifier.score(SEVERAL, y) == 1.0
    probabilities = classifier.predict_proba(SEVERAL[:4])
    assert probabilities.shape == (4, 2)
    np.testing.assert_array_equal(probabilities >= classifier.thresholds_, matrix[:4] > 0)
    assert probabilities[1].min() > 0.5  # not a distribution
    assert classifier.model_.evidence.columns == 2
    (explanation,) = classifier.explain(["A film with songs."], "occlusion", target=classifier.classes_[1])
    frame = explanation.to_frame()
    assert frame.loc[frame["word_score"].idxmax(), "word"] == "songs"
    classifier.save(tmp_path / "model")
    loaded = HANClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(SEVERAL[:4]), probabilities)
    np.testing.assert_array_equal(loaded.thresholds_, classifier.thresholds_)
    assert type(loaded.predict(SEVERAL)) is type(y)


@pytest.mark.slow
def test_multi_label_class_weights_are_averaged():
    weighted = HANClassifier(**SMALL, class_weight={"music": 5}).fit(SEVERAL, TOPICS * 8)
    by_hand = HANClassifier(**SMALL).fit(SEVERAL, TOPICS * 8, sample_weight=[1, 3, 5, 1] * 8)
    np.testing.assert_array_equal(weighted.predict_proba(SEVERAL[:4]), by_hand.predict_proba(SEVERAL[:4]))


# A positive and a negative review in each language, written for this test.
FILMS = {
    "de": ("Ein schöner Film, z. B. am Ende. Ich mochte ihn.", "Ein öder Film. Ich schlief z. B. ein."),
    "fr": ("Un beau film. Je l’ai aimé.", "Un film ennuyeux. J’ai dormi."),
    "zh": ("这部电影很好。我喜欢它。", "这部电影很无聊。我睡着了。"),
    "ja": ("素晴らしい映画です。好きでした。", "退屈なドラマです。寝ました。"),
    "ar": ("فيلم جميل جدا. لقد أحببته.", "فيلم ممل جدا. لقد نمت."),
    "hi": ("यह फ़िल्म अच्छी है। मुझे पसंद आई।", "यह फ़िल्म उबाऊ है। मैं सो गया।"),
}


QUICK_LANGUAGES = ("zh", "ar")


@pytest.mark.parametrize(
    "language", [code if code in QUICK_LANGUAGES else pytest.param(code, marks=pytest.mark.slow) for code in FILMS]
)
def test_other_languages(language, tmp_path):
    X = [*FILMS[language]] * 10
    classifier = HANClassifier(**SMALL | {"epochs": 15, "learning_rate": 0.02}, language=language).fit(X, LABELS)
    assert classifier.score(X, LABELS) == 1.0
    (explanation,) = classifier.explain(X[:1])
    assert len(explanation.sentence_scores) == 2
    assert explanation.to_frame()["word"].iloc[-1] in (".", "。", "।")
    classifier.save(tmp_path / "model")
    loaded = HANClassifier.load(tmp_path / "model")
    assert loaded.language == language
    np.testing.assert_array_equal(loaded.predict_proba(X[:2]), classifier.predict_proba(X[:2]))


@pytest.mark.slow
def test_split_documents_equal_their_text():
    sentences = [[sentence.strip() for sentence in split_sentences(text)] for text in TEXTS]
    words = [DocumentSplitter()(text) for text in TEXTS]
    expected = HANClassifier(**SMALL).fit(TEXTS, LABELS)
    probabilities = expected.predict_proba(TEXTS)
    for split in (sentences, words, pd.Series(words), tuple(map(tuple, sentences))):
        np.testing.assert_array_equal(expected.predict_proba(split), probabilities)
        np.testing.assert_array_equal(HANClassifier(**SMALL).fit(split, LABELS).predict_proba(TEXTS), probabilities)
    (plain,), (given,) = expected.explain(TEXTS[:1]), expected.explain(words[:1])
    assert type(given.text) is str
    assert given.text == "A fine film .\nI liked it ."
    np.testing.assert_array_equal(given.word_scores, plain.word_scores)
    assert [given.text[start:end] for start, end in given.offsets] == [*words[0][0], *words[0][1]]
    assert Explanation.from_json(given.to_json()).text == given.text


def test_long_documents_are_truncated_with_one_warning():
    classifier = HANClassifier(**SMALL, max_sentences=1)
    with pytest.warns(UserWarning, match="20 of 20 documents have more than max_sentences=1") as caught:
        classifier.fit(TEXTS, LABELS)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="1 of 2 documents have more than max_sentences=1") as caught:
        probabilities = classifier.predict_proba(["A dull film. I slept.", "A dull film."])
    assert len(caught) == 1
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cell": "rnn"}, "cell must be one of 'lstm', 'gru', got 'rnn'"),
        ({"pooling": None}, "pooling must be one of 'attention', 'mean', 'max', got None"),
        ({"units": 0}, "units must be an int of at least 1, got 0"),
        ({"embedding_dim": 2.5}, "embedding_dim must be an int of at least 1, got 2.5"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"word_dropout": float("nan")}, "word_dropout must be a number .*, got nan"),
        ({"l2": -1}, "l2 must be a number of at least 0, got -1"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"epochs": True}, 'epochs must be an int of at least 1 or "auto", got True'),
        ({"epochs": None}, "epochs must be .*, got None"),
        ({"patience": 0}, 'patience must be an int of at least 1, "auto" or None, got 0'),
        ({"patience": "always"}, "patience must be .*, got 'always'"),
        ({"embeddings": 50}, "embeddings must be a path, the name of word vectors, .*, got 50"),
        ({"embeddings": str}, "embeddings must be .* an object with a method `encode` or None, got "),
        ({"embedding_training": True}, "embedding_training must be one of 'auto', 'tune', 'delay', 'freeze', got True"),
        ({"calibrate": "yes"}, "calibrate must be True or False, got 'yes'"),
        ({"class_weight": "auto"}, "class_weight must be \"balanced\", .*, got 'auto'"),
        ({"class_weight": {"good": -1}}, "class_weight must be "),
        ({"class_weight": {"middling": 1}}, r"class_weight must name classes of y, .*, got 'middling'"),
        ({"validation_fraction": 1}, "validation_fraction must be"),
        ({"max_vocabulary": "all"}, "max_vocabulary must be"),
        ({"tokenizer": "words"}, "tokenizer must be a callable or None, got 'words'"),
        ({"verbose": 2}, "verbose must be one of 0, 1"),
        ({"random_state": "abc"}, "random_state must be an int .*, got 'abc'"),
        ({"random_state": -1}, "random_state must be an int .*, got -1"),
    ],
)
def test_fit_rejects_invalid_hyper_parameters(parameters, message):
    classifier = HANClassifier(**{**SMALL, **parameters})
    with pytest.raises(ValueError, match=message):
        classifier.fit(TEXTS, LABELS)
    assert not hasattr(classifier, "model_")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("A film.", ["a"]), TypeError, "X must be"),
        ((["A film.", "B."], ["a"]), ValueError, "X and y must have the same length"),
        ((["A film.", "B."], ["a", "a"]), ValueError, "y must contain at least two classes, got one class, 'a'"),
        (([], []), ValueError, "got no documents"),
        ((TEXTS, LABELS, [1.0]), ValueError, "sample_weight must"),
        ((TEXTS, LABELS, None, None, ["stop"]), TypeError, "callbacks must be a list"),
        ((TEXTS, LABELS, None, TEXTS), ValueError, r"validation_data must be a tuple \(X, y\), got a list of 20"),
        ((TEXTS, LABELS, None, (TEXTS, LABELS[:3])), ValueError, r"validation_data\[0\] and validation_data\[1\] must"),
        ((TEXTS, LABELS, None, (["a"], ["new"])), ValueError, r"validation_data\[1\] must contain .* got \['new'\]"),
    ],
)
def test_a_failed_fit_leaves_the_classifier_unchanged(arguments, error, message, fitted):
    before = fitted.predict_proba(TEXTS)
    state = dict(vars(fitted))
    with pytest.raises(error, match=message):
        fitted.fit(*arguments)
    assert vars(fitted) == state
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), before)


def test_predict_rejects_invalid_hyper_parameters():
    classifier = HANClassifier(**SMALL).fit(TEXTS, LABELS).set_params(max_words=0)
    with pytest.raises(ValueError, match="max_words must be an int of at least 1, got 0"):
        classifier.predict(TEXTS)


def test_an_unfitted_classifier_neither_predicts_nor_saves(tmp_path):
    for call in (
        lambda: HANClassifier().predict(TEXTS),
        lambda: HANClassifier().predict_proba(TEXTS),
        lambda: HANClassifier().save(tmp_path / "model"),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert not any(tmp_path.iterdir())


def test_constructor_only_stores_parameters():
    classifier = HANClassifier(units=-3, cell="nonsense")
    assert clone(classifier).get_params() == classifier.get_params()
    assert set(vars(classifier)) == set(classifier.get_params())


def test_callbacks_are_called():
    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.calls = []

        def on_train_batch_end(self, batch, logs=None):
            self.calls.append(("batch", batch))

        def on_epoch_end(self, epoch, logs=None):
            self.calls.append(("epoch", epoch, logs["loss"]))

    recorder = Recorder()
    parameters = {**SMALL, "validation_fraction": 0, "batch_size": 10}
    fitted = HANClassifier(**parameters).fit(TEXTS, LABELS, callbacks=[recorder])
    losses = fitted.history_["loss"]
    assert recorder.calls == [
        call for epoch in (0, 1) for call in (("batch", 0), ("batch", 1), ("epoch", epoch, losses[epoch]))
    ]


@pytest.mark.slow
def test_verbose_0_is_silent():
    code = (
        "from han import HANClassifier; "
        f"c = HANClassifier(**{SMALL!r}).fit({TEXTS!r}, {LABELS!r}); c.predict({TEXTS!r})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert run.stdout == ""
    assert run.stderr == ""


def test_verbose_1_shows_loss_and_accuracy_of_each_epoch(capfd):
    HANClassifier(**{**SMALL, "verbose": 1}).fit(TEXTS, LABELS)
    output = capfd.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert [line.split()[:2] for line in lines] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert all(name in lines[0] for name in ("loss", "accuracy", "val_loss", "val_accuracy"))


@pytest.mark.slow
def test_threads_get_the_same_results_as_one_thread(fitted, news):
    # Nothing is traced in a copy, so all threads trace at the same time.
    copied, texts = copy.deepcopy(fitted), [*news[2][:8], ""]
    parts = [texts[start : start + 3] for start in range(7)] + [texts]
    methods = ["attention", "gradient_x_input", "integrated_gradients", "occlusion"] * 2
    barrier = threading.Barrier(len(parts))

    def call(part, method):
        barrier.wait()
        first = copied.predict_proba(part)
        return first, copied.explain(part, method=method, n_steps=4), copied.predict(part), copied.predict_proba(part)

    with ThreadPoolExecutor(len(parts)) as executor:
        results = list(executor.map(call, parts, methods))
    for part, method, (first, explanations, labels, second) in zip(parts, methods, results, strict=True):
        expected = copied.predict_proba(part)
        np.testing.assert_allclose(first, expected, atol=1e-6)
        np.testing.assert_allclose(second, expected, atol=1e-6)
        np.testing.assert_allclose(fitted.predict_proba(part), expected, atol=1e-6)
        assert labels.tolist() == copied.predict(part).tolist()
        for found, explanation in zip(explanations, copied.explain(part, method=method, n_steps=4), strict=True):
            np.testing.assert_allclose(found.word_scores, explanation.word_scores, atol=1e-6)
            np.testing.assert_allclose(found.sentence_scores, explanation.sentence_scores, atol=1e-6)
            np.testing.assert_allclose(found.probabilities, explanation.probabilities, atol=1e-6)
