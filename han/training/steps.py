"""Training steps on whole batches, or in parts to save memory (gradient accumulation).

In parts, the words of the batch are projected once, and the gradient is accumulated over groups of documents. The
sentences of a document that is too long are processed in groups, twice: first to compute the sentence vectors and,
once their gradient is known, again to backpropagate it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from han.backend import keras, tf
from han.backend.graph import Graph
from han.backend.variables import shared_kernels
from han.inference.compiled import compiled
from han.inference.prediction import classify_documents
from han.layers.packing import unpad
from han.memory.planning import Parts, TrainingPlan
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Documents
from han.training.log_count_ratios import LogCountRatios
from han.training.optimizer import LazyAdam

Gradients = tuple[tf.Tensor, ...]
# (start, end, results so far) -> results.
Work = Callable[[tf.Tensor, tf.Tensor, tuple[Any, ...]], tuple[Any, ...]]


@keras.saving.register_keras_serializable(package="han")
class TrainingNetwork(HierarchicalAttentionNetwork):
    """A network whose training steps can be divided into parts.

    Up to rounding, a step in parts equals a step on the whole batch. Dropout has the same distribution, but draws
    different random numbers for sentence and document vectors, and one mask for recurrent kernels per part. Validation
    runs the forward pass of prediction.

    Attributes
    ----------
    parts : Parts or None
        How training batches are divided; None for whole batches. Set by `divide`.
    ratios : LogCountRatios or None
        The counts that each training step leaves its documents out of, while it trains on documents that are counted.
        Set by `leave_out_of`.
    """

    parts: Parts | None = None
    ratios: LogCountRatios | None = None
    train_function: Callable[[Any], dict[str, tf.Tensor]] | None

    @classmethod
    def of(cls, network: HierarchicalAttentionNetwork, **settings: Any) -> TrainingNetwork:
        """Return a trainable copy of a network; `settings` replace arguments that do not affect the weights."""
        copy = cls(**{**network.get_config(), **settings})
        copy.build((None, None, None))
        copy.set_weights(network.get_weights())
        return copy

    def divide(self, plan: TrainingPlan) -> None:
        """Set how batches are divided."""
        if plan.parts != self.parts:
            self.parts = plan.parts
            self.train_function = None  # discards the traced function

    def leave_out_of(self, ratios: LogCountRatios | None) -> None:
        """Set the counts that training steps leave their documents out of."""
        self.ratios = ratios
        self.train_function = None  # discards the traced function

    @shared_kernels()
    def create_variables(self) -> None:
        """Create the variables of the optimizer and of the metrics, once compiled: training steps cannot create any."""
        self.optimizer.build(self.trainable_variables)
        classes = self.classifier.units
        targets = np.zeros((1, classes) if self._multi_label() else 1, int)
        self.compute_metrics(None, targets, np.full((1, classes), 1 / classes), np.ones(1))

    def configuration(self) -> Hashable:
        """Return what the graph of `train_step` depends on."""
        settings = self.get_compile_config()
        if isinstance(settings["optimizer"]["config"]["learning_rate"], float):  # a schedule is part of the graph
            del settings["optimizer"]["config"]["learning_rate"]
        trained = tuple(variable.trainable for variable in self.variables)
        counted = self.ratios is not None
        return json.dumps(self._config(), sort_keys=True), json.dumps(settings), trained, self.parts, counted

    def graph_variables(self) -> list[keras.Variable]:
        """Return the variables that `train_step` reads or writes."""
        own = [self.optimizer.sparse_rate] if isinstance(self.optimizer, LazyAdam) else []
        counts = [] if self.ratios is None else self.ratios.variables
        return [*self.variables, *self.optimizer.variables, *self.metrics_variables, *own, *counts]

    def template(self) -> TrainingNetwork:
        """Return a network of the same configuration."""
        template = TrainingNetwork(**{"vocabulary_size": 1, **self._config(), "seed": 0})
        template.build((None, None, None))
        template.embedding.trainable = self.embedding.trainable
        template.compile(**keras.saving.deserialize_keras_object(self.get_compile_config()))
        template.create_variables()
        template.parts = self.parts
        if self.ratios is not None:
            template.ratios = LogCountRatios(1, self._config()["ratio_dim"])
        return template

    def make_train_function(self, force: bool = False) -> None:
        """Train with a graph, shared by all networks of the same configuration."""
        if self.train_function is None or force:
            targets = [None, self.classifier.units] if self._multi_label() else [None]
            dtype = tf.float32 if self._multi_label() else tf.int64
            documents = (tf.TensorSpec([None], tf.int32),) * len(Documents._fields)
            data = documents, tf.TensorSpec(targets, dtype), tf.TensorSpec([None])
            step = Graph(self, TrainingNetwork.train_step, [data])
            self.train_function = lambda iterator: step(next(iterator))

    def make_test_function(self, force: bool = False) -> None:
        """Evaluate with the forward pass of prediction, in place of a graph that is traced for this network."""
        self.test_function = lambda iterator: self.test_step(next(iterator))

    def train_step(self, data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
        """Update the weights with a batch, as `keras.Model.train_step` does."""
        inputs, targets, weights = data
        documents = Documents(*inputs)
        ratios = None if self.ratios is None else self.ratios.without(documents, targets, weights)
        variables = [variable.value for variable in self.trainable_variables]
        if self.parts is None:
            with tf.GradientTape() as tape:
                probabilities, *_ = self.forward(documents, training=True, ratios=ratios)
                loss = tf.add_n([self.loss(targets, probabilities, sample_weight=weights), *self.losses])
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), self.trainable_variables, strict=True))
            return self._update_metrics(loss, data, probabilities)
        distinct, rows = tf.unique(documents.word_ids)
        with tf.GradientTape() as tape:
            table = self.project_words(distinct, training=True, ratios=ratios)
            penalty = tf.add_n(self.losses) if self.losses else tf.constant(0.0)
        batch = _Batch(self, self.parts, documents, rows, targets, weights, table)
        loss, probabilities, table_gradient, gradients = batch.gradients()
        # The gradient of the embedding stays sparse.
        through_table = tape.gradient([table, penalty], variables, output_gradients=[table_gradient, tf.constant(1.0)])
        total = [
            below if above is None else above if below is None else above + below
            for above, below in zip(gradients, through_table, strict=True)
        ]
        self.optimizer.apply_gradients(zip(total, self.trainable_variables, strict=True))
        return self._update_metrics(loss + penalty, data, probabilities)

    def test_step(self, data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
        """Evaluate a batch, as `keras.Model.test_step` does."""
        # Callbacks may evaluate the network on padded documents without weights.
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        documents = Documents(*inputs) if isinstance(inputs, tuple) else unpad(tf.cast(inputs, tf.int32))[0]
        probabilities = tf.constant(classify_documents(compiled(self), Documents(*map(np.asarray, documents))))
        loss = self.loss(targets, probabilities, sample_weight=weights)
        return self._update_metrics(tf.add_n([loss, *self.losses]), (documents, targets, weights), probabilities)

    def _multi_label(self) -> bool:
        return bool(self.get_config()["multi_label"])

    def _config(self) -> dict[str, Any]:
        """Return the constructor's arguments, without those that determine only the values and rows of the weights."""
        # The keys of n-grams depend on the size of the vocabulary.
        others = ("name", "seed", *([] if self.evidence else ["vocabulary_size"]))
        return {name: value for name, value in self.get_config().items() if name not in others}

    def _update_metrics(self, loss: tf.Tensor, data: tuple[Any, ...], probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        """Update the mean loss and the metrics with a batch, as Keras does, and return them."""
        inputs, targets, weights = data
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=tf.shape(inputs[0])[0])
        metrics: dict[str, tf.Tensor] = self.compute_metrics(inputs, targets, probabilities, sample_weight=weights)
        return metrics


class _Part(NamedTuple):
    """Some documents of a batch; their words index the table of the batch."""

    documents: Documents
    evidence: tf.Tensor
    # Returns the share of the batch's loss for probabilities [documents, classes].
    loss_of: Callable[[tf.Tensor], tf.Tensor]


class _Batch(NamedTuple):
    """A batch to process in parts; `rows` [words] index `table`, the projected words."""

    model: HierarchicalAttentionNetwork
    parts: Parts
    documents: Documents
    rows: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor
    table: tf.Tensor

    def gradients(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        """Return the loss, the probabilities, and the gradients of the table and of the trainable variables.

        The gradient of the embedding is None, because it flows through the table.
        """
        trainable = self.model.trainable_variables
        # Without the embedding, which would get a dense gradient of zeros.
        own = [variable.value for variable in trainable if variable is not self.model.embedding.embeddings]
        inputs = [self.table, *own]
        sentences, words = _starts(self.documents.document_lengths), _starts(self.documents.sentence_lengths)
        cost = tf.cast(sentences, tf.int64) * self.parts.sentence_cost
        if self.parts.most_grouped is None:
            cost += tf.cast(tf.gather(words, sentences), tf.int64) * self.parts.word_cost

        def add_part(start: tf.Tensor, end: tf.Tensor, done: tuple[Any, ...]) -> tuple[Any, ...]:
            loss, probabilities, *sums = done
            of_sentences = slice(sentences[start], sentences[end])
            of_words = slice(words[of_sentences.start], words[of_sentences.stop])
            documents = Documents(
                self.rows[of_words],
                self.documents.sentence_lengths[of_sentences],
                self.documents.document_lengths[start:end],
            )
            evidence = self.model.document_evidence(documents._replace(word_ids=self.documents.word_ids[of_words]))
            share = tf.cast(end - start, tf.float32) / tf.cast(tf.shape(self.targets)[0], tf.float32)

            def loss_of(found: tf.Tensor) -> tf.Tensor:
                return share * self.model.loss(self.targets[start:end], found, sample_weight=self.weights[start:end])

            part = _Part(documents, evidence, loss_of)
            whole = self.parts.most_grouped is None
            added, found, gradients = (self._whole_part if whole else self._part_in_groups)(part, inputs)
            summed = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            return (loss + added, tf.concat([probabilities, found], axis=0), *summed)

        zeros = (
            tf.constant(0.0),
            tf.zeros([0, self.model.classifier.units]),
            *(tf.zeros_like(part) for part in inputs),
        )
        loss, probabilities, *sums = _over_parts(cost, self.parts.most, add_part, zeros)
        table_gradient, *others = sums
        found = iter(others)
        of_variables = [None if one is self.model.embedding.embeddings else next(found) for one in trainable]
        return loss, probabilities, table_gradient, of_variables

    def _whole_part(self, part: _Part, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """Return the loss, the probabilities, and the gradients with respect to the inputs."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            vectors, _ = self.model.encode_sentences(part.documents, self.table, training=True)
            loss, probabilities = self._loss(part, vectors)
        return loss, probabilities, _gradient(tape, loss, inputs)

    def _part_in_groups(self, part: _Part, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """Return the same as `_whole_part`, but process the sentences in groups, twice."""
        documents, reset_dropout = part.documents, self._dropout_resetter()
        vectors = _encode_in_groups(self.model, self.parts, documents, self.table, reset_dropout)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([vectors, *inputs])
            loss, probabilities = self._loss(part, vectors)
        vector_gradients, *gradients = _gradient(tape, loss, [vectors, *inputs])

        def add_group(start: tf.Tensor, end: tf.Tensor, done: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            reset_dropout()
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                vectors, _ = self.model.encode_sentences(_group(documents, start, end), self.table, training=True)
            added = _gradient(tape, vectors, inputs, vector_gradients[start:end])
            return tuple(total + gradient for total, gradient in zip(done, added, strict=True))

        return loss, probabilities, _over_groups(self.parts, documents, add_group, tuple(gradients))

    def _loss(self, part: _Part, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the loss and the probabilities for sentence vectors."""
        lengths = part.documents.document_lengths
        probabilities, _ = self.model.classify_sentences(vectors, lengths, part.evidence, training=True)
        return part.loss_of(probabilities), probabilities

    def _dropout_resetter(self) -> Callable[[], None]:
        """Return a function that resets the random state of the word encoder's recurrent dropout to the current one.

        All groups then share one mask in both passes, as in a whole batch.
        """
        dropout = self.model.word_encoder.weight_dropout
        if not dropout.rate:
            return lambda: None
        state = dropout.seed_generator.state
        now = tf.identity(state.value)

        def reset() -> None:
            state.assign(now)

        return reset


def _encode_in_groups(
    model: HierarchicalAttentionNetwork,
    parts: Parts,
    documents: Documents,
    table: tf.Tensor,
    before: Callable[[], None],
) -> tf.Tensor:
    """Return sentence vectors [sentences, 2 * units] without a gradient; `before` is called before each group."""

    def encode(start: tf.Tensor, end: tf.Tensor, done: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        before()
        vectors, _ = model.encode_sentences(_group(documents, start, end), table, differentiable=False, training=True)
        return (tf.concat([done[0], vectors], axis=0),)

    return _over_groups(parts, documents, encode, (tf.zeros([0, 2 * model.word_encoder.units]),))[0]


def _group(documents: Documents, start: tf.Tensor, end: tf.Tensor) -> Documents:
    """Return some sentences without documents, on which sentence vectors do not depend."""
    words = _starts(documents.sentence_lengths)
    rows = documents.word_ids[words[start] : words[end]]
    return Documents(rows, documents.sentence_lengths[start:end], documents.document_lengths[:0])


def _over_groups(parts: Parts, documents: Documents, work: Work, initial: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
    """Call `_over_parts` for groups of sentences."""
    cost = tf.cast(_starts(documents.sentence_lengths), tf.int64) * parts.word_cost
    most = parts.most if parts.most_grouped is None else parts.most_grouped
    return _over_parts(cost, most, work, initial)


def _over_parts(cost: tf.Tensor, most: int, work: Work, initial: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
    """Call `work(start, end, results)` for parts of consecutive items, starting from `initial`; return the results.

    A part costs at most `most`, or is a single item. `cost`, int64 [items + 1], is the cumulative cost before each
    item, followed by the total.
    """
    last = tf.size(cost) - 1

    def advance(start: tf.Tensor, *done: tf.Tensor) -> tuple[tf.Tensor, ...]:
        end = tf.searchsorted(cost, [cost[start] + most], side="right")[0] - 1
        end = tf.minimum(tf.maximum(end, start + 1), last)
        return (end, *work(start, end, done))

    shapes = [tf.TensorShape([None, *part.shape[1:]]) if part.shape.rank == 2 else part.shape for part in initial]
    results: tuple[tf.Tensor, ...] = tf.while_loop(
        lambda start, *_: start < last,
        advance,
        (tf.constant(0), *initial),
        shape_invariants=(tf.TensorShape([]), *shapes),
        parallel_iterations=1,  # otherwise several parts would be in memory at once
    )
    return results[1:]


def _starts(lengths: tf.Tensor) -> tf.Tensor:
    """Return the start of each piece, and the end of the last, int32 [pieces + 1]."""
    return tf.pad(tf.cumsum(lengths), [[1, 0]])


def _gradient(
    tape: tf.GradientTape, result: tf.Tensor, inputs: Sequence[tf.Tensor], result_gradient: tf.Tensor | None = None
) -> Gradients:
    """Return the gradient with respect to each input, zeros if the result does not depend on it."""
    found: list[tf.Tensor] = tape.gradient(result, inputs, result_gradient, tf.UnconnectedGradients.ZERO)
    return tuple(map(tf.convert_to_tensor, found))
