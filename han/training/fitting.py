"""From labelled documents to a trained and calibrated network: vocabulary, word vectors, training, temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.backend import keras
from han.data.splits import LabelledDocuments
from han.exceptions import InvalidValueError
from han.inference.prediction import classify
from han.memory.limits import find_limit
from han.memory.planning import Network, TrainingPlan, check_network, check_texts, plan_training
from han.model import HierarchicalAttentionNetwork
from han.text.batches import prediction_batches
from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter
from han.text.vocabulary import FIRST_WORD_ID, Vocabulary
from han.text.word_vectors import WORD2VEC, WordVectors, find_vectors, initial_embeddings, train_vectors
from han.training.calibration import fit_mixture, fit_temperature, fit_thresholds, to_logits, to_probabilities
from han.training.checkpoint import Checkpoint
from han.training.ngrams import MAX_CLASSES, fit_evidence
from han.training.trainer import TrainingSettings, train

# Hyper-parameters that the network takes as they are: what shapes its weights, and what does not.
SHAPES = ("units", "cell", "pooling", "residual")
RATES = ("dropout", "embedding_dropout", "word_dropout", "recurrent_dropout", "l2")


class FittedNetwork(NamedTuple):
    """A trained network and what was learned with it.

    Attributes
    ----------
    model : HierarchicalAttentionNetwork
    vocabulary : Vocabulary
    embedding_coverage : float or None
        Share of the training documents' words whose vectors came from elsewhere.
    temperature : float
        What the logits were divided by.
    thresholds : float64 [classes]
        From which probability on a class is predicted, where a document may have several.
    history : dict of lists
    cut : int
        Number of documents that have more sentences than are read.
    """

    model: HierarchicalAttentionNetwork
    vocabulary: Vocabulary
    embedding_coverage: float | None
    temperature: float
    thresholds: npt.NDArray[np.float64]
    history: dict[str, list[float]]
    cut: int


class StartedNetwork(NamedTuple):
    """A network that is yet to be trained, and the documents that it was made for.

    Attributes
    ----------
    model : HierarchicalAttentionNetwork
    vocabulary : Vocabulary
    corpus : Corpus
        The documents, encoded.
    known : bool [words of the vocabulary] or None
        Which words' vectors came from elsewhere; None if there were no such vectors.
    """

    model: HierarchicalAttentionNetwork
    vocabulary: Vocabulary
    corpus: Corpus
    known: npt.NDArray[np.bool_] | None

    def coverage(self) -> float | None:
        """Return the share of the documents' words, unknown ones included, whose vectors came from elsewhere."""
        if self.known is None:
            return None
        covered = np.concatenate([np.zeros(FIRST_WORD_ID, bool), self.known])[self.corpus.word_ids]
        return float(covered.mean()) if len(covered) else 0.0


def start_network(
    texts: list[str],
    *,
    classes: int,
    multi_label: bool,
    splitter: DocumentSplitter,
    parameters: Mapping[str, Any],
    seed: int,
    previous: tuple[HierarchicalAttentionNetwork, Vocabulary] | None = None,
) -> StartedNetwork:
    """Learn the vocabulary of documents and make a network for it, with word vectors if they are asked for.

    Parameters
    ----------
    texts : list of str
    classes : int
    multi_label : bool
        Whether a document may have several classes.
    splitter : DocumentSplitter
    parameters : mapping
        The hyper-parameters of `HANClassifier`, checked.
    seed : int
        Of the initial weights, of dropout and of word vectors.
    previous : (HierarchicalAttentionNetwork, Vocabulary), optional
        A network whose weights, without the evidence of n-grams, are to be gone on with, and its vocabulary.
    """
    held = parameters["embedding_training"] == "freeze"
    if previous is not None:
        model, vocabulary = previous
        corpus, known = Corpus.encode(texts, splitter, vocabulary), None
        model = model.with_evidence(None, seed=seed, **{name: parameters[name] for name in RATES})
    else:
        corpus, vocabulary = Corpus.learn(texts, splitter, parameters["min_count"], parameters["max_vocabulary"])
        network = Network(parameters["units"], parameters["embedding_dim"], vocabulary.size)
        check_network(network, corpus, find_limit(parameters["memory_limit"]))
        vectors = _word_vectors(corpus, vocabulary, parameters, seed)
        embedding_dim = parameters["embedding_dim"]
        if vectors is not None:
            features = vectors.matrix.shape[1]
            embedding_dim = features if held else max(embedding_dim, features)
        model = HierarchicalAttentionNetwork(
            vocabulary_size=vocabulary.size,
            classes=classes,
            multi_label=multi_label,
            embedding_dim=embedding_dim,
            seed=seed,
            **{name: parameters[name] for name in (*SHAPES, *RATES)},
        )
        model.build((None, None, None))
        if vectors is not None:
            table = model.embedding.embeddings
            table.assign(initial_embeddings(table.numpy(), vectors))
        known = None if vectors is None else vectors.known
    model.embedding.trainable = not held
    return StartedNetwork(model, vocabulary, corpus, known)


def check_previous(model: HierarchicalAttentionNetwork, parameters: Mapping[str, Any], had_vectors: bool) -> None:
    """Raise a ValueError if the hyper-parameters are of a network with other weights than this one."""
    config = model.get_config()
    # Word vectors from elsewhere may have made the embedding wider than was asked for.
    for name in SHAPES if had_vectors else (*SHAPES, "embedding_dim"):
        if config[name] != parameters[name]:
            raise InvalidValueError(
                f"{name} must be {config[name]!r}, as in the network that is gone on with, got {parameters[name]!r}"
            )


def network_of(model: HierarchicalAttentionNetwork) -> Network:
    """Return what a network's need of memory depends on."""
    config = model.get_config()
    return Network(**{name: config[name] for name in Network._fields})


def training_settings(parameters: Mapping[str, Any], plan: TrainingPlan) -> TrainingSettings:
    """Return how a network is trained by the hyper-parameters of `HANClassifier`, divided as planned."""
    return TrainingSettings(
        **{name: parameters[name] for name in TrainingSettings._fields if name in parameters},
        embedding_delay=float(parameters["embedding_training"] == "delay"),
        plan=plan,
    )


def fit_network(
    training: LabelledDocuments,
    validation: LabelledDocuments,
    unlabelled: list[str],
    *,
    classes: int,
    splitter: DocumentSplitter,
    parameters: Mapping[str, Any],
    seed: int,
    rng: np.random.Generator,
    callbacks: Sequence[keras.callbacks.Callback],
    learn_validation: bool,
    previous: tuple[HierarchicalAttentionNetwork, Vocabulary] | None = None,
    checkpoint: Checkpoint | None = None,
) -> FittedNetwork:
    """Train a network.

    Parameters
    ----------
    training, validation : LabelledDocuments
        Validation documents may be none: there is no early stopping and no calibration then.
    unlabelled : list of str
        Documents that belong to the vocabulary, and from which word vectors are trained, besides those of `training`.
    classes : int
    splitter : DocumentSplitter
    parameters : mapping
        The hyper-parameters of `HANClassifier`, checked.
    seed : int
        Of the initial weights, of dropout and of word vectors.
    rng : numpy.random.Generator
        Orders the documents.
    callbacks : sequence of keras.callbacks.Callback
    learn_validation : bool
        Let the linear model of n-grams learn from the validation documents too, once all is decided on them.
    previous : (HierarchicalAttentionNetwork, Vocabulary), optional
        A network to go on with, see `start_network`.
    checkpoint : Checkpoint, optional
        Where to store the training, and what is to be gone on with.
    """
    multi_label = training.targets.ndim == 2
    texts = [*training.texts, *unlabelled]
    limit = find_limit(parameters["memory_limit"])
    check_texts([*texts, *validation.texts], limit)
    start = start_network(
        texts, classes=classes, multi_label=multi_label, splitter=splitter, parameters=parameters, seed=seed,
        previous=previous,
    )  # fmt: skip
    model, vocabulary, cut = start.model, start.vocabulary, start.corpus.cut
    if unlabelled:
        start = start._replace(corpus=start.corpus.take(np.arange(len(training.texts))))
    corpus = start.corpus
    validation_corpus = Corpus.encode(validation.texts, splitter, vocabulary)
    plan = plan_training(
        network_of(model),
        corpus,
        validation_corpus,
        batch_size=parameters["batch_size"],
        evidence=parameters["ngram_evidence"] and classes <= MAX_CLASSES,
        limit=limit,
    )

    history = train(
        model,
        corpus,
        training.targets,
        training.weights,
        validation_corpus,
        validation.targets,
        validation.weights,
        settings=training_settings(parameters, plan),
        rng=rng,
        progress=bool(parameters["verbose"]),
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    fit_linear = partial(fit_evidence, classes=classes, vocabulary_size=vocabulary.size)
    evidence = fit_linear(corpus, training.targets, training.weights) if parameters["ngram_evidence"] else None
    factors = (1.0, 0.0) if evidence is None else (0.5, 0.5)
    temperature, thresholds = 1.0, np.full(classes, 0.5)
    if len(validation_corpus):
        # But for a constant of each document, which a softmax does not see, these are the network's logits.
        logits = to_logits(classify(model, validation_corpus, max_words=plan.prediction_words), multi_label)
        if evidence is not None:
            said = _evidence_logits(model.with_evidence(evidence), validation_corpus, plan.prediction_words)
            factors = fit_mixture(logits, said, validation.targets, validation.weights)
            logits = factors[0] * logits + factors[1] * said
            if learn_validation:
                evidence = fit_linear(
                    Corpus.concatenate([corpus, validation_corpus]),
                    np.concatenate([training.targets, validation.targets]),
                    np.concatenate([training.weights, validation.weights]),
                )
        if parameters["calibrate"]:
            probabilities = to_probabilities(logits, multi_label)
            temperature = fit_temperature(probabilities, validation.targets, validation.weights)
        if parameters["tune_thresholds"] and multi_label:
            probabilities = to_probabilities(logits / temperature, multi_label)
            thresholds = fit_thresholds(probabilities, validation.targets, validation.weights)
    if evidence is not None:
        model = model.with_evidence(evidence)
    model.weigh(*(factor / temperature for factor in factors))
    return FittedNetwork(
        model,
        vocabulary,
        start.coverage(),
        temperature,
        thresholds,
        history,
        cut + validation_corpus.cut,
    )


def _evidence_logits(model: HierarchicalAttentionNetwork, corpus: Corpus, max_words: int) -> npt.NDArray[np.float32]:
    """Return what the evidence alone says of encoded documents [documents, classes]."""
    return np.concatenate([model.evidence_logits(corpus.batch(part)) for part in prediction_batches(corpus, max_words)])


def _word_vectors(
    corpus: Corpus, vocabulary: Vocabulary, parameters: Mapping[str, Any], seed: int
) -> WordVectors | None:
    source = parameters["embeddings"]
    if source is None:
        return None
    if isinstance(source, str) and source == WORD2VEC:
        return train_vectors(corpus, vocabulary, parameters["embedding_dim"], seed)
    return find_vectors(source, vocabulary)
