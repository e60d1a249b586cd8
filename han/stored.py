"""What a trained classifier is: described, saved and loaded, pickled, exported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from han import forked
from han.alignment import Splitter
from han.card import model_card
from han.exceptions import ModelFileError
from han.export import FORMATS, export
from han.labels import LabelForm
from han.model import HierarchicalAttentionNetwork
from han.normalization import INVISIBLE, PLAIN, SHAPES
from han.parameters import ALLOWED, Choice, check_parameters
from han.persistence import SavedModel, from_bytes, function_name, read_model, to_bytes, write_model
from han.text import WORD_PATTERN
from han.validation import Labels
from han.vocabulary import FIRST_WORD_ID, PADDING_ID, UNKNOWN_ID, Vocabulary

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
    label_form_: LabelForm
    thresholds_: npt.NDArray[np.float64]
    embedding_coverage_: float | None
    temperature_: float
    history_: dict[str, list[float]]
    vocabulary_: Vocabulary
    model_: HierarchicalAttentionNetwork

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
        DestinationError
            If the folder is there already.
        MissingExtraError
            If onnx is not installed.
        ForkedProcessError
            In a process that was forked after TensorFlow had begun to work.
        """
        check_is_fitted(self)
        check_parameters({"format": format}, {"format": Choice(FORMATS)})
        forked.refuse("HANClassifier.export")
        return export(Path(path), format, self.model_, self.tokenizer_settings())

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
        there or the new one.
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
        DestinationError
            If there is something at `path` that is not a saved classifier, or nothing can be written there.
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
        MissingFileError
            If there is no folder at `path`.
        ModelFileError
            If `path` is not a saved classifier, or a file of it is damaged or of a newer format; the file is named. No
            code that a file names is run, whatever it holds.
        InvalidValueError
            If a function is missing or not expected.
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
