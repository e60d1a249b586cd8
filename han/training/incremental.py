"""Incremental training: `HANClassifier.partial_fit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from han.backend.isolation import isolated
from han.data.doubtful_labels import warn_of_doubtful_classes
from han.data.labels import LabelEncoder
from han.data.validation import check_texts, check_words, class_count
from han.exceptions import InvalidValueError, short_repr
from han.fitted import FittedClassifier, warn_of_truncation
from han.hyperparameters import Hyperparameters
from han.memory.limits import find_limit
from han.memory.planning import NetworkSize, plan_training
from han.text.word_vectors import check_source
from han.training.fit import check_labelled
from han.training.network_fitter import UntrainedNetwork, check_shapes, trains_embedding
from han.training.pipeline import Examples
from han.training.steps import TrainingNetwork
from han.training.trainer import Trainer


class IncrementalFit:
    """Keeps the state of the optimizer between calls of `HANClassifier.partial_fit`."""

    def __init__(self) -> None:
        self._trainer: Trainer | None = None

    def update(
        self,
        fitted: FittedClassifier | None,
        X: Any,  # noqa: N803
        y: Any,
        classes: Any,
        sample_weight: Any,
        hyperparameters: Hyperparameters,
    ) -> FittedClassifier:
        """Train one epoch on labelled documents, and return the updated classifier.

        Parameters
        ----------
        fitted : FittedClassifier or None
            None before the first documents.
        X, y, classes, sample_weight : see `HANClassifier.partial_fit`
        hyperparameters : Hyperparameters
        """
        texts = check_texts(X)
        labels = _check_classes(fitted, classes, y, len(texts))
        if isinstance(hyperparameters.class_weight, str):
            raise InvalidValueError(
                f"class_weight must be a dict or None for partial_fit, got {hyperparameters.class_weight!r}"
            )
        documents = check_labelled(texts, y, labels, sample_weight, hyperparameters.class_weight)
        _check_hyperparameters(fitted, labels, texts, hyperparameters)
        seed = int(check_random_state(hyperparameters.random_state).randint(2**24))
        with isolated():
            if fitted is None:
                untrained = UntrainedNetwork.build(
                    texts, len(labels.classes), labels.multi_label, hyperparameters, seed
                )
                examples = Examples(untrained.corpus, documents.targets, documents.weights)
                untrained.learn_from_labels(examples, hyperparameters.documents_per_batch(len(texts)))
                fitted = _empty(untrained, labels)
            else:
                corpus = fitted.reader(hyperparameters).encode(texts)
                examples = Examples(corpus, documents.targets, documents.weights)
            warn_of_truncation(examples.corpus.truncated, len(texts), hyperparameters.max_sentences)
            return self._pass(fitted, examples, hyperparameters, seed)

    def _pass(
        self,
        fitted: FittedClassifier,
        examples: Examples,
        hyperparameters: Hyperparameters,
        seed: int,
    ) -> FittedClassifier:
        plan = plan_training(
            NetworkSize.of(fitted.network.get_config()),
            examples.corpus,
            examples.corpus.take([]),
            batch_size=hyperparameters.documents_per_batch(len(examples.corpus)),
            evidence=False,
            limit=find_limit(hyperparameters.memory_limit),
        )
        trainer = self._trainer
        if trainer is None:
            network = fitted.local_network()
            if not isinstance(network, TrainingNetwork):
                network = TrainingNetwork.of(network)
            network.embedding.trainable = trains_embedding(network, hyperparameters)
            trainer = Trainer(network, hyperparameters)
        # The order differs from call to call, but is reproducible with a fixed random state.
        rng = np.random.default_rng([seed, len(fitted.history.get("loss", []))])
        results = trainer.update(examples, hyperparameters, plan, rng)
        if trainer.network.ratios is not None:  # documents of later calls are not counted
            trainer.network.leave_out_of(None)
        self._trainer = trainer
        return replace(
            fitted,
            network=trainer.network,
            history={name: fitted.history.get(name, []) + values for name, values in results.items()},
            class_count=fitted.class_count + class_count(examples.targets, len(fitted.labels.classes)),
            n_samples=fitted.n_samples + len(examples.corpus),
        )


def _check_classes(fitted: FittedClassifier | None, classes: Any, y: Any, documents: int) -> LabelEncoder:
    if fitted is None:
        if classes is None:
            raise InvalidValueError("classes must name all classes in the first call of partial_fit, got None")
        return LabelEncoder.from_classes(classes, y, documents)
    known = fitted.labels
    if (
        classes is not None
        and LabelEncoder.from_classes(classes, y, documents).classes.tolist() != known.classes.tolist()
    ):
        raise InvalidValueError(
            f"classes must match the fitted classes, {short_repr(known.classes.tolist())}, got {short_repr(classes)}"
        )
    return known


def _check_hyperparameters(
    fitted: FittedClassifier | None, labels: LabelEncoder, texts: list[str], hyperparameters: Hyperparameters
) -> None:
    if fitted is not None:
        check_shapes(fitted.network.get_config(), hyperparameters, fitted.embedding_coverage is not None)
        return
    check_source(hyperparameters.embeddings)
    check_words(texts, hyperparameters.splitter())
    warn_of_doubtful_classes(labels)


def _empty(untrained: UntrainedNetwork, labels: LabelEncoder) -> FittedClassifier:
    """Return a classifier before its first documents."""
    classes = len(labels.classes)
    return FittedClassifier(
        network=untrained.network,
        vocabulary=untrained.reader.vocabulary,
        labels=labels,
        thresholds=np.full(classes, 0.5),
        mixture=None,
        temperature=1.0,
        embedding_coverage=untrained.coverage(),
        history={},
        class_count=np.zeros(classes, np.int64),
        n_samples=0,
    )
