"""`HANClassifier`: the network as a scikit-learn classifier of raw texts."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from han.data.labels import LabelEncoder
from han.data.validation import Labels, check_target, check_texts
from han.exceptions import ModelFileError, TrainingWarning, warn_user
from han.explain.attribution import METHODS
from han.explain.explanation import Explanation, Explanations
from han.fitted import FittedClassifier
from han.hyperparameters import Choice, Hyperparameters, Range, check_values
from han.inference.forked import refuse
from han.inference.mixture import Mixture
from han.model import HierarchicalAttentionNetwork
from han.saving.conversion import from_saved, to_saved
from han.saving.description import describe, tokenizer_settings
from han.saving.export import FORMATS, check_export, export
from han.saving.folder import SavedClassifier, from_bytes, read_model, to_bytes, write_model
from han.saving.functions import FUNCTIONS
from han.text.alignment import Splitter
from han.text.reader import DocumentReader
from han.text.vocabulary import Vocabulary
from han.training.calibration import log_probabilities, to_logits
from han.training.fit import ClassifierFit
from han.training.incremental import IncrementalFit


class HANClassifier(ClassifierMixin, BaseEstimator):
    """Hierarchical attention network for document classification (Yang et al. 2016).

    Parameters
    ----------
    embeddings : path, "glove-50d", "spacy-300d", "word2vec", mapping, gensim KeyedVectors, model or None, default None
        Pretrained word vectors: a file in GloVe text, word2vec text, word2vec binary or fastText text format, plain or
        compressed with gzip, bzip2, xz or zip; the folder of a spaCy pipeline, of its vocabulary or vectors, or of a
        static model of model2vec (extra `model2vec`); "glove-50d" for 400,000 GloVe vectors of width 50 (extra
        `glove`); "spacy-300d" for 514,157 words of spaCy, which share 20,000 vectors of width 300 (extra
        `spacy-vectors`); "word2vec" to train vectors on the documents passed to `fit` (extra `word2vec`); a mapping of
        words to vectors; or a model with a method `encode`, which is called with lists of words and returns arrays
        [words, features]. Each feature is centred, and all are scaled by a common factor. Words without a vector, or
        with one of zeros, are initialised at random; with None, all words are. Clones and copies share a mapping or
        model. It is not stored with a fitted classifier, whose network contains the vectors it needs.
    embedding_training : {"auto", "tune", "delay", "freeze"}, default "auto"
        Whether pretrained word vectors are fine-tuned, frozen for the first epoch only, or frozen throughout. Frozen
        vectors are extended with `trained_dim` trained columns. "auto" freezes vectors of 200 dimensions and more, and
        tunes narrower ones.
    trained_dim : int, default 16
        Width of the trained word vectors beside frozen ones.
    log_count_ratios : bool, default True
        Give the network further features of each word: how much more often it occurs in the training documents of each
        class than in the others, see `han.training.log_count_ratios`. They are not trained. Up to 100 classes have
        such features, and only if there are at least two batches of documents. Has no effect without `residual`. Not
        part of the paper.
    ngram_evidence : bool, default True
        Add the logits of a linear model of words and word pairs to those of the network, see
        `han.training.ngrams.fit_evidence`. The two are weighted by factors fitted on the held-out documents (0.5 each
        if there are none); the linear model is then refitted with these documents included. It is fitted in seconds,
        and only for up to 100 classes. Attention does not include its contribution, the other methods of `explain` do.
        `history_` describes the network alone. Not part of the paper.
    embedding_dim : int, default 100
        Width of the word vectors. Wider `embeddings` keep their width; narrower ones are extended with randomly
        initialised columns. Frozen ones have `trained_dim` instead.
    units : int, default 50
        Width of the recurrent state in each direction.
    cell : {"lstm", "gru"}, default "gru"
        Recurrent cell of the word and sentence encoders. The paper's is the GRU.
    pooling : {"attention", "mean", "max"}, default "attention"
        How the encoder states are pooled into one vector: HN-ATT, HN-AVE or HN-MAX in the paper.
    residual : bool, default True
        Add a projection of each encoder's inputs to its states. This helps with few documents. Not part of the paper.
    additive : bool, default True
        Let attention average the projected sentence vectors instead of the sentence encoder's states, so that the
        logits are sums of contributions of words, which `explain` returns. False keeps the order of sentences in the
        document vector, and makes the contributions an approximation. Has no effect without `residual` or with
        another `pooling` than attention. Not part of the paper.
    dropout : float in [0, 1), default 0.5
        Dropout rate of the sentence vectors, with one mask per document, and of the document vector.
    embedding_dropout : float in [0, 1) or "auto", default "auto"
        Dropout rate of the word vectors' features, with one mask per distinct word of a batch. "auto" is 0.3 if the
        word vectors are frozen and 0.5 otherwise.
    word_dropout : float in [0, 1) or "auto", default "auto"
        Probability that all occurrences of a word in a batch are replaced by zeros. "auto" is 0.2 if the word vectors
        are frozen and 0.4 otherwise.
    sentence_dropout : float in [0, 1), default 0.0
        Probability that a sentence is skipped in a training epoch; at least one sentence of each document is kept.
    recurrent_dropout : float in [0, 1), default 0.0
        Dropout rate of the recurrent weights (Merity et al. 2018).
    l2 : float, default 1e-6
        L2 penalty on the projection kernels and context vectors of attention. Their gradients are small, so Adam
        amplifies the penalty: at 1e-5, attention over sentences becomes almost uniform.
    label_smoothing : float in [0, 1), default 0.0
        Fraction of each label that the loss distributes over all classes.
    learning_rate : float, default 2e-3
        Peak learning rate of Adam; it decays to 0 at `epochs`, along a cosine.
    warmup : float, default 0.5
        Number of epochs in which the learning rate rises to its peak.
    clipnorm : float or None, default 1.0
        Maximum global norm of the gradients; None for no clipping.
    averaging : float in [0, 1), default 0.995
        Momentum of the exponential moving average of the weights, which is validated and kept; 0 for none.
    batch_size : int or "auto", default "auto"
        Number of documents per training batch. "auto" is 16 for fewer than 2,000 training documents, 32 otherwise.
    epochs : int or "auto", default "auto"
        Maximum number of epochs. "auto" is 9 plus one for every two classes, but enough for 200 steps, and at most 40.
    patience : int, "auto" or None, default "auto"
        Number of epochs without improvement of `monitor` after which training stops; "auto" is 30 % of the epochs. None
        disables early stopping. The best weights are restored in any case.
    monitor : {"loss", "accuracy", "macro_f1"}, default "loss"
        Score on the held-out documents that determines the best epoch.
    validation_fraction : float in [0, 1), default 0.1
        Fraction of each class's training documents to hold out for early stopping, unless `validation_data` is passed
        to `fit`; 0 for none. Classes that are too small for it contribute no documents: at 0.1, a class of 4. Without
        held-out documents there is no early stopping.
    calibrate : bool, default False
        Divide the logits by a temperature fitted on the held-out documents (Guo et al. 2017). The probabilities become
        better calibrated; the predicted classes do not change.
    tune_thresholds : bool, default False
        For multi-label classification, choose the threshold of each class that maximises its F1 on the held-out
        documents, instead of 0.5; see `han.training.calibration.fit_thresholds`.
    class_weight : dict, "balanced" or None, default None
        Weight of each class in the loss, multiplied by `sample_weight`. "balanced" gives all classes the same total
        weight. In multi-label classification, a document's weight is the mean over its classes, or 1 if it has none.
    min_count : int, default 2
        Minimum number of occurrences in the training documents for a word to enter the vocabulary.
    max_vocabulary : int or None, default 30000
        Maximum size of the vocabulary; the most frequent words are kept.
    max_sentences : int, default 512
        Maximum number of sentences per document; longer documents are truncated, with a warning.
    max_words : int, default 50
        Maximum number of words per sentence; longer sentences are split.
    language : str, default "en"
        ISO 639 code of the documents' language, for splitting them into sentences. Splitting into words depends on the
        script only.
    sentence_splitter : callable str -> iterable of str, or None, default None
        Function that splits a document into sentences; None is `han.text.split_sentences`.
    tokenizer : callable str -> iterable of str, or None, default None
        Function that splits a sentence into words; None is `han.text.split_words`: runs of letters, marks and digits
        are words, and any other character is a word of its own, as is each letter of a script without spaces between
        words.
    warm_start : bool, default False
        If the classifier is fitted, let `fit` continue with its network, vocabulary and classes.
    random_state : int, RandomState instance or None, default None
        Seed for reproducible results: with an int, two fits on the same machine give identical predictions.
    memory_limit : int, str or None, default None
        Memory that `fit` and `predict` may use in addition to what the process uses already, as a number of bytes or a
        string such as "2GB". Work that needs more is divided, with a warning, or rejected before it starts. None is the
        memory available to the machine or container.
    verbose : {0, 1}, default 1
        1 shows progress on standard error; 0 is silent.

    Attributes
    ----------
    classes_ : ndarray [classes]
        The class labels, sorted. If y was a matrix, the names or numbers of its columns.
    class_count_ : int64 ndarray [classes]
        Number of training documents of each class.
    n_samples_fit_ : int
        Number of training documents.
    vocabulary_ : Vocabulary
        A mapping of known words to their ids.
    embedding_coverage_ : float or None
        Fraction of the words in the training documents whose vectors came from `embeddings`.
    mixture_ : Mixture or None
        The weights of the logits of the network and of the n-grams, `network` and `ngrams`, and their 95 % intervals,
        `network_interval` and `ngrams_interval`; see `han.training.calibration.fit_mixture`. None without n-grams or
        held-out documents.
    temperature_ : float
        The temperature by which the logits were divided; 1.0 without `calibrate`.
    thresholds_ : ndarray [classes]
        For multi-label classification, the minimum probability at which each class is predicted; 0.5 without
        `tune_thresholds`.
    history_ : dict of lists
        Training and validation loss and accuracy of each epoch, and values that `callbacks` add to the logs, such as
        `learning_rate`.
    model_ : HierarchicalAttentionNetwork
        The trained network, a `keras.Model`.

    References
    ----------
    Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599

    Merity et al. 2018, Regularizing and Optimizing LSTM Language Models, https://arxiv.org/abs/1708.02182

    Yang et al. 2016, Hierarchical Attention Networks for Document Classification, https://aclanthology.org/N16-1174/

    Examples
    --------
    >>> from han import HANClassifier
    >>> X = ["A wonderful film. I loved it.", "Dull. I left early."] * 20
    >>> y = ["good", "bad"] * 20
    >>> classifier = HANClassifier(epochs=20, batch_size=8, random_state=0, verbose=0).fit(X, y)
    >>> classifier.predict(["I loved it."]).tolist()
    ['good']
    """

    classes_: Labels
    class_count_: npt.NDArray[np.int64]
    n_samples_fit_: int
    label_encoder_: LabelEncoder
    thresholds_: npt.NDArray[np.float64]
    embedding_coverage_: float | None
    mixture_: Mixture | None
    temperature_: float
    history_: dict[str, list[float]]
    vocabulary_: Vocabulary
    model_: HierarchicalAttentionNetwork

    # Keeps the optimizer state between calls of `partial_fit`.
    _incremental: IncrementalFit | None = None
    # Whether the classifier was loaded without the word vectors that it was fitted with.
    _lost_vectors = False

    def __init__(
        self,
        *,
        embeddings: Any = None,
        embedding_training: str = "auto",
        trained_dim: int = 16,
        log_count_ratios: bool = True,
        ngram_evidence: bool = True,
        embedding_dim: int = 100,
        units: int = 50,
        cell: str = "gru",
        pooling: str = "attention",
        residual: bool = True,
        additive: bool = True,
        dropout: float = 0.5,
        embedding_dropout: float | str = "auto",
        word_dropout: float | str = "auto",
        sentence_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        l2: float = 1e-6,
        label_smoothing: float = 0.0,
        learning_rate: float = 2e-3,
        warmup: float = 0.5,
        clipnorm: float | None = 1.0,
        averaging: float = 0.995,
        batch_size: int | str = "auto",
        epochs: int | str = "auto",
        patience: int | str | None = "auto",
        monitor: str = "loss",
        validation_fraction: float = 0.1,
        calibrate: bool = False,
        tune_thresholds: bool = False,
        class_weight: Any = None,
        min_count: int = 2,
        max_vocabulary: int | None = 30_000,
        max_sentences: int = 512,
        max_words: int = 50,
        language: str = "en",
        sentence_splitter: Splitter | None = None,
        tokenizer: Splitter | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        memory_limit: int | str | None = None,
        verbose: int = 1,
    ) -> None:
        self.embeddings = embeddings
        self.embedding_training = embedding_training
        self.trained_dim = trained_dim
        self.log_count_ratios = log_count_ratios
        self.ngram_evidence = ngram_evidence
        self.embedding_dim = embedding_dim
        self.units = units
        self.cell = cell
        self.pooling = pooling
        self.residual = residual
        self.additive = additive
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.word_dropout = word_dropout
        self.sentence_dropout = sentence_dropout
        self.recurrent_dropout = recurrent_dropout
        self.l2 = l2
        self.label_smoothing = label_smoothing
        self.learning_rate = learning_rate
        self.warmup = warmup
        self.clipnorm = clipnorm
        self.averaging = averaging
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.monitor = monitor
        self.validation_fraction = validation_fraction
        self.calibrate = calibrate
        self.tune_thresholds = tune_thresholds
        self.class_weight = class_weight
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.max_sentences = max_sentences
        self.max_words = max_words
        self.language = language
        self.sentence_splitter = sentence_splitter
        self.tokenizer = tokenizer
        self.warm_start = warm_start
        self.random_state = random_state
        self.memory_limit = memory_limit
        self.verbose = verbose

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        callbacks: Any = None,
        unlabelled: Any = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_steps: int | None = None,
    ) -> HANClassifier:
        """Train on labelled documents.

        Ctrl-C stops training after the current batch, and a NaN or infinite loss stops it too. In both cases the best
        weights so far are restored, with a `TrainingWarning`. A second Ctrl-C raises a KeyboardInterrupt; like any
        error, it leaves the classifier unchanged.

        Parameters
        ----------
        X : array-like of str [documents]
            A list or other sequence, an array, or a series or one-column data frame of pandas, polars or pyarrow. A
            document can also be a sequence of sentences, or of sequences of words, which are not split further.
        y : array-like of str, int, bool or whole-number float [documents]
            The class of each document, in any of these containers. For multi-label classification, an indicator matrix
            [documents, classes], as an array, data frame or sparse matrix, or a sequence of lists, tuples, sets or
            arrays of labels. `predict` returns labels in the same format, but lists for arrays of labels.
        sample_weight : array-like of float [documents], optional
            Weight of each document in the training or validation loss, at least 0.
        validation_data : tuple (X, y), optional
            Held-out documents for early stopping, calibration and the weighting of `ngram_evidence`. Without it,
            `validation_fraction` of the training documents is held out.
        callbacks : list of keras.callbacks.Callback, optional
            Callbacks as for `keras.Model.fit`. A callback that sets the learning rate replaces the default schedule.
            `BackupAndRestore` and `SwapEMAWeights` are not supported: use `checkpoint_dir` and `averaging`.
        unlabelled : list, tuple, ndarray or Series of str, optional
            Additional documents for training the vectors of `embeddings="word2vec"`; their words enter the vocabulary
            too.
        checkpoint_dir : path, optional
            Folder in which to save a checkpoint after each epoch; after some of them if they are so short that this
            would take more than a twentieth of the time. If it contains a checkpoint of the same documents, labels and
            hyper-parameters, training resumes from it; a finished one just restores the network. With
            `random_state` set, the result is bit-for-bit identical to that of uninterrupted training. The state of
            `callbacks` is not saved. See `han.training.checkpoint.remove_checkpoint`.
        checkpoint_steps : int, optional
            Save a checkpoint after every epoch and after every `checkpoint_steps` batches.

        Returns
        -------
        HANClassifier
            The classifier itself.

        Raises
        ------
        TypeError, ValueError
            If documents are not text or contain no words at all, labels do not match the documents or have a single
            class, weights are not numbers of at least 0, callbacks are not Keras callbacks, or a hyper-parameter is
            invalid. The classifier is left unchanged.
        CheckpointError
            If the checkpoint is damaged, or its documents, labels or hyper-parameters differ.
        DivergenceError
            If the loss or the probabilities are not finite in the first epoch.
        ExecutionModeError
            If TensorFlow 2 behaviour is disabled, or in the scope of a `tf.distribute.Strategy`.
        ForkedProcessError
            In a process that was forked after TensorFlow was initialised.
        MemoryLimitError
            If training does not fit into memory even when divided.

        Warns
        -----
        TrainingWarning
            If documents with the same text and a positive weight have different labels; if class names look alike, or
            like lists written as text; if every document of a multi-label y has exactly one class; or if the classifier
            was loaded without the word vectors that it was fitted with.
        """
        refuse("HANClassifier.fit")
        hyperparameters = self._hyperparameters()
        previous = self._fitted_classifier() if self.warm_start and self._is_fitted else None
        if previous is None:
            self._warn_of_lost_vectors()
        training = ClassifierFit(
            X, y, sample_weight, validation_data, unlabelled, hyperparameters=hyperparameters, previous=previous
        )
        training.set_callbacks_and_checkpoint(callbacks, checkpoint_dir, checkpoint_steps)
        self._set_fitted(training.run())
        self._incremental = None
        self._lost_vectors = self._lost_vectors and previous is not None
        return self

    def partial_fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Update the network with one pass over a batch of labelled documents.

        The first call should get many documents, because it builds the vocabulary: words that appear later are unknown.
        There is no early stopping, averaging, calibration or threshold tuning; `log_count_ratios` are learned in the
        first call only; `ngram_evidence` is kept from an earlier `fit` but not updated; `embedding_training="delay"` is
        treated as "tune"; and the learning rate is constant. The optimizer state is kept between calls, but not saved.
        Hyper-parameters of the network, the vocabulary, the loss and the optimizer, except `learning_rate`, are fixed
        by the first call; all others, such as `batch_size`, `sentence_dropout`, `class_weight` and `max_sentences`, are
        read in every call. `history_` has one entry per call, and no validation scores.

        Parameters
        ----------
        X : array-like of str [documents]
            As for `fit`.
        y : array-like of str, int, bool or whole-number float [documents]
            As for `fit`.
        classes : array-like or set of labels [classes], optional
            All classes that occur in any call; for an indicator matrix y, the names of its columns. Required in the
            first call, unless the classifier is fitted.
        sample_weight : array-like of float [documents], optional
            Weight of each document in the loss.

        Returns
        -------
        HANClassifier
            The classifier itself.

        Raises
        ------
        TypeError, ValueError
            As for `fit`; also if `classes` is missing in the first call or different in a later one, or if
            `class_weight` is "balanced", which would need all documents. The classifier is left unchanged.
        DivergenceError
            If the loss or the probabilities become NaN or infinite. The network is left unchanged.
        ForkedProcessError
            In a process that was forked after TensorFlow was initialised.

        Examples
        --------
        >>> from han import HANClassifier
        >>> X = ["A wonderful film. I loved it.", "Dull. I left early."] * 20
        >>> y = ["good", "bad"] * 20
        >>> classifier = HANClassifier(batch_size=8, learning_rate=0.01, random_state=0)
        >>> for epoch in range(10):
        ...     classifier = classifier.partial_fit(X, y, classes=["bad", "good"])
        >>> classifier.predict(["I loved it."]).tolist()
        ['good']
        """
        refuse("HANClassifier.partial_fit")
        hyperparameters = self._hyperparameters()
        fitted = self._fitted_classifier() if self._is_fitted else None
        if fitted is None:
            self._warn_of_lost_vectors()
        incremental = self._incremental or IncrementalFit()
        self._set_fitted(incremental.update(fitted, X, y, classes, sample_weight, hyperparameters))
        self._incremental = incremental
        self._lost_vectors = self._lost_vectors and fitted is not None
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of str [documents]
            In any container that `fit` accepts.

        Returns
        -------
        float32 [documents, classes]
            Columns are in the order of `classes_`. Rows sum to one, except in multi-label classification.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If documents are not text.
        """
        fitted, hyperparameters = self._fitted_classifier(), self._hyperparameters()
        return fitted.predict_proba(check_texts(X), hyperparameters)

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Predict the logarithms of class probabilities, which are always finite.

        Parameters and errors are the same as for `predict_proba`.

        Returns
        -------
        float64 [documents, classes]
            Columns are in the order of `classes_`.
        """
        return log_probabilities(self.predict_proba(X))

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the logits: inputs of the softmax, or in multi-label classification of the sigmoid.

        Parameters and errors are the same as for `predict_proba`.

        Returns
        -------
        float64 [documents] or [documents, classes]
            In binary classification, the logit of the second class. With more classes, log-probabilities, which differ
            from the network's own logits by a constant per document. In multi-label classification, the logit of each
            class; note that `thresholds_` are probabilities.
        """
        probabilities, multi_label = self.predict_proba(X), self.label_encoder_.multi_label
        logits = to_logits(probabilities, multi_label)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 and not multi_label else logits

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Predict the most probable class; in multi-label classification, all classes that reach their threshold.

        Parameters and errors are the same as for `predict_proba`.

        Returns
        -------
        ndarray [documents]
            Labels as in `classes_`; in multi-label classification, in the format of the training labels.
        """
        return self._fitted_classifier().decode(self.predict_proba(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Return the accuracy. In multi-label classification, a prediction is correct if all labels are.

        Parameters
        ----------
        X : array-like of str [documents]
            In any container that `fit` accepts.
        y : array-like of labels [documents]
            The true labels, in the format of the training labels.
        sample_weight : array-like of float [documents], optional

        Returns
        -------
        float

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If documents are not text, or labels have another format.

        Warns
        -----
        UnknownClassWarning
            If y contains classes that are not in `classes_`; they count as errors.
        """
        labels = self._fitted_classifier().labels
        documents = len(check_texts(X))
        all_labels, truth = labels.encode_test(y, documents)
        predicted = labels.encode(self.predict(X), documents)
        if labels.multi_label:  # columns of zeros for unknown classes, which are never predicted
            predicted = np.pad(predicted, [(0, 0), (0, len(all_labels.classes) - len(labels.classes))])
        return float(accuracy_score(truth, predicted, sample_weight=sample_weight))

    def explain(
        self,
        X: Any,  # noqa: N803
        method: str = "contributions",
        target: Any = None,
        *,
        n_steps: int = 32,
    ) -> list[Explanation]:
        """Score words and sentences by their contributions to the prediction.

        Parameters
        ----------
        X : array-like of str [documents]
            In any container that `fit` accepts.
        method : str, default "contributions"
            - "contributions": the contribution of each word to the log-odds of the target, negative if the word counts
              against it: what the word wrote into the states of the recurrence, weighted by their attention and by the
              target's weights, plus the word's part of the n-gram evidence. The contributions and `base_value` sum to
              the log-odds; without `additive`, approximately. See `han.inference.contributions` for the equations, also
              for more than two classes.
            - "attention": the attention weights of words and sentences: where the network looked. They have no sign, do
              not depend on the class, and exclude the n-grams.
            - "gradient_x_input": the gradient of the target's probability with respect to each word vector, times the
              vector.
            - "integrated_gradients" (Sundararajan et al. 2017): the same, with the gradient averaged along the straight
              path from zero vectors to the word vectors. The scores approximately sum to the difference in probability
              between both ends.
            - "occlusion": the decrease of the target's probability when the word or sentence is deleted.

            Their cost is that of about 2, 1, 3, `3 * n_steps` and about 30 forward passes.
        target : label, array-like of labels [documents] or None, default None
            The class whose prediction is explained, for all documents or for each; None is the predicted class.
        n_steps : int, default 32
            Number of points at which integrated gradients evaluates the gradient.

        Returns
        -------
        list of Explanation [documents]
            Documents without words have no scores. See `han.heatmap` to visualise explanations, and `han.faithfulness`
            to measure how faithful they are.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If documents are not text, the method or class does not exist, or the method is "attention" and the network
            uses max pooling.

        References
        ----------
        Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, https://arxiv.org/abs/1703.01365

        Examples
        --------
        >>> from han import HANClassifier
        >>> X = ["A wonderful film. I loved it.", "A dull film. I hated it."] * 20
        >>> classifier = HANClassifier(epochs=20, batch_size=8, random_state=0, verbose=0).fit(X, ["good", "bad"] * 20)
        >>> (explanation,) = classifier.explain(["A film. I loved it."])
        >>> frame = explanation.to_frame()
        >>> frame.loc[frame["word_score"].idxmax(), "word"]
        'loved'
        """
        fitted, hyperparameters = self._fitted_classifier(), self._hyperparameters()
        check_values({"method": method, "n_steps": n_steps}, {"method": Choice(METHODS), "n_steps": Range(Integral, 1)})
        texts = check_texts(X)
        targets = None if target is None else check_target(target, self.classes_, len(texts))
        return Explanations(fitted.explain(texts, hyperparameters, method=method, targets=targets, n_steps=n_steps))

    def encode(self, X: Any) -> npt.NDArray[np.int32]:  # noqa: N803
        """Convert documents to word ids, the input of the network.

        Parameters
        ----------
        X : array-like of str [documents]
            In any container that `fit` accepts.

        Returns
        -------
        int32 [documents, sentences, words]
            0 is padding, and 1 is any unknown word; see `vocabulary_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If documents are not text.

        Examples
        --------
        >>> from han import HANClassifier
        >>> X, y = ["A wonderful film. I loved it.", "Dull. I left early."] * 20, ["good", "bad"] * 20
        >>> HANClassifier(epochs=1, random_state=0, verbose=0).fit(X, y).encode(["I loved you. Dull."]).shape
        (1, 2, 4)
        """
        reader = self.reader()
        return reader.encode(check_texts(X)).block()

    def reader(self) -> DocumentReader:
        """Return the reader, which converts documents to word ids."""
        return self._fitted_classifier().reader(self._hyperparameters())

    def describe(self) -> dict[str, Any]:
        """Return a summary of the fitted classifier: classes, sizes, training and hyper-parameters.

        Returns
        -------
        dict
            Can be serialised as JSON, except for functions, random generators and word vectors in `parameters`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        return describe(self._fitted_classifier(), self._hyperparameters())

    def export(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002
        *,
        overwrite: bool = False,
    ) -> list[Path]:
        """Export the network for inference without `han`.

        The network has one input, `input`: int32 word ids [documents, sentences, words] as returned by `encode`, with
        zeros as padding after the words of a sentence and the sentences of a document. Its output, `probabilities`, is
        float32 [documents, classes]. `tokenizer.json` describes how to convert documents to word ids.

        Parameters
        ----------
        path : path
            For "savedmodel", TensorFlow's format, a new or empty folder; `tokenizer.json` is written to its subfolder
            `assets.extra`. For "onnx", a file with the suffix `.onnx`; `NAME.tokenizer.json` is written beside it.
        format : {"savedmodel", "onnx"} or None, default None
            None is "onnx" if `path` has the suffix `.onnx`, and "savedmodel" if it has none. "onnx" needs the extra
            `onnx`.
        overwrite : bool, default False
            Whether to replace an earlier export.

        Returns
        -------
        list of Path
            The written files.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If `path` is not a local path, its suffix does not match the format, or the format is unknown.
        DestinationError
            If `path` exists, unless it is an earlier export and `overwrite` is set; or if it is not writable.
        MissingExtraError
            If onnx is not installed.
        ForkedProcessError
            In a process that was forked after TensorFlow was initialised.
        """
        fitted = self._fitted_classifier()
        if format is not None:
            check_values({"format": format}, {"format": Choice(FORMATS)})
        target, resolved = check_export(path, format, overwrite)
        refuse("HANClassifier.export")
        return export(target, resolved, fitted.local_network(), self.tokenizer_settings())

    def tokenizer_settings(self) -> dict[str, Any]:
        """Return the content of `tokenizer.json`, see `export`."""
        return tokenizer_settings(self._fitted_classifier(), self._hyperparameters())

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        data: str | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        """Save the fitted classifier to a folder.

        The folder contains the network in Keras' format, `model.keras`; `vocabulary.json`; `settings.json`; a model
        card with metadata for the Hugging Face Hub, `README.md`; and the SHA-256 of each file, `manifest.json`. Saving
        is crash-safe: a new folder is written beside `path` and then moved into place, so that `path` contains either
        the old classifier or the new one. Like `joblib.dump`, `save` replaces an earlier classifier without asking.

        A folder that cannot be renamed, such as a mount point or a folder in a read-only one, is updated in place: a
        complete new version is written inside it, and its files then replace the old ones one by one. This is
        crash-safe too, but a concurrent `load` may report a damaged file and must be repeated, and two processes must
        not save to the folder at the same time.

        Functions passed as `sentence_splitter` or `tokenizer` are not saved, only their names; they must be passed to
        `load` again. Word vectors passed as `embeddings` are saved as part of the network only: unless it was a path or
        a name, `embeddings` is None after loading, and `fit` warns if it is called without them.

        Parameters
        ----------
        path : path
            A new or empty folder, or a saved classifier, which is replaced; other files in the folder are kept. `~` is
            expanded.
        data : str, optional
            Name of the training data, for the model card.
        scores : mapping of str to float, optional
            Scores on test documents, for the model card; see `han.evaluation.Evaluation.scores`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If `path` is not a local path, for example a URL.
        DestinationError
            If `path` is neither new, nor an empty folder, nor a saved classifier; or if it is not writable.
        """
        write_model(path, to_saved(self._fitted_classifier(), self._hyperparameters(), data, scores))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        sentence_splitter: Splitter | None = None,
        tokenizer: Splitter | None = None,
    ) -> Self:
        """Load a classifier saved with `save`.

        Parameters
        ----------
        path : path
            The folder; `~` is expanded.
        sentence_splitter, tokenizer : callable, optional
            The functions that the classifier was trained with, if any.

        Returns
        -------
        HANClassifier

        Raises
        ------
        MissingFileError
            If the folder does not exist.
        ModelFileError
            If the folder is not a saved classifier, or a file in it is damaged or has a newer format. Loading never
            executes code from the files.
        InvalidTypeError, InvalidValueError
            If `path` is not a local path, or a function is missing or unexpected.
        """
        functions: dict[str, Any] = {"sentence_splitter": sentence_splitter, "tokenizer": tokenizer}
        check_values(functions, {name: Hyperparameters.rules()[name] for name in FUNCTIONS})
        saved = read_model(path, {name for name, function in functions.items() if function is not None})
        try:
            classifier = cls(**saved.parameters, **functions)
            classifier._hyperparameters()
            classifier._restore(saved)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} must contain the settings of a saved classifier: {error}") from error
        return classifier

    def _hyperparameters(self) -> Hyperparameters:
        """Return the validated hyper-parameters."""
        return Hyperparameters.check(self.get_params(deep=False))

    @property
    def _is_fitted(self) -> bool:
        return hasattr(self, "model_")

    def _fitted_classifier(self) -> FittedClassifier:
        """Return what `fit` learned."""
        check_is_fitted(self)
        return FittedClassifier.from_attributes(vars(self))

    def _set_fitted(self, fitted: FittedClassifier) -> None:
        """Set all fitted attributes."""
        for name, value in fitted.attributes().items():
            setattr(self, name, value)

    def _restore(self, saved: SavedClassifier) -> None:
        self._set_fitted(from_saved(saved))
        self._lost_vectors = self.embeddings is None and self.embedding_coverage_ is not None

    def _warn_of_lost_vectors(self) -> None:
        if self._lost_vectors and self.embeddings is None:
            warn_user(
                "embeddings is None: the word vectors that this classifier was fitted with were not saved with it, so "
                "it is fitted without them; set embeddings to use them again",
                TrainingWarning,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for `pickle` and `joblib`; if fitted, it contains the files that `save` writes.

        Like `save`, this leaves out word vectors passed as `embeddings` if the classifier is fitted. An unfitted
        classifier keeps them, so that it can be fitted in another process.
        """
        state: dict[str, Any] = super().__getstate__()
        if self._is_fitted:
            fitted = self._fitted_classifier()
            excluded = {*fitted.attributes(), "_incremental"}
            state = {name: value for name, value in state.items() if name not in excluded}
            if not isinstance(self.embeddings, str | os.PathLike):
                state["embeddings"] = None
            state["saved"] = to_bytes(to_saved(fitted, self._hyperparameters()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `__getstate__`."""
        state = dict(state)
        contents = state.pop("saved", None)
        super().__setstate__(state)
        if contents is not None:
            self._restore(from_bytes(contents, {name for name in FUNCTIONS if getattr(self, name) is not None}))

    def __copy__(self) -> Self:
        return self._from_state(self.__getstate__())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self.embeddings)] = self.embeddings
        return self._from_state(copy.deepcopy(self.__getstate__(), memo))

    def _from_state(self, state: dict[str, Any]) -> Self:
        copied = type(self).__new__(type(self))
        copied.__setstate__(state)
        return self._share_vectors(copied)

    def __sklearn_clone__(self) -> Self:
        """Clone for `sklearn.base.clone`, but share the word vectors, which can be gigabytes in size."""
        without_vectors = type(self).__new__(type(self))
        without_vectors.__dict__.update(self.__dict__, embeddings=None)
        return self._share_vectors(super(HANClassifier, without_vectors).__sklearn_clone__())

    def _share_vectors(self, other: Self) -> Self:
        other.embeddings = self.embeddings
        other._lost_vectors = self._lost_vectors
        return other

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        tags.non_deterministic = self.random_state is None
        return tags
