"""Training steps in parts: the update of a whole batch in the memory of a part of it.

The words of the batch are projected once, and its gradient is summed up over parts of its documents. Where a single
document is too long for that, its sentences are read in groups: first for their vectors alone, and once the gradient at
the vectors is known, again for that of what is below them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from han.backend import keras, tf
from han.layers.encoder import Tables
from han.layers.packing import unpad
from han.memory.planning import Parts
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Documents

Gradients = tuple[tf.Tensor, ...]
# From where and to where, and the results so far, to the results with it.
Work = Callable[[tf.Tensor, tf.Tensor, tuple[Any, ...]], tuple[Any, ...]]


@contextmanager
def in_parts(model: HierarchicalAttentionNetwork, parts: Parts | None) -> Iterator[None]:
    """Have the training steps of a compiled network done in parts; None leaves them as they are.

    The update is that of the whole batch but for rounding. Dropout is as in a whole batch too, with other random
    numbers for sentence vectors and document vectors, and for the recurrent kernels with a mask for each part.
    Validation keeps nothing for a gradient, as prediction does, whose compiled loops it then runs.
    """
    # Keras takes the steps from the instance when it traces its functions, which it then keeps.
    model.test_step, model.test_function = partial(_test_step, model, parts), None
    if parts is not None:
        model.train_step, model.train_function = partial(_train_step, model, parts), None
    try:
        yield
    finally:
        del model.test_step
        model.test_function = None
        if parts is not None:
            del model.train_step
            model.train_function = None


def _train_step(model: HierarchicalAttentionNetwork, parts: Parts, data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
    """Do as `keras.Model.train_step`."""
    inputs, targets, weights = data
    documents = Documents(*inputs)
    variables = [variable.value for variable in model.trainable_variables]
    distinct, index = tf.unique(documents.word_ids)
    with tf.GradientTape() as tape:
        tables = model.project_words(distinct, training=True)
        penalty = tf.add_n(model.losses) if model.losses else tf.constant(0.0)
    batch = _Batch(model, parts, documents, index, targets, weights, tables)
    loss, probabilities, at_tables, gradients = batch.gradients()
    # Sparse at the embedding, whose rows no part has touched.
    through_tables = tape.gradient([*tables, penalty], variables, output_gradients=[*at_tables, tf.constant(1.0)])
    total = [
        below if above is None else above if below is None else above + below
        for above, below in zip(gradients, through_tables, strict=True)
    ]
    model.optimizer.apply_gradients(zip(total, model.trainable_variables, strict=True))
    return _reported(model, loss + penalty, data, probabilities)


def _test_step(model: HierarchicalAttentionNetwork, parts: Parts | None, data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
    """Do as `keras.Model.test_step`, with the sentences read in groups if they are to be."""
    # A callback may evaluate the network on blocks, and without weights.
    inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
    documents = Documents(*inputs) if isinstance(inputs, tuple) else unpad(tf.cast(inputs, tf.int32))[0]
    distinct, index = tf.unique(documents.word_ids)
    tables, rows = model.project_words(distinct), documents._replace(word_ids=index)
    if parts is None or parts.most_grouped is None:
        vectors, _ = model.read_words(rows, tables, differentiable=False)
    else:
        vectors = _read_in_groups(model, parts, rows, tables)
    evidence = model.said(documents)
    probabilities, _ = model.conclude(vectors, documents.document_lengths, evidence, differentiable=False)
    loss = model.loss(targets, probabilities, sample_weight=weights)
    return _reported(model, tf.add_n([loss, *model.losses]), (documents, targets, weights), probabilities)


def _reported(
    model: HierarchicalAttentionNetwork, loss: tf.Tensor, data: tuple[Any, ...], probabilities: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Take a batch into the loss and the metrics, as Keras does, and return them."""
    inputs, targets, weights = data
    tracker = next(metric for metric in model.metrics if metric.name == "loss")
    tracker.update_state(loss, sample_weight=tf.shape(inputs[0])[0])
    metrics: dict[str, tf.Tensor] = model.compute_metrics(inputs, targets, probabilities, sample_weight=weights)
    return metrics


class _Batch(NamedTuple):
    """A batch that is worked on in parts; `rows` [words] are those of `tables` that its words read."""

    model: HierarchicalAttentionNetwork
    parts: Parts
    documents: Documents
    rows: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor
    tables: Tables

    def gradients(self) -> tuple[tf.Tensor, tf.Tensor, Gradients, list[tf.Tensor | None]]:
        """Return the loss, the probabilities, and the gradients at the tables and at the trainable variables.

        There is None for the embedding, which is read through the tables.
        """
        trainable = self.model.trainable_variables
        # A gradient of zeros for it would be as large as it is.
        own = [variable.value for variable in trainable if variable is not self.model.embedding.embeddings]
        inputs = [*self.tables, *own]
        sentences, words = _starts(self.documents.document_lengths), _starts(self.documents.sentence_lengths)
        cost = tf.cast(sentences, tf.int64) * self.parts.sentence_cost
        if self.parts.most_grouped is None:
            cost += tf.cast(tf.gather(words, sentences), tf.int64) * self.parts.word_cost

        def work(start: tf.Tensor, end: tf.Tensor, done: tuple[Any, ...]) -> tuple[Any, ...]:
            loss, probabilities, *sums = done
            of_sentences = slice(sentences[start], sentences[end])
            of_words = slice(words[of_sentences.start], words[of_sentences.stop])
            part = Documents(
                self.rows[of_words],
                self.documents.sentence_lengths[of_sentences],
                self.documents.document_lengths[start:end],
            )
            evidence = self.model.said(part._replace(word_ids=self.documents.word_ids[of_words]))
            share = tf.cast(end - start, tf.float32) / tf.cast(tf.shape(self.targets)[0], tf.float32)

            def judge(found: tf.Tensor) -> tf.Tensor:
                return share * self.model.loss(self.targets[start:end], found, sample_weight=self.weights[start:end])

            add = self._part if self.parts.most_grouped is None else self._part_in_groups
            added, found, gradients = add(part, evidence, judge, inputs)
            summed = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            return (loss + added, tf.concat([probabilities, found], axis=0), *summed)

        nothing = (
            tf.constant(0.0),
            tf.zeros([0, self.model.classifier.units]),
            *(tf.zeros_like(part) for part in inputs),
        )
        loss, probabilities, *sums = _over_parts(cost, self.parts.most, work, nothing)
        found = iter(sums[len(self.tables) :])
        of_variables = [None if one is self.model.embedding.embeddings else next(found) for one in trainable]
        return loss, probabilities, tuple(sums[: len(self.tables)]), of_variables

    def _part(
        self,
        part: Documents,
        evidence: tf.Tensor,
        judge: Callable[[tf.Tensor], tf.Tensor],
        inputs: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """Return the loss, the probabilities, and the gradients at the inputs."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            vectors, _ = self.model.read_words(part, self.tables, differentiable=True, training=True)
            probabilities, _ = self.model.conclude(vectors, part.document_lengths, evidence, training=True)
            loss = judge(probabilities)
        return loss, probabilities, _gradient(tape, loss, inputs)

    def _part_in_groups(
        self,
        part: Documents,
        evidence: tf.Tensor,
        judge: Callable[[tf.Tensor], tf.Tensor],
        inputs: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """Do as `_part`, with the sentences read in groups, twice."""
        recall = self._recall()
        vectors = _read_in_groups(self.model, self.parts, part, self.tables, training=True, before=recall)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([vectors, *inputs])
            probabilities, _ = self.model.conclude(vectors, part.document_lengths, evidence, training=True)
            loss = judge(probabilities)
        at_vectors, *gradients = _gradient(tape, loss, [vectors, *inputs])

        def read_again(start: tf.Tensor, end: tf.Tensor, done: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            recall()
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                vectors, _ = self.model.read_words(_group(part, start, end), self.tables, True, training=True)
            added = _gradient(tape, vectors, inputs, at_vectors[start:end])
            return tuple(total + gradient for total, gradient in zip(done, added, strict=True))

        return loss, probabilities, _over_groups(self.parts, part, read_again, tuple(gradients))

    def _recall(self) -> Callable[[], None]:
        """Return what sets the random numbers of the words' recurrent dropout to where they are now.

        All groups, and both times that they are read, have the same mask then, as in a whole batch.
        """
        dropout = self.model.word_encoder.weight_dropout
        if not dropout.rate:
            return lambda: None
        state = dropout.seed_generator.state
        now = tf.identity(state.value)

        def recall() -> None:
            state.assign(now)

        return recall


def _read_in_groups(
    model: HierarchicalAttentionNetwork,
    parts: Parts,
    documents: Documents,
    tables: Tables,
    training: bool = False,
    before: Callable[[], None] = lambda: None,
) -> tf.Tensor:
    """Return the sentences' vectors [sentences, 2 * units], without a gradient; `before` is called for each group."""

    def read(start: tf.Tensor, end: tf.Tensor, done: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        before()
        vectors, _ = model.read_words(_group(documents, start, end), tables, False, training)
        return (tf.concat([done[0], vectors], axis=0),)

    return _over_groups(parts, documents, read, (tf.zeros([0, 2 * model.word_encoder.units]),))[0]


def _group(documents: Documents, start: tf.Tensor, end: tf.Tensor) -> Documents:
    """Return some of the sentences; which documents they are of makes no difference to their vectors."""
    words = _starts(documents.sentence_lengths)
    rows = documents.word_ids[words[start] : words[end]]
    return Documents(rows, documents.sentence_lengths[start:end], documents.document_lengths[:0])


def _over_groups(parts: Parts, documents: Documents, work: Work, nothing: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
    """Do as `_over_parts` with the sentences of documents."""
    cost = tf.cast(_starts(documents.sentence_lengths), tf.int64) * parts.word_cost
    most = parts.most if parts.most_grouped is None else parts.most_grouped
    return _over_parts(cost, most, work, nothing)


def _over_parts(cost: tf.Tensor, most: int, work: Work, nothing: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
    """Let `work(start, end, results)` have consecutive items, in parts that cost at most `most` or are of one item.

    `cost`, int64 [items + 1], is that of all items before each, and of all. The results to begin with are `nothing`;
    the last are returned.
    """
    last = tf.size(cost) - 1

    def advance(start: tf.Tensor, *done: tf.Tensor) -> tuple[tf.Tensor, ...]:
        end = tf.searchsorted(cost, [cost[start] + most], side="right")[0] - 1
        end = tf.minimum(tf.maximum(end, start + 1), last)
        return (end, *work(start, end, done))

    shapes = [tf.TensorShape([None, *part.shape[1:]]) if part.shape.rank == 2 else part.shape for part in nothing]
    results: tuple[tf.Tensor, ...] = tf.while_loop(
        lambda start, *_: start < last,
        advance,
        (tf.constant(0), *nothing),
        shape_invariants=(tf.TensorShape([]), *shapes),
        parallel_iterations=1,  # more would have several parts in memory at once
    )
    return results[1:]


def _starts(lengths: tf.Tensor) -> tf.Tensor:
    """Return where each of consecutive pieces starts, and the end, int32 [pieces + 1]."""
    return tf.pad(tf.cumsum(lengths), [[1, 0]])


def _gradient(
    tape: tf.GradientTape, result: tf.Tensor, inputs: Sequence[tf.Tensor], at_result: tf.Tensor | None = None
) -> Gradients:
    """Return the gradient at each input, of zeros where the result does not depend on it."""
    found: list[tf.Tensor] = tape.gradient(result, inputs, at_result, tf.UnconnectedGradients.ZERO)
    return tuple(map(tf.convert_to_tensor, found))
