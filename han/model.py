"""The hierarchical attention network as a `keras.Model`."""

from __future__ import annotations

import os
from typing import Any

from han.backend import keras, tf
from han.backend.variables import shared_kernels
from han.exceptions import InvalidValueError
from han.layers.encoder import BidirectionalEncoder
from han.layers.level import Level
from han.layers.ngrams import Evidence, NgramEvidence
from han.layers.packing import owners, unpack, unpad
from han.layers.pooling import POOLINGS, AttentionPooling
from han.recurrence.operation import portable
from han.text.corpus import Documents


@keras.saving.register_keras_serializable(package="han")
class HierarchicalAttentionNetwork(keras.Model):
    """Hierarchical attention network (Yang et al. 2016).

    ::

        words -> embedding -> bidirectional LSTM -> attention pooling -> sentence vectors
        sentence vectors   -> bidirectional LSTM -> attention pooling -> document vectors -> logits -> softmax
        words, word pairs  -> linear model of n-grams (optional) -------------------------> + logits

    There may be any number of documents, sentences and words. Padding is removed before anything is computed, so the
    output for a document does not depend on the other documents of its batch.

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids, including padding (0).
    classes : int
        Number of classes, at least 2.
    embedding_dim : int, default 100
        Width of the word vectors that are trained.
    frozen_dim : int, default 0
        Width of additional word vectors that are not trained (the layer `frozen_embedding`, initialised with zeros).
    ratio_dim : int, default 0
        Number of additional features of words that are not trained (the layer `log_count_ratios`, initialised with
        zeros), see `han.training.log_count_ratios`. Not part of the paper.
    units : int, default 50
        Width of the recurrent state in each direction, for words and for sentences.
    cell : {"lstm", "gru"}, default "lstm"
        Recurrent cell of both encoders.
    pooling : {"attention", "mean", "max"}, default "attention"
        HN-ATT, HN-AVE or HN-MAX in the paper, for words and for sentences.
    residual : bool, default False
        Add a projection of its inputs to the states of each encoder, see `BidirectionalEncoder`. Not part of the paper.
    additive : bool, default False
        Let the document vector be the mean, weighted by attention, of the projected sentence vectors instead of the
        sentence encoder's states. The states determine the attention only, so that the logits are sums of contributions
        of words; see `han.inference.contributions`. Needs `residual` and pooling by attention. Not part of the
        paper.
    multi_label : bool, default False
        Use a sigmoid for multi-label classification instead of the softmax.
    ngrams : int, default 0
        Number of n-grams in the linear model (the layer `evidence`) whose logits are added to those of the network; 0
        for no linear model. It is fitted separately, see `with_evidence`. Not part of the paper.
    dropout : float in [0, 1), default 0.0
        Dropout rate of the sentence vectors, with one mask per document (Gal & Ghahramani 2016), and of the document
        vector.
    embedding_dropout : float in [0, 1), default 0.0
        Dropout rate of the word vectors' features, with one mask per distinct word of a batch: a feature is dropped for
        all occurrences of a word or for none.
    word_dropout : float in [0, 1), default 0.0
        Probability that all occurrences of a word in a batch are replaced by zeros.
    recurrent_dropout : float in [0, 1), default 0.0
        Dropout rate of the recurrent kernels, see `BidirectionalEncoder`.
    l2 : float, default 0.0
        L2 penalty on the projection kernels and context vectors of attention.
    seed : int or None, default None
        Seed of the initial weights and of dropout.
    **kwargs
        Arguments of `keras.Model` (`name`, ...). The dtype is float32, whatever Keras' global policy is.

    Raises
    ------
    ValueError
        If `classes` is below 2, `pooling` or `cell` is unknown, `additive` is set without `residual` or with
        another pooling, or the dtype is not float32.

    References
    ----------
    Gal & Ghahramani 2016, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks,
    https://arxiv.org/abs/1512.05287

    Yang et al. 2016, Hierarchical Attention Networks for Document Classification, https://aclanthology.org/N16-1174/

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
        frozen_dim: int = 0,
        ratio_dim: int = 0,
        units: int = 50,
        cell: str = "lstm",
        pooling: str = "attention",
        residual: bool = False,
        additive: bool = False,
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
        if additive and (not residual or pooling != "attention"):
            given = f"residual={residual!r} and pooling={pooling!r}"
            raise InvalidValueError(f'additive needs residual=True and pooling="attention", got {given}')
        super().__init__(**{**kwargs, "dtype": kwargs.get("dtype") or "float32"})
        self._arguments: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "classes": classes,
            "embedding_dim": embedding_dim,
            "frozen_dim": frozen_dim,
            "ratio_dim": ratio_dim,
            "units": units,
            "cell": cell,
            "pooling": pooling,
            "residual": residual,
            "additive": additive,
            "multi_label": multi_label,
            "ngrams": ngrams,
            "dropout": dropout,
            "embedding_dropout": embedding_dropout,
            "word_dropout": word_dropout,
            "recurrent_dropout": recurrent_dropout,
            "l2": l2,
            "seed": seed,
        }
        # Each layer gets a range of seeds of its own: layers with equal seeds would have equal weights.
        seeds = [None] * 10 if seed is None else [80 * seed + part for part in range(0, 80, 8)]

        def common(name: str) -> dict[str, Any]:
            """Return the arguments common to all layers; their dtype does not follow Keras' global policy."""
            return {"name": name, "dtype": self.dtype_policy}

        self.embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=keras.initializers.RandomNormal(0.0, 0.1, seeds[0]),
            **common("embedding"),
        )
        self.frozen_embedding, self.log_count_ratios = (
            keras.layers.Embedding(vocabulary_size, width, "zeros", trainable=False, **common(name)) if width else None
            for name, width in (("frozen_embedding", frozen_dim), ("log_count_ratios", ratio_dim))
        )
        self.word_encoder = BidirectionalEncoder(
            units, cell, seeds[1], recurrent_dropout, residual, **common("word_encoder")
        )
        self.word_pooling = _pooling(pooling, l2, seeds[2], **common("word_pooling"))
        self.sentence_encoder = BidirectionalEncoder(
            units, cell, seeds[3], recurrent_dropout, residual, **common("sentence_encoder")
        )
        self.sentence_pooling = _pooling(pooling, l2, seeds[4], **common("sentence_pooling"))
        self.classifier = keras.layers.Dense(
            classes, kernel_initializer=keras.initializers.GlorotUniform(seeds[5]), **common("classifier")
        )
        self.evidence_columns = 1 if classes == 2 and not multi_label else classes
        self.evidence = (
            NgramEvidence(ngrams, vocabulary_size, self.evidence_columns, **common("evidence")) if ngrams else None
        )
        self.embedding_dropout = keras.layers.Dropout(embedding_dropout, seed=seeds[6], **common("embedding_dropout"))
        self.sentence_dropout = keras.layers.Dropout(dropout, seed=seeds[8], **common("sentence_dropout"))
        self.document_dropout = keras.layers.Dropout(dropout, seed=seeds[9], **common("document_dropout"))
        self.word_dropout = keras.layers.Dropout(
            word_dropout, noise_shape=(None, 1), seed=seeds[7], **common("word_dropout")
        )
        self.supports_jit = False  # shapes depend on the word ids

    @shared_kernels()
    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create all weights; none depends on `input_shape`."""
        widths = (self._arguments[name] for name in ("frozen_dim", "ratio_dim", "embedding_dim"))
        words = (None, None, sum(widths))
        states = (None, None, 2 * self._arguments["units"])
        for layer in (self.word_dropout, self.embedding_dropout, self.word_encoder):
            layer.build(words)
        for layer in (self.word_pooling, self.sentence_dropout, self.sentence_encoder, self.sentence_pooling):
            layer.build(states)
        with shared_kernels(any_rows=True):
            for layer in (self.embedding, self.frozen_embedding, self.log_count_ratios):
                if layer is not None:
                    layer.build((None, None))
        for layer in (self.document_dropout, self.classifier):
            layer.build((None, states[-1]))
        if self.evidence is not None:
            self.evidence.build((None, None))

    def call(self, inputs: tf.Tensor, training: bool = False, return_attention_scores: bool = False) -> Any:
        """Classify documents.

        Parameters
        ----------
        inputs : tensor [documents, sentences, words], or Documents
            Word ids of any numeric type; 0 is padding.
        training : bool, default False
            Whether to apply dropout.
        return_attention_scores : bool, default False
            Whether to also return the attention over words and over sentences.

        Returns
        -------
        probabilities : float tensor [documents, classes]
        word_scores : float tensor [documents, sentences, words]
            Only with `return_attention_scores`. They sum to one over each sentence and are zero at padding. [words] for
            `Documents`.
        sentence_scores : float tensor [documents, sentences]
            Only with `return_attention_scores`. They sum to one over each document and are zero at sentences without
            words. [sentences] for `Documents`.

        Raises
        ------
        ValueError
            If the inputs have another shape, or attention scores are requested from max pooling.
        """
        if return_attention_scores and self._arguments["pooling"] == "max":
            raise InvalidValueError(
                'return_attention_scores needs pooling "attention" or "mean"; max pooling has no scores'
            )
        if isinstance(inputs, tuple):
            if len(inputs) != len(Documents._fields) or any(len(part.shape) != 1 for part in inputs):
                raise InvalidValueError(
                    f"inputs must be a block or Documents of three one-dimensional arrays, got a tuple of {len(inputs)}"
                )
            results = self.forward(Documents(*(tf.cast(part, tf.int32) for part in inputs)), training)
            return results if return_attention_scores else results[0]
        if len(inputs.shape) != 3:
            raise InvalidValueError(f"inputs must have the shape [documents, sentences, words], got {inputs.shape}")
        documents, word_mask, sentence_mask = unpad(tf.cast(inputs, tf.int32))
        probabilities, word_scores, sentence_scores = self.forward(documents, training)
        if not return_attention_scores:
            return probabilities
        return probabilities, unpack(word_scores, word_mask), unpack(sentence_scores, sentence_mask)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Return the shape of the probabilities, given the shape of a block or the shapes of `Documents`."""
        documents = input_shape[-1][0] if isinstance(input_shape[0], tuple | list) else input_shape[0]
        return (documents, self._arguments["classes"])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Infer the outputs by tracing `call`, since `compute_output_shape` does not know about attention scores."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",  # noqa: A002 - Keras' name
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export the network for inference, see `keras.Model.export`.

        Parameters
        ----------
        filepath, format, verbose, **kwargs
            As for `keras.Model.export`.
        input_signature : optional
            Default: one block of word ids, int32 [documents, sentences, words] of any size.
        """
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=(None, None, None), dtype="int32", name="word_ids")]
        with portable():
            super().export(filepath, format, verbose, input_signature, **kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Raise a NotImplementedError: the lookup of word vectors and the compiled recurrence support only float32."""
        raise NotImplementedError("a HierarchicalAttentionNetwork cannot be quantized: it computes in float32")

    def forward(
        self, documents: Documents, training: bool, ratios: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return probabilities, and word and sentence scores without padding.

        `ratios` [distinct words, ratio_dim] replace those of the layer `log_count_ratios`.
        """
        distinct, rows = tf.unique(documents.word_ids)
        evidence = self.document_evidence(documents)
        table = self.project_words(distinct, training, ratios)
        vectors, word_scores = self.encode_sentences(documents._replace(word_ids=rows), table, training=training)
        probabilities, sentence_scores = self.classify_sentences(
            vectors, documents.document_lengths, evidence, training=training
        )
        return probabilities, word_scores, sentence_scores

    def project_words(self, word_ids: tf.Tensor, training: bool = False, ratios: tf.Tensor | None = None) -> tf.Tensor:
        """Embed words [rows] and project them for the word encoder; `training` applies dropout."""
        embedded = self.word_dropout(self.embed(word_ids, ratios), training=training)
        return self.word_encoder.project(self.embedding_dropout(embedded, training=training))

    def embed(self, word_ids: tf.Tensor, ratios: tf.Tensor | None = None) -> tf.Tensor:
        """Return the vectors of words [rows, frozen_dim + ratio_dim + embedding_dim].

        `ratios` [rows, ratio_dim] replace those of the layer `log_count_ratios`.
        """

        def rows(layer: keras.layers.Embedding | None) -> list[tf.Tensor]:
            # Gathered from the variable, so that only the rows looked up are read and have a gradient.
            return [] if layer is None else [tf.gather(layer.embeddings.value, word_ids)]

        known = rows(self.log_count_ratios) if ratios is None else [ratios]
        return tf.concat([*rows(self.frozen_embedding), *known, *rows(self.embedding)], axis=1)

    def word_level(self) -> Level:
        """Return the word encoder and its pooling."""
        return Level(self.word_encoder, self.word_pooling)

    def sentence_level(self) -> Level:
        """Return the sentence encoder and its pooling."""
        return Level(self.sentence_encoder, self.sentence_pooling, self._arguments["additive"])

    def encode_sentences(
        self, documents: Documents, table: tf.Tensor, *, differentiable: bool = True, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return sentence vectors [sentences, 2 * units] and word scores (equations 1-7).

        `documents.word_ids` are row indices of `table`, see `project_words`.
        """
        word_ids, lengths, _ = documents
        return self.word_level().pool(table, word_ids, lengths, differentiable=differentiable, training=training)

    def encode_documents(
        self,
        vectors: tf.Tensor,
        index: tf.Tensor,
        document_lengths: tf.Tensor,
        *,
        differentiable: bool = True,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return document vectors [documents, 2 * units] and sentence scores (equations 8-10).

        The vector of sentence i is `vectors[index[i]]`.
        """
        table = self.sentence_encoder.project(vectors)
        return self.sentence_level().pool(
            table, index, document_lengths, differentiable=differentiable, training=training
        )

    def classify_sentences(
        self,
        vectors: tf.Tensor,
        document_lengths: tf.Tensor,
        evidence: tf.Tensor,
        *,
        differentiable: bool = True,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return probabilities and sentence scores, given the vectors of all sentences in their order."""
        if training:
            mask = self.sentence_dropout(tf.ones([tf.size(document_lengths), vectors.shape[1]]), training=True)
            vectors *= tf.gather(mask, owners(document_lengths))
        index = tf.range(tf.shape(vectors)[0])
        document_vectors, sentence_scores = self.encode_documents(
            vectors, index, document_lengths, differentiable=differentiable, training=training
        )
        document_vectors = self.document_dropout(document_vectors, training=training)
        return self.class_probabilities(document_vectors, evidence), sentence_scores

    def class_probabilities(self, document_vectors: tf.Tensor, evidence: tf.Tensor) -> tf.Tensor:
        """Return probabilities [documents, classes] (equation 11), with the n-gram evidence added to the logits."""
        logits = self.logits(document_vectors, evidence)
        return tf.sigmoid(logits) if self._arguments["multi_label"] else tf.nn.softmax(logits)

    def logits(self, document_vectors: tf.Tensor, evidence: tf.Tensor) -> tf.Tensor:
        """Return the logits [documents, classes], including the n-gram evidence."""
        return self.classifier(document_vectors) + self.class_evidence(evidence)

    def document_evidence(self, documents: Documents) -> tf.Tensor:
        """Return the n-gram evidence of documents [documents, columns]; zeros without n-grams."""
        if self.evidence is None:
            return tf.zeros([tf.size(documents.document_lengths), self.evidence_columns])
        return self.evidence.logits(documents)

    def evidence_logits(self, documents: Documents) -> tf.Tensor:
        """Return the logits of the linear model alone [documents, classes]."""
        return self.class_evidence(self.document_evidence(documents))

    def class_evidence(self, evidence: tf.Tensor) -> tf.Tensor:
        """Convert evidence [..., columns] to logits [..., classes]; a single column belongs to the second class."""
        return tf.pad(evidence, [[0, 0], [self._arguments["classes"] - self.evidence_columns, 0]])

    def with_evidence(self, evidence: Evidence | None, **settings: Any) -> HierarchicalAttentionNetwork:
        """Return an uncompiled copy of the network to whose logits a linear model of n-grams adds its own.

        The two are trained separately: trained together, the network would only learn to correct the errors that the
        linear model makes on its training documents.

        Parameters
        ----------
        evidence : Evidence or None
            The weights of the linear model; None for a copy without one.
        **settings
            Constructor arguments to override. Only the seed and the dropout rates, since these do not affect the
            weights' shapes.
        """
        ngrams = len(evidence.keys) if evidence else 0
        copy = HierarchicalAttentionNetwork(**{**self.get_config(), **settings, "ngrams": ngrams})
        copy.build((None, None, None))
        network_weights = len(self.weights) - (len(Evidence._fields) if self.evidence is not None else 0)
        copy.set_weights([*self.get_weights()[:network_weights], *(evidence or ())])
        return copy

    def ngram_weights(self) -> Evidence | None:
        """Return the weights of the linear model of n-grams, or None without one."""
        return None if self.evidence is None else Evidence(*self.evidence.get_weights())

    def scale_logits(self, network: float, evidence: float) -> None:
        """Scale the weights, so that the logits of the network and of the n-grams are multiplied by these factors."""
        ngrams = [] if self.evidence is None else [self.evidence.table, self.evidence.bias]
        for factor, weights in ((network, self.classifier.weights), (evidence, ngrams)):
            for weight in weights:
                weight.assign(factor * weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {**self._arguments, "name": self.name}


def _pooling(pooling: str, l2: float, seed: int | None, **settings: Any) -> keras.layers.Layer:
    layer = POOLINGS[pooling]
    return layer(l2=l2, seed=seed, **settings) if layer is AttentionPooling else layer(**settings)
