from __future__ import annotations

import numpy as np
import pytest

from han.backend import keras, tf
from han.layers.ngrams import Evidence
from han.memory.planning import Parts, TrainingPlan
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Corpus
from han.training.log_count_ratios import LogCountRatios
from han.training.optimizer import LazyAdam, index_variables
from han.training.pipeline import Examples
from han.training.steps import TrainingNetwork

VOCABULARY = 50
# Parts of documents, groups of sentences, and the whole batch as a single part.
DOCUMENTS = Parts(word_cost=3, sentence_cost=2, most=150)
GROUPS = Parts(word_cost=3, sentence_cost=2, most=9, most_grouped=30)
ALL = Parts(word_cost=0, sentence_cost=0, most=1)
ALL_IN_GROUPS = Parts(word_cost=3, sentence_cost=0, most=1, most_grouped=30)


@keras.saving.register_keras_serializable()
class SGD(keras.optimizers.SGD):
    """Finds its variables as `LazyAdam` does."""

    def apply(self, grads, trainable_variables=None):
        """Apply the gradients."""
        index_variables(self)
        super().apply(grads, trainable_variables)


@pytest.fixture(scope="module")
def corpus():
    """Twelve documents of up to 14 sentences, one of them empty, with some frequent words."""
    rng = np.random.default_rng(4)
    counts = np.array([0, *rng.integers(1, 15, 11)])
    lengths = rng.integers(1, 9, counts.sum())
    words = np.minimum(rng.geometric(0.1, lengths.sum()) + 1, VOCABULARY - 1).astype(np.int32)
    starts = [np.concatenate([[0], np.cumsum(part)]) for part in (lengths, counts)]
    return Corpus(words, *starts)


def steps(corpus, parts, multi_label=False, count=2, **settings):
    """Return the model, the changes of its weights and the history after steps on a batch of all documents."""
    keras.utils.set_random_seed(0)
    model = TrainingNetwork(
        VOCABULARY, 3, embedding_dim=6, units=4, seed=1, multi_label=multi_label, **{"l2": 1e-2, **settings}
    )
    model.build((None, None, None))
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, len(corpus))
    loss, metric = keras.losses.SparseCategoricalCrossentropy(), keras.metrics.SparseCategoricalAccuracy("accuracy")
    if multi_label:
        targets = np.eye(3, dtype=np.float32)[targets]
        loss, metric = keras.losses.BinaryCrossentropy(), keras.metrics.BinaryAccuracy("accuracy")
    # Rather than Adam, which would hide the scale of the gradient.
    model.compile(SGD(0.1), loss=loss, weighted_metrics=[metric])
    model.create_variables()
    weights = rng.uniform(0, 2, len(corpus)).astype(np.float32)
    if model.log_count_ratios is not None:
        model.ratios, _ = LogCountRatios.learn(Examples(corpus, targets, weights), 3, VOCABULARY)
    batch = tuple(corpus.batch(np.arange(len(corpus)))), targets, weights
    dataset = tf.data.Dataset.from_generator(
        lambda: iter([batch] * count),
        output_signature=(
            (tf.TensorSpec([None], tf.int32),) * 3,
            tf.TensorSpec([None, *targets.shape[1:]], tf.as_dtype(targets.dtype)),
            tf.TensorSpec([None], tf.float32),
        ),
    )
    # With the small initial weights, the gradient of the attention over words would be tiny.
    model.set_weights([4 * weight for weight in model.get_weights()])
    before = [np.array(variable) for variable in model.trainable_variables]
    model.divide(TrainingPlan(parts))
    history = model.fit(dataset, steps_per_epoch=count, shuffle=False, verbose=0).history
    after = [np.array(variable) for variable in model.trainable_variables]
    return model, [one - other for one, other in zip(after, before, strict=True)], history


@pytest.mark.parametrize("parts", [DOCUMENTS, GROUPS], ids=["documents", "groups"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param(
            {"cell": "gru", "residual": True, "additive": True, "frozen_dim": 3, "ratio_dim": 3}, marks=pytest.mark.slow
        ),
        pytest.param({"pooling": "max"}, marks=pytest.mark.slow),
        pytest.param({"pooling": "mean", "multi_label": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_step_in_parts_equals_a_step_on_the_whole_batch(corpus, parts, settings):
    _, expected, expected_history = steps(corpus, None, **settings)
    model, changes, history = steps(corpus, parts, **settings)
    for variable, change, other in zip(model.trainable_variables, changes, expected, strict=True):
        largest = np.abs(other).max()
        assert largest > 1e-4, f"{variable.path} has not changed"
        np.testing.assert_allclose(change, other, atol=2e-4 * largest, err_msg=variable.path)
    for name, values in expected_history.items():
        assert history[name] == pytest.approx(values, rel=1e-5)


@pytest.mark.slow
def test_groups_of_sentences_share_the_dropout_masks_of_the_whole_batch(corpus):
    dropout = {"dropout": 0.5, "embedding_dropout": 0.5, "word_dropout": 0.3, "recurrent_dropout": 0.5}
    model, changes, _ = steps(corpus, ALL_IN_GROUPS, count=1, **dropout)
    _, expected, _ = steps(corpus, ALL, count=1, **dropout)
    _, without, _ = steps(corpus, ALL, count=1, **{**dropout, "recurrent_dropout": 0.0})
    for variable, change, other in zip(model.trainable_variables, changes, expected, strict=True):
        np.testing.assert_allclose(change, other, atol=2e-3 * np.abs(other).max(), err_msg=variable.path)
    assert max(np.abs(one - other).max() for one, other in zip(expected, without, strict=True)) > 1e-2


def test_networks_that_share_the_graph_of_a_step_train_as_by_keras(corpus):
    """They differ in their weights, the sizes of their vocabularies and their n-grams."""
    batch = tuple(corpus.batch(np.arange(len(corpus))))
    targets, weights = np.arange(len(corpus)) % 3, np.ones(len(corpus), np.float32)

    def evidence(size):
        pairs = sorted({int(i) * size + int(j) for i, j in zip(corpus.word_ids[:-1], corpus.word_ids[1:], strict=True)})
        table = np.random.default_rng(size).normal(size=(len(pairs), 3)).astype(np.float32)
        return Evidence(np.array(pairs), 3 * table, np.zeros(3, np.float32))

    for size in (VOCABULARY, VOCABULARY + 9):
        for ngrams in (None, evidence(size)):
            network = HierarchicalAttentionNetwork(size, 3, embedding_dim=6, units=4, seed=size)
            network.build((None, None, None))
            network = network.with_evidence(ngrams)
            model = TrainingNetwork.of(network)
            for each in (network, model):
                loss = keras.losses.SparseCategoricalCrossentropy()
                each.compile(LazyAdam(0.1), loss=loss, run_eagerly=each is network)
            model.create_variables()
            for each in (network, model):
                each.train_on_batch(batch, targets, weights)
            for expected, found in zip(network.get_weights(), model.get_weights(), strict=True):
                np.testing.assert_allclose(found, expected, atol=1e-4)
