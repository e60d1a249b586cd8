"""The forward pass of a network on arrays, in compiled loops (`han.inference.kernels`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from han.inference.kernels import POOLINGS, contributions_loop, level_loop, product_loop
from han.inference.ngram_kernels import evidence_loop, hash_loop
from han.layers.encoder import BidirectionalEncoder
from han.layers.ngrams import NgramEvidence
from han.layers.pooling import AttentionPooling
from han.model import HierarchicalAttentionNetwork
from han.recurrence.buffers import empty
from han.recurrence.loops import KEPT
from han.recurrence.operation import arrange
from han.text.corpus import Documents

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
# Inputs projected for both directions of a recurrence and for the residual connection, each [rows, width].
Tables = tuple[Float32, Float32, Float32]


def _ids(values: Any) -> Int32:
    """Return an array as the loops take it: those of tensors are not writeable."""
    return np.require(values, np.int32, ["C", "W"])


def _multiply(rows: Float32, kernel: Float32, bias: Float32) -> Float32:
    """Return rows [rows, features] times a kernel, plus a bias."""
    results = np.empty((len(rows), kernel.shape[1]), np.float32)
    product_loop()(rows, kernel, bias, results)
    return results


class Pooled(NamedTuple):
    """The vectors of sequences, and what `Level.contributions` needs.

    Attributes
    ----------
    vectors : float array [sequences, 2 * units]
    scores : float array [elements]
        The attention; zeros for max pooling.
    kept : float array [2 * elements, kept * units]
        What the steps kept, the forward direction first; no rows unless traced.
    sources : int32 array [sequences, 2 * units]
        The element that each feature comes from; only for max pooling that is traced.
    """

    vectors: Float32
    scores: Float32
    kept: Float32
    sources: Int32


class Level:
    """The weights of an encoder and of its pooling.

    Parameters
    ----------
    encoder : BidirectionalEncoder
    pooling : keras.layers.Layer
        One of the layers of `han.layers.pooling`.
    kind : {"attention", "mean", "max"}
        Which of them it is.
    additive : bool
        Whether the residual inputs are pooled in place of the states.
    """

    def __init__(self, encoder: BidirectionalEncoder, pooling: Any, kind: str, additive: bool) -> None:
        self.cell, self.units, self.additive = encoder.cell, encoder.units, additive
        self.loop = level_loop(encoder.cell, encoder.units)
        directions = encoder.forward_weights, encoder.backward_weights
        self.input_weights = [
            tuple(part.numpy() for part in encoder.input_weights(*direction)) for direction in directions
        ]
        features = self.input_weights[0][0].shape[0]
        residual = encoder.residual_kernel.numpy() if encoder.residual else np.zeros((features, 0), np.float32)
        self.input_weights.append((residual, np.zeros(residual.shape[1], np.float32)))
        self.recurrent_weights = [
            *(arrange(encoder.cell, kernel.value).numpy() for _, kernel, _ in directions),
            *(encoder.candidate_bias(bias).numpy() for *_, bias in directions),
        ]
        self.residual_kernel = residual
        self.pooling = POOLINGS[kind]
        self.attention = [np.zeros((0, 0), np.float32), *[np.zeros(0, np.float32)] * 2]
        if isinstance(pooling, AttentionPooling):
            self.attention = [weight.numpy() for weight in (pooling.kernel, pooling.bias, pooling.context)]

    def project(self, features: Float32) -> Tables:
        """Multiply inputs [rows, features] by the kernels of both directions and of the residual connection."""
        forward, backward, residual = (_multiply(features, *weights) for weights in self.input_weights)
        return forward, backward, residual

    def pool(self, tables: Tables, index: Int32, lengths: Int32, traced: bool = False) -> Pooled:
        """Encode and pool sequences.

        Parameters
        ----------
        tables : tuple of float arrays [rows, width]
            What `project` returned.
        index : int32 array [elements]
            The row that each element reads.
        lengths : int32 array [sequences]
        traced : bool, default False
            Whether to keep what `contributions` needs.
        """
        shape = len(lengths), 2 * self.units
        pooled = Pooled(
            np.empty(shape, np.float32),
            np.zeros(len(index), np.float32),
            empty(2 * len(index) if traced else 0, KEPT[self.cell] * self.units),
            np.zeros(shape if traced and self.pooling == POOLINGS["max"] else (0, 0), np.int32),
        )
        self.loop(
            *tables,
            _ids(index),
            _ids(lengths),
            *self.recurrent_weights,
            *self.attention,
            self.pooling,
            self.additive,
            *pooled,
        )
        return pooled

    def contributions(self, pooled: Pooled, tables: Tables, index: Int32, lengths: Int32, weights: Float32) -> Float32:
        """Divide weighted sums of pooled vectors among the elements of their sequences.

        Parameters
        ----------
        pooled : Pooled
            What `pool` returned for the other arguments, traced.
        tables, index, lengths
            As for `pool`.
        weights : float array [sequences, 2 * units]

        Returns
        -------
        float array [elements]
            The sum of a sequence's is that of its weights times its vector.
        """
        totals = np.empty(len(index), np.float32)
        _, scores, kept, sources = pooled
        is_max, inputs = self.pooling == POOLINGS["max"], (tables[2], _ids(index), _ids(lengths))
        contributions_loop(self.cell, self.units)(*inputs, is_max, scores, kept, sources, weights, totals)
        return totals


class Ngrams:
    """The linear model of n-grams, with a hash table of its keys.

    Parameters
    ----------
    layer : NgramEvidence
    """

    def __init__(self, layer: NgramEvidence) -> None:
        self.vocabulary_size = layer.vocabulary_size
        self.keys, self.weights, self.bias = (weight.numpy() for weight in layer.weights)
        # A third to two thirds of the slots are free.
        self.bits = max(int(np.ceil(np.log2(1.5 * len(self.keys)))), 1)
        self.slots = np.full(1 << self.bits, -1, np.int32)
        hash_loop()(self.keys, self.bits, self.slots)

    def logits(self, documents: Documents) -> Float32:
        """Return the logits [documents, columns]."""
        logits: Float32 = self._sums(documents, np.empty((0, 0), np.float32)) + self.bias
        return logits

    def shares(self, documents: Documents) -> Float32:
        """Return the share of each word in the logits of its document [words, columns], see `NgramEvidence.shares`."""
        shares = np.empty((len(documents.word_ids), self.weights.shape[1]), np.float32)
        self._sums(documents, shares)
        return shares

    def _sums(self, documents: Documents, shares: Float32) -> Float32:
        sums = np.zeros((len(documents.document_lengths), self.weights.shape[1]), np.float32)
        evidence_loop()(
            self.keys, self.bits, self.slots, self.weights, self.vocabulary_size, *map(_ids, documents), sums, shares
        )
        return sums


# The weights of a network whose training diverges are infinite, of which its user is told by an error or a warning.
ANY_VALUES: Any = {"over": "ignore", "invalid": "ignore"}


class ForwardPass(NamedTuple):
    """The weights of a network as they were when this was built."""

    embeddings: list[Float32]
    words: Level
    sentences: Level
    kernel: Float32
    bias: Float32
    ngrams: Ngrams | None
    evidence_columns: int
    multi_label: bool
    additive: bool

    @classmethod
    def of(cls, network: HierarchicalAttentionNetwork) -> ForwardPass:
        """Copy the weights of a network."""
        config = network.get_config()
        parts = (network.frozen_embedding, network.log_count_ratios, network.embedding)
        return cls(
            [layer.embeddings.numpy() for layer in parts if layer is not None],
            Level(network.word_encoder, network.word_pooling, config["pooling"], additive=False),
            Level(network.sentence_encoder, network.sentence_pooling, config["pooling"], config["additive"]),
            network.classifier.kernel.numpy(),
            network.classifier.bias.numpy(),
            None if network.evidence is None else Ngrams(network.evidence),
            network.evidence_columns,
            config["multi_label"],
            config["additive"],
        )

    def project_words(self, word_ids: Int32) -> Tables:
        """Embed and project words [rows]."""
        with np.errstate(**ANY_VALUES):
            return self.words.project(np.concatenate([part[word_ids] for part in self.embeddings], axis=1))

    def evidence(self, documents: Documents) -> Float32:
        """Return the n-gram evidence of documents [documents, columns]; zeros without n-grams."""
        if self.ngrams is None:
            return np.zeros((len(documents.document_lengths), self.evidence_columns), np.float32)
        return self.ngrams.logits(documents)

    def evidence_shares(self, documents: Documents) -> tuple[Float32, Float32]:
        """Return the shares of words in the n-gram evidence [words, columns], and its bias [columns]."""
        if self.ngrams is None:
            bias = np.zeros(self.evidence_columns, np.float32)
            return np.zeros((len(documents.word_ids), len(bias)), np.float32), bias
        return self.ngrams.shares(documents), self.ngrams.bias

    def logits(
        self, vectors: Float32, index: Int32, document_lengths: Int32, evidence: Float32
    ) -> tuple[Float32, Float32]:
        """Return the logits [documents, classes] and the scores of sentences [sentences].

        Parameters
        ----------
        vectors : float array [rows, 2 * units]
        index : int32 array [sentences]
            The vector of each sentence of the documents.
        document_lengths : int32 array [documents]
        evidence : float array [documents, columns]
            The n-gram evidence, which is added to the logits.
        """
        with np.errstate(**ANY_VALUES):
            pooled = self.sentences.pool(self.sentences.project(vectors), index, document_lengths)
            logits = pooled.vectors @ self.kernel + self.bias
            logits[:, logits.shape[1] - self.evidence_columns :] += evidence
            return logits, pooled.scores

    def probabilities(self, logits: Float32) -> Float32:
        """Return the probabilities [documents, classes] for logits."""
        with np.errstate(**ANY_VALUES):
            probabilities: Float32 = special.expit(logits) if self.multi_label else special.softmax(logits, axis=1)
            return probabilities
