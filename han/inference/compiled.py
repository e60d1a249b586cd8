"""The compiled forward pass of a network, for prediction and explanations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from han.backend import tf
from han.backend.graph import graph
from han.inference.contributions import Contributions, contributions
from han.layers.encoder import Tables
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Documents


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
PROJECTION = Projection(tf.TensorSpec([None], tf.int32), (tf.TensorSpec([None, None]),) * 3)


class CompiledNetwork:
    """The forward pass of a network as graphs, each traced once for documents of any length.

    Documents are in the flat format of `Corpus.batch`; their words are row indices of a `Projection`.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork
        A network that is built.
    """

    def __init__(self, network: HierarchicalAttentionNetwork) -> None:
        self.network = network

    def project_distinct(self, documents: Documents) -> tuple[Documents, Projection]:
        """Project the distinct words of documents; return the documents, with row indices as words, and the rows."""
        distinct, rows = tf.unique(documents.word_ids)
        return documents._replace(word_ids=rows), self.project(distinct)

    @graph(tf.TensorSpec([None], tf.int32))
    def project(self, word_ids: tf.Tensor) -> Projection:
        """Embed and project words [rows]."""
        return Projection(word_ids, self.network.project_words(word_ids))

    @graph(DOCUMENTS, PROJECTION)
    def forward(self, documents: Documents, projection: Projection) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return probabilities, word scores and sentence scores; the scores are None with max pooling."""
        network = self.network
        evidence = network.document_evidence(_with_word_ids(documents, projection))
        vectors, word_scores = network.encode_sentences(documents, projection.tables, differentiable=False)
        probabilities, sentence_scores = network.classify_sentences(
            vectors, documents.document_lengths, evidence, differentiable=False
        )
        return probabilities, word_scores, sentence_scores

    @graph(DOCUMENTS, PROJECTION)
    def sentence_vectors(self, documents: Documents, projection: Projection) -> tf.Tensor:
        """Return sentence vectors [sentences, 2 * units]: the first half of `forward`."""
        return self.network.encode_sentences(documents, projection.tables, differentiable=False)[0]

    @graph(DOCUMENTS, PROJECTION)
    def document_evidence(self, documents: Documents, projection: Projection) -> tf.Tensor:
        """Return the n-gram evidence of documents [documents, columns]; no columns without n-grams."""
        return self.network.document_evidence(_with_word_ids(documents, projection))

    @graph(
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, None]),
    )
    def forward_vectors(
        self, vectors: tf.Tensor, index: tf.Tensor, document_lengths: tf.Tensor, evidence: tf.Tensor
    ) -> tf.Tensor:
        """Return probabilities, given `vectors[index[i]]` for sentence i: the second half of `forward`."""
        documents, _ = self.network.encode_documents(vectors, index, document_lengths, differentiable=False)
        return self.network.class_probabilities(documents, evidence)

    @graph(DOCUMENTS, PROJECTION, tf.TensorSpec([None], tf.int64))
    def contributions(self, documents: Documents, projection: Projection, targets: tf.Tensor) -> Contributions:
        """Return the contributions of words to the margin of the target class, or of the most probable one for -1."""
        word_ids = _with_word_ids(documents, projection).word_ids
        return contributions(self.network, documents, projection.tables, word_ids, targets)

    @graph(DOCUMENTS, tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.float32))
    def gradient_times_input(
        self, documents: Documents, targets: tf.Tensor, scale: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return probabilities for scaled inputs, and a score for each word [words] at this point.

        The inputs of a word are its embedding and its share of the n-gram evidence. Its score is the gradient of the
        target class's probability at the scaled inputs, times the unscaled inputs. Unlike in the other methods,
        `documents` contains word ids.
        """
        network = self.network
        inputs = (
            network.embed(documents.word_ids),
            network.evidence_shares(documents),
        )
        vectors, shares = scaled = tuple(scale * part for part in inputs)
        # Each occurrence of a word is a separate input.
        rows = documents._replace(word_ids=tf.range(tf.shape(vectors)[0]))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(scaled)
            tables, evidence = network.word_encoder.project(vectors), network.sum_evidence(shares, documents)
            sentences, _ = network.encode_sentences(rows, tables)
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
