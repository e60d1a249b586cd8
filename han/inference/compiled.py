"""A network as its users run it: the forward pass on arrays, and its gradients as graphs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import keras, tf
from han.backend.graph import graph
from han.inference.contributions import Contributions, contributions
from han.inference.forward import ForwardPass
from han.layers.ngrams import Evidence, sum_shares
from han.model import HierarchicalAttentionNetwork
from han.recurrence.level import Inputs
from han.text.corpus import Documents, Int32, Int64

Float32 = npt.NDArray[np.float32]


class Projection:
    """Distinct words, embedded and projected once for all their occurrences.

    Attributes
    ----------
    word_ids : int32 array [rows]
    forward_pass : ForwardPass
        The weights that the words were projected with.
    table : float array [rows, columns]
        See `han.recurrence.level.Inputs`.
    """

    def __init__(self, word_ids: Int32, forward_pass: ForwardPass) -> None:
        self.word_ids, self.forward_pass = word_ids, forward_pass
        self.table = forward_pass.project_words(word_ids)


class Classification(NamedTuple):
    """The result of a forward pass.

    Attributes
    ----------
    probabilities : float array [documents, classes]
    word_scores, sentence_scores : float arrays [words] and [sentences]
        The attention over the words of each sentence, and over the sentences of each document; zeros for max pooling.
    """

    probabilities: Float32
    word_scores: Float32
    sentence_scores: Float32


DOCUMENTS = Documents(*[tf.TensorSpec([None], tf.int32)] * 3)
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


class CompiledNetwork:
    """The forward pass and the contributions of a network on arrays, and its gradients as graphs.

    Documents are in the flat format of `Corpus.batch`; their words are row indices of a `Projection`.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork
        A network that is built.
    """

    def __init__(self, network: HierarchicalAttentionNetwork) -> None:
        self.network = network
        self._known: tuple[list[tf.Tensor], list[int], ForwardPass] | None = None

    def forward_pass(self) -> ForwardPass:
        """Return the forward pass with the current weights.

        As long as a tensor shares the memory of a variable, TensorFlow writes other values elsewhere, so weights at the
        same addresses are the same.
        """
        weights = [
            tf.raw_ops.ReadVariableOp(resource=weight.value.handle, dtype=weight.value.dtype)
            for weight in self.network.weights
        ]
        addresses = [int(np.asarray(memoryview(weight)).__array_interface__["data"][0]) for weight in weights]
        known = self._known  # other threads may replace it
        if known is None or known[1] != addresses:
            known = self._known = weights, addresses, ForwardPass.of(self.network)
        return known[2]

    def configuration(self) -> Hashable:
        """Return what the graphs depend on."""
        return tuple(sorted(self._config().items()))

    def graph_variables(self) -> list[keras.Variable]:
        """Return the weights, without those of the n-grams."""
        weights: list[keras.Variable] = self.network.weights
        return weights[: len(weights) - (0 if self.network.evidence is None else len(Evidence._fields))]

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
        distinct, rows = np.unique(documents.word_ids, return_inverse=True)
        return documents._replace(word_ids=rows.astype(np.int32)), self.project(distinct)

    def project(self, word_ids: Int32) -> Projection:
        """Embed and project words [rows]."""
        return Projection(word_ids, self.forward_pass())

    def forward(self, documents: Documents, projection: Projection) -> Classification:
        """Classify documents."""
        forward = projection.forward_pass
        pooled = forward.words.pool(Inputs(projection.table, documents.word_ids, documents.sentence_lengths))
        index, evidence = np.arange(len(pooled.vectors), dtype=np.int32), self.document_evidence(documents, projection)
        logits, sentence_scores = forward.logits(pooled.vectors, index, documents.document_lengths, evidence)
        return Classification(forward.probabilities(logits), pooled.scores, sentence_scores)

    def document_evidence(self, documents: Documents, projection: Projection) -> Float32:
        """Return the n-gram evidence of documents [documents, columns]; zeros without n-grams."""
        return projection.forward_pass.evidence(_with_word_ids(documents, projection))

    def sentence_vectors(self, documents: Documents, projection: Projection) -> Float32:
        """Return sentence vectors [sentences, 2 * units]: the first half of `forward`."""
        inputs = Inputs(projection.table, documents.word_ids, documents.sentence_lengths)
        return projection.forward_pass.words.pool(inputs).vectors

    def classify_vectors(
        self, vectors: Float32, index: Int32, document_lengths: Int32, evidence: Float32, projection: Projection
    ) -> Float32:
        """Return probabilities, given `vectors[index[i]]` for sentence i: the second half of `forward`."""
        forward = projection.forward_pass
        return forward.probabilities(forward.logits(vectors, index, document_lengths, evidence)[0])

    def contributions(self, documents: Documents, projection: Projection, targets: Int64) -> Contributions:
        """Return the contributions of words to the margin of the target class, or of the most probable one for -1."""
        forward = projection.forward_pass
        evidence = forward.evidence_shares(_with_word_ids(documents, projection))
        return contributions(forward, documents, projection.table, evidence, targets, self._logit_gradient)

    def _logit_gradient(self, vectors: Float32, document_lengths: Int32, weights: Float32) -> Float32:
        """Return the gradient of weighted logits, see `han.inference.contributions.Gradient`."""
        gradient: Float32 = self.logit_gradient(vectors, document_lengths, weights).numpy()
        return gradient

    def gradients_times_inputs(
        self, documents: Documents, targets: Int64, scales: Sequence[float]
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yield probabilities for scaled inputs, and a score for each word [words] at this point.

        The inputs of a word are its embedding and its share of the n-gram evidence. Its score is the gradient of the
        target class's probability at the scaled inputs, times the unscaled inputs. Unlike in the other methods,
        `documents` contains word ids.
        """
        shares = self.forward_pass().evidence_shares(documents)
        for scale in scales:
            yield self.gradient_times_input(documents, *shares, targets, np.float32(scale))

    @graph(tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None]))
    def logit_gradient(self, vectors: tf.Tensor, document_lengths: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Return what `_logit_gradient` does."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(vectors)
            sentences = tf.range(tf.shape(vectors)[0])
            document_vectors, _ = self.network.encode_documents(vectors, sentences, document_lengths)
            margins = tf.reduce_sum(weights * self.network.classifier(document_vectors), axis=1)
        return tape.gradient(margins, vectors)

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
            sentences, _ = network.encode_sentences(rows, network.word_encoder.project(vectors))
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
    return documents._replace(word_ids=projection.word_ids[documents.word_ids])
