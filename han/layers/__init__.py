"""The layers of the network, which also work in any other Keras model."""

from han.layers.encoder import BidirectionalEncoder
from han.layers.ngrams import NgramEvidence
from han.layers.pooling import AttentionPooling, MaxPooling, MeanPooling

__all__ = ["AttentionPooling", "BidirectionalEncoder", "MaxPooling", "MeanPooling", "NgramEvidence"]
