from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from han import HANClassifier
from han.data.labels import LabelEncoder
from han.faithfulness import FLIP_STEPS, FRACTIONS, MEASURES, deletion_measures, faithfulness
from han.fitted import FittedClassifier
from han.model import HierarchicalAttentionNetwork
from han.text.vocabulary import Vocabulary

# "good" increases the probability of a class, "poor" decreases it less strongly. Attention selects "loud", which has no
# effect.
WORDS = ["good", "poor", "loud", *(f"neutral{number}" for number in range(20))]


@pytest.fixture(scope="module")
def constructed():
    """A classifier with weights set by hand, for which the decisive words are known and attention selects others."""
    model = HierarchicalAttentionNetwork(2 + len(WORDS), 2, embedding_dim=2, units=2)
    model.build((None, None, None))
    embeddings = np.zeros((2 + len(WORDS), 2))
    embeddings[2:5] = [[1.0, 0.0], [-0.3, 0.0], [0.0, 1.0]]
    model.embedding.embeddings.assign(embeddings)

    def copying(features, gain):
        """Weights of an LSTM, gates i, f, c, o, that copies the first features and forgets its state."""
        kernel = np.zeros((features, 8))
        kernel[[0, 1], [4, 5]] = gain
        return [kernel, np.zeros((2, 8)), np.repeat([20.0, -20.0, 0.0, 20.0], 2)]

    for encoder, features, gain in ((model.word_encoder, 2, 1.0), (model.sentence_encoder, 4, 20.0)):
        for weights, gains in ((encoder.forward_weights, gain), (encoder.backward_weights, 0.0)):
            for weight, value in zip(weights, copying(features, gains), strict=True):
                weight.assign(value)
    for pooling, strength in ((model.word_pooling, 4.0), (model.sentence_pooling, 0.0)):
        kernel, context = np.zeros((4, 4)), np.zeros(4)
        kernel[1, 0], context[0] = 3.0, strength
        for weight, value in zip(
            (pooling.kernel, pooling.bias, pooling.context), (kernel, kernel[2], context), strict=True
        ):
            weight.assign(value)
    kernel = np.zeros((4, 2))
    kernel[0] = [-60.0, 60.0]
    model.classifier.kernel.assign(kernel)
    classifier = HANClassifier()
    fitted = FittedClassifier(
        network=model, vocabulary=Vocabulary(WORDS), labels=LabelEncoder(np.array(["bad", "good"])),
        thresholds=np.full(2, 0.5), mixture=None, temperature=1.0, embedding_coverage=None, history={},
        class_count=np.zeros(2, int), n_samples=0,
    )  # fmt: skip
    for name, value in fitted.attributes().items():
        setattr(classifier, name, value)
    return classifier


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(60):
        sentences = [[*rng.choice(WORDS[3:], 6).tolist(), "loud"] for _ in range(3)]
        first, second = rng.permutation(3)[:2]
        sentences[first].append("good")
        sentences[second].append("poor")
        texts.append(" ".join(" ".join(rng.permutation(sentence)) + " ." for sentence in sentences))
    return texts


@pytest.fixture(scope="module")
def result(constructed, documents):
    return faithfulness(constructed, documents)


@pytest.fixture(scope="module")
def best(constructed, documents):
    """The measures of the ranking that is correct by construction."""
    corpus = constructed.reader().encode(documents)
    scores = np.select([corpus.word_ids == constructed.vocabulary_[word] for word in ("good", "poor")], [1.0, -1.0])
    return deletion_measures(constructed.model_, corpus, scores)


def test_the_constructed_classifier_works_as_intended(constructed, documents):
    assert (constructed.predict_proba(documents)[:, 1] > 0.95).all()
    assert (constructed.predict_proba([text.replace("good", "neutral1") for text in documents])[:, 0] > 0.8).all()
    for sentence in constructed.explain(documents[:1], "attention")[0].sentences:
        assert max(sentence.words, key=lambda word: word.score).text == "loud"


def test_faithful_methods_are_close_to_the_best_ranking_and_misleading_attention_is_not(result, best):
    summary = result.summary()
    ideal = best[0].mean()
    assert ideal["comprehensiveness"] > 0.8
    assert ideal["flip_fraction"] == pytest.approx(min(FLIP_STEPS))
    for method in ("contributions", "gradient_x_input", "integrated_gradients", "occlusion"):
        assert summary.loc[method, "comprehensiveness"] == pytest.approx(ideal["comprehensiveness"], abs=0.02)
        assert summary.loc[method, "flip_fraction"] == pytest.approx(ideal["flip_fraction"], abs=0.02)
        # "loud" next to "poor" has an effect of its own, which the ideal ranking ignores.
        assert summary.loc[method, "sufficiency"] < ideal["sufficiency"] + 0.12
    for method in ("attention", "random"):
        assert summary.loc[method, "comprehensiveness"] < 0.4 * ideal["comprehensiveness"]
        assert summary.loc[method, "sufficiency"] > 0.2
        assert summary.loc[method, "flip_fraction"] > 0.2


def test_a_random_ranking_deletes_the_decisive_word_with_the_expected_probability(result):
    # One of about 26 words is decisive; a random fraction of the words contains it with that probability.
    curve = result.curves[result.curves["method"] == "random"].set_index("fraction")["comprehensiveness"]
    assert curve[0.5] == pytest.approx(0.5, abs=0.17)
    assert curve[0.1] < 0.3


def test_intervals_cover_the_means(result):
    summary = result.summary()
    for measure in MEASURES:
        assert (summary[f"{measure}_low"] <= summary[measure]).all()
        assert (summary[measure] <= summary[f"{measure}_high"]).all()
    values = result.per_document.query("method == 'random'")["flip_fraction"]
    margin = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert summary.loc["random", "flip_fraction_high"] - values.mean() == pytest.approx(margin, rel=1e-3)
    assert (result.summary(0.5)["sufficiency_low"] >= summary["sufficiency_low"]).all()


def test_measures_agree_with_documents_rewritten_by_hand(fitted, news):
    texts = [text[:400] for text in news[2][:4]]
    measured = faithfulness(fitted, texts, ["occlusion"])
    predicted = fitted.predict(texts)
    columns = np.searchsorted(fitted.classes_, predicted)

    def probability(explanation, column, kept):
        """Return the probability of the predicted class for the kept words in their sentences."""
        sentences, position = [], 0
        for sentence in explanation.sentences:
            ids = fitted.vocabulary_.encode(word.text for word in sentence.words)
            sentences.append([id_ for offset, id_ in enumerate(ids) if position + offset in kept])
            position += len(ids)
        sentences = [ids for ids in sentences if ids]
        block = np.zeros((1, max(len(sentences), 1), max(map(len, sentences), default=1)), np.int32)
        for row, ids in enumerate(sentences):
            block[0, row, : len(ids)] = ids
        return float(fitted.model_(block)[0, column])

    for number, explanation in enumerate(fitted.explain(texts, method="occlusion")):
        words = [word for sentence in explanation.sentences for word in sentence.words]
        order = np.argsort([-word.score for word in words], kind="stable")
        falls = {"comprehensiveness": [], "sufficiency": []}
        everything = set(range(len(words)))
        whole = probability(explanation, columns[number], everything)
        for fraction in FRACTIONS:
            strongest = set(order[: max(int(np.ceil(fraction * len(words))), 1)].tolist())
            for measure, kept in (("comprehensiveness", everything - strongest), ("sufficiency", strongest)):
                falls[measure].append(whole - probability(explanation, columns[number], kept))
        row = measured.per_document.iloc[number]
        for measure, values in falls.items():
            assert row[measure] == pytest.approx(np.mean(values), abs=1e-5)


def test_documents_without_words_are_ignored(fitted):
    result = faithfulness(fitted, ["Shares fell.", "", "A goal!"], ["random"])
    assert isinstance(result.per_document, pd.DataFrame)
    assert len(result.per_document) == 2


def test_invalid_arguments_are_rejected(fitted):
    with pytest.raises(ValueError, match=r"methods must be among \['contributions', .*'random'\], got 'lime'"):
        faithfulness(fitted, ["Shares fell."], ["lime"])
    with pytest.raises(ValueError, match="fractions must be between 0 and 1"):
        faithfulness(fitted, ["Shares fell."], fractions=[1.5])


def test_a_planted_shortcut_has_the_highest_score():
    """The classes differ in nothing but a word that is inserted into the documents of one of them."""
    rng = np.random.default_rng(0)
    neutral = [f"word{number}" for number in range(50)]

    def document(planted):
        words = rng.choice(neutral, rng.integers(8, 30)).tolist()
        if planted:
            words.insert(rng.integers(len(words) + 1), "zyzzyva")
        return " ".join(words)

    labels = [0, 1] * 60
    texts = [document(label == 1) for label in labels]
    settings = {"embeddings": None, "embedding_dim": 12, "units": 6, "learning_rate": 0.01, "random_state": 0}
    classifier = HANClassifier(**settings, epochs=8, batch_size=16, verbose=0).fit(texts, labels)
    held_out = [document(planted=True) for _ in range(30)]
    explained = classifier.explain(held_out, target=1)
    first = [one.to_frame().sort_values("word_score").iloc[-1]["word"] for one in explained]
    assert np.mean(np.array(first) == "zyzzyva") > 0.9
    # Each half of the decision has found it.
    for one in explained:
        frame = one.to_frame()
        at = frame.index[frame["word"] == "zyzzyva"][0]
        assert frame.loc[at, "ngram_score"] == frame["ngram_score"].max()
