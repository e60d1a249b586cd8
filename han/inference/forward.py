"""The forward pass of a network on arrays, in compiled loops (`han.inference.kernels`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from han.inference.kernels import evidence_loop, hash_table, product_loop
from han.layers.level import Level
from han.layers.ngrams import Evidence, NgramEvidence
from han.model import HierarchicalAttentionNetwork
from han.recurrence.level import Inputs, Pooled, Weights, contributions, pool, writeable
from han.recurrence.loops import GATES
from han.text.batches import prediction_batches
from han.text.corpus import Corpus, Documents

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


class LevelPass:
    """The forward pass of a level, with the weights as they were when this was built.

    Parameters
    ----------
    level : Level
    """

    def __init__(self, level: Level) -> None:
        self.kind = level.kind
        self.input_kernel = level.encoder.input_kernel().numpy()
        self.weights = Weights(*(part.numpy() for part in level.weights()))

    @property
    def residual_kernel(self) -> Float32:
        """The kernel [features, 2 * units] of the residual connection."""
        kernel: Float32 = self.input_kernel[:, 2 * GATES[self.kind.cell] * self.kind.units :]
        return kernel

    def project(self, features: Float32) -> Float32:
        """Return the table of `han.recurrence.level.Inputs` for distinct inputs [rows, features]."""
        table = np.zeros((len(features), self.input_kernel.shape[1]), np.float32)
        product_loop()(features, self.input_kernel, table)
        return table

    def pool(self, inputs: Inputs, *, for_contributions: bool = False) -> Pooled:
        """Encode and pool sequences, see `han.recurrence.level.pool`."""
        return pool(self.kind, inputs, self.weights, for_contributions=for_contributions)

    def contributions(self, inputs: Inputs, pooled: Pooled, weights: Float32) -> Float32:
        """Divide weighted sums of pooled vectors, see `han.recurrence.level.contributions`."""
        return contributions(self.kind, inputs, pooled, weights)


class Ngrams:
    """The linear model of n-grams, with a hash table of its keys.

    Parameters
    ----------
    evidence : Evidence
    vocabulary_size : int
        Number of word ids.
    """

    def __init__(self, evidence: Evidence, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.keys, self.weights, self.bias = evidence
        self.bits, self.slots = hash_table(self.keys)

    @classmethod
    def of(cls, layer: NgramEvidence) -> Ngrams:
        """Copy the weights of a layer."""
        return cls(Evidence(*(weight.numpy() for weight in layer.weights)), layer.vocabulary_size)

    def logits(self, documents: Documents) -> Float32:
        """Return the logits [documents, columns]."""
        logits: Float32 = self._sums(documents, np.empty((0, 0), np.float32)) + self.bias
        return logits

    def shares(self, documents: Documents) -> Float32:
        """Return the share of each word in the logits of its document [words, columns], see `NgramEvidence.shares`."""
        shares = np.zeros((len(documents.word_ids), self.weights.shape[1]), np.float32)
        self._sums(documents, shares)
        return shares

    def _sums(self, documents: Documents, shares: Float32) -> Float32:
        sums = np.zeros((len(documents.document_lengths), self.weights.shape[1]), np.float32)
        ids = (writeable(part) for part in documents)
        evidence_loop()(self.keys, self.bits, self.slots, self.weights, self.vocabulary_size, *ids, sums, shares)
        return sums


def ngram_logits(ngrams: Ngrams, corpus: Corpus, classes: int) -> Float32:
    """Return the logits of the linear model alone [documents, classes]; a single column belongs to the second class."""
    logits = np.concatenate([ngrams.logits(corpus.batch(batch)) for batch in prediction_batches(corpus)])
    return np.pad(logits, [(0, 0), (classes - logits.shape[1], 0)])


# The weights of a network whose training diverges are infinite, of which its user is told by an error or a warning.
ANY_VALUES: Any = {"over": "ignore", "invalid": "ignore"}


class ForwardPass(NamedTuple):
    """The weights of a network as they were when this was built."""

    embeddings: list[Float32]
    words: LevelPass
    sentences: LevelPass
    kernel: Float32
    bias: Float32
    ngrams: Ngrams | None
    evidence_columns: int
    multi_label: bool

    @classmethod
    def of(cls, network: HierarchicalAttentionNetwork) -> ForwardPass:
        """Copy the weights of a network."""
        config = network.get_config()
        parts = (network.frozen_embedding, network.log_count_ratios, network.embedding)
        return cls(
            [layer.embeddings.numpy() for layer in parts if layer is not None],
            LevelPass(network.word_level()),
            LevelPass(network.sentence_level()),
            network.classifier.kernel.numpy(),
            network.classifier.bias.numpy(),
            None if network.evidence is None else Ngrams.of(network.evidence),
            network.evidence_columns,
            config["multi_label"],
        )

    def project_words(self, word_ids: Int32) -> Float32:
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
            pooled = self.sentences.pool(Inputs(self.sentences.project(vectors), index, document_lengths))
            logits = pooled.vectors @ self.kernel + self.bias
            logits[:, logits.shape[1] - self.evidence_columns :] += evidence
            return logits, pooled.scores

    def probabilities(self, logits: Float32) -> Float32:
        """Return the probabilities [documents, classes] for logits."""
        with np.errstate(**ANY_VALUES):
            probabilities: Float32 = special.expit(logits) if self.multi_label else special.softmax(logits, axis=1)
            return probabilities
