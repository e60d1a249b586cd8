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
`han.recurrence.contributions_loop`, also for the LSTM. This divides the same total more faithfully than
:math:`v_t \cdot h_t` does, which gives a word what it only carries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from han.inference.forward import Float32, ForwardPass
from han.recurrence.level import Inputs
from han.text.corpus import Documents, Int64

# Returns the gradient of weighted logits with respect to sentence vectors, given the vectors [sentences, 2 * units],
# the lengths of documents and the weights [documents, classes].
Gradient = Callable[[Float32, npt.NDArray[np.int32], Float32], Float32]


class Contributions(NamedTuple):
    """The contributions of words to the margin of each document's target class.

    Attributes
    ----------
    probabilities : float array [documents, classes]
    margins : float array [documents]
    base_values : float array [documents]
        The part of the margin that does not depend on words.
    network_scores, ngram_scores : float arrays [words]
        The contributions by way of the network and of the n-grams. With the base value, all contributions of a document
        sum to its margin; exactly if the network is additive.
    """

    probabilities: Float32
    margins: Float32
    base_values: Float32
    network_scores: Float32
    ngram_scores: Float32


def contributions(
    forward: ForwardPass,
    documents: Documents,
    table: Float32,
    evidence: tuple[Float32, Float32],
    targets: Int64,
    gradient: Gradient,
) -> Contributions:
    """Return the contributions of words to the margin of the target class.

    Parameters
    ----------
    forward : ForwardPass
    documents : Documents
        Its words are row indices of `table`.
    table : float array [rows, columns]
        The projected words, see `ForwardPass.project_words`.
    evidence : two float arrays [words, columns] and [columns]
        The shares of words in the n-gram evidence, and its bias; see `ForwardPass.evidence_shares`.
    targets : int64 array [documents]
        The index of the target class; -1 for the most probable one.
    gradient : callable
        Only called if the network is not additive.
    """
    word_ids, sentence_lengths, document_lengths = documents
    inputs = Inputs(table, word_ids, sentence_lengths)
    pooled = forward.words.pool(inputs, for_contributions=True)
    sentences = np.arange(len(sentence_lengths), dtype=np.int32)
    document_of = np.repeat(np.arange(len(document_lengths)), document_lengths)
    word_document = np.repeat(document_of, sentence_lengths)
    shares, bias = evidence
    sums = np.zeros((len(document_lengths), shares.shape[1]), np.float32)
    np.add.at(sums, word_document, shares)
    logits, sentence_scores = forward.logits(pooled.vectors, sentences, document_lengths, sums + bias)
    weights = _margin_weights(logits, targets, forward.multi_label)
    if forward.sentences.kind.additive:
        kernel = forward.sentences.residual_kernel @ forward.kernel
        slopes = (weights @ kernel.T)[document_of] * sentence_scores[:, None]
    else:
        slopes = gradient(pooled.vectors, document_lengths, weights)
    evidence_weights = weights[:, weights.shape[1] - forward.evidence_columns :]
    return Contributions(
        probabilities=forward.probabilities(logits),
        margins=(weights * logits).sum(axis=1),
        base_values=weights @ forward.bias + evidence_weights @ bias,
        network_scores=forward.words.contributions(inputs, pooled, slopes),
        ngram_scores=np.einsum("wc,wc->w", evidence_weights[word_document], shares),
    )


def _margin_weights(logits: Float32, targets: Int64, multi_label: bool) -> Float32:
    """Return the weights of the logits in the margin [documents, classes]."""
    targets = np.where(targets < 0, logits.argmax(axis=1), targets)
    target = np.eye(logits.shape[1], dtype=np.float32)[targets]
    if multi_label:
        return target
    others: Float32 = special.softmax(np.where(target > 0, -np.inf, logits), axis=1)
    return target - others
