"""The hierarchical attention network as most Keras code has it: dense blocks, `TimeDistributed`, fixed maxima.

The maxima hold all words of 99 of 100 reviews; the rest of a longer one is cut. Padded words are masked, padded
sentences are not, as `TimeDistributed` loses their mask; both are computed on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.speed.contender import (
    BATCH_SIZE,
    CLIPNORM,
    DROPOUT,
    EMBEDDING_DIM,
    LEARNING_RATE,
    UNITS,
    WORD_DROPOUT,
    Network,
)
from han.backend import keras
from han.layers.pooling import AttentionPooling
from han.text.corpus import Corpus
from han.text.vocabulary import Vocabulary

MAX_SENTENCES = 48
MAX_WORDS = 50


class KerasHan(Network):
    """The network, compiled and fitted by Keras."""

    def build(self, vocabulary: Vocabulary, corpus: Corpus) -> None:
        """Build the network, and one padded block of all documents."""
        keras.utils.set_random_seed(0)
        layers = keras.layers
        sentence = layers.Input([MAX_WORDS], dtype="int32")
        embedded = layers.Embedding(vocabulary.size, EMBEDDING_DIM, mask_zero=True)(sentence)
        embedded = layers.Dropout(WORD_DROPOUT, noise_shape=(None, MAX_WORDS, 1))(embedded)
        states = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(layers.Dropout(DROPOUT)(embedded))
        words = keras.Model(sentence, AttentionPooling()(states))
        document = layers.Input([MAX_SENTENCES, MAX_WORDS], dtype="int32")
        vectors = layers.Dropout(DROPOUT)(layers.TimeDistributed(words)(document))
        states = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(vectors)
        vector = layers.Dropout(DROPOUT)(AttentionPooling()(states))
        self.model = keras.Model(document, layers.Dense(len(self.classes), activation="softmax")(vector))
        self.model.compile(
            keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=CLIPNORM), "sparse_categorical_crossentropy"
        )
        self.documents = blocks(corpus)

    def epoch(self) -> None:
        """Take a step for each batch."""
        self.model.fit(self.documents, self.targets, batch_size=BATCH_SIZE, epochs=1, verbose=0)

    def classify(self, corpus: Corpus) -> npt.NDArray[np.int64]:
        """Return class indices."""
        probabilities = self.model.predict(blocks(corpus), batch_size=BATCH_SIZE, verbose=0)
        indices: npt.NDArray[np.int64] = np.argmax(probabilities, axis=1)
        return indices


def blocks(corpus: Corpus) -> npt.NDArray[np.int32]:
    """Return all documents as one block [documents, MAX_SENTENCES, MAX_WORDS], 0 for padding."""
    block = np.zeros((len(corpus), MAX_SENTENCES, MAX_WORDS), np.int32)
    for document in range(len(corpus)):
        first, last = corpus.document_starts[document : document + 2]
        for row, sentence in enumerate(range(first, min(last, first + MAX_SENTENCES))):
            words = corpus.word_ids[corpus.sentence_starts[sentence] : corpus.sentence_starts[sentence + 1]]
            block[document, row, : len(words)] = words[:MAX_WORDS]
    return block
