"""What a trained classifier does: predict, explain, be saved and loaded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from han.attribution import METHODS, explain
from han.card import model_card
from han.corpus import Corpus
from han.explanation import Explanation
from han.export import FORMATS, export
from han.labels import LabelForm
from han.model import HierarchicalAttentionNetwork
from han.parameters import ALLOWED, Choice, Range, check_parameters
from han.persistence import SavedModel, from_bytes, function_name, read_model, to_bytes, write_model
from han.prediction import predict
from han.text import WORD_PATTERN, DocumentSplitter, Splitter
from han.validation import Labels, check_target, check_texts
from han.vocabulary import FIRST_WORD_ID, PADDING_ID, UNKNOWN_ID, Vocabulary

# Attributes of a fitted classifier that are stored with its settings.
PLAIN_ATTRIBUTES = ("history_", "embedding_coverage_", "temperature_")
ARRAYS = ("classes_", "class_count_", "thresholds_")
FITTED_ATTRIBUTES = (*PLAIN_ATTRIBUTES, *ARRAYS, "n_samples_fit_", "label_form_", "vocabulary_", "model_")
FUNCTIONS = ("sentence_splitter", "tokenizer")


class TrainedClassifier(ClassifierMixin, BaseEstimator):
    """The part of `HANClassifier` that needs a trained network; see there for the attributes."""

    classes_: Labels
    class_count_: npt.NDArray[np.int64]
    n_samples_fit_: int
    label_form_: LabelForm
    thresholds_: npt.NDArray[np.float64]
    vocabulary_: Vocabulary
    model_: HierarchicalAttentionNetwork

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return each document's class probabilities.

        Parameters
        ----------
        X : list, tuple, ndarray or Series of str [documents]
            A document may also be a list of sentences, or a list of lists of words.

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
        probabilities, cut = predict(self.model_, texts, self.document_splitter(), self.vocabulary_)
        self._warn_of_cut(cut, len(texts))
        return probabilities

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
        X : list, tuple, ndarray or Series of str [documents]
        y : labels in the form that `fit` was given [documents]
        sample_weight : array-like [documents], optional

        Returns
        -------
        float
        """
        check_is_fitted(self)
        predicted = self.predict(X)
        count = len(check_texts(X))
        truth, found = (self.label_form_.encode(labels, count) for labels in (y, predicted))
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
        X : list, tuple, ndarray or Series of str [documents]
            A document may also be a list of sentences, or a list of lists of words.
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
            For documents that are not text, a method or class that does not exist, attention of a network without it,
            or a tokenizer whose words are not in the text.

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
            raise ValueError('method "attention" needs pooling "attention" or "mean"; max pooling has no weights')
        texts = check_texts(X)
        targets = None if target is None else check_target(target, self.classes_, len(texts))
        splitter, classes = self.document_splitter(), self.classes_.tolist()
        explanations, cut = explain(
            self.model_, texts, splitter, self.vocabulary_, classes, method=method, targets=targets, n_steps=n_steps
        )
        self._warn_of_cut(cut, len(texts))
        return explanations

    def encode(self, X: Any) -> npt.NDArray[np.int32]:  # noqa: N803
        """Return documents as the network reads them, as numbers of words.

        Parameters
        ----------
        X : list, tuple, ndarray or Series of str [documents]
            A document may also be a list of sentences, or a list of lists of words.

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

    def describe(self) -> dict[str, Any]:
        """Return what there is to know of the fitted classifier: classes, sizes, training, hyper-parameters.

        Returns
        -------
        dict
            Of what JSON can hold, but for functions among the `parameters`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        history = self.history_
        epochs = len(history.get("loss", []))
        facts: dict[str, Any] = {
            "classes": dict(zip(map(str, self.classes_.tolist()), self.class_count_.tolist(), strict=True)),
            "multi_label": self.label_form_.multi_label,
            "training_documents": self.n_samples_fit_,
            "known_words": len(self.vocabulary_),
            "ngrams": 0 if self.model_.evidence is None else self.model_.evidence.ngrams,
            "weights": int(sum(np.prod(weight.shape) for weight in self.model_.weights)),
            "epochs": epochs,
        }
        if "val_loss" in history:
            monitored = np.array(history["val_loss" if self.monitor == "loss" else f"val_{self.monitor}"])
            best = int(monitored.argmin() if self.monitor == "loss" else monitored.argmax())
            facts["validation"] = {
                name.removeprefix("val_"): values[best] for name, values in history.items() if name.startswith("val_")
            }
        if self.embedding_coverage_ is not None:
            facts["words_with_a_vector"] = self.embedding_coverage_
        if self.temperature_ != 1.0:
            facts["temperature"] = self.temperature_
        return {**facts, "parameters": self.get_params(deep=False)}

    def export(self, path: str | os.PathLike[str], format: str = "savedmodel") -> list[Path]:  # noqa: A002
        """Write the network for programs that have no `han`.

        The input is an int32 block `input` [documents, sentences, words], as `encode` returns it: 0 is padding and
        stands after a sentence's words, and after a document's sentences. The output `probabilities` is float32
        [documents, classes]. `tokenizer.json` says how documents become numbers.

        Parameters
        ----------
        path : path
            For "savedmodel" a folder that is not there yet, which TensorFlow reads, with `tokenizer.json` in its
            `assets.extra`. For "onnx" a file, with `NAME.tokenizer.json` beside it.
        format : {"savedmodel", "onnx"}, default "savedmodel"
            ONNX needs the extra `onnx`.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            If the format is another one.
        FileExistsError
            If the folder is there already.
        ImportError
            If onnx is not installed.
        """
        check_is_fitted(self)
        check_parameters({"format": format}, {"format": Choice(FORMATS)})
        return export(Path(path), format, self.model_, self.tokenizer_settings())

    def tokenizer_settings(self) -> dict[str, Any]:
        """Return all that it takes to turn documents into numbers, as `export` writes it."""
        check_is_fitted(self)
        functions = {name: getattr(self, name) for name in FUNCTIONS}
        return {
            "max_sentences": self.max_sentences,
            "max_words": self.max_words,
            "language": self.language,
            **{name: function and function_name(function) for name, function in functions.items()},
            **({} if self.tokenizer else {"word_pattern": WORD_PATTERN}),
            "lower_case": True,
            "padding_id": PADDING_ID,
            "unknown_id": UNKNOWN_ID,
            "first_word_id": FIRST_WORD_ID,
            "classes": self.classes_.tolist(),
            "thresholds": self.thresholds_.tolist() if self.label_form_.multi_label else None,
            "words": self.vocabulary_.words,
        }

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        data: str | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        """Write the fitted classifier to a folder.

        The folder holds `model.keras` (the network, as Keras writes it), `vocabulary.json`, `settings.json` and a model
        card, `README.md`, with the front matter that the Hugging Face Hub reads.
        Functions given as `sentence_splitter` or `tokenizer` are not stored, only their names: `load` wants them again.
        Word vectors given as `embeddings` are in the network; the loaded classifier has None there, unless it was a
        path or a name.

        Parameters
        ----------
        path : path
            A new folder, or one that holds a saved classifier, which is replaced; other files in it are kept.
        data : str, optional
            What the training data is called, for the card.
        scores : mapping of str to float, optional
            What was measured on test documents, for the card; as `han.evaluation.Evaluation.scores` returns it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        FileExistsError
            If there is something at `path` that is not a saved classifier.
        """
        check_is_fitted(self)
        write_model(path, self._saved(data, scores))

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
        sentence_splitter, tokenizer : callable, optional
            The functions that the classifier was trained with, if it was given any.

        Raises
        ------
        FileNotFoundError, ValueError
            If `path` is not a saved classifier of a known format, or a function is missing or not expected.
        """
        functions: dict[str, Any] = {"sentence_splitter": sentence_splitter, "tokenizer": tokenizer}
        check_parameters(functions, {name: ALLOWED[name] for name in functions})
        saved = read_model(path, {name for name, function in functions.items() if function is not None})
        classifier = cls(**saved.parameters, **functions)
        classifier._restore(saved)
        return classifier

    def _saved(self, data: str | None = None, scores: Mapping[str, float] | None = None) -> SavedModel:
        parameters = check_parameters(self.get_params(deep=False), ALLOWED)
        functions = {name: parameters.pop(name) for name in FUNCTIONS}
        return SavedModel(
            parameters,
            {name: function_name(function) for name, function in functions.items() if function is not None},
            {name: getattr(self, name) for name in PLAIN_ATTRIBUTES}
            | {
                "labels": self.label_form_.kind,
                "thresholds": self.thresholds_.tolist(),
                "class_count": self.class_count_.tolist(),
                "documents": self.n_samples_fit_,
            },
            self.classes_,
            self.vocabulary_,
            self.model_,
            model_card(self.describe(), self.language, data, scores or {}),
        )

    def _restore(self, saved: SavedModel) -> None:
        self.classes_ = saved.classes
        self.vocabulary_ = saved.vocabulary
        self.model_ = saved.model
        for name in PLAIN_ATTRIBUTES:
            setattr(self, name, saved.attributes[name])
        # The first folders have none of these.
        self.label_form_ = LabelForm(saved.classes, saved.attributes.get("labels", "single"))
        self.thresholds_ = np.array(saved.attributes.get("thresholds", [0.5] * len(saved.classes)))
        self.class_count_ = np.array(saved.attributes.get("class_count", [0] * len(saved.classes)))
        self.n_samples_fit_ = saved.attributes.get("documents", 0)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for `pickle`, `joblib` and `copy`: of what was fitted, the files that `save` writes."""
        state: dict[str, Any] = super().__getstate__()
        if "model_" in state:
            state = {name: value for name, value in state.items() if name not in (*FITTED_ATTRIBUTES, "_stream")}
            state["saved"] = to_bytes(self._saved())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what `__getstate__` returned."""
        state = dict(state)
        contents = state.pop("saved", None)
        super().__setstate__(state)
        if contents is not None:
            self._restore(from_bytes(contents, {name for name in FUNCTIONS if getattr(self, name) is not None}))

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

    def _warn_of_cut(self, cut: int, documents: int) -> None:
        if cut:
            warnings.warn(
                f"{cut} of {documents} documents have more than max_sentences={self.max_sentences} sentences "
                "and were cut there",
                UserWarning,
                stacklevel=3,
            )
