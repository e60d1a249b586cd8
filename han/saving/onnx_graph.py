"""The network as an ONNX graph: padded blocks in, probabilities out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from han.exceptions import MissingExtraError
from han.layers.encoder import BidirectionalEncoder
from han.layers.ngrams import NgramEvidence
from han.layers.pooling import AttentionPooling, MaxPooling
from han.model import HierarchicalAttentionNetwork
from han.text.vocabulary import PADDING_ID

OPSET, ML_OPSET, IR_VERSION = 18, 3, 9
# The places of ONNX's gates among Keras': of an LSTM i, o, f, c among i, f, c, o; of a GRU z, r, h in both.
GATES = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}
# The logit of what is masked out.
LOWEST = np.float32(-1e30)


def to_onnx(model: HierarchicalAttentionNetwork) -> bytes:
    """Return a network as an ONNX file.

    Parameters
    ----------
    model : HierarchicalAttentionNetwork
        Built.

    Returns
    -------
    bytes
        With the input `input`, int32 [documents, sentences, words], where 0 is padding and stands after words and after
        sentences, and the output `probabilities`, float32 [documents, classes].

    Raises
    ------
    MissingExtraError
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            "an ONNX file needs the package onnx; install it with: pip install 'han-classifier[onnx]'"
        ) from error
    graph = _Graph(onnx)
    probabilities = _network(graph, model)
    graph.add("Identity", probabilities, output="probabilities")
    block = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.INT32, ["documents", "sentences", "words"])
    classes = model.classifier.units
    result = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["documents", classes])
    made = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "han", [block], [result], graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="han",
    )
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


class _Graph:
    """Nodes and constants under construction; values are known by their names."""

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
        """Add a constant of whole numbers [values]."""
        return self.constant(np.array(values), np.int64)

    def cast(self, value: str, dtype: str) -> str:
        """Convert a value's type."""
        return self.add("Cast", value, to=getattr(self.onnx.TensorProto, dtype))

    def size(self, value: str, axis: int) -> str:
        """Return the length of an axis [1]."""
        return self.add("Shape", value, start=axis, end=axis + 1)


def _network(graph: _Graph, model: HierarchicalAttentionNetwork) -> str:
    block = graph.cast("input", "INT64")
    documents, sentences, words = (graph.size(block, axis) for axis in range(3))
    rows = graph.add("Reshape", block, graph.add("Concat", graph.integers(-1), words, axis=0))
    word_mask = _not_equal(graph, rows)  # [documents * sentences, words]
    embedded = graph.add("Gather", graph.constant(model.embedding.embeddings), rows)
    vectors = _level(graph, model.word_encoder, model.word_pooling, embedded, word_mask)
    width = graph.integers(2 * model.word_encoder.units)
    vectors = graph.add("Reshape", vectors, graph.add("Concat", documents, sentences, width, axis=0))
    filled = graph.add("ReduceMax", graph.cast(word_mask, "INT32"), graph.integers(1), keepdims=0)
    sentence_mask = graph.cast(graph.add("Reshape", filled, graph.add("Concat", documents, sentences, axis=0)), "BOOL")
    vector = _level(graph, model.sentence_encoder, model.sentence_pooling, vectors, sentence_mask)
    kernel, bias = model.classifier.get_weights()
    logits = graph.add("Add", graph.add("MatMul", vector, graph.constant(kernel)), graph.constant(bias))
    if model.evidence is not None:
        logits = graph.add("Add", logits, _evidence(graph, model.evidence, model.classifier.units, block))
    if model.get_config()["multi_label"]:
        return graph.add("Sigmoid", logits)
    return graph.add("Softmax", logits, axis=-1)


def _not_equal(graph: _Graph, ids: str) -> str:
    return graph.add("Not", graph.add("Equal", ids, graph.constant(PADDING_ID, np.int64)))


def _level(graph: _Graph, encoder: BidirectionalEncoder, pooling: Any, inputs: str, mask: str) -> str:
    """Encode and pool sequences [sequences, positions, features] into [sequences, 2 * units]."""
    lengths = graph.add("ReduceSum", graph.cast(mask, "INT32"), graph.integers(1), keepdims=0)
    # A sequence without elements is read as one of padding, and masked out.
    steps = graph.add("Max", lengths, graph.constant(1, np.int32))
    directions = [
        [np.asarray(weight) for weight in part] for part in (encoder.forward_weights, encoder.backward_weights)
    ]
    gates = GATES[encoder.cell]

    def arranged(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        # In ONNX's order, and with the gates on the first axis.
        parts = np.split(weights, len(gates), axis=-1)
        return np.concatenate([parts[gate] for gate in gates], axis=-1).T

    kernels = np.stack([arranged(kernel) for kernel, _, _ in directions])
    recurrent = np.stack([arranged(recurrent) for _, recurrent, _ in directions])
    # Keras' LSTM has no bias of its own at the recurrent product.
    biases = np.stack(
        [
            np.concatenate([arranged(row) for row in (bias if bias.ndim == 2 else np.stack([bias, 0 * bias]))])
            for _, _, bias in directions
        ]
    )
    extra: dict[str, Any] = {"linear_before_reset": 1} if encoder.cell == "gru" else {}
    states = graph.add(
        encoder.cell.upper(), graph.add("Transpose", inputs, perm=[1, 0, 2]), graph.constant(kernels),
        graph.constant(recurrent), graph.constant(biases), steps, hidden_size=encoder.units, direction="bidirectional",
        **extra,
    )  # fmt: skip
    # [positions, directions, sequences, units] to [sequences, positions, 2 * units].
    states = graph.add("Transpose", states, perm=[2, 0, 1, 3])
    states = graph.add("Reshape", states, graph.integers(0, 0, 2 * encoder.units))
    if encoder.residual:
        product = graph.add("MatMul", inputs, graph.constant(encoder.residual_kernel))
        states = graph.add("Add", states, product)
    outside = graph.constant(LOWEST)
    column = graph.add("Unsqueeze", mask, graph.integers(2))
    if isinstance(pooling, MaxPooling):
        highest = graph.add("ReduceMax", graph.add("Where", column, states, outside), graph.integers(1), keepdims=0)
        some = graph.add("Unsqueeze", graph.add("Greater", lengths, graph.constant(0, np.int32)), graph.integers(1))
        return graph.add("Where", some, highest, graph.constant(0.0))
    if isinstance(pooling, AttentionPooling):
        kernel, bias, context = (graph.constant(weight) for weight in (pooling.kernel, pooling.bias, pooling.context))
        projected = graph.add("Tanh", graph.add("Add", graph.add("MatMul", states, kernel), bias))
        logits = graph.add("MatMul", projected, context)
    else:  # the mean is a softmax of equals
        logits = graph.add("Mul", graph.cast(mask, "FLOAT"), graph.constant(0.0))
    scores = graph.add("Softmax", graph.add("Where", mask, logits, outside), axis=1)
    # Where all is masked out, the softmax is not zero.
    scores = graph.add("Mul", scores, graph.cast(mask, "FLOAT"))
    weighted = graph.add("Mul", states, graph.add("Unsqueeze", scores, graph.integers(2)))
    return graph.add("ReduceSum", weighted, graph.integers(1), keepdims=0)


def _evidence(graph: _Graph, evidence: NgramEvidence, classes: int, block: str) -> str:
    """Return what the linear model of n-grams says [documents, classes]; see `han.layers.ngrams.NgramEvidence`."""
    keys, table, bias = evidence.get_weights()
    unknown = len(keys)
    first = graph.add("Slice", block, graph.integers(0), graph.integers(-1), graph.integers(2))
    second = graph.add("Slice", block, graph.integers(1), graph.integers(2**31), graph.integers(2))
    size = graph.constant(evidence.vocabulary_size, np.int64)
    pairs = graph.add("Add", graph.add("Mul", first, size), second)
    # Nothing that ends or begins with padding is known: the key of words is at least 2, of pairs above their first.
    whole = graph.add("And", _not_equal(graph, first), _not_equal(graph, second))
    pairs = graph.add("Where", whole, pairs, graph.constant(PADDING_ID, np.int64))
    flat = graph.integers(0, -1)
    occurring = graph.add("Concat", graph.add("Reshape", block, flat), graph.add("Reshape", pairs, flat), axis=1)
    places = graph.add(
        "LabelEncoder", occurring, domain="ai.onnx.ml", keys_int64s=keys.tolist(),
        values_int64s=list(range(len(keys))), default_int64=unknown,
    )  # fmt: skip
    # An n-gram counts once in a document: distinct pairs of a document and an n-gram, as one number each.
    stride = graph.constant(unknown + 1, np.int64)
    count = graph.add("Squeeze", graph.size(block, 0))
    document = graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64))
    numbers = graph.add("Add", graph.add("Unsqueeze", graph.add("Mul", document, stride), graph.integers(1)), places)
    held = graph.add("Unique", graph.add("Reshape", numbers, graph.integers(-1)), sorted=1)
    holder = graph.add("Unsqueeze", graph.add("Div", held, stride), graph.integers(1))
    ngram = graph.add("Mod", held, stride)
    said = graph.add("Gather", graph.constant(np.concatenate([table, np.zeros_like(table[:1])])), ngram)
    known = graph.add("Less", ngram, graph.constant(unknown, np.int64))
    known = graph.add("Unsqueeze", graph.cast(known, "FLOAT"), graph.integers(1))

    def total(values: str, columns: int) -> str:
        shape = graph.add("Concat", graph.size(block, 0), graph.integers(columns), axis=0)
        zeros = graph.add("Expand", graph.constant(0.0), shape)
        return graph.add("ScatterND", zeros, holder, values, reduction="add")

    norm = graph.add("Sqrt", graph.add("Max", total(known, 1), graph.constant(1.0)))
    logits = graph.add("Add", graph.add("Div", total(said, evidence.columns), norm), graph.constant(bias))
    # A single column is of the second of two classes.
    missing = classes - evidence.columns
    return graph.add("Pad", logits, graph.integers(0, missing, 0, 0)) if missing else logits
