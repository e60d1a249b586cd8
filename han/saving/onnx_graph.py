"""Conversion of networks to ONNX graphs, from padded blocks of word ids to probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from han.exceptions import missing_extra
from han.layers.encoder import BidirectionalEncoder
from han.layers.ngrams import NgramEvidence
from han.layers.pooling import AttentionPooling, MaxPooling
from han.model import HierarchicalAttentionNetwork
from han.text.vocabulary import PADDING_ID

OPSET, ML_OPSET, IR_VERSION = 18, 3, 9
# The positions of ONNX's gates among Keras' gates: an LSTM has i, o, f, c and i, f, c, o; a GRU has z, r, h in both.
GATES = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}
# Replaces the logits of masked positions.
MASKED_LOGIT = np.float32(-1e30)
Float32 = npt.NDArray[np.float32]


def to_onnx(model: HierarchicalAttentionNetwork) -> bytes:
    """Convert a network to the contents of an ONNX file.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
        A built network.

    Returns
    -------
    bytes
        A model with the input `input`, int32 [documents, sentences, words], padded with 0 after the words of a sentence
        and the sentences of a document, and the output `probabilities`, float32 [documents, classes].

    Raises
    ------
    MissingExtraError
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_extra("export to ONNX", "onnx", "onnx") from error
    graph = _Graph(onnx)
    probabilities = _network(graph, model)
    graph.add("Identity", probabilities, output="probabilities")
    block = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.INT32, ["documents", "sentences", "words"])
    classes = model.classifier.units
    result = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["documents", classes])
    onnx_model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "han", [block], [result], graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="han",
    )
    onnx.checker.check_model(onnx_model)
    content: bytes = onnx_model.SerializeToString()
    return content


class _Graph:
    """A builder of nodes and constants, whose values are referred to by name."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its first output."""
        name = output or f"{operator}_{len(self.nodes)}"
        node = self.onnx.helper.make_node(operator, [*inputs], [name], name=f"node_{name}", domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def constant(self, value: npt.ArrayLike, dtype: type[Any] = np.float32) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a constant vector of integers and return its name."""
        return self.constant(np.array(values), np.int64)

    def cast(self, value: str, dtype: str) -> str:
        """Add a conversion to another type and return the name of the result."""
        return self.add("Cast", value, to=getattr(self.onnx.TensorProto, dtype))

    def size(self, value: str, axis: int) -> str:
        """Return the name of the length of an axis, a vector of one element."""
        return self.add("Shape", value, start=axis, end=axis + 1)


def _network(graph: _Graph, model: HierarchicalAttentionNetwork) -> str:
    block = graph.cast("input", "INT64")
    documents, sentences, words = (graph.size(block, axis) for axis in range(3))
    rows = graph.add("Reshape", block, graph.add("Concat", graph.integers(-1), words, axis=0))
    word_mask = _is_word(graph, rows)  # [documents * sentences, words]
    embedded = graph.add("Gather", graph.constant(model.embed(np.arange(model.embedding.input_dim))), rows)
    vectors = _encode_and_pool(graph, model.word_encoder, model.word_pooling, embedded, word_mask)
    width = graph.integers(2 * model.word_encoder.units)
    vectors = graph.add("Reshape", vectors, graph.add("Concat", documents, sentences, width, axis=0))
    filled = graph.add("ReduceMax", graph.cast(word_mask, "INT32"), graph.integers(1), keepdims=0)
    sentence_mask = graph.cast(graph.add("Reshape", filled, graph.add("Concat", documents, sentences, axis=0)), "BOOL")
    values = None
    if model.get_config()["additive"]:
        values = graph.add("MatMul", vectors, graph.constant(model.sentence_encoder.residual_kernel))
    vector = _encode_and_pool(graph, model.sentence_encoder, model.sentence_pooling, vectors, sentence_mask, values)
    kernel, bias = model.classifier.get_weights()
    logits = graph.add("Add", graph.add("MatMul", vector, graph.constant(kernel)), graph.constant(bias))
    if model.evidence is not None:
        logits = graph.add("Add", logits, _ngram_evidence(graph, model.evidence, model.classifier.units, block))
    if model.get_config()["multi_label"]:
        return graph.add("Sigmoid", logits)
    return graph.add("Softmax", logits, axis=-1)


def _is_word(graph: _Graph, ids: str) -> str:
    return graph.add("Not", graph.add("Equal", ids, graph.constant(PADDING_ID, np.int64)))


def _encode_and_pool(
    graph: _Graph, encoder: BidirectionalEncoder, pooling: Any, inputs: str, mask: str, values: str | None = None
) -> str:
    """Encode and pool sequences [sequences, positions, features] into vectors [sequences, 2 * units].

    Weighted pooling averages `values`, by default the states.
    """
    lengths = graph.add("ReduceSum", graph.cast(mask, "INT32"), graph.integers(1), keepdims=0)
    states = _encode(graph, encoder, inputs, lengths)
    if isinstance(pooling, MaxPooling):
        return _pool_maximum(graph, states, mask, lengths)
    if isinstance(pooling, AttentionPooling):
        kernel, bias, context = (graph.constant(weight) for weight in (pooling.kernel, pooling.bias, pooling.context))
        projected = graph.add("Tanh", graph.add("Add", graph.add("MatMul", states, kernel), bias))
        logits = graph.add("MatMul", projected, context)
    else:  # the mean is a weighted sum with equal logits
        logits = graph.add("Mul", graph.cast(mask, "FLOAT"), graph.constant(0.0))
    return _pool_weighted(graph, values or states, mask, logits)


def _encode(graph: _Graph, encoder: BidirectionalEncoder, inputs: str, lengths: str) -> str:
    """Return the states of a bidirectional recurrent network [sequences, positions, 2 * units]."""
    # ONNX does not allow empty sequences: they are read as one padding position, which pooling masks.
    steps = graph.add("Max", lengths, graph.constant(1, np.int32))
    kernels, recurrent_kernels, biases = _recurrent_weights(encoder)
    extra: dict[str, Any] = {"linear_before_reset": 1} if encoder.cell == "gru" else {}
    states = graph.add(
        encoder.cell.upper(), graph.add("Transpose", inputs, perm=[1, 0, 2]), graph.constant(kernels),
        graph.constant(recurrent_kernels), graph.constant(biases), steps, hidden_size=encoder.units,
        direction="bidirectional", **extra,
    )  # fmt: skip
    # From [positions, directions, sequences, units] to [sequences, positions, 2 * units].
    states = graph.add("Transpose", states, perm=[2, 0, 1, 3])
    states = graph.add("Reshape", states, graph.integers(0, 0, 2 * encoder.units))
    if encoder.residual:
        product = graph.add("MatMul", inputs, graph.constant(encoder.residual_kernel))
        states = graph.add("Add", states, product)
    return states


def _recurrent_weights(encoder: BidirectionalEncoder) -> tuple[Float32, Float32, Float32]:
    """Return kernels, recurrent kernels and biases of both directions in ONNX's layout."""
    directions = [
        [np.asarray(weight) for weight in weights] for weights in (encoder.forward_weights, encoder.backward_weights)
    ]
    gates = GATES[encoder.cell]

    def convert(weights: Float32) -> Float32:
        """Reorder the gates, and move them to the first axis."""
        parts = np.split(weights, len(gates), axis=-1)
        return np.concatenate([parts[gate] for gate in gates], axis=-1).T

    kernels = np.stack([convert(kernel) for kernel, _, _ in directions])
    recurrent_kernels = np.stack([convert(recurrent) for _, recurrent, _ in directions])
    # Keras' LSTM has no separate bias for the recurrent product.
    biases = np.stack(
        [
            np.concatenate([convert(row) for row in (bias if bias.ndim == 2 else np.stack([bias, 0 * bias]))])
            for _, _, bias in directions
        ]
    )
    return kernels, recurrent_kernels, biases


def _pool_maximum(graph: _Graph, states: str, mask: str, lengths: str) -> str:
    column = graph.add("Unsqueeze", mask, graph.integers(2))
    masked = graph.add("Where", column, states, graph.constant(MASKED_LOGIT))
    maximum = graph.add("ReduceMax", masked, graph.integers(1), keepdims=0)
    is_filled = graph.add("Unsqueeze", graph.add("Greater", lengths, graph.constant(0, np.int32)), graph.integers(1))
    return graph.add("Where", is_filled, maximum, graph.constant(0.0))


def _pool_weighted(graph: _Graph, values: str, mask: str, logits: str) -> str:
    masked = graph.add("Where", mask, logits, graph.constant(MASKED_LOGIT))
    weights = graph.add("Softmax", masked, axis=1)
    # If all positions are masked, the softmax is not zero.
    weights = graph.add("Mul", weights, graph.cast(mask, "FLOAT"))
    weighted = graph.add("Mul", values, graph.add("Unsqueeze", weights, graph.integers(2)))
    return graph.add("ReduceSum", weighted, graph.integers(1), keepdims=0)


def _ngram_evidence(graph: _Graph, evidence: NgramEvidence, classes: int, block: str) -> str:
    """Return the logits of the linear model of n-grams [documents, classes]; see `han.layers.ngrams.NgramEvidence`."""
    keys, table, bias = evidence.get_weights()
    unknown = len(keys)
    # An n-gram counts once in a document. Each pair of a document and an n-gram is one integer, so that Unique applies.
    stride = graph.constant(unknown + 1, np.int64)
    ngrams = _ngram_indices(graph, evidence, keys, block)
    count = graph.add("Squeeze", graph.size(block, 0))
    documents = graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64))
    offsets = graph.add("Unsqueeze", graph.add("Mul", documents, stride), graph.integers(1))
    pairs = graph.add("Reshape", graph.add("Add", offsets, ngrams), graph.integers(-1))
    distinct = graph.add("Unique", pairs, sorted=1)
    document = graph.add("Unsqueeze", graph.add("Div", distinct, stride), graph.integers(1))
    ngram = graph.add("Mod", distinct, stride)
    rows = graph.add("Gather", graph.constant(np.concatenate([table, np.zeros_like(table[:1])])), ngram)
    is_known = graph.add("Less", ngram, graph.constant(unknown, np.int64))
    is_known = graph.add("Unsqueeze", graph.cast(is_known, "FLOAT"), graph.integers(1))

    def document_sums(values: str, columns: int) -> str:
        shape = graph.add("Concat", graph.size(block, 0), graph.integers(columns), axis=0)
        zeros = graph.add("Expand", graph.constant(0.0), shape)
        return graph.add("ScatterND", zeros, document, values, reduction="add")

    norm = graph.add("Sqrt", graph.add("Max", document_sums(is_known, 1), graph.constant(1.0)))
    logits = graph.add("Div", document_sums(rows, evidence.columns), norm)
    logits = graph.add("Add", logits, graph.constant(bias))
    # With two classes there is a single column, which belongs to the second one.
    missing = classes - evidence.columns
    return graph.add("Pad", logits, graph.integers(0, missing, 0, 0)) if missing else logits


def _ngram_indices(graph: _Graph, evidence: NgramEvidence, keys: npt.NDArray[np.int64], block: str) -> str:
    """Return the table indices of all words and pairs [documents, n-grams]; unknown ones share the last index."""
    first = graph.add("Slice", block, graph.integers(0), graph.integers(-1), graph.integers(2))
    second = graph.add("Slice", block, graph.integers(1), graph.integers(2**31), graph.integers(2))
    size = graph.constant(evidence.vocabulary_size, np.int64)
    pairs = graph.add("Add", graph.add("Mul", first, size), second)
    # Pairs with padding get the id of padding, which is not among the keys.
    is_complete = graph.add("And", _is_word(graph, first), _is_word(graph, second))
    pairs = graph.add("Where", is_complete, pairs, graph.constant(PADDING_ID, np.int64))
    flat = graph.integers(0, -1)
    ngrams = graph.add("Concat", graph.add("Reshape", block, flat), graph.add("Reshape", pairs, flat), axis=1)
    return graph.add(
        "LabelEncoder", ngrams, domain="ai.onnx.ml", keys_int64s=keys.tolist(), values_int64s=list(range(len(keys))),
        default_int64=len(keys),
    )  # fmt: skip
