"""The compiled forward pass of a network, for prediction and explanations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from han.backend import keras, tf
from han.backend.graph import graph
from han.inference.contributions import Contributions, contributions
from han.layers.encoder import Tables
from han.layers.ngrams import Evidence, NgramEvidence, sum_shares
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Documents, Int64


class Projection(NamedTuple):
    """Distinct words, embedded and projected once for all their occurrences.

    Attributes
    ----------
    word_ids : int32 [rows]
    tables : tuple of float tensors [rows, width]
        See `BidirectionalEncoder.project`.
    """

    word_ids: tf.Tensor
    tables: Tables


DOCUMENTS = Documents(*[tf.TensorSpec([None], tf.int32)] * 3)
TABLES = (tf.TensorSpec([None, None]),) * 3
EVIDENCE = tf.TensorSpec([None, None])  # [documents, columns]
SHARES, BIAS = tf.TensorSpec([None, None]), tf.TensorSpec([None])  # [words, columns], [columns]
TARGETS = tf.TensorSpec([None], tf.int64)
# Arguments of a network that have no effect on predictions, or only on the numbers of rows of its variables.
IRRELEVANT = {
    "name",
    "seed",
    "vocabulary_size",
    "ngrams",
    "dropout",
    "embedding_dropout",
    "word_dropout",
    "recurrent_dropout",
    "l2",
}


class CompiledNgrams:
    """The linear model of n-grams as graphs, see `CompiledNetwork`.

    Parameters
    ----------
    layer : NgramEvidence
        A layer that is built.
    """

    def __init__(self, layer: NgramEvidence) -> None:
        self.layer = layer

    def configuration(self) -> Hashable:
        """Return what the graphs depend on."""
        return self.layer.vocabulary_size, self.layer.columns

    def graph_variables(self) -> list[keras.Variable]:
        """Return the weights."""
        weights: list[keras.Variable] = self.layer.weights
        return weights

    def template(self) -> CompiledNgrams:
        """Return the graphs of a similar layer."""
        layer = NgramEvidence(1, self.layer.vocabulary_size, self.layer.columns)
        layer.build()
        return CompiledNgrams(layer)

    @graph(DOCUMENTS)
    def logits(self, documents: Documents) -> tf.Tensor:
        """Return the logits [documents, columns]."""
        return self.layer.logits(documents)

    @graph(DOCUMENTS)
    def shares(self, documents: Documents) -> tf.Tensor:
        """Return the contributions of words to the logits [words, columns]."""
        return self.layer.shares(documents)


class CompiledNetwork:
    """The forward pass of a network as graphs for documents of any length.

    Documents are in the flat format of `Corpus.batch`; their words are row indices of a `Projection`.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork
        A network that is built.
    """

    def __init__(self, network: HierarchicalAttentionNetwork) -> None:
        self.network = network
        self.ngrams = None if network.evidence is None else CompiledNgrams(network.evidence)

    def configuration(self) -> Hashable:
        """Return what the graphs depend on."""
        return tuple(sorted(self._config().items()))

    def graph_variables(self) -> list[keras.Variable]:
        """Return the weights, without those of the n-grams."""
        weights: list[keras.Variable] = self.network.weights
        return weights[: len(weights) - (0 if self.ngrams is None else len(Evidence._fields))]

    def template(self) -> CompiledNetwork:
        """Return the graphs of a similar network."""
        network = HierarchicalAttentionNetwork(vocabulary_size=1, **self._config())
        network.build((None, None, None))
        return CompiledNetwork(network)

    def _config(self) -> dict[str, Any]:
        return {name: value for name, value in self.network.get_config().items() if name not in IRRELEVANT}

    def with_projection(
        self, documents: Documents, projection: Projection | None = None
    ) -> tuple[Documents, Projection]:
        """Return documents with rows of a projection as their words, and the projection: by default of their words."""
        if projection is not None:  # of the whole vocabulary, whose rows are word ids
            return documents, projection
        distinct, rows = tf.unique(documents.word_ids)
        return documents._replace(word_ids=rows), self.project(distinct)

    def project(self, word_ids: tf.Tensor) -> Projection:
        """Embed and project words [rows]."""
        return Projection(word_ids, self.tables(word_ids))

    def forward(self, documents: Documents, projection: Projection) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return probabilities, word scores and sentence scores; the scores are None with max pooling."""
        evidence = self.document_evidence(documents, projection)
        found: tuple[tf.Tensor, tf.Tensor, tf.Tensor] = self.classify(documents, projection.tables, evidence)
        return found

    def document_evidence(self, documents: Documents, projection: Projection) -> tf.Tensor:
        """Return the n-gram evidence of documents [documents, columns]; zeros without n-grams."""
        if self.ngrams is None:
            return tf.zeros([tf.size(documents.document_lengths), self.network.evidence_columns])
        return self.ngrams.logits(_with_word_ids(documents, projection))

    def contributions(self, documents: Documents, projection: Projection, targets: Int64) -> Contributions:
        """Return the contributions of words to the margin of the target class, or of the most probable one for -1."""
        shares = self._ngram_shares(_with_word_ids(documents, projection))
        found: Contributions = self.contributions_to(documents, projection.tables, *shares, targets)
        return found

    def gradients_times_inputs(
        self, documents: Documents, targets: Int64, scales: Sequence[float]
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yield probabilities for scaled inputs, and a score for each word [words] at this point.

        The inputs of a word are its embedding and its share of the n-gram evidence. Its score is the gradient of the
        target class's probability at the scaled inputs, times the unscaled inputs. Unlike in the other methods,
        `documents` contains word ids.
        """
        shares = self._ngram_shares(documents)
        for scale in scales:
            yield self.gradient_times_input(documents, *shares, targets, np.float32(scale))

    def _ngram_shares(self, documents: Documents) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the contributions of words to the n-gram evidence, and the bias; zeros without n-grams."""
        if self.ngrams is None:
            bias = np.zeros(self.network.evidence_columns, np.float32)
            return np.zeros((len(documents.word_ids), len(bias)), np.float32), bias
        return self.ngrams.shares(documents), self.ngrams.layer.bias.value

    @graph(tf.TensorSpec([None], tf.int32))
    def tables(self, word_ids: tf.Tensor) -> Tables:
        """Embed and project words [rows]."""
        return self.network.project_words(word_ids)

    @graph(DOCUMENTS, TABLES, EVIDENCE)
    def classify(
        self, documents: Documents, tables: Tables, evidence: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return probabilities, word scores and sentence scores."""
        network = self.network
        vectors, word_scores = network.encode_sentences(documents, tables, differentiable=False)
        probabilities, sentence_scores = network.classify_sentences(
            vectors, documents.document_lengths, evidence, differentiable=False
        )
        return probabilities, word_scores, sentence_scores

    @graph(DOCUMENTS, TABLES)
    def sentence_vectors(self, documents: Documents, tables: Tables) -> tf.Tensor:
        """Return sentence vectors [sentences, 2 * units]: the first half of `classify`."""
        return self.network.encode_sentences(documents, tables, differentiable=False)[0]

    @graph(tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32), EVIDENCE)
    def classify_vectors(
        self, vectors: tf.Tensor, index: tf.Tensor, document_lengths: tf.Tensor, evidence: tf.Tensor
    ) -> tf.Tensor:
        """Return probabilities, given `vectors[index[i]]` for sentence i: the second half of `classify`."""
        documents, _ = self.network.encode_documents(vectors, index, document_lengths, differentiable=False)
        return self.network.class_probabilities(documents, evidence)

    @graph(DOCUMENTS, TABLES, SHARES, BIAS, TARGETS)
    def contributions_to(
        self, documents: Documents, tables: Tables, shares: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor
    ) -> Contributions:
        """Return the contributions to the margins of the target classes, see `han.inference.contributions`."""
        return contributions(self.network, documents, tables, shares, bias, targets)

    @graph(DOCUMENTS, SHARES, BIAS, TARGETS, tf.TensorSpec([], tf.float32))
    def gradient_times_input(
        self, documents: Documents, shares: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, scale: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return one result of `gradients_times_inputs`."""
        network = self.network
        inputs = (network.embed(documents.word_ids), shares)
        vectors, scaled_shares = scaled = tuple(scale * part for part in inputs)
        # Each occurrence of a word is a separate input.
        rows = documents._replace(word_ids=tf.range(tf.shape(vectors)[0]))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(scaled)
            tables = network.word_encoder.project(vectors)
            sentences, _ = network.encode_sentences(rows, tables)
            evidence = sum_shares(scaled_shares, documents) + bias
            probabilities, _ = network.classify_sentences(sentences, documents.document_lengths, evidence)
            chosen = tf.gather(probabilities, targets, batch_dims=1)
        gradients = tape.gradient(chosen, scaled, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return probabilities, tf.add_n(
            [tf.reduce_sum(gradient * part, axis=1) for gradient, part in zip(gradients, inputs, strict=True)]
        )

    def builder(self) -> tuple[Callable[..., CompiledNetwork], tuple[Any, ...]]:
        """Return a function and its arguments that build the same network in another process."""
        return _build, (self.network.get_config(), self.network.get_weights())


def compiled(network: HierarchicalAttentionNetwork) -> CompiledNetwork:
    """Return the compiled forward pass of a network; each call returns the same object with its graphs."""
    # Bypasses setattr, where Keras tracks layers and variables.
    attributes: dict[str, Any] = network.__dict__
    cached: CompiledNetwork = attributes.setdefault("_compiled_network", CompiledNetwork(network))
    return cached


def _build(config: dict[str, Any], weights: list[Any]) -> CompiledNetwork:
    network = HierarchicalAttentionNetwork(**config)
    network.build((None, None, None))
    network.set_weights(weights)
    return CompiledNetwork(network)


def _with_word_ids(documents: Documents, projection: Projection) -> Documents:
    """Convert row indices of a projection back to word ids."""
    return documents._replace(word_ids=tf.gather(projection.word_ids, documents.word_ids))
