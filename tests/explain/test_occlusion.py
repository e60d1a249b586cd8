from __future__ import annotations

import numpy as np

from han.explain.occlusion import Occlusion
from han.inference.compiled import compiled
from han.text.corpus import Documents
from tests import plain
from tests.explain.documents import as_lists, random_corpus


def without(document, sentence, word=None):
    """Return a document, a list of sentences, without a sentence or without one of its words."""
    rest = list(document)
    rest[sentence] = [] if word is None else np.delete(rest[sentence], word)
    return [words for words in rest if len(words)]


def test_scores_are_the_decreases_without_the_word_or_sentence(network, rng):
    corpus = random_corpus(rng)
    targets = rng.integers(0, 3, len(corpus))
    scores = Occlusion(compiled(network), corpus.batch(np.arange(len(corpus))), targets).scores()
    words, sentences = [], []
    for document, target in zip(as_lists(corpus), targets, strict=True):
        whole = plain.classify(network, document)[0][target]
        for number, sentence in enumerate(document):
            sentences.append(whole - plain.classify(network, without(document, number))[0][target])
            for word in range(len(sentence)):
                words.append(whole - plain.classify(network, without(document, number, word))[0][target])
    np.testing.assert_allclose(scores.word_scores, words, atol=1e-5)
    np.testing.assert_allclose(scores.sentence_scores, sentences, atol=1e-5)
    assert np.abs(words).max() > 0.05


def test_sentence_vectors_are_followed_by_those_of_shortened_sentences(network, rng):
    corpus = random_corpus(rng)
    occlusion = Occlusion(compiled(network), corpus.batch(np.arange(len(corpus))), None)
    vectors = occlusion.sentence_vectors()
    sentences = len(corpus.sentence_starts) - 1
    assert len(vectors) == sentences + len(corpus.word_ids)
    for word, sentence in enumerate(occlusion.sentence_of_word):
        start, end = corpus.sentence_starts[sentence : sentence + 2]
        rest = np.delete(corpus.word_ids[start:end], word - start)
        if len(rest):
            alone = Occlusion(
                compiled(network), Documents(rest, np.array([len(rest)], np.int32), np.ones(1, np.int32)), None
            )
            np.testing.assert_allclose(vectors[sentences + word], alone.sentence_vectors()[0], atol=1e-5)
