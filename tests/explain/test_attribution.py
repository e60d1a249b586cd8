from __future__ import annotations

import numpy as np
import pytest

from han.explain.attribution import METHODS, attribute
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter
from tests import plain
from tests.explain.documents import as_lists, random_corpus

TEXTS = [
    "Shares fell. Profits would halve, it said!",
    "",
    "Goal.",
    "A goal. Again! And the cup",
    "The bank said the match was off and the shares in the club fell again.",
]


@pytest.fixture
def corpus(fitted):
    return DocumentReader(DocumentSplitter(), fitted.vocabulary_).encode(TEXTS)


def test_attention_scores_are_the_weights_of_the_prediction(network, rng):
    corpus = random_corpus(rng)
    scores = attribute(network, corpus, "attention")
    for number, document in enumerate(as_lists(corpus)):
        probabilities, words, sentences = plain.classify(network, document)
        np.testing.assert_allclose(scores.probabilities[number], probabilities, atol=1e-5)
        first, last = corpus.document_starts[number : number + 2]
        np.testing.assert_allclose(scores.sentence_scores[first:last], sentences, atol=1e-5)
        start, end = corpus.sentence_starts[[first, last]]
        np.testing.assert_allclose(scores.word_scores[start:end], np.concatenate([[], *words]), atol=1e-5)


def test_gradients_agree_with_finite_differences(network, rng):
    corpus = random_corpus(rng)
    targets = rng.integers(0, 3, len(corpus))
    expected, integrated, h, steps = [], [], 1e-4, 40
    for document, target in zip(as_lists(corpus), targets, strict=True):

        def slopes(document, target, scale):
            """The slope of the target's probability as each word's inputs grow, at scaled inputs."""
            vectors = [scale * network.embedding.embeddings.numpy()[ids].astype(float) for ids in document]
            evidence = [scale * part for part in plain.shares(network, document)]
            result = []
            for sentence, ids in enumerate(document):
                for word in range(len(ids)):
                    moved = []
                    for sign in (1, -1):
                        inputs = [part.copy() for part in vectors], [part.copy() for part in evidence]
                        for part in inputs:
                            part[sentence][word] *= 1 + sign * h / scale
                        logits = plain.read(network, *inputs)[0]
                        raised = np.exp(logits - logits.max())
                        moved.append(raised[target] / raised.sum())
                    result.append((moved[0] - moved[1]) / (2 * h))
            return np.array(result)

        expected.append(slopes(document, target, 1.0))
        middles = (np.arange(steps) + 0.5) / steps
        integrated.append(np.mean([slopes(document, target, middle) for middle in middles], axis=0))
    expected, integrated = np.concatenate(expected), np.concatenate(integrated)
    scores = attribute(network, corpus, "gradient_x_input", targets)
    np.testing.assert_allclose(scores.word_scores, expected, atol=1e-4)
    np.testing.assert_allclose(
        attribute(network, corpus, "integrated_gradients", targets).word_scores, integrated, atol=1e-3
    )
    assert np.abs(expected).max() > 0.02


def test_integrated_gradients_are_complete(fitted, corpus):
    scores = attribute(fitted.model_, corpus, "integrated_gradients")
    empty = fitted.predict_proba([""])[0]
    for number, (first, last) in enumerate(zip(corpus.document_starts[:-1], corpus.document_starts[1:], strict=True)):
        target = scores.probabilities[number].argmax()
        # The baseline is not an empty document: zero vectors are words too.
        assert scores.completeness_errors[number] < 2e-3
        assert last > first or scores.probabilities[number, target] == pytest.approx(empty[target])
    coarse = attribute(fitted.model_, corpus, "integrated_gradients", n_steps=1)
    assert coarse.completeness_errors.max() > 10 * scores.completeness_errors.max()


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree_on_the_probabilities_and_the_shapes(fitted, corpus, method):
    scores = attribute(fitted.model_, corpus, method)
    np.testing.assert_allclose(scores.probabilities, fitted.predict_proba(TEXTS), atol=1e-6)
    assert scores.word_scores.shape == corpus.word_ids.shape
    assert scores.sentence_scores.shape == (len(corpus.sentence_starts) - 1,)
    assert scores.completeness_errors.shape == (len(TEXTS),)
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in scores)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "occlusion"])
def test_what_increases_the_probability_of_one_of_two_classes_decreases_the_other(fitted, corpus, method):
    one, other = (attribute(fitted.model_, corpus, method, np.full(len(TEXTS), target)) for target in (0, 1))
    np.testing.assert_allclose(one.word_scores, -other.word_scores, atol=1e-5)
    assert np.abs(one.word_scores).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_batches_do_not_change_scores(fitted, corpus, method, monkeypatch):
    expected = attribute(fitted.model_, corpus, method)
    monkeypatch.setattr("han.explain.occlusion.MAX_BATCH_WORDS", 10)
    monkeypatch.setattr("han.explain.attribution.BATCH_WORDS", 10)
    for value, reference in zip(attribute(fitted.model_, corpus, method), expected, strict=True):
        np.testing.assert_allclose(value, reference, atol=1e-5)
