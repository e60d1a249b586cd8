"""A hierarchical attention network in idiomatic PyTorch: the yardstick of `make bench NAME=speed`.

Embedding, packed bidirectional LSTM and masked attention, on both levels. Sentences go through `pack_padded_sequence`,
so that the recurrence spends nothing on padding; embedding and attention do. Adam is PyTorch's fused one. Batches are
of documents of any lengths, with which it trains faster than with the project's, of similar lengths.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.speed.contender import (
    BATCH_SIZE,
    CLIPNORM,
    DROPOUT,
    EMBEDDING_DIM,
    LEARNING_RATE,
    THREADS,
    UNITS,
    WORD_DROPOUT,
    Network,
)
from han.text.corpus import Corpus
from han.text.vocabulary import Vocabulary

Documents = list[list[Tensor]]


class AttentionPooling(nn.Module):
    """Equations 5-7 of Yang et al. 2016 over padded sequences [sequences, positions, features]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.projection = nn.Linear(features, features)
        self.context = nn.Parameter(0.3 * torch.randn(features))

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Pool each sequence's first `lengths` states into one vector [sequences, features]."""
        logits = torch.tanh(self.projection(states)) @ self.context
        padding = torch.arange(states.shape[1]) >= lengths[:, None]
        scores = torch.softmax(logits.masked_fill(padding, -torch.inf), dim=1)
        return torch.bmm(scores[:, None], states)[:, 0]


class Encoder(nn.Module):
    """A packed bidirectional LSTM and attention pooling."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, UNITS, batch_first=True, bidirectional=True)
        self.pooling = AttentionPooling(2 * UNITS)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encode padded sequences into one vector each."""
        packed = pack_padded_sequence(sequences, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        pooled: Tensor = self.pooling(states, lengths)
        return pooled


class HierarchicalAttentionNetwork(nn.Module):
    """Words to sentences to a document to class logits."""

    def __init__(self, vocabulary_size: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, EMBEDDING_DIM, padding_idx=0)
        nn.init.normal_(self.embedding.weight.data[1:], 0.0, 0.1)
        self.words = Encoder(EMBEDDING_DIM)
        self.sentences = Encoder(2 * UNITS)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(2 * UNITS, classes)

    def forward(self, words: Tensor, sentence_lengths: Tensor, document_lengths: Tensor) -> Tensor:
        """Classify documents: word ids [sentences, words], words a sentence, sentences a document."""
        if self.training:
            words = words.masked_fill(torch.rand(words.shape) < WORD_DROPOUT, 0)
        vectors = self.words(self.dropout(self.embedding(words)), sentence_lengths)
        documents = pad_sequence(vectors.split(document_lengths.tolist()), batch_first=True)
        return self.classifier(self.dropout(self.sentences(self.dropout(documents), document_lengths)))


def tensors(corpus: Corpus) -> Documents:
    """Return each document's sentences as views of one tensor of word ids."""
    sentences = torch.from_numpy(corpus.word_ids).split(np.diff(corpus.sentence_starts).tolist())
    starts = corpus.document_starts.tolist()
    return [list(sentences[start:end]) for start, end in pairwise(starts)]


def batch(documents: Documents) -> tuple[Tensor, Tensor, Tensor]:
    """Collate documents, each a list of sentences, each a tensor of word ids."""
    sentences = [sentence for document in documents for sentence in document]
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    return pad_sequence(sentences, batch_first=True), lengths, torch.tensor([len(document) for document in documents])


class TorchHan(Network):
    """The network above, trained with Adam on random batches."""

    def build(self, vocabulary: Vocabulary, corpus: Corpus) -> None:
        """Build the network, and tensors of the documents."""
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.model = HierarchicalAttentionNetwork(vocabulary.size, len(self.classes))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, fused=True)
        self.documents = tensors(corpus)

    def epoch(self) -> None:
        """Take a step for each batch."""
        self.model.train()
        order = self.rng.permutation(len(self.documents))
        for start in range(0, len(order), BATCH_SIZE):
            part = order[start : start + BATCH_SIZE]
            self.optimizer.zero_grad()
            logits = self.model(*batch([self.documents[index] for index in part]))
            nn.functional.cross_entropy(logits, torch.from_numpy(self.targets[part])).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIPNORM)
            self.optimizer.step()

    def classify(self, corpus: Corpus) -> npt.NDArray[np.int64]:
        """Return class indices, in batches of documents of similar length."""
        self.model.eval()
        documents = tensors(corpus)
        order = np.argsort(corpus.word_counts)
        labels = np.empty(len(order), np.int64)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_SIZE):
                part = order[start : start + BATCH_SIZE]
                labels[part] = self.model(*batch([documents[index] for index in part])).argmax(dim=1).numpy()
        return labels
