"""The recurrence in TensorFlow's own operations, which can be exported, and differentiated by TensorFlow.

Every step is made of small operations, so this is many times slower than the compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable

from han.backend import tf

State = tuple[tf.Tensor, tf.Tensor]


def plain_recurrence(
    cell: str,
    table: tf.Tensor,
    index: tf.Tensor,
    lengths: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    backwards: bool,
) -> tf.Tensor:
    """Run a cell in one direction.

    Parameters
    ----------
    cell : {"gru", "lstm"}
    table : float tensor [rows, gates * units]
        The distinct inputs of this direction, see `han.recurrence.level.Inputs`.
    index : int32 tensor [elements]
    lengths : int32 tensor [sequences]
    kernel : float tensor [units, gates * units]
        The recurrent kernel, in Keras' layout.
    bias : float tensor [1 or 2, gates * units]
        The GRU has two rows, for its inputs and for the recurrence.
    backwards : bool
        Whether each sequence is read from its last element to its first.

    Returns
    -------
    float tensor [elements, units]
        The outputs.
    """
    step_cell: Callable[..., State] = {"gru": _gru_step, "lstm": _lstm_step}[cell]
    units, sequences, longest = kernel.shape[0], tf.size(lengths), tf.reduce_max(tf.pad(lengths, [[0, 1]]))
    steps = tf.range(longest)[:, None]
    places = tf.cumsum(lengths, exclusive=True) + (lengths - 1 - steps if backwards else steps)
    exists = steps < lengths  # [steps, sequences]
    # Sequences that have ended read any row; what they compute is not used.
    rows = tf.gather(tf.pad(index, [[0, 1]]), tf.where(exists, places, 0))
    state = tf.zeros([sequences, units]), tf.zeros([sequences, units])
    logged = tf.TensorArray(tf.float32, longest, element_shape=[None, units])

    def advance(step: tf.Tensor, state: State, logged: tf.TensorArray) -> tuple[tf.Tensor, State, tf.TensorArray]:
        inputs = tf.gather(tf.pad(table, [[0, 1], [0, 0]]), rows[step])
        state = step_cell(inputs, tf.matmul(state[0], kernel), bias, state)
        return step + 1, state, logged.write(step, state[0])

    _, _, logged = tf.while_loop(lambda step, *_: step < longest, advance, (0, state, logged))
    outputs = tf.boolean_mask(tf.reshape(logged.stack(), [longest, sequences, units]), exists)
    order = tf.boolean_mask(places, exists)
    return tf.ensure_shape(tf.gather(outputs, tf.math.invert_permutation(order)), [None, units])


def _gru_step(inputs: tf.Tensor, projected: tf.Tensor, bias: tf.Tensor, state: State) -> State:
    (x_z, x_r, x_h), (h_z, h_r, h_h) = (
        tf.split(part + row, 3, axis=1) for part, row in ((inputs, bias[0]), (projected, bias[1]))
    )
    update, reset = tf.sigmoid(x_z + h_z), tf.sigmoid(x_r + h_r)
    candidate = tf.tanh(x_h + reset * h_h)
    return candidate + update * (state[0] - candidate), state[1]


def _lstm_step(inputs: tf.Tensor, projected: tf.Tensor, bias: tf.Tensor, state: State) -> State:
    enter, forget, candidate, expose = tf.split(inputs + projected + bias[0], 4, axis=1)
    memory = tf.sigmoid(forget) * state[1] + tf.sigmoid(enter) * tf.tanh(candidate)
    return tf.sigmoid(expose) * tf.tanh(memory), memory
