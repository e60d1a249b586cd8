"""The network once more, slowly and plainly: references that share no code with `han`."""

from __future__ import annotations

import numpy as np

from han.backend import keras, tf


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(inputs, kernel, recurrent_kernel, bias):
    """One direction over one sequence [steps, features], in float64; Keras' gate order i, f, c, o."""
    units = recurrent_kernel.shape[0]
    output, carry, outputs = np.zeros(units), np.zeros(units), []
    for x in inputs:
        i, f, g, o = np.split(x @ kernel + output @ recurrent_kernel + bias, 4)
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(g)
        output = sigmoid(o) * np.tanh(carry)
        outputs.append(output)
    return np.array(outputs).reshape(-1, units)


def gru(inputs, kernel, recurrent_kernel, bias):
    """One direction over one sequence, in float64; Keras' gate order z, r, h, reset after the product."""
    units = recurrent_kernel.shape[0]
    output, outputs = np.zeros(units), []
    for x in inputs:
        x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3)
        h_z, h_r, h_h = np.split(output @ recurrent_kernel + bias[1], 3)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        output = z * output + (1 - z) * np.tanh(x_h + r * h_h)
        outputs.append(output)
    return np.array(outputs).reshape(-1, units)


def encode(layer, sequence):
    """Both directions of a `BidirectionalEncoder` over one sequence, in float64."""
    run = {"lstm": lstm, "gru": gru}[layer.cell]
    forward, backward = ([weight.numpy().astype(np.float64) for weight in weights] for weights in directions(layer))
    states = np.concatenate([run(sequence, *forward), run(sequence[::-1], *backward)[::-1]], axis=1)
    return states + sequence @ layer.residual_kernel.numpy().astype(np.float64) if layer.residual else states


def divide(layer, sequence, weights):
    """Divide a weighted sum of the states of one sequence among its inputs, in float64.

    Each state is written out as the sum of what each step wrote, times what the later steps retained of it.
    """
    units, parts = layer.units, np.zeros(len(sequence))
    for direction, (kernel, recurrent_kernel, bias) in enumerate(directions(layer)):
        kernel, recurrent_kernel, bias = (part.numpy().astype(np.float64) for part in (kernel, recurrent_kernel, bias))
        order = range(len(sequence))[:: -1 if direction else 1]
        memory, output, written, retained = np.zeros(units), np.zeros(units), [], []
        for step, place in enumerate(order):
            x = sequence[place]
            if layer.cell == "lstm":
                i, f, g, o = np.split(x @ kernel + output @ recurrent_kernel + bias, 4)
                written.append(sigmoid(i) * np.tanh(g))
                retained.append(sigmoid(f))
                memory = retained[-1] * memory + written[-1]
                output = sigmoid(o) * np.tanh(memory)
                exposed = output / memory
            else:
                x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3)
                h_z, h_r, h_h = np.split(output @ recurrent_kernel + bias[1], 3)
                retained.append(sigmoid(x_z + h_z))
                written.append((1 - retained[-1]) * np.tanh(x_h + sigmoid(x_r + h_r) * h_h))
                output = retained[-1] * output + written[-1]
                exposed = np.ones(units)
            weight = weights[place, direction * units : (direction + 1) * units] * exposed
            for earlier in range(step + 1):
                left = np.prod(retained[earlier + 1 : step + 1], axis=0)
                parts[order[earlier]] += weight @ (left * written[earlier])
    if layer.residual:
        parts += ((sequence @ layer.residual_kernel.numpy().astype(np.float64)) * weights).sum(axis=1)
    return parts


def directions(layer):
    return layer.forward_weights, layer.backward_weights


def attention(states, kernel, bias, context):
    """Yang et al. 2016, equations 5-7, over one sequence [positions, features], in float64."""
    scores = np.tanh(states @ kernel + bias) @ context
    scores = np.exp(scores - scores.max()) if len(scores) else scores
    scores = scores / scores.sum() if len(scores) else scores
    return scores @ states, scores


def classify(model, document):
    """Run one document, a list of lists of word ids, through a `HierarchicalAttentionNetwork`, in float64.

    Returns the class probabilities, the words' attention scores of each sentence, and the sentences' scores.
    """
    embeddings = word_vectors(model)
    logits, words, sentences = read(model, [embeddings[ids] for ids in document], shares(model, document))
    probabilities = np.exp(logits - logits.max())
    return probabilities / probabilities.sum(), words, sentences


def word_vectors(model):
    """Return the vectors of all words in float64: the frozen ones, the log-count ratios, then the trained ones."""
    layers = (model.frozen_embedding, model.log_count_ratios, model.embedding)
    parts = [layer.embeddings.numpy() for layer in layers if layer is not None]
    return np.concatenate(parts, axis=1).astype(np.float64)


def shares(model, document):
    """What the linear model of n-grams says by each word, for each sentence an array [words, columns], in float64.

    Each n-gram is said once, by all of its occurrences together, and a pair by both of its words.
    """
    result = [np.zeros((len(words), model.evidence_columns)) for words in document]
    if model.evidence is None:
        return result
    keys, table = model.evidence.keys.numpy().tolist(), model.evidence.table.numpy().astype(np.float64)
    places = {}
    for s, words in enumerate(document):
        for t, word in enumerate(words):
            places.setdefault(int(word), []).append([(s, t), (s, t)])
        for t in range(len(words) - 1):
            key = int(words[t]) * model.evidence.vocabulary_size + int(words[t + 1])
            places.setdefault(key, []).append([(s, t), (s, t + 1)])
    known = {key: where for key, where in places.items() if key in keys}
    for key, where in known.items():
        for s, t in [word for pair in where for word in pair]:
            result[s][t] += table[keys.index(key)] / np.sqrt(len(known)) / len(where) / 2
    return result


def read(model, document, shares):
    """Do as `classify` for arrays of word vectors [words, embedding_dim] and `shares`, but return logits."""

    def weights(layer):
        return [weight.numpy().astype(np.float64) for weight in (layer.kernel, layer.bias, layer.context)]

    pooled = [attention(encode(model.word_encoder, words), *weights(model.word_pooling)) for words in document]
    sentences = np.array([vector for vector, _ in pooled]).reshape(len(document), 2 * model.word_encoder.units)
    vector, scores = attention(encode(model.sentence_encoder, sentences), *weights(model.sentence_pooling))
    if model.get_config()["additive"]:
        vector = scores @ sentences @ model.sentence_encoder.residual_kernel.numpy().astype(np.float64)
    kernel, bias = (weight.numpy().astype(np.float64) for weight in model.classifier.weights)
    logits = vector @ kernel + bias
    if model.evidence is not None:
        evidence = sum(words.sum(axis=0) for words in shares) + model.evidence.bias.numpy()
        logits = logits + (evidence if len(evidence) > 1 else [0.0, evidence[0]])
    return logits, [words for _, words in pooled], scores


def keras_encoder(layer, features):
    """Return Keras' own bidirectional layer with the weights of a `BidirectionalEncoder`."""
    inner = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[layer.cell](layer.units, return_sequences=True)
    bidirectional = keras.layers.Bidirectional(inner)
    bidirectional.build((None, None, features))
    for own, weights in zip(
        (bidirectional.forward_layer, bidirectional.backward_layer), directions(layer), strict=True
    ):
        own.set_weights([weight.numpy() for weight in weights])
    return bidirectional


class KerasNetwork:
    """The network as a straightforward stack of Keras' layers over padded blocks with masks, to differentiate."""

    def __init__(self, model):
        states = 2 * model.word_encoder.units
        self.embeddings = tf.Variable(model.embedding.embeddings.numpy())
        self.word_encoder = keras_encoder(model.word_encoder, self.embeddings.shape[1])
        self.sentence_encoder = keras_encoder(model.sentence_encoder, states)
        self.word_pooling = [tf.Variable(w.numpy()) for w in model.word_pooling.weights]
        self.sentence_pooling = [tf.Variable(w.numpy()) for w in model.sentence_pooling.weights]
        self.residuals = [
            [tf.Variable(layer.residual_kernel.numpy())] if layer.residual else []
            for layer in (model.word_encoder, model.sentence_encoder)
        ]
        self.additive = model.get_config()["additive"]
        self.dense = [tf.Variable(w.numpy()) for w in model.classifier.weights]

    @property
    def variables(self):
        """In the order of `HierarchicalAttentionNetwork.trainable_variables`."""
        encoders = [
            [*(w.value for w in layer.trainable_variables), *residual]
            for layer, residual in zip((self.word_encoder, self.sentence_encoder), self.residuals, strict=True)
        ]
        return [self.embeddings, *encoders[0], *self.word_pooling, *encoders[1], *self.sentence_pooling, *self.dense]

    def __call__(self, inputs):
        documents, sentences, words = inputs.shape
        word_mask = tf.reshape(inputs, [-1, words]) != 0
        vectors = self.level(
            0, self.word_pooling, tf.gather(self.embeddings, tf.reshape(inputs, [-1, words])), word_mask
        )
        vectors = tf.reshape(vectors, [documents, sentences, -1])
        values = vectors @ self.residuals[1][0] if self.additive else None
        pooled = self.level(1, self.sentence_pooling, vectors, tf.reduce_any(inputs != 0, axis=2), values)
        return tf.nn.softmax(pooled @ self.dense[0] + self.dense[1])

    def level(self, level, pooling, inputs, mask, values=None):
        states = (self.word_encoder, self.sentence_encoder)[level](inputs, mask=mask)
        for kernel in self.residuals[level]:
            states += inputs @ kernel
        kernel, bias, context = pooling
        logits = tf.reduce_sum(tf.tanh(states @ kernel + bias) * context, axis=-1)
        scores = tf.nn.softmax(tf.where(mask, logits, -1e9))
        scores = tf.where(mask, scores, 0.0)
        return tf.reduce_sum((states if values is None else values) * scores[..., None], axis=1)
