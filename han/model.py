"""The hierarchical attention network as a `keras.Model`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from han.backend import keras, tf
from han.backend.graph import graph
from han.backend.variables import shared_kernels
from han.exceptions import InvalidValueError
from han.layers.encoder import BidirectionalEncoder, Tables
from han.layers.ngrams import Evidence, NgramEvidence
from han.layers.packing import pack, unpack, unpad
from han.layers.pooling import POOLINGS, AttentionPooling
from han.text.corpus import Documents


class Projection(NamedTuple):
    """Words, and what the word encoder reads of them.

    Attributes
    ----------
    word_ids : int32 [rows]
    tables : tuple of float tensors [rows, width]
        See `BidirectionalEncoder.project`.
    """

    word_ids: tf.Tensor
    tables: Tables


# What the functions below take: documents as `Corpus.batch` gives them, words as `project` does.
FLAT = Documents(*[tf.TensorSpec([None], tf.int32)] * 3)
PROJECTION = Projection(tf.TensorSpec([None], tf.int32), (tf.TensorSpec([None, None]),) * 3)


@keras.saving.register_keras_serializable(package="han")
class HierarchicalAttentionNetwork(keras.Model):
    """Words to sentence vectors to a document vector to class probabilities (Yang et al. 2016).

    ::

        words -> embedding -> bidirectional LSTM -> attention pooling -> one vector a sentence
        sentence vectors   -> bidirectional LSTM -> attention pooling -> one vector a document -> softmax
        words, word pairs  -> linear model of n-grams, if there is one -----------------> sum of logits

    No axis of the input has a fixed length, and a document's output does not depend on the others in its batch:
    padding is left out before anything is computed.

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids, padding (0) included.
    classes : int
        Number of classes, at least 2.
    embedding_dim : int, default 100
    units : int, default 50
        Width of the recurrent state in each direction, for words and for sentences.
    cell : {"lstm", "gru"}, default "lstm"
    pooling : {"attention", "mean", "max"}, default "attention"
        The paper's HN-ATT, HN-AVE and HN-MAX, for words and for sentences.
    residual : bool, default False
        Let both encoders pass on their inputs beside their states, see `BidirectionalEncoder`; not in the paper.
    ngrams : int, default 0
        Number of n-grams of a linear model, the layer `evidence`, whose logits are added to the network's. It is not
        trained with the rest, see `with_evidence`; not in the paper. 0 for none.
    dropout : float in [0, 1), default 0.0
        Rate for the sentence vectors (one mask for all sentences of a document, Gal & Ghahramani 2016) and for the
        document vector.
    embedding_dropout : float in [0, 1), default 0.0
        Rate for the embeddings: one mask for each distinct word of a batch, so that a feature dropped for a word is
        dropped at its every occurrence.
    word_dropout : float in [0, 1), default 0.0
        Probability that a distinct word of a batch is replaced by a zero vector at its every occurrence.
    recurrent_dropout : float in [0, 1), default 0.0
        See `BidirectionalEncoder`.
    l2 : float, default 0.0
        L2 penalty on each attention's projection kernel and context vector.
    seed : int or None, default None
        Seed of the initial weights and of dropout.
    **kwargs
        As for any `keras.Model` (`name`, ...). The dtype is float32, whatever Keras' global policy is.

    Examples
    --------
    >>> import numpy as np
    >>> from han.model import HierarchicalAttentionNetwork
    >>> model = HierarchicalAttentionNetwork(vocabulary_size=1000, classes=2)
    >>> documents = np.array([[[5, 7, 2], [4, 0, 0]], [[9, 0, 0], [0, 0, 0]]])
    >>> model(documents).shape
    TensorShape([2, 2])
    """

    @shared_kernels()
    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        embedding_dim: int = 100,
        units: int = 50,
        cell: str = "lstm",
        pooling: str = "attention",
        residual: bool = False,
        multi_label: bool = False,
        ngrams: int = 0,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        word_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        l2: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if classes < 2:
            raise InvalidValueError(f"classes must be at least 2, got {classes!r}")
        if pooling not in POOLINGS:
            raise InvalidValueError(f"pooling must be one of {sorted(POOLINGS)}, got {pooling!r}")
        super().__init__(**{**kwargs, "dtype": kwargs.get("dtype") or "float32"})
        self._arguments: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "classes": classes,
            "embedding_dim": embedding_dim,
            "units": units,
            "cell": cell,
            "pooling": pooling,
            "residual": residual,
            "multi_label": multi_label,
            "ngrams": ngrams,
            "dropout": dropout,
            "embedding_dropout": embedding_dropout,
            "word_dropout": word_dropout,
            "recurrent_dropout": recurrent_dropout,
            "l2": l2,
            "seed": seed,
        }
        # Every part gets its own stretch of seeds: equal seeds would give two layers equal weights.
        seeds = [None] * 10 if seed is None else [80 * seed + part for part in range(0, 80, 8)]

        def own(name: str) -> dict[str, Any]:
            """Return what every layer takes: its name, and a dtype that does not follow Keras' global policy."""
            return {"name": name, "dtype": self.dtype_policy}

        self.embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=keras.initializers.RandomNormal(0.0, 0.1, seeds[0]),
            **own("embedding"),
        )
        self.word_encoder = BidirectionalEncoder(
            units, cell, seeds[1], recurrent_dropout, residual, **own("word_encoder")
        )
        self.word_pooling = _pooling(pooling, l2, seeds[2], **own("word_pooling"))
        self.sentence_encoder = BidirectionalEncoder(
            units, cell, seeds[3], recurrent_dropout, residual, **own("sentence_encoder")
        )
        self.sentence_pooling = _pooling(pooling, l2, seeds[4], **own("sentence_pooling"))
        self.classifier = keras.layers.Dense(
            classes, kernel_initializer=keras.initializers.GlorotUniform(seeds[5]), **own("classifier")
        )
        self.evidence_columns = 0 if not ngrams else 1 if classes == 2 and not multi_label else classes
        self.evidence = (
            NgramEvidence(ngrams, vocabulary_size, self.evidence_columns, **own("evidence")) if ngrams else None
        )
        self.embedding_dropout = keras.layers.Dropout(embedding_dropout, seed=seeds[6], **own("embedding_dropout"))
        self.sentence_dropout = keras.layers.Dropout(dropout, seed=seeds[8], **own("sentence_dropout"))
        self.document_dropout = keras.layers.Dropout(dropout, seed=seeds[9], **own("document_dropout"))
        self.word_dropout = keras.layers.Dropout(
            word_dropout, noise_shape=(None, 1), seed=seeds[7], **own("word_dropout")
        )
        self.supports_jit = False  # the recurrence is compiled already; shapes around it depend on the word ids

    @shared_kernels()
    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create all weights; none depends on the shape of the input."""
        words = (None, None, self._arguments["embedding_dim"])
        states = (None, None, 2 * self._arguments["units"])
        for layer in (self.word_dropout, self.embedding_dropout, self.word_encoder):
            layer.build(words)
        for layer in (self.word_pooling, self.sentence_dropout, self.sentence_encoder, self.sentence_pooling):
            layer.build(states)
        with shared_kernels(any_rows=True):
            self.embedding.build((None, None))
        for layer in (self.document_dropout, self.classifier):
            layer.build((None, states[-1]))
        if self.evidence is not None:
            self.evidence.build((None, None))

    def call(self, inputs: tf.Tensor, training: bool = False, return_attention_scores: bool = False) -> Any:
        """Classify documents.

        Parameters
        ----------
        inputs : tensor [documents, sentences, words], or Documents
            Word ids; 0 is padding. Of any numeric type, as for `keras.layers.Embedding`.
        training : bool, default False
            Apply dropout.
        return_attention_scores : bool, default False
            Also return both levels' attention.

        Returns
        -------
        probabilities : float tensor [documents, classes]
        word_scores : float tensor [documents, sentences, words]
            Only if asked for. Each sentence's scores sum to one; zero at padding. [words] for `Documents`.
        sentence_scores : float tensor [documents, sentences]
            Only if asked for. Each document's scores sum to one; zero at sentences without words. [sentences] for
            `Documents`.
        """
        if return_attention_scores and self._arguments["pooling"] == "max":
            raise InvalidValueError(
                'return_attention_scores needs pooling "attention" or "mean"; max pooling has no scores'
            )
        if isinstance(inputs, tuple):
            if len(inputs) != len(Documents._fields) or any(len(part.shape) != 1 for part in inputs):
                raise InvalidValueError(
                    f"inputs must be a block or Documents of three flat parts, got a tuple of {len(inputs)}"
                )
            results = self._classify(Documents(*(tf.cast(part, tf.int32) for part in inputs)), training)
            return results if return_attention_scores else results[0]
        if len(inputs.shape) != 3:
            raise InvalidValueError(f"inputs must have the shape [documents, sentences, words], got {inputs.shape}")
        documents, word_mask, sentence_mask = unpad(tf.cast(inputs, tf.int32))
        probabilities, word_scores, sentence_scores = self._classify(documents, training)
        if not return_attention_scores:
            return probabilities
        return probabilities, unpack(word_scores, word_mask), unpack(sentence_scores, sentence_mask)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return [documents, classes] for the shape of a block, or of `Documents`."""
        documents = input_shape[-1][0] if isinstance(input_shape[0], tuple | list) else input_shape[0]
        return (documents, self._arguments["classes"])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the call: with attention scores there are three outputs, which `compute_output_shape` cannot say."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",  # noqa: A002 - Keras' name
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the network for inference, as `keras.Model.export` does.

        Parameters
        ----------
        filepath, format, verbose, **kwargs
            As for `keras.Model.export`.
        input_signature : optional
            A block of word ids, int32 [documents, sentences, words] of any size, by default.
        """
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=(None, None, None), dtype="int32", name="word_ids")]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Raise a NotImplementedError: the word vectors are read, and the recurrence is compiled, in float32."""
        raise NotImplementedError("a HierarchicalAttentionNetwork cannot be quantized: it computes in float32")

    def _classify(self, documents: Documents, training: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return probabilities, word scores and sentence scores, the scores without padding."""
        distinct, index = tf.unique(documents.word_ids)
        evidence = self.said(documents)
        return self._read(
            documents._replace(word_ids=index), self.project_words(distinct, training), evidence, training
        )

    def project_words(self, word_ids: tf.Tensor, training: bool = False) -> Tables:
        """Return what the word encoder reads of words [rows]; with dropout, and a gradient, if they are trained."""
        # Through the variable, not the layer: this reads, and has a gradient at, only the rows it looks up.
        embedded = tf.gather(self.embedding.embeddings.value, word_ids)
        embedded = self.embedding_dropout(self.word_dropout(embedded, training=training), training=training)
        return self.word_encoder.project(embedded)

    def _shares(self, documents: Documents) -> tf.Tensor:
        """Return the words' shares of the evidence [words, columns]; there are no columns without it."""
        if self.evidence is None:
            return tf.zeros([tf.size(documents.word_ids), 0])
        return self.evidence.shares(documents)

    def _add_up(self, shares: tf.Tensor, documents: Documents) -> tf.Tensor:
        """Return the documents' evidence [documents, columns] for their words' shares of it."""
        if self.evidence is None:
            return tf.zeros([tf.size(documents.document_lengths), 0])
        return self.evidence.add_up(shares, documents)

    def said(self, documents: Documents) -> tf.Tensor:
        """Return the evidence of documents whose words are word ids [documents, columns]."""
        return self._add_up(self._shares(documents), documents)

    def _read(
        self,
        documents: Documents,
        tables: Tables,
        evidence: tf.Tensor,
        training: bool = False,
        differentiable: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Do as `_classify` with words given as rows of `tables`."""
        vectors, word_scores = self.read_words(documents, tables, differentiable, training)
        probabilities, sentence_scores = self.conclude(
            vectors, documents.document_lengths, evidence, training, differentiable
        )
        return probabilities, word_scores, sentence_scores

    def conclude(
        self,
        vectors: tf.Tensor,
        document_lengths: tf.Tensor,
        evidence: tf.Tensor,
        training: bool = False,
        differentiable: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return probabilities and sentence scores for the vectors of the documents' sentences, in their order."""
        if training:
            kept = self.sentence_dropout(tf.ones([tf.size(document_lengths), vectors.shape[1]]), training=True)
            vectors *= tf.repeat(kept, document_lengths, axis=0)
        index = tf.range(tf.shape(vectors)[0])
        document_vectors, sentence_scores = self._read_sentences(
            vectors, index, document_lengths, differentiable, training
        )
        probabilities = self._decide(self.document_dropout(document_vectors, training=training), evidence)
        return probabilities, sentence_scores

    def _decide(self, document_vectors: tf.Tensor, evidence: tf.Tensor) -> tf.Tensor:
        """Return probabilities [documents, classes]."""
        logits = self.classifier(document_vectors)
        if self.evidence is not None:
            logits += self._of_each_class(evidence)
        return tf.sigmoid(logits) if self._arguments["multi_label"] else tf.nn.softmax(logits)

    def _of_each_class(self, evidence: tf.Tensor) -> tf.Tensor:
        """Return the logits [documents, classes]; a single column is of the second of two classes."""
        return tf.pad(evidence, [[0, 0], [self._arguments["classes"] - self.evidence_columns, 0]])

    def evidence_logits(self, documents: Documents) -> tf.Tensor:
        """Return what the evidence alone says [documents, classes]."""
        return self._of_each_class(self.said(documents))

    def read_words(
        self, documents: Documents, tables: Tables, differentiable: bool, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return sentence vectors [sentences, 2 * units] and word scores."""
        packing = pack(documents.sentence_lengths)
        states = self.word_encoder.encode(tables, packing, documents.word_ids, differentiable, training)
        vectors, scores = self.word_pooling.pool(states, packing)
        return vectors, scores

    def _read_sentences(
        self,
        vectors: tf.Tensor,
        index: tf.Tensor,
        document_lengths: tf.Tensor,
        differentiable: bool,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return document vectors and sentence scores; `index` [sentences] names the row of `vectors` of each."""
        packing = pack(document_lengths)
        tables = self.sentence_encoder.project(vectors)
        states = self.sentence_encoder.encode(tables, packing, index, differentiable, training)
        pooled, scores = self.sentence_pooling.pool(states, packing)
        return pooled, scores

    @graph(tf.TensorSpec([None], tf.int32))
    def project(self, word_ids: tf.Tensor) -> Projection:
        """Project words for `read`; at prediction once for all documents."""
        return Projection(word_ids, self.project_words(word_ids))

    def project_distinct(self, documents: Documents) -> tuple[Documents, Projection]:
        """Return documents for `read`: their words as rows of the projection that is returned with them."""
        distinct, rows = tf.unique(documents.word_ids)
        return documents._replace(word_ids=rows), self.project(distinct)

    @graph(FLAT, PROJECTION)
    def read(self, documents: Documents, projection: Projection) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return probabilities and both scores as a call does, from a graph traced once for documents of any length.

        Words are given as rows of what `project` returns. Nothing is kept for a gradient, and there is none. Pooling by
        maxima has no scores: None.
        """
        evidence = self.said(_spelt(documents, projection))
        return self._read(documents, projection.tables, evidence, differentiable=False)

    def weigh(self, network: float, evidence: float) -> None:
        """Multiply the network's own logits, and those of the evidence if there is any, by a factor each."""
        own = [] if self.evidence is None else [self.evidence.table, self.evidence.bias]
        for factor, weights in ((network, self.classifier.weights), (evidence, own)):
            for weight in weights:
                weight.assign(factor * weight)

    def with_evidence(self, evidence: Evidence | None, **settings: Any) -> HierarchicalAttentionNetwork:
        """Return a network with the same weights, not compiled, with a linear model whose logits are added to its own.

        Settings are arguments of the constructor that are to change: the seed and rates, which no weight depends on.

        The network is trained alone, or it would learn little but to correct the linear model on its own training
        documents. None gives the network alone.
        """
        ngrams = len(evidence.keys) if evidence else 0
        other = HierarchicalAttentionNetwork(**{**self.get_config(), **settings, "ngrams": ngrams})
        other.build((None, None, None))
        own = len(self.weights) - (len(Evidence._fields) if self.evidence is not None else 0)
        other.set_weights([*self.get_weights()[:own], *(evidence or ())])
        return other

    def fitted_evidence(self) -> Evidence | None:
        """Return the linear model whose logits are added, if there is one."""
        return None if self.evidence is None else Evidence(*self.evidence.get_weights())

    @graph(FLAT, PROJECTION)
    def sentence_vectors(self, documents: Documents, projection: Projection) -> tf.Tensor:
        """Return the lower half of `read`: a vector for each sentence [sentences, 2 * units]."""
        return self.read_words(documents, projection.tables, differentiable=False)[0]

    @graph(FLAT, PROJECTION)
    def document_evidence(self, documents: Documents, projection: Projection) -> tf.Tensor:
        """Return what n-grams say of documents [documents, columns]; there are no columns without evidence."""
        return self.said(_spelt(documents, projection))

    @graph(
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, None]),
    )
    def read_vectors(
        self, vectors: tf.Tensor, index: tf.Tensor, document_lengths: tf.Tensor, evidence: tf.Tensor
    ) -> tf.Tensor:
        """Return the upper half of `read`: probabilities of documents whose sentences are rows `index` of `vectors`."""
        return self._decide(self._read_sentences(vectors, index, document_lengths, differentiable=False)[0], evidence)

    @graph(FLAT, tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.float32))
    def contributions(self, documents: Documents, targets: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return probabilities with all words' inputs scaled, and what each word contributes to its target's there.

        A word's inputs are its vector and its shares of the evidence. A contribution [words] is the gradient of the
        probability of the document's target class at the word's scaled inputs, times the inputs.
        """
        inputs = tf.gather(self.embedding.embeddings.value, documents.word_ids), self._shares(documents)
        vectors, shares = scaled = tuple(scale * part for part in inputs)
        # Every occurrence of a word is an input of its own here.
        index = tf.range(tf.shape(vectors)[0])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(scaled)
            tables, evidence = self.word_encoder.project(vectors), self._add_up(shares, documents)
            probabilities = self._read(documents._replace(word_ids=index), tables, evidence)[0]
            chosen = tf.gather(probabilities, targets, batch_dims=1)
        gradients = tape.gradient(chosen, scaled, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return probabilities, tf.add_n(
            [tf.reduce_sum(gradient * part, axis=1) for gradient, part in zip(gradients, inputs, strict=True)]
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**self._arguments, "name": self.name}

    def recipe(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return a function and its arguments that make this network in another process, see `han.inference.forked`."""
        return _remade, (self.get_config(), self.get_weights())


def _remade(config: dict[str, Any], weights: list[Any]) -> HierarchicalAttentionNetwork:
    model = HierarchicalAttentionNetwork(**config)
    model.build((None, None, None))
    model.set_weights(weights)
    return model


def _pooling(pooling: str, l2: float, seed: int | None, **settings: Any) -> keras.layers.Layer:
    layer = POOLINGS[pooling]
    return layer(l2=l2, seed=seed, **settings) if layer is AttentionPooling else layer(**settings)


def _spelt(documents: Documents, projection: Projection) -> Documents:
    """Return documents whose words are rows of a projection with their word ids."""
    return documents._replace(word_ids=tf.gather(projection.word_ids, documents.word_ids))
