"""`HANClassifier`: the network as a scikit-learn classifier over raw text."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from han.backend.isolation import isolated
from han.data.doubtful_labels import warn_of_doubtful_classes, warn_of_one_hot
from han.data.duplicates import warn_of_conflicts
from han.data.labels import LabelEncoder, check_validation_data
from han.data.splits import LabelledDocuments, hold_out
from han.data.validation import check_class_weight, check_sample_weight, check_texts, check_words, class_count
from han.hyperparameters import ALLOWED, check_parameters
from han.incremental import IncrementalClassifier
from han.inference import forked
from han.text.alignment import Splitter
from han.text.word_vectors import check_source
from han.training.callbacks import check_callbacks
from han.training.checkpoint import Checkpoint, check_checkpoint, describe
from han.training.fitting import check_previous, fit_network


class HANClassifier(IncrementalClassifier):
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
        forked.refuse("HANClassifier.fit")
        parameters = check_parameters(self.get_params(deep=False), ALLOWED)
        texts = check_texts(X)
        check_checkpoint(checkpoint_dir, checkpoint_steps)
        previous = None
        if self.warm_start and hasattr(self, "model_"):
            check_previous(self.model_, parameters, self.embedding_coverage_ is not None)
            previous = self.model_, self.vocabulary_
        form = LabelEncoder.learn(y, len(texts)) if previous is None else self.label_form_
        classes, targets = form.classes, form.encode(y, len(texts))
        weights = check_sample_weight(sample_weight, len(texts))
        weights = weights * check_class_weight(self.class_weight, classes, targets)
        called = check_callbacks(callbacks)
        held_out = None if validation_data is None else check_validation_data(validation_data, form)
        if previous is None:
            check_source(self.embeddings)
            self._warn_of_lost_vectors()
        more = [] if unlabelled is None else check_texts(unlabelled, "unlabelled")
        check_words(texts, self.document_splitter())
        if previous is None:
            warn_of_doubtful_classes(form)
            warn_of_one_hot(form, targets)
        counted = np.flatnonzero(weights > 0)
        warn_of_conflicts(
            [texts[index] for index in counted],
            lambda position: form.label_of(targets[counted[position]]),
            "they are trained on as they are",
        )
        seed = int(check_random_state(self.random_state).randint(2**24))
        checkpoint = None
        if checkpoint_dir is not None:
            begun = [] if previous is None else previous[0].get_weights()
            data = {"X": texts, "y": targets, "sample_weight": weights, "unlabelled": more, "warm_start": begun}
            described = describe(parameters, **data, validation_data=list(held_out or ()))
            checkpoint = Checkpoint.open(checkpoint_dir, checkpoint_steps, described, seed)
            seed = checkpoint.seed
        rng = np.random.default_rng(seed)
        if held_out is None:
            training, validation = hold_out(
                LabelledDocuments(texts, targets, weights), parameters["validation_fraction"], rng
            )
        else:
            training = LabelledDocuments(texts, targets, weights)
            validation = LabelledDocuments(*held_out, check_class_weight(self.class_weight, classes, held_out[1]))

        with isolated():
            fitted = fit_network(
                training,
                validation,
                more,
                classes=len(classes),
                splitter=self.document_splitter(),
                parameters=parameters,
                seed=seed,
                rng=rng,
                callbacks=called,
                learn_validation=held_out is None,
                previous=previous,
                checkpoint=checkpoint,
            )
        self._warn_of_cut(fitted.cut, len(texts) + len(more) + (0 if held_out is None else len(held_out[0])))
        self.label_form_ = form
        self.classes_ = classes
        self.class_count_ = class_count(targets, len(classes))
        self.n_samples_fit_ = len(texts)
        self.thresholds_ = fitted.thresholds
        self.vocabulary_ = fitted.vocabulary
        if previous is None:
            self.embedding_coverage_ = fitted.embedding_coverage
            self._lost_vectors = False
        self.temperature_ = fitted.temperature
        self.history_ = fitted.history
        self.model_ = fitted.model
        self._stream = None
        return self
