"""A level of the network: an encoder, and the pooling of its states."""

from __future__ import annotations

from typing import Any

from han.backend import tf
from han.layers.encoder import BidirectionalEncoder
from han.layers.packing import pack
from han.layers.pooling import AttentionPooling
from han.recurrence.level import Inputs, Kind, Weights
from han.recurrence.operation import is_portable, pooled_vectors


class Level:
    """An encoder and a pooling, which run together over sequences without padding.

    Parameters
    ----------
    encoder : BidirectionalEncoder
    pooling : AttentionPooling, MeanPooling or MaxPooling
    additive : bool, default False
        Whether the encoder's residual inputs are pooled in place of its states, with the attention that these get.
    """

    def __init__(self, encoder: BidirectionalEncoder, pooling: Any, additive: bool = False) -> None:
        self.encoder, self.pooling = encoder, pooling
        self.kind = Kind(encoder.cell, encoder.units, encoder.residual, pooling.kind, additive)

    def weights(self, training: bool = False) -> Weights:
        """Return the weights of the recurrence and of the pooling, as tensors; `training` applies dropout."""
        width = 2 * self.encoder.units
        attention = [tf.zeros([width, 0]), tf.zeros([0]), tf.zeros([0])]
        if isinstance(self.pooling, AttentionPooling):
            attention = [
                tf.convert_to_tensor(part) for part in (self.pooling.kernel, self.pooling.bias, self.pooling.context)
            ]
        kernels, biases = zip(*self.encoder.recurrent_weights(training), strict=True)
        return Weights(tf.stack(kernels), tf.stack(biases), *attention)

    def pool(
        self,
        table: tf.Tensor,
        index: tf.Tensor,
        lengths: tf.Tensor,
        *,
        differentiable: bool = True,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encode and pool sequences.

        Parameters
        ----------
        table : float tensor [rows, columns]
            What `BidirectionalEncoder.project` returned.
        index : int32 tensor [elements]
            The row that each element reads.
        lengths : int32 tensor [sequences]
            Number of elements of each sequence, which are laid one after another; may be 0.
        differentiable : bool, default True
            Keep what the gradient needs. False saves memory.
        training : bool, default False
            Apply dropout.

        Returns
        -------
        vectors : float tensor [sequences, 2 * units]
            Zeros for an empty sequence.
        scores : float tensor [elements]
            The attention; zeros for max pooling.
        """
        if not is_portable():
            return pooled_vectors(self.kind, Inputs(table, index, lengths), self.weights(training), differentiable)
        packing = pack(lengths)
        states = self.encoder.encode(table, packing, index, training)
        values = self.encoder.residual_inputs(table, index) if self.kind.additive else None
        vectors, scores = self.pooling.pool(states, packing, values)
        return vectors, tf.zeros_like(states[:, 0]) if scores is None else scores
