"""What a trained classifier is: described, saved and loaded, pickled, exported."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from han.data.labels import LabelEncoder
from han.data.validation import Labels
from han.exceptions import ModelFileError, TrainingWarning
from han.hyperparameters import ALLOWED, Choice, check_parameters
from han.inference import forked
from han.model import HierarchicalAttentionNetwork
from han.saving.card import model_card
from han.saving.export import FORMATS, check_export, export
from han.saving.folder import SavedModel, from_bytes, function_name, read_model, to_bytes, write_model
from han.text.alignment import Splitter
from han.text.normalization import INVISIBLE, PLAIN, SHAPES
from han.text.vocabulary import FIRST_WORD_ID, PADDING_ID, UNKNOWN_ID, Vocabulary
from han.text.words import WORD_PATTERN

# Attributes of a fitted classifier that are stored with its settings.
PLAIN_ATTRIBUTES = ("history_", "embedding_coverage_", "temperature_")
ARRAYS = ("classes_", "class_count_", "thresholds_")
FITTED_ATTRIBUTES = (*PLAIN_ATTRIBUTES, *ARRAYS, "n_samples_fit_", "label_form_", "vocabulary_", "model_")
FUNCTIONS = ("sentence_splitter", "tokenizer")


class StoredClassifier(BaseEstimator):
    """The part of `HANClassifier` that describes, saves and exports what was fitted; see there for the attributes."""

    classes_: Labels
    class_count_: npt.NDArray[np.int64]
    n_samples_fit_: int
    label_form_: LabelEncoder
    thresholds_: npt.NDArray[np.float64]
    embedding_coverage_: float | None
    temperature_: float
    history_: dict[str, list[float]]
    vocabulary_: Vocabulary
    model_: HierarchicalAttentionNetwork
    embeddings: Any

    # Whether the vectors that were given as `embeddings` were left out when the classifier was stored.
    _lost_vectors = False

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
        check_is_fitted(self)
        parameters = check_parameters(self.get_params(deep=False), ALLOWED)
        history = self.history_
        epochs = len(history.get("loss", []))
        facts: dict[str, Any] = {
            "classes": dict(zip(map(str, self.classes_.tolist()), self.class_count_.tolist(), strict=True)),
            "multi_label": self.label_form_.multi_label,
            "training_documents": self.n_samples_fit_,
            "known_words": len(self.vocabulary_),
            "ngrams": self.model_.get_config()["ngrams"],
            "weights": int(self.model_.count_params()),
            "epochs": epochs,
        }
        if "val_loss" in history:
            # What was monitored, unless that was set to something else since.
            monitor = self.monitor if f"val_{self.monitor}" in history else "loss"
            monitored = np.array(history[f"val_{monitor}"])
            best = int(monitored.argmin() if monitor == "loss" else monitored.argmax())
            facts["validation"] = {
                name.removeprefix("val_"): values[best] for name, values in history.items() if name.startswith("val_")
            }
        if self.embedding_coverage_ is not None:
            facts["words_with_a_vector"] = self.embedding_coverage_
        if self.temperature_ != 1.0:
            facts["temperature"] = self.temperature_
        return {**facts, "parameters": parameters}

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
        check_is_fitted(self)
        if format is not None:
            check_parameters({"format": format}, {"format": Choice(FORMATS)})
        target, form = check_export(path, format, overwrite)
        forked.refuse("HANClassifier.export")
        return export(target, form, self.model_, self.tokenizer_settings())

    def tokenizer_settings(self) -> dict[str, Any]:
        """Return all that it takes to turn documents into numbers, as `export` writes it."""
        check_is_fitted(self)
        parameters = check_parameters(self.get_params(deep=False), ALLOWED)
        functions = {name: parameters[name] for name in FUNCTIONS}
        return {
            **{name: parameters[name] for name in ("max_sentences", "max_words", "language")},
            **{name: function and function_name(function) for name, function in functions.items()},
            **({} if self.tokenizer else {"word_pattern": WORD_PATTERN}),
            "lower_case": True,
            "normalization": {"invisible": INVISIBLE, "shapes": SHAPES, "plain": PLAIN},
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
        check_parameters(functions, {name: ALLOWED[name] for name in functions})
        saved = read_model(path, {name for name, function in functions.items() if function is not None})
        try:
            classifier = cls(**saved.parameters, **functions)
            check_parameters(classifier.get_params(deep=False), ALLOWED)
            classifier._restore(saved)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} must hold the settings of a saved classifier: {error}") from error
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
        self._lost_vectors = self.embeddings is None and self.embedding_coverage_ is not None
        # The first folders have none of these.
        self.label_form_ = LabelEncoder(saved.classes, saved.attributes.get("labels", "single"))
        self.thresholds_ = np.array(saved.attributes.get("thresholds", [0.5] * len(saved.classes)))
        self.class_count_ = np.array(saved.attributes.get("class_count", [0] * len(saved.classes)))
        self.n_samples_fit_ = saved.attributes.get("documents", 0)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for `pickle` and `joblib`: of what was fitted, the files that `save` writes.

        Word vectors given as `embeddings` are in the network then, and left out, as by `save`. An unfitted classifier
        keeps them: it cannot be fitted in another process without them.
        """
        state: dict[str, Any] = super().__getstate__()
        if "model_" in state:
            state = {name: value for name, value in state.items() if name not in (*FITTED_ATTRIBUTES, "_stream")}
            if not isinstance(self.embeddings, str | os.PathLike):
                state["embeddings"] = None
            state["saved"] = to_bytes(self._saved())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what `__getstate__` returned."""
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
        """Return a classifier of this state that shares the word vectors, which nothing changes."""
        copied = type(self).__new__(type(self))
        copied.__setstate__(state)
        return self._share_vectors(copied)

    def __sklearn_clone__(self) -> Self:
        """Return what `sklearn.base.clone` does, but for word vectors, which are shared: there may be gigabytes."""
        lighter = type(self).__new__(type(self))
        lighter.__dict__.update(self.__dict__, embeddings=None)
        return self._share_vectors(super(StoredClassifier, lighter).__sklearn_clone__())

    def _share_vectors(self, other: Self) -> Self:
        other.embeddings = self.embeddings
        other._lost_vectors = self._lost_vectors
        return other

    def _warn_of_lost_vectors(self) -> None:
        if self._lost_vectors and self.embeddings is None:
            warnings.warn(
                "embeddings is None: the word vectors that this classifier was fitted with before are not stored with "
                "it, and it is fitted without; set embeddings to use them",
                TrainingWarning,
                stacklevel=3,
            )
