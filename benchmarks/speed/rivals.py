"""The contenders of `make bench NAME=speed`: the same task, solved with han and with other libraries.

Every contender learns from texts and labels and predicts labels from texts. The networks, but for `han` with default
settings, have the same sizes, batch size and optimizer settings, and read the same words: `Corpus` encodes the
documents for all of them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.contender import (
    BATCH_SIZE,
    DROPOUT,
    EMBEDDING_DIM,
    LEARNING_RATE,
    THREADS,
    UNITS,
    VOCABULARY,
    WORD_DROPOUT,
    Contender,
    Labels,
    seconds,
)
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter

# Words and dimensions of model2vec's usual models.
STATIC_SHAPE = 30_000, 256


# The network that the others are.
PLAIN = {
    "cell": "lstm",
    "embedding_dim": EMBEDDING_DIM,
    "units": UNITS,
    "max_vocabulary": VOCABULARY,
    "batch_size": BATCH_SIZE,
    "learning_rate": LEARNING_RATE,
    "residual": False,
    "ngram_evidence": False,
    "averaging": 0.0,
    "dropout": DROPOUT,
    "embedding_dropout": DROPOUT,
    "word_dropout": WORD_DROPOUT,
}


class Han:
    """The project, used as its users do; an epoch is timed from inside `fit`, the second one of two.

    Parameters
    ----------
    **settings
        Hyper-parameters that are not the default ones.
    """

    def __init__(self, **settings: Any) -> None:
        from han import HANClassifier
        from han.backend import keras

        class Clock(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.started = time.perf_counter()

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.seconds = time.perf_counter() - self.started

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if not hasattr(self, "first_step"):
                    self.first_step = time.perf_counter()

        self.clock = Clock
        self.classifier = HANClassifier(validation_fraction=0, random_state=0, verbose=0, **settings)

    def prepare(self, texts: list[str], labels: Labels) -> None:
        """Remember the documents; `fit` does the rest."""
        self.texts, self.labels = texts, labels

    def train(self, epochs: int = 2) -> float:
        """Fit; return the seconds of the last epoch."""
        clock = self.clock()
        started = time.perf_counter()
        self.classifier.set_params(epochs=epochs).fit(self.texts, self.labels, callbacks=[clock])
        self.to_first_step = clock.first_step - started
        return float(clock.seconds)

    def predict(self, texts: list[str]) -> Labels:
        """Return labels."""
        labels: Labels = self.classifier.predict(texts)
        return labels


class LinearModel:
    """TF-IDF of 1- and 2-grams and logistic regression, of scikit-learn."""

    def prepare(self, texts: list[str], labels: Labels) -> None:
        """Remember the documents."""
        from han.evaluation.measures import baselines

        self.pipeline = baselines()["TF-IDF + logistic regression"]
        self.texts, self.labels = texts, labels

    def train(self) -> float:
        """Fit from texts."""
        return seconds(lambda: self.pipeline.fit(self.texts, self.labels))

    def predict(self, texts: list[str]) -> Labels:
        """Return labels."""
        labels: Labels = self.pipeline.predict(texts)
        return labels


def fasttext_line(text: str) -> str:
    """Return a text's words as fastText reads them: lower-cased, with spaces between."""
    return " ".join(word for sentence in DocumentSplitter()(text.lower()) for word in sentence)


class FastText:
    """fastText (Joulin et al. 2017), as floret packages it, with 1- and 2-grams and its tutorial's learning rate."""

    def prepare(self, texts: list[str], labels: Labels) -> None:
        """Write the documents as fastText reads them: one a line, after its label."""
        self.file = Path(tempfile.mkdtemp()) / "train.txt"
        # It reads the file in order, and learns little from one that is sorted by class.
        order = np.random.default_rng(0).permutation(len(texts))
        lines = (f"__label__{labels[index]} {fasttext_line(texts[index])}\n" for index in order)
        self.file.write_text("".join(lines), encoding="utf-8")

    def train(self) -> float:
        """Fit from the file, five epochs."""
        import floret

        def fit() -> None:
            self.model = floret.train_supervised(
                str(self.file), lr=0.5, wordNgrams=2, minCount=2, thread=THREADS, verbose=0
            )

        return seconds(fit)

    def predict(self, texts: list[str]) -> Labels:
        """Return labels."""
        labels, _ = self.model.predict([fasttext_line(text) for text in texts])
        return np.array([label[0].removeprefix("__label__") for label in labels])


class StaticVectors:
    """model2vec (Tulkens & van Dongen 2024) and logistic regression.

    The vectors are random, of the size that its models usually have, since only their speed counts here.
    """

    def prepare(self, texts: list[str], labels: Labels) -> None:
        """Build a static model of the words of the documents."""
        from model2vec import StaticModel
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

        reader, _ = DocumentReader.learn(texts, DocumentSplitter(), 2, STATIC_SHAPE[0])
        ids = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *reader.vocabulary])}
        tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))  # noqa: S106
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        vectors = np.random.default_rng(0).normal(size=(len(ids), STATIC_SHAPE[1])).astype(np.float32)
        self.model = StaticModel(vectors, tokenizer)
        self.texts, self.labels = texts, labels

    def train(self) -> float:
        """Fit from texts."""
        from sklearn.linear_model import LogisticRegression

        self.regression = LogisticRegression(max_iter=1000)
        return seconds(lambda: self.regression.fit(self.model.encode(self.texts), self.labels))

    def predict(self, texts: list[str]) -> Labels:
        """Return labels."""
        labels: Labels = self.regression.predict(self.model.encode(texts))
        return labels


def contender(name: str) -> Contender:
    """Return a new contender by its name."""
    if name == "torch":
        from benchmarks.speed.torch_han import TorchHan

        return TorchHan()
    if name == "keras":
        from benchmarks.speed.keras_han import KerasHan

        return KerasHan()
    if name == "plain":
        return Han(**PLAIN)
    others: dict[str, type[Contender]] = {
        "han": Han,
        "linear": LinearModel,
        "fasttext": FastText,
        "static": StaticVectors,
    }
    return others[name]()
