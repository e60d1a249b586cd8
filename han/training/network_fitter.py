"""Building, training and calibrating a network for labelled documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import keras
from han.exceptions import InvalidValueError
from han.hyperparameters import Hyperparameters
from han.inference.forward import Ngrams, ngram_logits
from han.inference.mixture import Mixture
from han.inference.prediction import classify
from han.layers.ngrams import Evidence
from han.memory.limits import find_limit
from han.memory.planning import NetworkSize, TrainingPlan, check_network
from han.memory.release import release_free_memory
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Corpus
from han.text.reader import DocumentReader
from han.text.vocabulary import FIRST_WORD_ID, Vocabulary
from han.text.word_vectors import WORD2VEC, WordVectors, find_vectors, initial_embeddings, train_vectors
from han.training.calibration import (
    fit_mixture,
    fit_temperature,
    fit_thresholds,
    prior_weights,
    to_logits,
    to_probabilities,
)
from han.training.checkpoint import Checkpoint
from han.training.log_count_ratios import LogCountRatios, memberships, ratio_classes
from han.training.ngrams import fit_evidence
from han.training.pipeline import Examples
from han.training.steps import TrainingNetwork
from han.training.trainer import History, Trainer

# Hyper-parameters that determine the shapes of the network's weights.
SHAPES = ("units", "cell", "pooling", "residual")


@dataclass(frozen=True)
class UntrainedNetwork:
    """An untrained network with the encoded documents it is built for.

    Attributes
    ----------
    network : TrainingNetwork
    reader : DocumentReader
    corpus : Corpus
        The encoded documents.
    known : bool [words of the vocabulary] or None
        Which words have a pretrained vector; None without word vectors.
    """

    network: TrainingNetwork
    reader: DocumentReader
    corpus: Corpus
    known: npt.NDArray[np.bool_] | None = None

    @classmethod
    def build(
        cls, texts: list[str], classes: int, multi_label: bool, hyperparameters: Hyperparameters, seed: int
    ) -> UntrainedNetwork:
        """Learn the vocabulary of the documents and build a network, with pretrained word vectors if configured.

        Parameters
        ----------
        texts : list of str
        classes : int
        multi_label : bool
        hyperparameters : Hyperparameters
        seed : int
            Seed of the initial weights, of dropout and of word2vec.
        """
        reader, corpus = DocumentReader.learn(
            texts, hyperparameters.splitter(), hyperparameters.min_count, hyperparameters.max_vocabulary
        )
        vocabulary, embedding_dim = reader.vocabulary, hyperparameters.embedding_dim
        ratio_dim = len(ratio_classes(classes, multi_label)) if hyperparameters.uses_ratios else 0
        size = NetworkSize(hyperparameters.units, embedding_dim, vocabulary.size, ratio_dim=ratio_dim)
        limit = find_limit(hyperparameters.memory_limit)
        check_network(size, corpus, limit)
        vectors = _word_vectors(corpus, vocabulary, hyperparameters, seed)
        frozen_dim = 0
        if vectors is not None:
            features = vectors.matrix.shape[1]
            if hyperparameters.freezes(features):
                frozen_dim, embedding_dim = features, hyperparameters.trained_dim
            else:
                embedding_dim = max(embedding_dim, features)
            check_network(size._replace(embedding_dim=embedding_dim, frozen_dim=frozen_dim), corpus, limit)
        network = TrainingNetwork(
            vocabulary_size=vocabulary.size,
            classes=classes,
            multi_label=multi_label,
            embedding_dim=embedding_dim,
            frozen_dim=frozen_dim,
            ratio_dim=ratio_dim,
            additive=hyperparameters.is_additive,
            seed=seed,
            **{name: getattr(hyperparameters, name) for name in SHAPES},
            **hyperparameters.regularization(frozen_dim > 0),
        )
        network.build((None, None, None))
        if vectors is not None:
            trained = network.embedding.embeddings.numpy()
            scale = float(trained.std())
            if network.frozen_embedding is None:
                network.embedding.embeddings.assign(initial_embeddings(trained, vectors, scale))
            else:
                zeros = np.zeros((vocabulary.size, frozen_dim), np.float32)
                network.frozen_embedding.embeddings.assign(initial_embeddings(zeros, vectors, scale))
        network.embedding.trainable = trains_embedding(network, hyperparameters)
        return cls(network, reader, corpus, None if vectors is None else vectors.known)

    @classmethod
    def resume(
        cls,
        texts: list[str],
        network: HierarchicalAttentionNetwork,
        vocabulary: Vocabulary,
        hyperparameters: Hyperparameters,
        seed: int,
    ) -> UntrainedNetwork:
        """Return a copy of a fitted network, without its n-grams, to continue training with its vocabulary."""
        reader = DocumentReader(hyperparameters.splitter(), vocabulary)
        rates = hyperparameters.regularization(network.frozen_embedding is not None)
        copy = TrainingNetwork.of(network.with_evidence(None), seed=seed, **rates)
        copy.embedding.trainable = trains_embedding(copy, hyperparameters)
        return cls(copy, reader, reader.encode(texts))

    def learn_from_labels(self, examples: Examples, batch_size: int) -> None:
        """Set the bias and, if the network has such features, the log-count ratios of words.

        The bias becomes the logits of the classes' shares. Otherwise, training on many rare labels would have to learn
        first that they are rare.

        The ratios stay zero if a single batch would leave out more than half of the documents.
        """
        classes, weights = self.network.classifier.units, examples.weights.astype(np.float64)
        shares = (weights @ memberships(examples.targets, classes) + 0.5) / (weights.sum() + 1.0)
        log_shares = np.log(shares)
        others = np.log(1.0 - shares) if self.network.get_config()["multi_label"] else log_shares.mean()
        self.network.classifier.bias.assign(log_shares - others)
        layer = self.network.log_count_ratios
        if layer is None or len(examples.corpus) < 2 * batch_size:
            return
        ratios, features = LogCountRatios.learn(examples, classes, self.reader.vocabulary.size)
        self.network.leave_out_of(ratios)
        layer.embeddings.assign(features)

    def first(self, documents: int) -> UntrainedNetwork:
        """Return a copy with the first documents only."""
        return replace(self, corpus=self.corpus.take(np.arange(documents)))

    def coverage(self) -> float | None:
        """Return the share of the documents' words with a pretrained vector; None without word vectors."""
        if self.known is None:
            return None
        covered = np.concatenate([np.zeros(FIRST_WORD_ID, bool), self.known])[self.corpus.word_ids]
        return float(covered.mean()) if len(covered) else 0.0


class TrainedNetwork(NamedTuple):
    """A trained network with its calibration and history.

    Attributes
    ----------
    network : HierarchicalAttentionNetwork
    mixture : Mixture or None
        None without n-grams or validation examples. The logits are already multiplied by the weights.
    temperature : float
        The logits are already divided by it.
    thresholds : float64 [classes]
        Decision thresholds for multi-label classification.
    history : dict of lists
    """

    network: HierarchicalAttentionNetwork
    mixture: Mixture | None
    temperature: float
    thresholds: npt.NDArray[np.float64]
    history: History


class NetworkFitter:
    """Trains a network, fits the linear model of n-grams, and calibrates both on the validation examples.

    Parameters
    ----------
    untrained : UntrainedNetwork
        The network, built for the documents of `training`.
    training, validation : Examples
        Without validation examples, there is no early stopping and no calibration.
    hyperparameters : Hyperparameters
    plan : TrainingPlan
    """

    def __init__(
        self,
        untrained: UntrainedNetwork,
        training: Examples,
        validation: Examples,
        hyperparameters: Hyperparameters,
        plan: TrainingPlan,
    ) -> None:
        self.network, self.vocabulary = untrained.network, untrained.reader.vocabulary
        self.training, self.validation = training, validation
        self.hyperparameters, self.plan = hyperparameters, plan
        self.classes, self.multi_label = self.network.classifier.units, training.targets.ndim == 2

    def fit(
        self,
        rng: np.random.Generator,
        callbacks: Sequence[keras.callbacks.Callback],
        checkpoint: Checkpoint | None,
        *,
        learn_validation: bool,
    ) -> TrainedNetwork:
        """Train and calibrate.

        Parameters
        ----------
        rng : numpy.random.Generator
            Shuffles the documents.
        callbacks : sequence of keras.callbacks.Callback
        checkpoint : Checkpoint or None
        learn_validation : bool
            Whether to refit the n-grams on training and validation examples once they are weighted.
        """
        history = Trainer(self.network, self.hyperparameters).fit(
            self.training,
            self.validation,
            self.hyperparameters,
            self.plan,
            rng=rng,
            callbacks=callbacks,
            checkpoint=checkpoint,
        )
        evidence, val_ngrams = None, None
        if self.hyperparameters.ngram_evidence:
            evidence = self._fit_ngrams(self.training)
        factors = (1.0, 0.0) if evidence is None else prior_weights(len(self.training.corpus))
        mixture = None
        temperature, thresholds = 1.0, np.full(self.classes, 0.5)
        if len(self.validation.corpus):
            if evidence is not None:
                ngrams = Ngrams(evidence, self.vocabulary.size)
                val_ngrams = ngram_logits(ngrams, self.validation.corpus, self.classes)
                if learn_validation:
                    evidence = self._fit_ngrams(self._all_examples())
            logits = self._network_logits()
            if val_ngrams is not None:
                mixture = fit_mixture(
                    logits, val_ngrams, self.validation.targets, self.validation.weights, prior=factors
                )
                factors = mixture.network, mixture.ngrams
                logits = factors[0] * logits + factors[1] * val_ngrams
            temperature, thresholds = self._calibrate(logits)
        network = self.network.with_evidence(evidence)
        network.scale_logits(*(factor / temperature for factor in factors))
        return TrainedNetwork(network, mixture, temperature, thresholds, history)

    def _fit_ngrams(self, examples: Examples) -> Evidence | None:
        release_free_memory()  # of training, in too many pieces for the arrays that follow
        return fit_evidence(*examples, classes=self.classes, vocabulary_size=self.vocabulary.size)

    def _all_examples(self) -> Examples:
        (corpus, *training), (held_out, *validation) = self.training, self.validation
        targets, weights = map(np.concatenate, zip(training, validation, strict=True))
        return Examples(Corpus.concatenate([corpus, held_out]), targets, weights)

    def _network_logits(self) -> npt.NDArray[np.float64]:
        """Return the network's logits for the validation examples; under a softmax, up to a constant per document."""
        probabilities = classify(self.network, self.validation.corpus, max_words=self.plan.prediction_words)
        return to_logits(probabilities, self.multi_label)

    def _calibrate(self, logits: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Return the temperature and the thresholds."""
        temperature, thresholds = 1.0, np.full(self.classes, 0.5)
        targets, weights = self.validation.targets, self.validation.weights
        if self.hyperparameters.calibrate:
            temperature = fit_temperature(to_probabilities(logits, self.multi_label), targets, weights)
        if self.hyperparameters.tune_thresholds and self.multi_label:
            probabilities = to_probabilities(logits / temperature, self.multi_label)
            thresholds = fit_thresholds(probabilities, targets, weights)
        return temperature, thresholds


def trains_embedding(network: HierarchicalAttentionNetwork, hyperparameters: Hyperparameters) -> bool:
    """Return whether the embedding is trained; earlier versions froze it instead of adding a frozen one."""
    return hyperparameters.embedding_training != "freeze" or network.frozen_embedding is not None


def check_shapes(config: dict[str, Any], hyperparameters: Hyperparameters, had_vectors: bool) -> None:
    """Raise a ValueError if hyper-parameters do not match the weights of a network with this configuration."""
    # Pretrained word vectors may have more dimensions than `embedding_dim`.
    for name in SHAPES if had_vectors else (*SHAPES, "embedding_dim"):
        value = getattr(hyperparameters, name)
        if config[name] != value:
            raise InvalidValueError(f"{name} must be {config[name]!r}, as in the fitted network, got {value!r}")
    if config["additive"] != hyperparameters.is_additive:
        given = hyperparameters.additive
        raise InvalidValueError(f"additive must be {config['additive']}, as in the fitted network, got {given}")


def _word_vectors(
    corpus: Corpus, vocabulary: Vocabulary, hyperparameters: Hyperparameters, seed: int
) -> WordVectors | None:
    source = hyperparameters.embeddings
    if source is None:
        return None
    if isinstance(source, str) and source == WORD2VEC:
        return train_vectors(corpus, vocabulary, hyperparameters.embedding_dim, seed)
    return find_vectors(source, vocabulary)
