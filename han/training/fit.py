"""From raw documents and labels to a fitted classifier: `HANClassifier.fit`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from han.backend.isolation import isolated
from han.data.doubtful_labels import warn_of_doubtful_classes, warn_of_one_hot
from han.data.duplicates import warn_of_conflicts
from han.data.labels import LabelEncoder, check_validation_data
from han.data.splits import LabelledDocuments, hold_out
from han.data.validation import check_class_weight, check_sample_weight, check_texts, check_words, class_count
from han.fitted import FittedClassifier, warn_of_truncation
from han.hyperparameters import Hyperparameters
from han.memory.limits import find_limit
from han.memory.planning import NetworkSize, check_text_lengths, plan_training
from han.recurrence.level import compile_in_background
from han.text.word_vectors import check_source
from han.training.callbacks import check_callbacks
from han.training.checkpoint import Checkpoint, check_checkpoint, describe
from han.training.log_count_ratios import ratio_classes
from han.training.network_fitter import NetworkFitter, TrainedNetwork, UntrainedNetwork, check_shapes
from han.training.pipeline import Examples


def check_labelled(
    texts: list[str], y: Any, labels: LabelEncoder, sample_weight: Any, class_weight: Any
) -> LabelledDocuments:
    """Return checked training documents; their weights are the products of sample and class weights.

    Parameters
    ----------
    texts : list of str
    y : labels [documents]
        In the format of `labels`.
    labels : LabelEncoder
    sample_weight : array-like of float [documents] or None
    class_weight : dict, "balanced" or None

    Raises
    ------
    TypeError, ValueError
        As in `HANClassifier.fit`.
    """
    targets = labels.encode(y, len(texts))
    weights = check_sample_weight(sample_weight, len(texts))
    return LabelledDocuments(texts, targets, weights * check_class_weight(class_weight, labels.classes, targets))


class ClassifierFit:
    """A call of `HANClassifier.fit`.

    The constructor and `set_callbacks_and_checkpoint` check the arguments; `run` trains.

    Parameters
    ----------
    X, y, sample_weight, validation_data, unlabelled : see `HANClassifier.fit`
    hyperparameters : Hyperparameters
    previous : FittedClassifier or None
        With `warm_start`, the classifier whose training continues.

    Raises
    ------
    TypeError, ValueError
        As in `HANClassifier.fit`.
    """

    def __init__(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        unlabelled: Any,
        *,
        hyperparameters: Hyperparameters,
        previous: FittedClassifier | None,
    ) -> None:
        self.hyperparameters, self.previous = hyperparameters, previous
        texts = check_texts(X)
        if previous is None:
            self.labels = LabelEncoder.learn(y, len(texts))
        else:
            check_shapes(previous.network.get_config(), hyperparameters, previous.embedding_coverage is not None)
            self.labels = previous.labels
        self.documents = check_labelled(texts, y, self.labels, sample_weight, hyperparameters.class_weight)
        self.validation: LabelledDocuments | None = None
        if validation_data is not None:
            held_out, targets = check_validation_data(validation_data, self.labels)
            weights = check_class_weight(hyperparameters.class_weight, self.labels.classes, targets)
            self.validation = LabelledDocuments(held_out, targets, weights)
        self.unlabelled = [] if unlabelled is None else check_texts(unlabelled, "unlabelled")
        if previous is None:
            check_source(hyperparameters.embeddings)
        check_words(texts, hyperparameters.splitter())
        if previous is None:
            warn_of_doubtful_classes(self.labels)
            warn_of_one_hot(self.labels, self.documents.targets)
        self._warn_of_conflicts()
        self.seed = int(check_random_state(hyperparameters.random_state).randint(2**24))
        self.callbacks: list[Any] = []
        self.checkpoint: Checkpoint | None = None

    def set_callbacks_and_checkpoint(
        self, callbacks: Any, checkpoint_dir: str | os.PathLike[str] | None, checkpoint_steps: int | None
    ) -> None:
        """Set the callbacks and the checkpoint; an existing checkpoint is read to resume from it."""
        check_checkpoint(checkpoint_dir, checkpoint_steps)
        self.callbacks = check_callbacks(callbacks)
        if checkpoint_dir is None:
            return
        held_out: list[Any] = [] if self.validation is None else [self.validation.texts, self.validation.targets]
        description = describe(
            self.hyperparameters.as_dict(),
            X=self.documents.texts,
            y=self.documents.targets,
            sample_weight=self.documents.weights,
            unlabelled=self.unlabelled,
            warm_start=[] if self.previous is None else self.previous.local_network().get_weights(),
            validation_data=held_out,
        )
        self.checkpoint = Checkpoint.open(checkpoint_dir, checkpoint_steps, description, self.seed)
        self.seed = self.checkpoint.seed

    def run(self) -> FittedClassifier:
        """Train, and return the fitted classifier."""
        with isolated():
            rng = np.random.default_rng(self.seed)
            training, validation = self._split(rng)
            return self._train(training, validation, rng)

    def _split(self, rng: np.random.Generator) -> tuple[LabelledDocuments, LabelledDocuments]:
        if self.validation is not None:
            return self.documents, self.validation
        return hold_out(self.documents, self.hyperparameters.validation_fraction, rng)

    def _train(
        self, training: LabelledDocuments, validation: LabelledDocuments, rng: np.random.Generator
    ) -> FittedClassifier:
        limit = find_limit(self.hyperparameters.memory_limit)
        texts = [*training.texts, *self.unlabelled]
        check_text_lengths([*texts, *validation.texts], limit)
        compile_in_background(self.hyperparameters.cell, self.hyperparameters.units)
        untrained = self._untrained(texts)
        truncated = untrained.corpus.truncated
        if self.unlabelled:
            untrained = untrained.first(len(training.texts))
        examples = Examples(untrained.corpus, training.targets, training.weights)
        batch_size = self.hyperparameters.documents_per_batch(len(examples.corpus))
        if self.previous is None:
            untrained.learn_from_labels(examples, batch_size)
        held_out = Examples(untrained.reader.encode(validation.texts), validation.targets, validation.weights)
        plan = plan_training(
            NetworkSize.of(untrained.network.get_config()),
            examples.corpus,
            held_out.corpus,
            batch_size=batch_size,
            evidence=self.hyperparameters.ngram_evidence
            and bool(ratio_classes(len(self.labels.classes), self.labels.multi_label)),
            limit=limit,
        )
        trained = NetworkFitter(untrained, examples, held_out, self.hyperparameters, plan).fit(
            rng, self.callbacks, self.checkpoint, learn_validation=self.validation is None
        )
        documents = len(texts) + len(validation.texts)
        warn_of_truncation(truncated + held_out.corpus.truncated, documents, self.hyperparameters.max_sentences)
        return self._fitted(trained, untrained)

    def _untrained(self, texts: list[str]) -> UntrainedNetwork:
        if self.previous is None:
            classes, multi_label = len(self.labels.classes), self.labels.multi_label
            return UntrainedNetwork.build(texts, classes, multi_label, self.hyperparameters, self.seed)
        previous = self.previous
        return UntrainedNetwork.resume(
            texts, previous.local_network(), previous.vocabulary, self.hyperparameters, self.seed
        )

    def _fitted(self, trained: TrainedNetwork, untrained: UntrainedNetwork) -> FittedClassifier:
        return FittedClassifier(
            network=trained.network,
            vocabulary=untrained.reader.vocabulary,
            labels=self.labels,
            thresholds=trained.thresholds,
            mixture=trained.mixture,
            temperature=trained.temperature,
            embedding_coverage=untrained.coverage() if self.previous is None else self.previous.embedding_coverage,
            history=trained.history,
            class_count=class_count(self.documents.targets, len(self.labels.classes)),
            n_samples=len(self.documents.texts),
        )

    def _warn_of_conflicts(self) -> None:
        texts, targets, weights = self.documents
        counted: npt.NDArray[np.int64] = np.flatnonzero(weights > 0)
        warn_of_conflicts(
            [texts[index] for index in counted],
            lambda position: self.labels.label_of(targets[counted[position]]),
            "they are trained on as they are",
        )
