"""`HANClassifier`: the network as a scikit-learn classifier over raw text."""

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
from han.explain.explanation import Explanation
from han.fitted import FittedClassifier
from han.hyperparameters import Choice, Hyperparameters, Range, check_values
from han.inference.forked import refuse
from han.model import HierarchicalAttentionNetwork
from han.saving.conversion import FUNCTIONS, from_saved, to_saved
from han.saving.description import describe, tokenizer_settings
from han.saving.export import FORMATS, check_export, export
from han.saving.folder import SavedModel, from_bytes, read_model, to_bytes, write_model
from han.text.alignment import Splitter
from han.text.reader import DocumentReader
from han.text.vocabulary import Vocabulary
from han.training.calibration import log_probabilities, to_logits
from han.training.fit import ClassifierFit
from han.training.incremental import IncrementalFit


class HANClassifier(ClassifierMixin, BaseEstimator):
    """Classify documents with a hierarchical attention network (Yang et al. 2016).

    Parameters
    ----------
    embeddings : path, "glove-50d", "word2vec", mapping, gensim KeyedVectors or None, default None
        Word vectors to begin with: a file of GloVe text, word2vec text or binary, or fastText text vectors, plain or
        compressed by gzip, bzip2, xz or zip; GloVe's 400,000 words with 50 features (the extra `glove`); word2vec
        trained on the documents that `fit` gets (the extra `word2vec`); or a mapping of words to vectors. Each feature
        is centred and all are scaled alike. Words without a vector begin at random; None lets all. A mapping is shared
        by clones and copies, and not stored with a fitted classifier, whose network has what it needs of it.
    embedding_training : {"tune", "delay", "freeze"}, default "tune"
        Whether the word vectors are trained with the rest, trained after an epoch in which they are held, or held.
    ngram_evidence : bool, default True
        Add to the network's logits those of a linear model of the words and word pairs that a document holds, see
        `han.training.ngrams.fit_evidence`: each times a factor that suits the held-out documents (a half, if there are
        none), from which the linear model then learns too. It is fitted in seconds, for up to 100 classes. Attention
        does not tell of it, the other methods of `explain` do; `history_` is of the network alone. The paper has none.
    embedding_dim : int, default 100
        Width of the word vectors, or that of `embeddings` if they are wider. Columns that are left over begin at
        random; there are none if `embeddings` are held.
    units : int, default 50
        Width of the recurrent state in each direction.
    cell : {"lstm", "gru"}, default "lstm"
        Recurrent cell of both levels.
    pooling : {"attention", "mean", "max"}, default "attention"
        How states become a vector: HN-ATT, HN-AVE or HN-MAX in the paper.
    residual : bool, default True
        Whether attention pools words and sentences themselves beside what the encoders make of them. It learns from
        fewer documents; the paper's network has no such connection.
    dropout : float in [0, 1), default 0.5
        Rate for the sentence vectors, with one mask for all of a document, and for the document vector.
    embedding_dropout : float in [0, 1), default 0.5
        Rate for the features of a word, the same at its every occurrence in a batch.
    word_dropout : float in [0, 1), default 0.4
        Probability that a word is replaced by zeros, at its every occurrence in a batch.
    sentence_dropout : float in [0, 1), default 0.0
        Probability that a sentence is left out when its document is trained on, anew in each epoch; one stays.
    recurrent_dropout : float in [0, 1), default 0.0
        Rate for the weights of the recurrent kernels (Merity et al. 2018).
    l2 : float, default 1e-6
        L2 penalty on the attentions' projection kernels and context vectors. Adam scales it up with their small
        gradients: ten times as much flattens the attention over sentences.
    label_smoothing : float in [0, 1), default 0.0
        Share of each label that is spread over all classes in the loss.
    learning_rate : float, default 2e-3
        Peak learning rate of Adam; it falls along a cosine to nothing at `epochs`.
    warmup : float, default 0.5
        Epochs over which the learning rate rises to its peak.
    clipnorm : float or None, default 1.0
        Gradients are scaled down together so that their norm does not exceed this.
    averaging : float in [0, 1), default 0.995
        Momentum of an exponential moving average of the weights, validated and kept in their place; 0 for none.
    batch_size : int, default 32
        Documents in a training batch.
    epochs : int or "auto", default "auto"
        Passes over the training documents at most; "auto" is 10, and more for few documents or many classes: enough
        for 1,000 steps and 250 for each class, but no more than 40 epochs.
    patience : int, "auto" or None, default "auto"
        Stop after this many epochs without a better `monitor` and keep the best weights; "auto" is three tenths of the
        epochs. None never stops early, but keeps the best weights all the same.
    monitor : {"loss", "accuracy", "macro_f1"}, default "loss"
        What of the held-out documents decides which epoch is the best.
    validation_fraction : float in [0, 1), default 0.1
        Share of each class held out of the training documents for early stopping, if `fit` is not given
        `validation_data`; 0 for none. A class too small for the fraction (of 4 documents at 0.1) gives none, and
        without held-out documents there is no early stopping.
    calibrate : bool, default False
        Divide the logits by a temperature that is fitted on the held-out documents (Guo et al. 2017): labels stay, the
        probabilities become honest.
    tune_thresholds : bool, default False
        Where a document may have several classes, predict each from that probability on that gives it the highest F1 on
        the held-out documents, instead of a half; see `han.training.calibration.fit_thresholds`.
    class_weight : dict, "balanced" or None, default None
        Weight of each class in the loss, times `sample_weight`; "balanced" gives all classes the same together. A
        document with several classes has the mean of their weights, and one without any has 1.
    min_count : int, default 2
        Words seen less often in the training documents are unknown words.
    max_vocabulary : int or None, default 30000
        Most words known.
    max_sentences : int, default 512
        Sentences read of a document; the rest is cut, with a warning.
    max_words : int, default 50
        Words in a sentence; a longer sentence is continued as a further sentence.
    language : str, default "en"
        ISO 639 code of the documents' language, for where sentences end; words are found by their script.
    sentence_splitter : callable str -> iterable of str, or None, default None
        Splits a document into sentences; None is `han.text.split_sentences`.
    tokenizer : callable str -> iterable of str, or None, default None
        Splits a sentence into words; None is `han.text.split_words`: letters, marks and digits together, other
        characters one by one, and so the letters of scripts without spaces between words.
    warm_start : bool, default False
        Let `fit` go on with the network that is there, with its vocabulary and its classes, instead of a new one.
    random_state : int, RandomState instance or None, default None
        With an int, two fits on the same machine give identical predictions.
    memory_limit : int, str or None, default None
        Memory that `fit` or `predict` may take beside what the process holds already: bytes, or a text like "2GB". What
        would take more is done in parts, with a warning, or refused before it begins. None allows what is available
        on the machine or left to the container.
    verbose : {0, 1}, default 1
        1 shows progress on standard error; 0 is silent.

    Attributes
    ----------
    classes_ : ndarray [classes]
        The class labels, sorted; of a matrix the numbers of its columns, or their names.
    class_count_ : int64 ndarray [classes]
        Training documents of each class.
    n_samples_fit_ : int
        Training documents.
    vocabulary_ : Vocabulary
        The known words and their ids, a mapping.
    embedding_coverage_ : float or None
        Share of the training documents' words whose vectors came from `embeddings`.
    temperature_ : float
        What the logits were divided by; 1.0 without `calibrate`.
    thresholds_ : ndarray [classes]
        From which probability on a class is predicted, where a document may have several; 0.5 without
        `tune_thresholds`.
    history_ : dict of lists
        Training and validation loss and accuracy of each epoch, and what `callbacks` added to them, such as
        `learning_rate`.
    model_ : keras.Model
        The network, a `HierarchicalAttentionNetwork`.

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
    temperature_: float
    history_: dict[str, list[float]]
    vocabulary_: Vocabulary
    model_: HierarchicalAttentionNetwork

    # Keeps the state of the optimizer between calls of `partial_fit`.
    _incremental: IncrementalFit | None = None
    # Whether word vectors given as `embeddings` were left out when the classifier was stored.
    _lost_vectors = False

    def __init__(
        self,
        *,
        embeddings: Any = None,
        embedding_training: str = "tune",
        ngram_evidence: bool = True,
        embedding_dim: int = 100,
        units: int = 50,
        cell: str = "lstm",
        pooling: str = "attention",
        residual: bool = True,
        dropout: float = 0.5,
        embedding_dropout: float = 0.5,
        word_dropout: float = 0.4,
        sentence_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        l2: float = 1e-6,
        label_smoothing: float = 0.0,
        learning_rate: float = 2e-3,
        warmup: float = 0.5,
        clipnorm: float | None = 1.0,
        averaging: float = 0.995,
        batch_size: int = 32,
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
        self.ngram_evidence = ngram_evidence
        self.embedding_dim = embedding_dim
        self.units = units
        self.cell = cell
        self.pooling = pooling
        self.residual = residual
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

        The first Ctrl-C ends the epoch, and a loss that is no longer a number ends the training: the best weights so
        far are kept, and a `TrainingWarning` says so. The second Ctrl-C is a KeyboardInterrupt; then, as after any
        error, the classifier is as it was before.

        Parameters
        ----------
        X : array-like of str [documents]
            A list or any other sequence, an array, or a column or one-column frame of pandas, polars or pyarrow. A
            document may also be a sequence of sentences, or of sequences of words, which are left as they are.
        y : array-like of str, int, bool or whole-number float [documents]
            A class for each document, in any of these containers. For any number of classes for each: zeros and ones
            [documents, classes], as an array, a frame or a sparse matrix, or a sequence of lists, tuples, sets or
            arrays of labels. `predict` returns the same form, lists for arrays.
        sample_weight : array-like of float [documents], optional
            Weight of each document in the loss, and in the validation loss if it is held out; not below 0.
        validation_data : tuple (X, y), optional
            Documents for early stopping, calibration and the weight of `ngram_evidence`, which nothing else is learned
            from; without it `validation_fraction` of the training documents is held out.
        callbacks : list of keras.callbacks.Callback, optional
            Called while the network trains, as by `keras.Model.fit`. One that sets the learning rate takes over from
            `warmup` and the cosine. `BackupAndRestore` and `SwapEMAWeights` are refused: use `checkpoint_dir` and
            `averaging`.
        unlabelled : list, tuple, ndarray or Series of str, optional
            Further documents for `embeddings="word2vec"`, whose words are known too.
        checkpoint_dir : path, optional
            Folder to store the training in after each epoch. If it holds one of the same documents, labels and
            hyper-parameters, that is gone on with, or gives its network again if it had come to its end: with
            `random_state` set, to the bit what a training without a break ends at. What `callbacks` know is not stored.
            See `han.training.checkpoint.remove_checkpoint`.
        checkpoint_steps : int, optional
            Store the training after so many batches too.

        Returns
        -------
        HANClassifier
            The classifier itself.

        Raises
        ------
        TypeError, ValueError
            For documents that are not text or all without words, labels that do not match them, a single class,
            weights that are not numbers of at least 0, callbacks that are not Keras', or a hyper-parameter outside its
            range. Nothing has changed then.
        CheckpointError
            If the checkpoint is of another training, or damaged.
        DivergenceError
            If the loss or the probabilities are not finite in the first epoch.
        ExecutionModeError
            Where the behaviour of TensorFlow 2 is disabled, or in the scope of a `tf.distribute.Strategy`.
        ForkedProcessError
            In a process that was forked after TensorFlow had begun to work.
        MemoryLimitError
            If training does not fit into the memory, however it is divided.

        Warns
        -----
        TrainingWarning
            If documents with the same text and a weight have different labels; if classes look the same, or like
            lists that were written as text; if each document has exactly one class where several are allowed; or if
            the word vectors that the classifier was fitted with are no longer there, because it was loaded.
        """
        refuse("HANClassifier.fit")
        hyperparameters = self._hyperparameters()
        previous = self._fitted_classifier() if self.warm_start and self._is_fitted else None
        if previous is None:
            self._warn_of_lost_vectors()
        training = ClassifierFit(
            X, y, sample_weight, validation_data, unlabelled, hyperparameters=hyperparameters, previous=previous
        )
        training.observe(callbacks, checkpoint_dir, checkpoint_steps)
        self._set_fitted(training.run())
        self._incremental = None
        return self

    def partial_fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Pass over a batch of labelled documents once, going on with the network that is there.

        The first call learns the vocabulary of its documents, which is kept, and so should get many; words that come
        later are unknown. There is no `ngram_evidence` but that of an earlier `fit`, no early stopping, averaging,
        calibration or tuning of thresholds, `embedding_training="delay"` is "tune", and the learning rate stays. The
        state of the optimizer goes on from call to call, but is not saved. Of hyper-parameters that are set between
        two calls, `learning_rate`, `batch_size` and `sentence_dropout` count. `history_` has an entry for each call,
        and none of held-out documents.

        Parameters
        ----------
        X : array-like of str [documents]
            As for `fit`.
        y : array-like of str, int, bool or whole-number float [documents]
            As for `fit`.
        classes : array-like or set of labels [classes], optional
            All classes that there will be. Needed by the first call, if `fit` was not called; of a matrix y, the names
            of its columns.
        sample_weight : array-like of float [documents], optional
            Weight of each document in the loss.

        Returns
        -------
        HANClassifier
            The classifier itself.

        Raises
        ------
        TypeError, ValueError
            As `fit` does; for the first call without `classes`, another one with other `classes`, or
            `class_weight="balanced"`, which would need all documents. Nothing has changed then.
        DivergenceError
            If the loss or the probabilities became no numbers. The network is as it was before.
        ForkedProcessError
            In a process that was forked after TensorFlow had begun to work.

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
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return each document's class probabilities.

        Parameters
        ----------
        X : array-like of str [documents]
            In any of the containers that `fit` takes.

        Returns
        -------
        float32 [documents, classes]
            In the order of `classes_`; each row sums to one, unless a document may have several classes.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            For documents that are not text.
        """
        fitted, hyperparameters = self._fitted_classifier(), self._hyperparameters()
        return fitted.predict_proba(check_texts(X), hyperparameters)

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the logarithms of each document's class probabilities, which are finite.

        Parameters and errors are those of `predict_proba`.

        Returns
        -------
        float64 [documents, classes]
            In the order of `classes_`.
        """
        return log_probabilities(self.predict_proba(X))

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return each document's logits: what a softmax, or with several classes a sigmoid, makes probabilities of.

        Parameters and errors are those of `predict_proba`.

        Returns
        -------
        float64 [documents] or [documents, classes]
            Of two classes that exclude each other the logit of the second. Of more of them, log-probabilities, from
            which the network's own logits differ by a constant of each document. Of several classes a document, the
            logit of each; `thresholds_` are of probabilities.
        """
        probabilities, multi_label = self.predict_proba(X), self.label_encoder_.multi_label
        logits = to_logits(probabilities, multi_label)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 and not multi_label else logits

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return each document's most probable class; or, where it may have several, those above their thresholds.

        Parameters and errors are those of `predict_proba`.

        Returns
        -------
        ndarray [documents], or as `y` was given to `fit`
            Labels as they were given to `fit`.
        """
        return self._fitted_classifier().decode(self.predict_proba(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Return the share of documents whose class, or all of whose classes, are predicted right.

        Parameters
        ----------
        X : array-like of str [documents]
        y : labels in the form that `fit` was given [documents]
        sample_weight : array-like [documents], optional

        Returns
        -------
        float

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            For documents that are not text, or labels in another form.

        Warns
        -----
        UnknownClassWarning
            If documents have classes that there were not in training: they count as wrong.
        """
        labels = self._fitted_classifier().labels
        documents = len(check_texts(X))
        all_labels, truth = labels.encode_test(y, documents)
        predicted = labels.encode(self.predict(X), documents)
        if labels.multi_label:  # unknown classes are never predicted
            predicted = np.pad(predicted, [(0, 0), (0, len(all_labels.classes) - len(labels.classes))])
        return float(accuracy_score(truth, predicted, sample_weight=sample_weight))

    def explain(
        self,
        X: Any,  # noqa: N803
        method: str = "attention",
        target: Any = None,
        *,
        n_steps: int = 32,
    ) -> list[Explanation]:
        """Score the words and sentences of documents by what they have to do with the decision.

        Parameters
        ----------
        X : array-like of str [documents]
            In any of the containers that `fit` takes.
        method : {"attention", "gradient_x_input", "integrated_gradients", "occlusion"}, default "attention"
            - "attention": the weights that the network gave to words and sentences, the same for all classes.
            - "gradient_x_input": the gradient of the target's probability at a word's vector, times the vector.
            - "integrated_gradients" (Sundararajan et al. 2017): the same, averaged along the way from zero vectors to
              the words' own. The scores share out the difference in probability between the two.
            - "occlusion": by how much the target's probability falls when the word, or the sentence, is deleted.

            They cost one pass over the documents, three, `3 * n_steps` and some thirty.
        target : label, array-like of labels [documents] or None, default None
            The class, or each document's, whose probability is explained; None takes the predicted one.
        n_steps : int, default 32
            Points at which integrated gradients evaluates the gradient.

        Returns
        -------
        list of Explanation [documents]
            Documents without words have no scores. See `han.heatmap` for ways to draw them, and `han.faithfulness` for
            how far to trust them.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            For documents that are not text, a method or class that does not exist, or attention of a network without
            it.

        Examples
        --------
        >>> from han import HANClassifier
        >>> X = ["A wonderful film. I loved it.", "A dull film. I hated it."] * 20
        >>> classifier = HANClassifier(epochs=20, batch_size=8, random_state=0, verbose=0).fit(X, ["good", "bad"] * 20)
        >>> (explanation,) = classifier.explain(["A film. I loved it."], method="occlusion")
        >>> frame = explanation.to_frame()
        >>> frame.loc[frame["word_score"].idxmax(), "word"]
        'loved'
        """
        fitted, hyperparameters = self._fitted_classifier(), self._hyperparameters()
        check_values({"method": method, "n_steps": n_steps}, {"method": Choice(METHODS), "n_steps": Range(Integral, 1)})
        texts = check_texts(X)
        targets = None if target is None else check_target(target, self.classes_, len(texts))
        return fitted.explain(texts, hyperparameters, method=method, targets=targets, n_steps=n_steps)

    def encode(self, X: Any) -> npt.NDArray[np.int32]:  # noqa: N803
        """Return documents as the network reads them, as numbers of words.

        Parameters
        ----------
        X : array-like of str [documents]
            In any of the containers that `fit` takes.

        Returns
        -------
        int32 [documents, sentences, words]
            0 is padding, 1 any unknown word; see `vocabulary_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            For documents that are not text.

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
        """Return what turns documents into word ids, by the classifier's parameters and vocabulary."""
        return self._fitted_classifier().reader(self._hyperparameters())

    def describe(self) -> dict[str, Any]:
        """Return what there is to know of the fitted classifier: classes, sizes, training, hyper-parameters.

        Returns
        -------
        dict
            Of what JSON can hold, but for functions, generators and word vectors among the `parameters`.

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
        """Write the network for programs that have no `han`.

        The input is an int32 block `input` [documents, sentences, words], as `encode` returns it: 0 is padding and
        stands after a sentence's words, and after a document's sentences. The output `probabilities` is float32
        [documents, classes]. `tokenizer.json` says how documents become numbers.

        Parameters
        ----------
        path : path
            For "savedmodel" a new or empty folder, which TensorFlow reads, with `tokenizer.json` in its
            `assets.extra`. For "onnx" a file whose name ends in `.onnx`, with `NAME.tokenizer.json` beside it.
        format : {"savedmodel", "onnx"} or None, default None
            None is "onnx" for a name that ends in `.onnx`, and "savedmodel" for one without a suffix. ONNX needs the
            extra `onnx`.
        overwrite : bool, default False
            Replace an earlier export.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If `path` is not a path on this machine, its name does not fit the format, or the format is another one.
        DestinationError
            If something exists at `path`, unless it is an earlier export and `overwrite` is set; or if nothing can be
            written there.
        MissingExtraError
            If onnx is not installed.
        ForkedProcessError
            In a process that was forked after TensorFlow had begun to work.
        """
        fitted = self._fitted_classifier()
        if format is not None:
            check_values({"format": format}, {"format": Choice(FORMATS)})
        target, resolved = check_export(path, format, overwrite)
        refuse("HANClassifier.export")
        return export(target, resolved, fitted.local_network(), self.tokenizer_settings())

    def tokenizer_settings(self) -> dict[str, Any]:
        """Return everything that turns documents into word ids, as `export` writes it."""
        return tokenizer_settings(self._fitted_classifier(), self._hyperparameters())

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        data: str | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        """Write the fitted classifier to a folder.

        The folder holds `model.keras` (the network, as Keras writes it), `vocabulary.json`, `settings.json`, a model
        card, `README.md`, with the front matter that the Hugging Face Hub reads, and `manifest.json` with the SHA-256
        of each. It is written beside `path` and then moved there: whatever happens meanwhile, the old classifier is
        there or the new one. Like `joblib.dump`, it replaces an earlier classifier without asking.

        A folder that cannot be renamed, such as a mount point or one in a read-only folder, is written from within: a
        complete new version first, whose files then replace the old ones one by one. `load` finds the old classifier or
        the new one after a crash there too. But a `load` at the same time may be told that a file is damaged and has to
        try again, and two processes must not save to such a folder at once.

        Functions given as `sentence_splitter` or `tokenizer` are not stored, only their names: `load` wants them again.
        Word vectors given as `embeddings` are in the network; the loaded classifier has None there, unless it was a
        path or a name, and `fit` warns if it is called again without them.

        Parameters
        ----------
        path : path
            A new or empty folder, or one that holds a saved classifier, which is replaced; other files in it are kept.
            `~` is expanded.
        data : str, optional
            What the training data is called, for the card.
        scores : mapping of str to float, optional
            What was measured on test documents, for the card; as `han.evaluation.Evaluation.scores` returns it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If `path` is not a path on this machine, a URL say.
        DestinationError
            If something other than a saved classifier is at `path`, or nothing can be written there.
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
        """Read a classifier that `save` wrote.

        Parameters
        ----------
        path : path
            `~` is expanded.
        sentence_splitter, tokenizer : callable, optional
            The functions that the classifier was trained with, if it was given any.

        Raises
        ------
        MissingFileError
            If there is no folder at `path`.
        ModelFileError
            If `path` is not a saved classifier, or a file of it is damaged or of a newer format; the file is named. No
            code that a file names is run, whatever it holds.
        InvalidTypeError, InvalidValueError
            If `path` is not a path on this machine, or a function is missing or not expected.
        """
        functions: dict[str, Any] = {"sentence_splitter": sentence_splitter, "tokenizer": tokenizer}
        check_values(functions, {name: Hyperparameters.rules()[name] for name in FUNCTIONS})
        saved = read_model(path, {name for name, function in functions.items() if function is not None})
        try:
            classifier = cls(**saved.parameters, **functions)
            classifier._hyperparameters()
            classifier._restore(saved)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} must hold the settings of a saved classifier: {error}") from error
        return classifier

    def _hyperparameters(self) -> Hyperparameters:
        """Return the checked hyper-parameters."""
        return Hyperparameters.check(self.get_params(deep=False))

    @property
    def _is_fitted(self) -> bool:
        return hasattr(self, "model_")

    def _fitted_classifier(self) -> FittedClassifier:
        """Return what `fit` learned."""
        check_is_fitted(self)
        return FittedClassifier.from_attributes(vars(self))

    def _set_fitted(self, fitted: FittedClassifier) -> None:
        """Set all attributes of the fitted classifier."""
        for name, value in fitted.attributes().items():
            setattr(self, name, value)
        self._lost_vectors = False

    def _restore(self, saved: SavedModel) -> None:
        self._set_fitted(from_saved(saved))
        self._lost_vectors = self.embeddings is None and self.embedding_coverage_ is not None

    def _warn_of_lost_vectors(self) -> None:
        if self._lost_vectors and self.embeddings is None:
            warn_user(
                "embeddings is None: the word vectors that this classifier was fitted with before are not stored with "
                "it, and it is fitted without; set embeddings to use them",
                TrainingWarning,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for `pickle` and `joblib`: if fitted, the files that `save` writes.

        Word vectors given as `embeddings` are left out of a fitted classifier, as by `save`: its network contains them.
        An unfitted classifier keeps them, since it cannot be fitted in another process without them.
        """
        state: dict[str, Any] = super().__getstate__()
        if self._is_fitted:
            fitted = self._fitted_classifier()
            left_out = {*fitted.attributes(), "_incremental"}
            state = {name: value for name, value in state.items() if name not in left_out}
            if not isinstance(self.embeddings, str | os.PathLike):
                state["embeddings"] = None
            state["saved"] = to_bytes(to_saved(fitted, self._hyperparameters()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned."""
        state = dict(state)
        contents = state.pop("saved", None)
        super().__setstate__(state)
        if contents is not None:
            self._restore(from_bytes(contents, {name for name in FUNCTIONS if getattr(self, name) is not None}))

    def __copy__(self) -> Self:
        return self._copied(self.__getstate__())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self.embeddings)] = self.embeddings
        return self._copied(copy.deepcopy(self.__getstate__(), memo))

    def _copied(self, state: dict[str, Any]) -> Self:
        copied = type(self).__new__(type(self))
        copied.__setstate__(state)
        return self._share_vectors(copied)

    def __sklearn_clone__(self) -> Self:
        """Return what `sklearn.base.clone` does, but share the word vectors, which may take gigabytes."""
        lighter = type(self).__new__(type(self))
        lighter.__dict__.update(self.__dict__, embeddings=None)
        return self._share_vectors(super(HANClassifier, lighter).__sklearn_clone__())

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
