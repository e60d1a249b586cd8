r"""The contributions of words to the logits of a network.

The margin of class k is its logit relative to the other classes: with logits z,

.. math:: m = z_k - \sum_{j \ne k} q_j z_j, \quad q = \mathrm{softmax}_{j \ne k}(z_j)

which is the log-odds of k if there are two classes. In multi-label classification, it is the logit z_k itself. The
weights q are treated as constants, so the margin is linear in the logits: it is the sum of a base value (the biases),
the network's part and the part of the n-grams.

A sentence vector is the mean of its words' states h, weighted by attention. With an additive network, the document
vector is the mean of projected sentence vectors, so the network's part is a sum over the words t of all sentences s:

.. math:: \sum_{s, t} v_t \cdot h_t, \quad v_t = \alpha_t \, \beta_s \, w W

with the attention of the word and of its sentence, the projection W and the margin's row w of the classifier. In any
other network, the gradient of the margin with respect to the sentence vector replaces the product of the attention of
the sentence, w and W, and the sum is an approximation.

A state also carries what words before and after it wrote into the memory of the recurrence. Each word is therefore
given what it wrote itself, wherever that is read: with the gates z of a GRU and its candidates n, the forward state is

.. math:: h_T = \sum_{t \le T} (z_{t+1} \cdots z_T) (1 - z_t) n_t

and word t contributes its terms of all these sums, in both directions, and its residual projection; see
`han.recurrence.loops.contributions_loop`, also for the LSTM. This divides the same total more faithfully than
:math:`v_t \cdot h_t` does, which gives a word what it only carries.
"""

from __future__ import annotations

from typing import NamedTuple

from han.backend import tf
from han.layers.encoder import Tables
from han.layers.ngrams import sum_shares
from han.layers.packing import pack
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Documents


class Contributions(NamedTuple):
    """The contributions of words to the margin of each document's target class.

    Attributes
    ----------
    probabilities : float tensor [documents, classes]
    margins : float tensor [documents]
    base_values : float tensor [documents]
        The part of the margin that does not depend on words.
    network_scores, ngram_scores : float tensors [words]
        The contributions by way of the network and of the n-grams. With the base value, all contributions of a document
        sum to its margin; exactly if the network is additive.
    """

    probabilities: tf.Tensor
    margins: tf.Tensor
    base_values: tf.Tensor
    network_scores: tf.Tensor
    ngram_scores: tf.Tensor


def contributions(
    network: HierarchicalAttentionNetwork,
    documents: Documents,
    tables: Tables,
    shares: tf.Tensor,
    bias: tf.Tensor,
    targets: tf.Tensor,
) -> Contributions:
    """Return the contributions of words to the margin of the target class.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork
    documents : Documents
        Its words are row indices of `tables`.
    tables : tuple of float tensors
        The projected words, see `HierarchicalAttentionNetwork.project_words`.
    shares : float tensor [words, columns]
        The contributions of words to the n-gram evidence.
    bias : float tensor [columns]
        The n-gram evidence of a document without words.
    targets : int64 tensor [documents]
        The index of the target class; -1 for the most probable one.
    """
    config = network.get_config()
    evidence = sum_shares(shares, documents) + bias
    encoder, packing, index = network.word_encoder, pack(documents.sentence_lengths), documents.word_ids
    states, trace = encoder.encode_traced(tables, packing, index)
    vectors, word_scores = network.word_pooling.pool(states, packing)
    sentences, lengths = tf.range(tf.shape(vectors)[0]), documents.document_lengths
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        if not config["additive"]:
            tape.watch(vectors)
        document_vectors, sentence_scores = network.encode_documents(
            vectors, sentences, lengths, differentiable=not config["additive"]
        )
        logits = network.logits(document_vectors, evidence)
        weights = tf.stop_gradient(_margin_weights(logits, targets, config["multi_label"]))
        margins = tf.reduce_sum(weights * logits, axis=1)
    document_of = tf.repeat(tf.range(tf.size(lengths)), lengths)
    if config["additive"]:
        kernel = tf.matmul(network.sentence_encoder.residual_kernel, network.classifier.kernel)
        directions = tf.gather(tf.matmul(weights, kernel, transpose_b=True), document_of) * sentence_scores[:, None]
    else:
        directions = tape.gradient(margins, vectors)
    sentence_of = tf.repeat(sentences, documents.sentence_lengths)
    state_weights = tf.gather(directions, sentence_of)
    if word_scores is None:  # a maximum consists of some features of some states
        state_weights = tf.where(states == tf.gather(vectors, sentence_of), state_weights, 0.0)
    else:
        state_weights *= word_scores[:, None]
    network_scores = encoder.contributions(trace, tables, index, state_weights)
    word_weights = tf.gather(weights, tf.gather(document_of, sentence_of))
    ngram_scores = tf.reduce_sum(word_weights * network.class_evidence(shares), axis=1)
    no_words = tf.zeros_like(document_vectors), tf.zeros_like(evidence) + bias
    return Contributions(
        probabilities=tf.sigmoid(logits) if config["multi_label"] else tf.nn.softmax(logits),
        margins=margins,
        base_values=tf.reduce_sum(weights * network.logits(*no_words), axis=1),
        network_scores=network_scores,
        ngram_scores=ngram_scores,
    )


def _margin_weights(logits: tf.Tensor, targets: tf.Tensor, multi_label: bool) -> tf.Tensor:
    """Return the weights of the logits in the margin [documents, classes]."""
    targets = tf.where(targets < 0, tf.argmax(logits, axis=1), targets)
    target = tf.one_hot(targets, logits.shape[1])
    if multi_label:
        return target
    return target - tf.nn.softmax(tf.where(target > 0, float("-inf"), logits))
