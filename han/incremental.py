"""What a classifier does with labelled documents that come one batch after another."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from han.backend.isolation import isolated
from han.data.doubtful_labels import warn_of_doubtful_classes
from han.data.labels import LabelEncoder
from han.data.validation import (
    check_class_weight,
    check_sample_weight,
    check_texts,
    check_words,
    class_count,
    short_repr,
)
from han.exceptions import InvalidValueError
from han.hyperparameters import ALLOWED, check_parameters
from han.inference import forked
from han.memory.limits import find_limit
from han.memory.planning import plan_training
from han.text.corpus import Corpus
from han.text.word_vectors import check_source
from han.trained import TrainedClassifier
from han.training.fitting import check_previous, network_of, start_network, training_settings
from han.training.trainer import Stream


class IncrementalClassifier(TrainedClassifier):
    """The part of `HANClassifier` that learns from a stream; see there for the parameters and attributes."""

    # What `partial_fit` goes on with.
    _stream: Stream | None = None

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
        forked.refuse("HANClassifier.partial_fit")
        parameters = check_parameters(self.get_params(deep=False), ALLOWED)
        texts = check_texts(X)
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise InvalidValueError("classes must name all classes at the first call of partial_fit, got None")
        form = LabelEncoder.from_classes(classes, y, len(texts)) if first else self.label_form_
        if (
            classes is not None
            and LabelEncoder.from_classes(classes, y, len(texts)).classes.tolist() != form.classes.tolist()
        ):
            raise InvalidValueError(
                f"classes must be those that there are, {short_repr(form.classes.tolist())}, got {short_repr(classes)}"
            )
        targets = form.encode(y, len(texts))
        weights = check_sample_weight(sample_weight, len(texts))
        if isinstance(self.class_weight, str):
            raise InvalidValueError(f"class_weight must be a dict or None for partial_fit, got {self.class_weight!r}")
        weights = weights * check_class_weight(self.class_weight, form.classes, targets)
        if first:
            check_source(self.embeddings)
            self._warn_of_lost_vectors()
            check_words(texts, self.document_splitter())
            warn_of_doubtful_classes(form)
        else:
            check_previous(self.model_, parameters, self.embedding_coverage_ is not None)
        seed = int(check_random_state(self.random_state).randint(2**24))

        if first:
            with isolated():
                start = start_network(
                    texts, classes=len(form.classes), multi_label=form.multi_label, splitter=self.document_splitter(),
                    parameters=parameters, seed=seed,
                )  # fmt: skip
            model, vocabulary, corpus = start.model, start.vocabulary, start.corpus
            coverage, history = start.coverage(), {}
        else:
            model, vocabulary = self.model_, self.vocabulary_
            corpus = Corpus.encode(texts, self.document_splitter(), vocabulary)
            coverage, history = self.embedding_coverage_, self.history_
        stream = self._stream or Stream(model, hold_embedding=parameters["embedding_training"] == "freeze")
        # Each call has an order of its own, and the same ones with the same random state.
        rng = np.random.default_rng([seed, len(history.get("loss", []))])
        self._warn_of_cut(corpus.cut, len(texts))
        plan = plan_training(
            network_of(model), corpus, corpus.take([]), batch_size=parameters["batch_size"], evidence=False,
            limit=find_limit(parameters["memory_limit"]),
        )  # fmt: skip
        with isolated():
            learned = stream.learn(corpus, targets, weights, training_settings(parameters, plan), rng)
        if first:
            self.label_form_ = form
            self.classes_ = form.classes
            self.class_count_ = np.zeros(len(form.classes), np.int64)
            self.n_samples_fit_ = 0
            self.thresholds_ = np.full(len(form.classes), 0.5)
            self.vocabulary_ = vocabulary
            self.embedding_coverage_ = coverage
            self._lost_vectors = False
            self.temperature_ = 1.0
            self.model_ = model
        self.class_count_ = self.class_count_ + class_count(targets, len(form.classes))
        self.n_samples_fit_ += len(texts)
        self.history_ = {name: history.get(name, []) + values for name, values in learned.items()}
        self._stream = stream
        return self
