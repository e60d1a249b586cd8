"""The layers of the network; each can be used alone."""

from han.layers.encoder import BidirectionalEncoder
from han.layers.ngrams import NgramEvidence
from han.layers.pooling import AttentionPooling, MaxPooling, MeanPooling

__all__ = ["AttentionPooling", "BidirectionalEncoder", "MaxPooling", "MeanPooling", "NgramEvidence"]
