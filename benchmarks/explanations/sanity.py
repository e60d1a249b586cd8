"""Sanity checks of explanations: what should happen to them, and to predictions, if they mean what they claim.

- Randomised weights (Adebayo et al. 2018, https://arxiv.org/abs/1810.03292): the scores of a network whose weights are
  random should have nothing to do with those of the trained one.
- A planted shortcut: a made-up word is inserted into half of the training documents of one class, and into no others.
  It should come first among the words of a document with the shortcut.
- Permuted attention (Jain & Wallace 2019, https://aclanthology.org/N19-1357/): if attention matters, the prediction
  changes when the words of a sentence, and the sentences of a document, exchange their weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from han import HANClassifier
from han.backend import tf
from han.explain.attribution import attribute
from han.layers.packing import pack
from han.model import HierarchicalAttentionNetwork
from han.text.batches import prediction_batches
from han.text.corpus import Corpus, Documents

SHORTCUT = "zyzzyva"
# Share of the target class's training documents that contain the shortcut.
PLANTED = 0.5

Float64 = npt.NDArray[np.float64]


def randomised(classifier: HANClassifier, corpus: Corpus, seed: int) -> list[float]:
    """Return the rank correlation of each document's scores with those of a network with random weights."""
    rng = np.random.default_rng(seed)
    trained = classifier.model_
    config = trained.get_config()
    random = HierarchicalAttentionNetwork(**{**config, "seed": seed})
    random.build((None, None, None))
    # The keys of the n-grams stay; the other weights are drawn with the mean and spread of the trained ones.
    drawn = [
        weight if weight.dtype == np.int64 else rng.normal(weight.mean(), weight.std(), weight.shape)
        for weight in trained.get_weights()
    ]
    random.set_weights(drawn)
    targets = attribute(trained, corpus, "contributions").probabilities.argmax(axis=1)
    one, other = (attribute(network, corpus, "contributions", targets).word_scores for network in (trained, random))
    starts = corpus.sentence_starts[corpus.document_starts]
    documents = [slice(*starts[number : number + 2]) for number in range(len(corpus))]
    return [float(spearmanr(one[part], other[part]).statistic) for part in documents if part.stop - part.start > 2]


def planted(texts: list[str], labels: npt.NDArray[Any], held_out: list[str], seed: int, **settings: Any) -> float:
    """Return in how many held-out documents that contain the shortcut it has the highest score.

    Parameters
    ----------
    texts, labels
        The documents to train on, with two labels; the shortcut is planted in those with the second.
    held_out : list of str
        Documents to insert the shortcut into.
    seed : int
    **settings
        Of the classifier.
    """
    rng = np.random.default_rng(seed)
    target = np.unique(labels)[1]
    chosen = (labels == target) & (rng.random(len(labels)) < PLANTED)
    trained = [insert(text, rng) if plant else text for text, plant in zip(texts, chosen, strict=True)]
    classifier = HANClassifier(random_state=seed, verbose=0, **settings).fit(trained, labels)
    explained = classifier.explain([insert(text, rng) for text in held_out], target=target)
    first = [each.text[slice(*each.offsets[int(each.word_scores.argmax())])] for each in explained]
    return float(np.mean([word == SHORTCUT for word in first]))


def insert(text: str, rng: np.random.Generator) -> str:
    """Insert the shortcut between two words of a text."""
    words = text.split(" ")
    place = int(rng.integers(len(words) + 1))
    return " ".join([*words[:place], SHORTCUT, *words[place:]])


def permuted(classifier: HANClassifier, corpus: Corpus, seed: int) -> Float64:
    """Return the largest change of a probability of each document when attention is permuted."""
    network = classifier.model_
    if not network.get_config()["additive"]:
        raise ValueError("only an additive network's attention can be permuted after the sentence encoder")
    rng = np.random.default_rng(seed)
    return np.concatenate([_permuted(network, corpus.batch(batch), rng) for batch in prediction_batches(corpus)])


def _permuted(network: HierarchicalAttentionNetwork, documents: Documents, rng: np.random.Generator) -> Float64:
    distinct, rows = tf.unique(documents.word_ids)
    evidence = network.document_evidence(documents)
    packing = pack(documents.sentence_lengths)
    states = network.word_encoder.encode(network.project_words(distinct), packing, rows)
    vectors, word_scores = network.word_pooling.pool(states, packing)
    index = tf.range(tf.shape(vectors)[0])
    pooled, sentence_scores = network.encode_documents(vectors, index, documents.document_lengths)
    before = network.class_probabilities(pooled, evidence).numpy()
    vectors = _sums(states, _shuffled(word_scores, documents.sentence_lengths, rng), documents.sentence_lengths)
    table = network.sentence_encoder.project(tf.constant(vectors))
    values = network.sentence_encoder.residual_inputs(table, index)
    pooled = _sums(values, _shuffled(sentence_scores, documents.document_lengths, rng), documents.document_lengths)
    after = network.class_probabilities(tf.constant(pooled), evidence).numpy()
    changes: Float64 = np.abs(before - after).max(axis=1)
    return changes


def _shuffled(scores: tf.Tensor, lengths: npt.NDArray[np.int32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Permute scores within each sequence."""
    owners = np.repeat(np.arange(len(lengths)), lengths)
    return np.asarray(scores)[np.lexsort((rng.random(len(owners)), owners))]


def _sums(
    values: tf.Tensor, weights: npt.NDArray[np.float32], lengths: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """Return the weighted sum of each sequence of values."""
    sums = np.zeros((len(lengths), values.shape[1]), np.float32)
    np.add.at(sums, np.repeat(np.arange(len(lengths)), lengths), np.asarray(values) * weights[:, None])
    return sums
