"""What a trained classifier does: predict and explain."""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from han.data.validation import check_target, check_texts
from han.exceptions import InvalidValueError
from han.explain.attribution import METHODS, explain
from han.explain.explanation import Explanation
from han.hyperparameters import ALLOWED, Choice, Range, check_parameters
from han.inference.prediction import CHUNK, predict
from han.memory.limits import find_limit
from han.memory.planning import PredictionPlan, plan_prediction
from han.stored import StoredClassifier
from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter
from han.training.calibration import log_probabilities, to_logits
from han.training.fitting import network_of


class TrainedClassifier(ClassifierMixin, StoredClassifier):
    """The part of `HANClassifier` that needs a trained network; see there for the attributes."""

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
        check_is_fitted(self)
        check_parameters(self.get_params(deep=False), ALLOWED)
        texts = check_texts(X)
        plan = self._plan(texts)
        probabilities, cut = predict(self.model_, texts, self.document_splitter(), self.vocabulary_, plan)
        self._warn_of_cut(cut, len(texts))
        return probabilities

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
        probabilities, multi_label = self.predict_proba(X), self.label_form_.multi_label
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
        check_is_fitted(self)
        probabilities = self.predict_proba(X)
        if self.label_form_.multi_label:
            return self.label_form_.decode(probabilities >= self.thresholds_)
        return self.label_form_.decode(probabilities.argmax(axis=1))

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
        check_is_fitted(self)
        count = len(check_texts(X))
        form, truth = self.label_form_.encode_test(y, count)
        found = self.label_form_.encode(self.predict(X), count)
        if form.multi_label:  # nothing is predicted to be of a class that is not known
            found = np.pad(found, [(0, 0), (0, len(form.classes) - len(self.classes_))])
        return float(accuracy_score(truth, found, sample_weight=sample_weight))

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
        check_is_fitted(self)
        check_parameters(
            {**self.get_params(deep=False), "method": method, "n_steps": n_steps},
            {**ALLOWED, "method": Choice(METHODS), "n_steps": Range(Integral, 1)},
        )
        if method == "attention" and self.model_.get_config()["pooling"] == "max":
            raise InvalidValueError(
                'method "attention" needs pooling "attention" or "mean"; max pooling has no weights'
            )
        texts = check_texts(X)
        targets = None if target is None else check_target(target, self.classes_, len(texts))
        splitter, classes = self.document_splitter(), self.classes_.tolist()
        explanations, cut = explain(
            self.model_, texts, splitter, self.vocabulary_, classes, method=method, targets=targets, n_steps=n_steps,
            max_words=self._plan(texts).words,
        )  # fmt: skip
        self._warn_of_cut(cut, len(texts))
        if self.label_form_.multi_label:
            thresholds = tuple(self.thresholds_.tolist())
            explanations = [replace(explanation, thresholds=thresholds) for explanation in explanations]
        return explanations

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
        check_is_fitted(self)
        return Corpus.encode(check_texts(X), self.document_splitter(), self.vocabulary_).block()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        tags.non_deterministic = self.random_state is None
        return tags

    def document_splitter(self) -> DocumentSplitter:
        """Return what splits documents into sentences and words, by the classifier's parameters."""
        return DocumentSplitter(
            self.max_sentences, self.max_words, self.sentence_splitter, self.tokenizer, self.language
        )

    def _plan(self, texts: list[str]) -> PredictionPlan:
        return plan_prediction(
            network_of(self.model_),
            texts,
            chunk=CHUNK,
            splitter=self.document_splitter(),
            limit=find_limit(self.memory_limit),
        )

    def _warn_of_cut(self, cut: int, documents: int) -> None:
        if cut:
            warnings.warn(
                f"{cut} of {documents} documents have more than max_sentences={self.max_sentences} sentences "
                "and were cut there",
                UserWarning,
                stacklevel=3,
            )
