from __future__ import annotations

import numpy as np
import pytest

from han.backend import keras, tf
from han.inference.compiled import compiled
from han.layers.ngrams import Evidence
from han.model import HierarchicalAttentionNetwork
from han.text.corpus import Documents
from tests.plain import KerasNetwork, classify

WORDS = 30


def network(**arguments):
    arguments = {"embedding_dim": 6, "units": 4, "seed": 5, **arguments}
    model = HierarchicalAttentionNetwork(vocabulary_size=WORDS, classes=3, **arguments)
    model.build((None, None, None))
    return model


def random_document(rng, sentences, longest=9):
    return [rng.integers(1, WORDS, rng.integers(1, longest + 1)).tolist() for _ in range(sentences)]


def block(documents):
    """Pad lists of lists of ids to [documents, sentences, words]."""
    sentences = max((len(document) for document in documents), default=0)
    words = max((len(sentence) for document in documents for sentence in document), default=0)
    padded = np.zeros((len(documents), sentences, words), np.int32)
    for d, document in enumerate(documents):
        for s, sentence in enumerate(document):
            padded[d, s, : len(sentence)] = sentence
    return padded


def flatten(documents):
    """Convert lists of lists of ids to `Documents`, without padding."""
    sentences = [sentence for document in documents for sentence in document]
    parts = [id_ for sentence in sentences for id_ in sentence], map(len, sentences), map(len, documents)
    return Documents(*(np.array([*part], np.int32) for part in parts))


def test_frozen_word_vectors_are_read_but_not_trained(rng):
    model = network(frozen_dim=3)
    model.frozen_embedding.embeddings.assign(rng.normal(size=(WORDS, 3)))
    document = random_document(rng, 4)
    with tf.GradientTape() as tape:
        probabilities = model(block([document]))
    np.testing.assert_allclose(probabilities[0], classify(model, document)[0], atol=1e-6)
    gradients = tape.gradient(probabilities, [v.value for v in model.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    assert all(variable is not model.frozen_embedding.embeddings for variable in model.trainable_variables)
    again = HierarchicalAttentionNetwork.from_config(model.get_config())
    again.build((None, None, None))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(block([document])), probabilities)


@pytest.mark.parametrize("arguments", [{"residual": False}, {"residual": True, "pooling": "mean"}], ids=str)
def test_an_additive_network_needs_residual_connections_and_attention(arguments):
    with pytest.raises(ValueError, match=r"additive needs residual=True and pooling=.*, got residual="):
        network(additive=True, **arguments)


ROUTES = pytest.mark.parametrize(("residual", "additive"), [(False, False), (True, False), (True, True)])


@ROUTES
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_probabilities_and_attention_equal_those_of_numpy_in_float64(cell, residual, additive, rng):
    model = network(cell=cell, residual=residual, additive=additive)
    documents = [random_document(rng, count) for count in (3, 1, 0, 12, 5)]
    probabilities, word_scores, sentence_scores = model(block(documents), return_attention_scores=True)
    for index, document in enumerate(documents):
        expected, expected_words, expected_sentences = classify(model, document)
        np.testing.assert_allclose(probabilities[index], expected, atol=1e-6)
        np.testing.assert_allclose(sentence_scores[index, : len(document)], expected_sentences, atol=1e-6)
        assert not sentence_scores[index, len(document) :].numpy().any()
        for s, expected_scores in enumerate(expected_words):
            np.testing.assert_allclose(word_scores[index, s, : len(expected_scores)], expected_scores, atol=1e-6)
            assert not word_scores[index, s, len(expected_scores) :].numpy().any()


@ROUTES
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_outputs_and_gradients_equal_those_of_plain_keras_layers(cell, residual, additive, rng):
    model = network(cell=cell, residual=residual, additive=additive)
    for weight in model.weights:  # large enough for all gradients to be significant
        weight.assign(weight.numpy() + rng.normal(0, 0.5, weight.shape))
    plain = KerasNetwork(model)
    inputs = block([random_document(rng, count) for count in (3, 1, 12, 5, 2, 2)])
    results = []
    for forward, variables in ((model, [v.value for v in model.trainable_variables]), (plain, plain.variables)):
        with tf.GradientTape() as tape:
            outputs = forward(inputs)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(np.array([0, 1, 2, 2, 1, 0]), outputs))
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
        results.append((outputs, gradients))
    (own, own_gradients), (reference, reference_gradients) = results
    np.testing.assert_allclose(own, reference, atol=1e-5)
    for gradient, expected in zip(own_gradients, reference_gradients, strict=True):
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("pooling", ["attention", "mean", "max"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_output_for_a_document_does_not_depend_on_its_batch(cell, pooling, rng):
    model = network(cell=cell, pooling=pooling)
    documents = {
        "empty": [],
        "unknown words": [[1, 1, 1], [1]],
        "one word": [[7]],
        "one sentence": random_document(rng, 1),
        "five sentences": random_document(rng, 5),
        "ten times longer": random_document(rng, 50),
        "500 sentences": random_document(rng, 500),
        "one sentence of 3,000 words": [rng.integers(1, WORDS, 3000).tolist()],
    }
    together = model(block(list(documents.values()))).numpy()
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-6)
    for name, row in zip(documents, together, strict=True):
        np.testing.assert_allclose(model(block([documents[name]]))[0], row, atol=1e-5, err_msg=name)


def test_padding_is_ignored_in_any_position(rng):
    model = network()
    document = random_document(rng, 3)
    tight = model(block([document]))
    loose = np.zeros((1, 7, 20), np.int32)
    for row, sentence in zip((1, 2, 5), document, strict=True):
        loose[0, row, np.sort(rng.choice(20, len(sentence), replace=False))] = sentence
    np.testing.assert_allclose(model(loose), tight, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 0, 0), (2, 0, 0), (2, 3, 0), (0, 3, 4), (2, 3, 4)])
def test_no_documents_and_no_words(shape):
    probabilities, words, sentences = network()(np.zeros(shape, np.int32), return_attention_scores=True)
    assert probabilities.shape == (shape[0], 3)
    assert words.shape == shape
    assert sentences.shape == shape[:2]
    assert np.isfinite(probabilities.numpy()).all()


def test_mean_pooling_has_uniform_scores_and_max_pooling_has_none(rng):
    inputs = block([random_document(rng, 3)])
    _, words, sentences = network(pooling="mean")(inputs, return_attention_scores=True)
    np.testing.assert_allclose(sentences[0], [1 / 3] * 3, rtol=1e-6)
    counts = (inputs[0] > 0).sum(axis=1)
    np.testing.assert_allclose(words[0].numpy()[inputs[0] > 0], np.repeat(1 / counts, counts), rtol=1e-6)
    with pytest.raises(ValueError, match="max pooling has no scores"):
        network(pooling="max")(inputs, return_attention_scores=True)


def test_dropout_applies_in_training_and_equally_to_all_occurrences_of_a_word(rng):
    inputs = block([random_document(rng, 4)])
    model = network(dropout=0.5, word_dropout=0.5)
    np.testing.assert_array_equal(model(inputs), model(inputs))
    assert not np.allclose(model(inputs, training=True), model(inputs, training=True))
    # One word 24 times is dropped everywhere or nowhere: two possible outputs, not 2^24.
    model = network(word_dropout=0.5)
    outputs = {tuple(np.round(model(np.full((1, 6, 4), 3), training=True).numpy()[0], 5)) for _ in range(20)}
    assert len(outputs) == 2


def test_equal_seeds_give_equal_networks_with_different_layers():
    for first, second in zip(network().weights, network().weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    model = network(embedding_dim=8)
    assert not np.array_equal(model.word_encoder.weights[0], model.sentence_encoder.weights[0])
    assert not np.array_equal(model.word_encoder.forward_weights[0], model.word_encoder.backward_weights[0])
    assert not np.array_equal(model.word_pooling.kernel, model.sentence_pooling.kernel)


def test_a_saved_model_loads_without_custom_objects(tmp_path, rng):
    model = network(cell="gru", pooling="mean", residual=True, ngrams=3, dropout=0.3, word_dropout=0.1, l2=0.01)
    model.evidence.set_weights([np.array([2, 9, WORDS * WORDS - 1]), rng.normal(size=(3, 3)), rng.normal(size=3)])
    inputs = block([random_document(rng, 3)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)
    assert loaded.get_config() == model.get_config()


def test_the_logits_are_the_sum_of_the_network_and_the_ngram_evidence(rng):
    model = network(residual=True)
    keys = np.array([2, 5, 7, WORDS * 3 + 4, WORDS * 5 + 7])
    evidence = Evidence(keys, rng.normal(0, 2, (5, 3)).astype(np.float32), np.float32([0.1, 0.0, -0.3]))
    both = model.with_evidence(evidence)
    assert model.ngram_weights() is None
    for weights, expected in zip(both.ngram_weights(), evidence, strict=True):
        np.testing.assert_array_equal(weights, expected)
    np.testing.assert_array_equal(both.with_evidence(None)(block([[[3, 4]]])), model(block([[[3, 4]]])))
    documents = [[[5, 7, 3, 4], [7, 5, 5, 7]], [[3], [4]], [], random_document(rng, 12)]
    inputs = block(documents)
    ngram_logits = both.evidence(flatten(documents)).numpy()
    # [5, 7], [5], [7] and [3, 4] count once each, although the first three occur repeatedly.
    np.testing.assert_allclose(ngram_logits[0], evidence.table[[1, 2, 3, 4]].sum(axis=0) / 2 + evidence.bias, atol=1e-6)
    np.testing.assert_allclose(ngram_logits[1:3], [evidence.bias] * 2)  # no pair crosses the end of a sentence
    logits = np.log(model(inputs)) + ngram_logits
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(both(inputs), expected, atol=1e-6)
    np.testing.assert_allclose(
        compiled(both).forward(flatten(documents), compiled(both).project(np.arange(WORDS, dtype=np.int32)))[0],
        expected,
        atol=1e-6,
    )
    for document, probabilities in zip(documents, expected, strict=True):
        np.testing.assert_allclose(classify(both, document)[0], probabilities, atol=1e-6)
    np.testing.assert_allclose(both.evidence_logits(flatten(documents)), ngram_logits)
    both.scale_logits(0.5, 2.0)
    logits = 0.5 * np.log(model(inputs)) + 2.0 * ngram_logits
    np.testing.assert_allclose(both(inputs), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), atol=1e-6)


def test_multi_label_probabilities_are_the_sigmoid_of_the_same_logits(rng):
    single, multi = network(), network(multi_label=True)
    multi.set_weights(single.get_weights())
    inputs = block([random_document(rng, count) for count in (3, 1, 7)])
    probabilities = multi(inputs).numpy().astype(np.float64)
    logits = np.log(probabilities / (1 - probabilities))
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), single(inputs), atol=1e-5)
    assert HierarchicalAttentionNetwork(WORDS, classes=2, multi_label=True, ngrams=5).evidence_columns == 2


def test_invalid_arguments_raise_errors_that_name_them():
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        HierarchicalAttentionNetwork(vocabulary_size=5, classes=1)
    with pytest.raises(ValueError, match="pooling must be one of"):
        network(pooling="sum")
    with pytest.raises(ValueError, match=r"\[documents, sentences, words\]"):
        network()(np.zeros((2, 3), np.int32))


def test_documents_with_and_without_padding_give_equal_outputs(rng):
    model = network()
    documents = [random_document(rng, count) for count in (3, 1, 0, 12)]
    padded = block(documents)
    flat = flatten(documents)
    probabilities, word_scores, sentence_scores = model(flat, return_attention_scores=True)
    expected, padded_word_scores, padded_sentence_scores = model(padded, return_attention_scores=True)
    np.testing.assert_array_equal(probabilities, expected)
    np.testing.assert_array_equal(model(flat), expected)
    np.testing.assert_array_equal(word_scores, padded_word_scores.numpy()[padded != 0])
    np.testing.assert_array_equal(sentence_scores, padded_sentence_scores.numpy()[(padded != 0).any(axis=2)])


def test_projecting_the_whole_vocabulary_gives_the_same_probabilities(rng):
    model = network()
    documents = [random_document(rng, count) for count in (3, 0, 12)]
    probabilities = compiled(model).forward(
        flatten(documents), compiled(model).project(np.arange(WORDS, dtype=np.int32))
    )[0]
    np.testing.assert_allclose(probabilities, model(block(documents)), atol=1e-6)


@pytest.fixture
def restore_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.usefixtures("restore_policy")
def test_keras_global_policy_has_no_effect(policy, rng, tmp_path):
    inputs = block([random_document(rng, count) for count in (3, 1)])
    expected = network(ngrams=2, residual=True, dropout=0.1)(inputs)
    keras.config.set_dtype_policy(policy)
    model = network(ngrams=2, residual=True, dropout=0.1)
    assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {"float32"}
    np.testing.assert_array_equal(model(inputs), expected)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(inputs), expected)
    assert keras.config.dtype_policy().name == policy
    with pytest.raises(ValueError, match=f"dtype must be float32.* got '{policy}'"):
        network(dtype=policy)


def test_the_summary_shows_the_names_and_output_shapes_of_layers():
    lines = []
    network(ngrams=2).summary(print_fn=lambda line, **_: lines.append(line), line_length=120)
    rows = [line.split("\u2502") for line in "\n".join(lines).splitlines() if "(" in line and "\u2502" in line]
    shapes = {name.split()[0]: shape.strip() for _, name, shape, *_ in rows}
    assert shapes["embedding"] == "(None, None, 6)"
    assert shapes["word_encoder"] == shapes["sentence_encoder"] == "(None, None, 8)"
    assert shapes["word_pooling"] == shapes["sentence_pooling"] == shapes["document_dropout"] == "(None, 8)"
    assert shapes["classifier"] == shapes["evidence"] == "(None, 3)"
    assert "?" not in "".join(shapes.values())


@pytest.mark.parametrize("pooling", ["attention", "mean", "max"])
def test_layers_are_found_by_name(pooling):
    model = network(pooling=pooling)
    for name in ("embedding", "word_encoder", "word_pooling", "sentence_encoder", "sentence_pooling", "classifier"):
        assert model.get_layer(name) is getattr(model, name)
    assert "/sentence_encoder/" in model.sentence_encoder.weights[0].path


@pytest.mark.parametrize("trained", [False, True])
def test_keras_export_gives_a_function_of_word_ids(trained, rng, tmp_path):
    model = network(cell="gru", residual=True, ngrams=2)
    inputs = block([random_document(rng, count) for count in (3, 1, 0)])
    if trained:
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(inputs, np.array([0, 1, 2]), verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(tf.constant(inputs)), model(inputs), atol=1e-6)
    np.testing.assert_allclose(exported.serve(tf.constant(inputs[:1, :1])), model(inputs[:1, :1]), atol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "float16"])
def test_word_ids_can_have_any_numeric_type(dtype, rng):
    model = network()
    documents = [random_document(rng, count) for count in (3, 1)]
    inputs = block(documents)
    expected = model(inputs)
    np.testing.assert_array_equal(model(inputs.astype(dtype)), expected)
    flat = Documents(*(part.astype(dtype) for part in flatten(documents)))
    np.testing.assert_array_equal(model(flat), expected)
    # Input layers are float32 by default.
    symbolic = keras.Input((None, None), dtype=dtype)
    np.testing.assert_allclose(keras.Model(symbolic, model(symbolic)).predict(inputs, verbose=0), expected, atol=1e-6)


@pytest.mark.slow
def test_the_network_can_be_part_of_another_model(rng):
    model = network()
    inputs = block([random_document(rng, count) for count in (3, 1, 2, 2)])
    symbolic = keras.Input((None, None), dtype="int32")
    outputs = model(symbolic, return_attention_scores=True)
    assert [output.shape for output in outputs] == [(None, 3), (None, None, None), (None, None)]
    results = keras.Model(symbolic, outputs).predict(inputs, verbose=0)
    for result, expected in zip(results, model(inputs, return_attention_scores=True), strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-6)
    pairs = keras.Input((2, None, None), dtype="int32")
    of_pairs = keras.Model(pairs, keras.layers.TimeDistributed(model)(pairs))
    assert of_pairs.output_shape == (None, 2, 3)
    probabilities = of_pairs.predict(inputs.reshape(2, 2, *inputs.shape[1:]), verbose=0)
    np.testing.assert_allclose(probabilities.reshape(4, 3), results[0], atol=1e-6)
    assert model.compute_output_shape(((7,), (4,), (2,))) == (2, 3)


def test_jit_compilation_and_quantization_are_refused(rng):
    model = network()
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
    model.fit(block([random_document(rng, 2)]), np.array([1]), verbose=0)
    with pytest.raises(NotImplementedError, match="cannot be quantized"):
        model.quantize("int8")
