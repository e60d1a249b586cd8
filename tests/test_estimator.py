"""scikit-learn's estimator checks, and the use of the classifier with its tools."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from gensim.models import KeyedVectors
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data

from han import HANClassifier
from han.backend import keras
from han.data.labels import LabelEncoder
from han.exceptions import TrainingWarning, UnknownClassWarning

QUICK = {
    "embedding_dim": 16,
    "units": 4,
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.02,
    "validation_fraction": 0,
    "random_state": 0,
    "verbose": 0,
}
NO_DROPOUT = {"dropout": 0.0, "embedding_dropout": 0.0, "word_dropout": 0.0}


class NumericClassifier(HANClassifier):
    """Converts rows of numbers to documents: each column becomes a sentence that encodes the size of its number.

    For classifiers of text, scikit-learn runs few of its checks. This class lets it run those of labels, weights,
    parameters, attributes, pickling and errors.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = False, True, False
        return tags

    def fit(self, X, y=None, sample_weight=None):
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        return super().fit(self._documents(X, reset=True), y, sample_weight)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        first = not hasattr(self, "model_")
        classes = np.unique(y) if classes is None and first else classes
        return super().partial_fit(self._documents(X, reset=first), y, classes, sample_weight)

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(self._documents(X))

    def score(self, X, y, sample_weight=None):
        return super().score(self._documents(X), y, sample_weight)

    def _documents(self, X, reset=False):
        if isinstance(X, Documents):
            return X
        return Documents(
            [[f"c{column}", *(f"c{column}over{step}" for step in range(-4, 5) if value > step / 2)]
             for column, value in enumerate(row)]
            for row in validate_data(self, X, reset=reset)
        )  # fmt: skip


class Documents(list):
    """Documents made from numbers."""


def expected_failures(estimator):
    if not isinstance(estimator, NumericClassifier):
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": "a repeated document changes the batches of stochastic "
        "gradient descent, a weight does not",
    }


# Checks that fit many classifiers.
SLOW_CHECKS = {
    "check_class_weight_classifiers",
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_classifiers_multilabel_output_format_decision_function",
    "check_classifiers_multilabel_output_format_predict_proba",
    "check_classifiers_multilabel_representation_invariance",
    "check_classifiers_train",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit_score_takes_y",
    "check_n_features_in_after_fitting",
    "check_sample_weight_equivalence_on_dense_data",
    "check_supervised_y_2d",
}


def every_check():
    """scikit-learn's checks of both classifiers, as test parameters."""
    for classifier in (HANClassifier(**QUICK), NumericClassifier(**QUICK)):
        with warnings.catch_warnings():
            # scikit-learn warns that it runs a single check for text.
            warnings.simplefilter("ignore", SkipTestWarning)
            failures = expected_failures(classifier)
            yielded = list(estimator_checks_generator(classifier, expected_failed_checks=failures, mark="xfail"))
        for number, parameters in enumerate(yielded):
            marked = parameters if hasattr(parameters, "marks") else pytest.param(*parameters)
            check = marked.values[1]
            name = getattr(check, "func", check).__name__
            marks = [*marked.marks, *([pytest.mark.slow] if name in SLOW_CHECKS else [])]
            yield pytest.param(*marked.values, marks=marks, id=f"{type(classifier).__name__}-{number}-{name}")


# Numbers that are nearly equal give the same document.
@pytest.mark.filterwarnings("ignore:.*have the same text as another one:han.exceptions.TrainingWarning")
@pytest.mark.no_cover  # takes a quarter of the time, and covers nothing that other tests do not
@pytest.mark.parametrize(("estimator", "check"), [*every_check()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def articles(news):
    """The beginnings of 80 real articles and their labels, of two alternating classes."""
    order = np.arange(80).reshape(2, 40).T.ravel()
    return [news[0][index][:300] for index in order], news[1][order]


@pytest.fixture(scope="module")
def quick(articles):
    """A fitted classifier that tests must not change."""
    return HANClassifier(**QUICK).fit(*articles)


def test_clone_is_unfitted_with_equal_parameters(quick):
    copied = clone(quick)
    assert copied.get_params() == quick.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(["x"])


@pytest.mark.slow
def test_pipeline_and_cross_validation(articles):
    pipeline = make_pipeline(
        FunctionTransformer(lambda texts: [text.lower() for text in texts]), HANClassifier(**QUICK)
    )
    scores = cross_val_score(pipeline, *articles, cv=2)
    assert scores.shape == (2,)
    assert scores.min() > 0.7
    probabilities = cross_val_predict(HANClassifier(**QUICK), *articles, cv=2, method="predict_proba")
    assert probabilities.shape == (80, 2)
    result = cross_validate(HANClassifier(**QUICK), *articles, cv=2, scoring=["f1_macro", "roc_auc", "neg_log_loss"])
    assert result["test_roc_auc"].min() > 0.7


@pytest.mark.slow
def test_grid_search_in_two_processes(articles):
    search = GridSearchCV(
        HANClassifier(**QUICK), {"units": [2, 4], "cell": ["gru"]}, cv=2, n_jobs=2, error_score="raise"
    )
    search.fit(*articles)
    assert search.best_params_["cell"] == "gru"
    assert search.best_estimator_.model_.get_config()["cell"] == "gru"
    assert search.best_score_ > 0.7
    assert set(search.predict(articles[0])) == {"business", "sports"}


@pytest.mark.slow
def test_learning_curve(articles):
    sizes, training, testing = learning_curve(HANClassifier(**QUICK), *articles, cv=2, train_sizes=[0.5, 1.0])
    assert sizes.tolist() == [20, 40]
    assert training.shape == testing.shape == (2, 2)


@pytest.mark.slow
def test_calibrated_classifier(articles):
    calibrated = CalibratedClassifierCV(HANClassifier(**QUICK), cv=2, ensemble=False).fit(*articles)
    assert calibrated.score(*articles) > 0.7
    np.testing.assert_allclose(calibrated.predict_proba(articles[0]).sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.slow
def test_voting(articles):
    linear = make_pipeline(TfidfVectorizer(), LogisticRegression())
    voting = VotingClassifier([("han", HANClassifier(**QUICK)), ("linear", linear)], voting="soft").fit(*articles)
    halves = [estimator.predict_proba(articles[0]) for estimator in voting.estimators_]
    np.testing.assert_allclose(voting.predict_proba(articles[0]), np.mean(halves, axis=0), atol=1e-6)


@pytest.mark.slow
def test_one_versus_rest(articles):
    texts, topics = articles
    labels = np.where(np.arange(len(topics)) % 5 == 0, "other", topics)
    classifier = OneVsRestClassifier(HANClassifier(**QUICK)).fit(texts, labels)
    assert [len(estimator.classes_) for estimator in classifier.estimators_] == [2, 2, 2]
    assert set(classifier.predict(texts)) <= {"business", "other", "sports"}


@pytest.mark.slow
def test_permutation_test(articles):
    score, permuted, chance = permutation_test_score(
        HANClassifier(**QUICK), *articles, cv=StratifiedKFold(2), n_permutations=2, random_state=0
    )
    assert score > permuted.max()
    assert chance == pytest.approx(1 / 3)


@pytest.mark.slow
def test_sample_weight_is_routed(articles):
    texts, labels = articles
    weights = np.where(labels == "sports", 1.0, 0.0)
    weights[0] = 1e-6  # both classes must have some weight
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = HANClassifier(**QUICK, ngram_evidence=False)
        classifier = classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        result = cross_validate(
            make_pipeline(classifier), texts, labels, cv=StratifiedKFold(2), params={"sample_weight": weights},
            return_estimator=True,
        )  # fmt: skip
        # Nearly all the weight is on one class, so only this class is predicted.
        for fitted in result["estimator"]:
            assert set(fitted.predict(texts)) == {"sports"}
        searched = GridSearchCV(classifier, {"units": [4]}, cv=2).fit(texts, labels, sample_weight=weights)
        assert set(searched.predict(texts)) == {"sports"}


@pytest.mark.parametrize(
    "dump", [pickle.dump, pytest.param(joblib.dump, marks=pytest.mark.slow)], ids=["pickle", "joblib"]
)
def test_unpickling_in_a_new_process(dump, quick, articles, tmp_path):
    file = tmp_path / "model.pkl"
    with file.open("wb") as stream:
        dump(make_pipeline(quick), stream)
    code = (
        "import sys, joblib, numpy as np\n"
        "pipeline = joblib.load(sys.argv[1])\n"
        "np.save(sys.argv[2], pipeline.predict_proba(sys.stdin.read().split(chr(0))))"
    )
    command = [sys.executable, "-c", code, str(file), str(tmp_path / "probabilities.npy")]
    subprocess.run(command, input="\0".join(articles[0]), text=True, check=True, capture_output=True)  # noqa: S603
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), quick.predict_proba(articles[0]), atol=1e-6)


def test_a_pickle_contains_the_files_of_save(quick, tmp_path):
    quick.save(tmp_path / "model")
    state = quick.__getstate__()["saved"]
    assert sorted(state) == sorted(path.name for path in (tmp_path / "model").iterdir())
    for name in ("settings.json", "vocabulary.json"):
        assert state[name] == (tmp_path / "model" / name).read_bytes()


def test_copies_are_independent(quick, articles):
    copied = copy.deepcopy(quick)
    before = quick.predict_proba(articles[0])
    copied.partial_fit(articles[0], articles[1][::-1])
    assert np.abs(copied.predict_proba(articles[0]) - before).max() > 1e-4
    np.testing.assert_array_equal(quick.predict_proba(articles[0]), before)


def test_pickle_before_fit():
    classifier = HANClassifier(**QUICK, tokenizer=str.split)
    assert pickle.loads(pickle.dumps(classifier)).get_params() == classifier.get_params()  # noqa: S301


@pytest.fixture(scope="module")
def vectors():
    """Word vectors of 2 MB; the classifiers here need a few of them."""
    words = ["the", "of", "market", "goal", *(f"rare{number}" for number in range(30_000))]
    return dict(zip(words, np.random.default_rng(0).normal(size=(len(words), 16)).astype(np.float32), strict=True))


class Encoder:
    """A model whose vectors are the lengths of the words and of their first letters."""

    def encode(self, words):
        return np.array([[len(word), ord(word[0])] for word in words])


@pytest.fixture(scope="module")
def fitted_with_vectors(vectors, articles):
    return HANClassifier(**QUICK, embeddings=vectors).fit(*articles)


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump], ids=["pickle", "joblib"])
def test_a_pickle_does_not_contain_word_vectors(dump, fitted_with_vectors, articles):
    stream = io.BytesIO()
    dump(make_pipeline(fitted_with_vectors), stream)
    assert len(stream.getvalue()) < 500_000
    assert b"rare29999" not in stream.getvalue()
    stream.seek(0)
    loaded = joblib.load(stream)[-1]
    assert loaded.embeddings is None
    assert loaded.embedding_coverage_ == fitted_with_vectors.embedding_coverage_
    np.testing.assert_allclose(
        loaded.predict_proba(articles[0]), fitted_with_vectors.predict_proba(articles[0]), atol=1e-6
    )


@pytest.mark.slow
def test_refitting_without_the_word_vectors_is_a_warning(fitted_with_vectors, vectors, articles, tmp_path):
    fitted_with_vectors.save(tmp_path / "model")
    loaded = HANClassifier.load(tmp_path / "model")
    pickled = pickle.loads(pickle.dumps(fitted_with_vectors))  # noqa: S301
    pickled.partial_fit(*articles)  # continues with the network, which contains the vectors
    for classifier in (loaded, clone(pickle.loads(pickle.dumps(clone(pickled))))):  # noqa: S301
        with pytest.warns(TrainingWarning, match="word vectors that this classifier was fitted with were not"):
            classifier.fit(*articles)
        classifier.fit(*articles)  # no warning: the previous fit had no vectors
    pickled.set_params(embeddings=vectors).fit(*articles)
    assert pickled.embedding_coverage_ == fitted_with_vectors.embedding_coverage_


def test_a_pickle_of_an_unfitted_classifier_keeps_the_word_vectors(vectors):
    loaded = pickle.loads(pickle.dumps(HANClassifier(embeddings=vectors)))  # noqa: S301
    assert loaded.embeddings.keys() == vectors.keys()
    np.testing.assert_array_equal(loaded.embeddings["goal"], vectors["goal"])


def test_a_model_with_a_method_encode_is_not_saved(articles, tmp_path):
    classifier = HANClassifier(**QUICK, embeddings=Encoder()).fit(*articles)
    assert classifier.embedding_coverage_ > 0.8  # all but the words outside the vocabulary
    classifier.save(tmp_path)
    for loaded in (HANClassifier.load(tmp_path), pickle.loads(pickle.dumps(classifier))):  # noqa: S301
        assert loaded.embeddings is None
        np.testing.assert_allclose(loaded.predict_proba(articles[0]), classifier.predict_proba(articles[0]), atol=1e-6)


def test_clones_and_copies_share_the_word_vectors(fitted_with_vectors, vectors, articles):
    keyed = KeyedVectors(2)
    keyed.add_vectors(["the", "of"], np.eye(2, dtype=np.float32))
    for source in (vectors, keyed, Encoder()):
        new = HANClassifier(**QUICK, embeddings=source, class_weight={"business": 2.0, "sports": 1.0})
        for copied in (clone(new), copy.deepcopy(new), copy.copy(new), clone(make_pipeline(new))[-1]):
            assert copied is not new
            assert copied.embeddings is source
            assert copied.get_params() == new.get_params()
        assert clone(new).class_weight is not new.class_weight
    for copied in (copy.deepcopy(fitted_with_vectors), copy.copy(fitted_with_vectors)):
        assert copied.embeddings is vectors
        assert copied.model_ is not fitted_with_vectors.model_
    assert not hasattr(clone(fitted_with_vectors), "model_")
    results = cross_validate(clone(fitted_with_vectors), *articles, cv=2, return_estimator=True)
    assert all(estimator.embeddings is vectors for estimator in results["estimator"])


def test_a_pickle_keeps_importable_functions(articles):
    classifier = HANClassifier(**QUICK, tokenizer=str.split).fit(*articles)
    restored = pickle.loads(pickle.dumps(classifier))  # noqa: S301
    assert restored.tokenizer == str.split
    np.testing.assert_allclose(restored.predict_proba(articles[0]), classifier.predict_proba(articles[0]), atol=1e-6)


def test_html_for_notebooks(quick):
    html = make_pipeline(TfidfVectorizer(), clone(quick))._repr_html_()
    assert "HANClassifier" in html
    assert "embedding_dim" in html
    # scikit-learn reads the descriptions of fitted attributes from the docstring.
    assert "HANClassifier" in quick._repr_html_()
    assert repr(clone(quick)).startswith("HANClassifier(batch_size=16")


def test_predictions_can_be_assigned_to_a_data_frame(articles, quick):
    frame = pd.DataFrame({"text": articles[0]}, index=np.arange(80)[::-1])
    frame["topic"] = quick.predict(frame["text"])
    assert frame["topic"].tolist() == quick.predict(articles[0]).tolist()


def test_partial_fit_learns_from_a_stream(articles):
    texts, labels = articles
    stream = HANClassifier(**QUICK, **NO_DROPOUT)
    for epoch in range(8):
        for start in range(0, 80, 40):
            stream.partial_fit(texts[start : start + 40], labels[start : start + 40], classes=["business", "sports"])
        if epoch == 0:
            words = stream.vocabulary_.words
    assert stream.vocabulary_.words == words
    assert len(stream.history_["loss"]) == 16
    assert stream.history_["loss"][-1] < 0.5 * stream.history_["loss"][0]
    assert stream.score(texts, labels) > 0.9


def test_partial_fit_continues_after_unpickling(articles):
    texts, labels = articles
    first = HANClassifier(**QUICK).partial_fit(texts, labels, classes=["sports", "business"])
    assert first.classes_.tolist() == ["business", "sports"]
    buffer = io.BytesIO()
    joblib.dump(first, buffer)
    buffer.seek(0)
    second = joblib.load(buffer).partial_fit(texts, labels)
    assert len(second.history_["loss"]) == 2
    assert second.history_["loss"][1] < first.history_["loss"][0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_partial_fit_has_no_effect(error, quick, articles, monkeypatch):
    class Breaks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise error

    classifier = copy.deepcopy(quick).partial_fit(*articles)
    expected, state = classifier.predict_proba(articles[0]), {**vars(classifier)}
    fit = keras.Model.fit
    with monkeypatch.context() as context:
        context.setattr(keras.Model, "fit", lambda self, *args, **kw: fit(self, *args, callbacks=[Breaks()], **kw))
        with pytest.raises(error):
            classifier.partial_fit(*articles)
    assert vars(classifier) == state
    np.testing.assert_array_equal(classifier.predict_proba(articles[0]), expected)
    twin = copy.deepcopy(quick).partial_fit(*articles).partial_fit(*articles)
    again = classifier.partial_fit(*articles)
    np.testing.assert_allclose(again.predict_proba(articles[0]), twin.predict_proba(articles[0]), atol=1e-6)


@pytest.mark.slow
def test_training_continues_without_the_file_of_word_vectors(articles, tmp_path):
    (tmp_path / "vectors.txt").write_text("the " + "1 " * 19 + "0\nof " + "0 " * 19 + "1\n")
    classifier = HANClassifier(**QUICK, embeddings=tmp_path / "vectors.txt").fit(*articles)
    classifier.save(tmp_path / "model")
    (tmp_path / "vectors.txt").unlink()
    loaded = HANClassifier.load(tmp_path / "model").partial_fit(*articles)
    loaded.set_params(warm_start=True).fit(*articles)
    assert loaded.model_.get_config()["embedding_dim"] == 20


def test_score_counts_unknown_classes_as_wrong(quick, articles):
    labels = np.where(np.arange(80) % 4 == 0, "politics", quick.predict(articles[0]))
    message = r"20 of 80 documents in y have classes that .* not trained on, \['politics'\]: they count as wrong"
    with pytest.warns(UnknownClassWarning, match=message) as caught:
        assert quick.score(articles[0], labels) == accuracy_score(labels, quick.predict(articles[0])) == 0.75
    assert caught[0].filename == __file__


@pytest.mark.parametrize("kind", ["list", "set"])
def test_score_counts_additional_unknown_labels_as_wrong(quick, articles, kind):
    classifier = copy.copy(quick)
    classifier.label_encoder_, classifier.thresholds_ = LabelEncoder(quick.classes_, kind), np.full(2, 0.5)
    labels = classifier.predict(articles[0])
    assert classifier.score(articles[0], labels) == 1.0
    for index in range(0, 80, 4):
        labels[index] = type(labels[index])([*labels[index], "politics"])
    with pytest.warns(UnknownClassWarning, match=r"20 of 80 documents .*\['politics'\]"):
        assert classifier.score(articles[0], labels) == 0.75
    weights = np.where(np.arange(80) % 4 == 0, 3.0, 1.0)
    with pytest.warns(UnknownClassWarning, match="20 of 80"):
        assert classifier.score(articles[0], labels, sample_weight=weights) == pytest.approx(0.5)


def test_decision_function_and_log_probabilities_of_two_classes(quick, articles):
    probabilities = quick.predict_proba(articles[0])
    decisions = quick.decision_function(articles[0])
    assert decisions.shape == (80,)
    np.testing.assert_allclose(expit(decisions), probabilities[:, 1], atol=1e-6)
    np.testing.assert_array_equal(quick.classes_[(decisions > 0).astype(int)], quick.predict(articles[0]))
    np.testing.assert_allclose(np.exp(quick.predict_log_proba(articles[0])), probabilities, atol=1e-6)


@pytest.mark.slow
def test_decision_function_of_multiclass_and_multi_label(articles):
    texts, topics = articles[0][:30], [*"abc"] * 10
    single = HANClassifier(**{**QUICK, "epochs": 1, "validation_fraction": 0.2}, calibrate=True).fit(texts, topics)
    assert single.temperature_ != 1.0
    decisions = single.decision_function(texts)
    assert decisions.shape == (30, 3)
    np.testing.assert_allclose(softmax(decisions, axis=1), single.predict_proba(texts), atol=1e-6)
    labels = [["a"], ["a", "b"], []] * 10
    several = HANClassifier(**{**QUICK, "epochs": 1}, class_weight="balanced").fit(texts, labels)
    decisions = several.decision_function(texts)
    assert decisions.shape == (30, 2)  # one column per class, even for two
    np.testing.assert_allclose(expit(decisions), several.predict_proba(texts), atol=1e-6)


def test_log_probabilities_are_finite(quick, articles):
    confident = copy.deepcopy(quick)
    confident.model_.scale_logits(1e6, 1e6)
    assert confident.predict_proba(articles[0]).min() == 0.0
    assert np.isfinite(confident.predict_log_proba(articles[0])).all()
    decisions = confident.decision_function(articles[0])
    assert np.isfinite(decisions).all()
    np.testing.assert_array_equal(decisions > 0, quick.decision_function(articles[0]) > 0)


def test_saving_after_set_params():
    classifier = HANClassifier(**{**QUICK, "validation_fraction": 0.1}).fit(["a b c d", "d e f"] * 20, [0, 1] * 20)
    classifier.set_params(monitor="macro_f1", max_words=np.int64(20))
    assert pickle.loads(pickle.dumps(classifier)).monitor == "macro_f1"  # noqa: S301
    assert json.dumps(classifier.tokenizer_settings())


def test_partial_fit_accepts_classes_that_occur_later(articles):
    texts, labels = articles
    classes = ["business", "politics", "sports"]
    classifier = HANClassifier(**QUICK).partial_fit(texts[:40], labels[:40], classes=classes)
    assert classifier.predict_proba(texts[:2]).shape == (2, 3)
    classifier.partial_fit(texts[40:], ["politics"] * 40)
    classifier.partial_fit(texts[40:], ["politics"] * 40, classes=np.array(classes)[::-1])


@pytest.mark.parametrize(
    "labels", [np.eye(2, dtype=int)[[0, 1] * 40], [["a"], ["a", "b"]] * 40], ids=["matrix", "lists"]
)
def test_multi_label_partial_fit(articles, labels):
    classifier = HANClassifier(**QUICK).partial_fit(articles[0], labels, classes=["a", "b"])
    assert classifier.classes_.tolist() == ["a", "b"]
    assert type(classifier.predict(articles[0])) is type(labels)


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({}, {}, "classes must name all classes in the first call"),
        ({}, {"classes": ["business"]}, "classes must contain at least two classes without repetition"),
        ({}, {"classes": ["business", "arts"]}, r"y must contain only known classes, .*got \['sports'\]"),
        ({"class_weight": "balanced"}, {"classes": ["business", "sports"]}, "class_weight must be a dict or None"),
    ],
)
def test_invalid_arguments_leave_partial_fit_unfitted(articles, settings, arguments, message):
    classifier = HANClassifier(**QUICK, **settings)
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(*articles, **arguments)
    with pytest.raises(NotFittedError):
        check_is_fitted(classifier)


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({}, {"classes": ["business", "arts"]}, "classes must match the fitted classes"),
        ({"units": 5}, {}, "units must be 4, as in the fitted network, got 5"),
        ({"embedding_dim": 8}, {}, "embedding_dim must be 16"),
    ],
)
def test_partial_fit_rejects_changes_of_the_network(quick, articles, settings, arguments, message):
    classifier = copy.deepcopy(quick).set_params(**settings)
    before = classifier.predict_proba(articles[0])
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(*articles, **arguments)
    np.testing.assert_array_equal(classifier.predict_proba(articles[0]), before)


def test_warm_start_continues_with_the_network_and_its_vocabulary(articles):
    texts, labels = articles
    classifier = HANClassifier(**QUICK, **NO_DROPOUT, ngram_evidence=False, warm_start=True).fit(
        texts[:40], labels[:40]
    )
    first, words = classifier.history_, classifier.vocabulary_.words
    classifier.fit(texts, labels)
    assert classifier.vocabulary_.words == words
    assert classifier.history_["loss"][0] < first["loss"][0]
    again = clone(classifier).set_params(warm_start=False).fit(texts[:40], labels[:40])
    assert again.history_ == first


def test_warm_start_rejects_other_networks_and_classes(quick, articles):
    classifier = copy.deepcopy(quick).set_params(warm_start=True, cell="lstm")
    before = classifier.predict_proba(articles[0])
    with pytest.raises(ValueError, match="cell must be 'gru'"):
        classifier.fit(*articles)
    classifier.set_params(cell="gru")
    with pytest.raises(ValueError, match="y must contain only known classes"):
        classifier.fit(articles[0], ["a", "b"] * 40)
    np.testing.assert_array_equal(classifier.predict_proba(articles[0]), before)
