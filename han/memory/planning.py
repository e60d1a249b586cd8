"""Estimates of the memory that training and prediction need, and plans that keep them below a limit.

The costs are upper bounds on peaks measured with 10 to 200 units, embeddings of 100 to 300 dimensions, both cells and
all poolings, and at most three times the measured peak. Memory in use before the work starts (libraries, the documents'
text, an existing network) does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from han.exceptions import MemoryLimitError, MemoryLimitWarning, warn_user
from han.memory.limits import Limit, gigabytes
from han.text.batches import MAX_BATCH_WORDS
from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter

# Bytes to trace graphs and to compile the loops.
FIXED_TRAINING = 400_000_000
FIXED_PREDICTION = 30_000_000
# Bytes per word of an encoded corpus: two or three copies of the ids during encoding, and the starts of sentences.
CORPUS_WORD = 16
# Bytes per word to fit the linear model of n-grams, mostly for the n-grams of each document.
EVIDENCE_WORD = 100
# Bytes per character to split a text into words.
TEXT_CHARACTER = 24
# Sample for the number of words per character: texts, and characters at the start and in the middle of each.
SAMPLED_TEXTS, SAMPLED_CHARACTERS = 50, 500
# Characters per sentence; few documents have shorter sentences.
SENTENCE_CHARACTERS = 10
# Smaller batches than this are slow and save little memory.
MIN_WORDS = 512
THREADS = 4
# Hyper-parameters that determine the memory of the embedding and of an indivisible step, for error messages.
TABLE_PARAMETERS = "max_vocabulary or embedding_dim"
STEP_PARAMETERS = "max_vocabulary, embedding_dim, units, batch_size, max_sentences or max_words"


class Parts(NamedTuple):
    """How a batch is divided into parts of limited cost, in any unit of cost.

    Attributes
    ----------
    word_cost, sentence_cost : int
        Cost of a word, and of a sentence in addition to its words.
    most : int
        Maximum cost of a part; a part has at least one document.
    most_grouped : int or None
        Maximum cost of the words in a group of sentences; a group has at least one sentence, and words do not count
        towards `most`. With None, a part's sentences are not grouped.
    """

    word_cost: int
    sentence_cost: int
    most: int
    most_grouped: int | None = None


class NetworkSize(NamedTuple):
    """The sizes that determine the memory costs of a network."""

    units: int
    embedding_dim: int
    vocabulary_size: int
    frozen_dim: int = 0
    ratio_dim: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> NetworkSize:
        """Return the sizes from the configuration of a network; files of earlier versions lack some."""
        return cls(**{name: config[name] for name in cls._fields if name in config})

    @property
    def word_dim(self) -> int:
        """The width of the word vectors."""
        return self.embedding_dim + self.frozen_dim + self.ratio_dim

    @property
    def training_word(self) -> int:
        """Bytes per word in a training step."""
        return 300 + 125 * self.units

    @property
    def training_sentence(self) -> int:
        """Additional bytes per sentence in a training step."""
        return 1_200 + 270 * self.units

    @property
    def training_distinct(self) -> int:
        """Additional bytes per distinct word of the batch in a training step."""
        return 260 * self.units + 40 * self.word_dim

    @property
    def training_table(self) -> int:
        """Bytes for the embedding during training.

        The trained part is stored with two moments, its average, the best weights, and temporary copies when these are
        swapped; the frozen part with the best weights and a copy; log-count ratios also with two counts, which are
        computed in float64.
        """
        ratios = (3 * 4 + 2 * 4 + 6 * 8) * self.ratio_dim
        return self.vocabulary_size * (7 * 4 * self.embedding_dim + 3 * 4 * self.frozen_dim + ratios + 8)

    @property
    def prediction_word(self) -> int:
        """Bytes per word of a prediction batch, with its share of a sentence of two words or more."""
        return 100 + 20 * self.units

    @property
    def prediction_sentence(self) -> int:
        """Bytes per sentence of the longest document, which is not divided."""
        return 400 + 100 * self.units

    @property
    def prediction_distinct(self) -> int:
        """Bytes per distinct word in prediction."""
        return 80 * self.units + 12 * self.word_dim


class TrainingPlan(NamedTuple):
    """How training is divided.

    Attributes
    ----------
    parts : Parts or None
        How training batches are divided; None for whole batches.
    prediction_words : int
        Maximum number of words in a validation batch, unless it has a single document.
    """

    parts: Parts | None = None
    prediction_words: int = MAX_BATCH_WORDS


class PredictionPlan(NamedTuple):
    """How prediction is divided: words that each thread processes at once, and the number of threads."""

    words: int = MAX_BATCH_WORDS
    threads: int = THREADS


def check_text_lengths(texts: Iterable[str], limit: Limit) -> None:
    """Raise a MemoryLimitError if splitting the longest text into words would exceed the limit."""
    needed = TEXT_CHARACTER * max(map(len, texts), default=0)
    if needed > limit.size:
        raise _memory_error("splitting the longest document into words", needed, limit, "pass it in parts, or ")


def check_network(network: NetworkSize, corpus: Corpus, limit: Limit) -> None:
    """Raise a MemoryLimitError if the embedding and the corpus alone would exceed the limit."""
    needed = FIXED_TRAINING + network.training_table + CORPUS_WORD * len(corpus.word_ids)
    if needed > limit.size:
        raise _memory_error("the word vectors and the documents", needed, limit, f"set a lower {TABLE_PARAMETERS}, or ")


def training_cost(network: NetworkSize, corpus: Corpus, batch_size: int) -> tuple[int, int]:
    """Return the bytes of the most expensive training step: in total, and for the distinct words alone."""
    costs = corpus.word_counts * network.training_word + corpus.sentence_counts * network.training_sentence
    words = int(np.sort(corpus.word_counts)[-batch_size:].sum())
    distinct = min(network.vocabulary_size, words) * network.training_distinct
    return int(np.sort(costs)[-batch_size:].sum()) + distinct, distinct


def plan_training(
    network: NetworkSize, corpus: Corpus, validation: Corpus, *, batch_size: int, evidence: bool, limit: Limit
) -> TrainingPlan:
    """Return a plan that keeps training below the limit, and warn if training has to be divided for it.

    Parameters
    ----------
    network : NetworkSize
    corpus, validation : Corpus
        Training documents and validation documents.
    batch_size : int
        Number of documents in a training batch.
    evidence : bool
        Whether a linear model of n-grams is fitted, too.
    limit : Limit

    Raises
    ------
    MemoryLimitError
        If the limit is too low even for the smallest parts.
    """
    words = len(corpus.word_ids) + len(validation.word_ids)
    step, distinct = training_cost(network, corpus, batch_size)
    evaluated = max(min(MAX_BATCH_WORDS, len(validation.word_ids)), int(validation.word_counts.max(initial=0)))
    after = EVIDENCE_WORD * words if evidence else 0
    fixed = FIXED_TRAINING + network.training_table + CORPUS_WORD * words
    needed = fixed + max(step, evaluated * network.prediction_word, after)
    if needed <= limit.size:
        return TrainingPlan()

    room = limit.size - fixed
    if after > room:
        least = fixed + after
        raise _memory_error("fitting the linear model of n-grams", least, limit, "set ngram_evidence=False, or ")
    most = room - distinct
    costs = corpus.word_counts * network.training_word + corpus.sentence_counts * network.training_sentence
    most_grouped = None
    if int(costs.max(initial=0)) > most:
        # One half is for the sentences of a document, the other for the words of a group of sentences.
        most_grouped = most = most // 2
        sentences = int(corpus.sentence_counts.max(initial=0)) * network.training_sentence
        longest = int(np.diff(corpus.sentence_starts).max(initial=0)) * network.training_word
        if max(sentences, longest) > most:
            least = fixed + distinct + 2 * max(sentences, longest)
            raise _memory_error("training", least, limit, f"set a lower {STEP_PARAMETERS}, or ")
    parts = None
    if step > room or most_grouped is not None:
        parts = Parts(network.training_word, network.training_sentence, most, most_grouped)
    plan = TrainingPlan(parts, min(MAX_BATCH_WORDS, max(room // network.prediction_word, MIN_WORDS)))
    done = []
    if parts is not None:
        number = -(-(step - distinct) // most)
        done.append(f"the longest training batches are split into about {number} parts, which takes longer")
    if len(validation):
        done.append(f"validation processes {plan.prediction_words:,} words at once")
    _warn_divided("training", needed, limit, " and ".join(done))
    return plan


def words_per_character(texts: list[str], splitter: DocumentSplitter) -> float:
    """Return a conservative estimate of the number of words per character, from a sample of the texts."""
    characters = words = 0
    for text in texts[:: -(-len(texts) // SAMPLED_TEXTS)]:
        for start in {0, len(text) // 2}:
            piece = text[start : start + SAMPLED_CHARACTERS]
            characters += len(piece)
            words += sum(map(len, splitter(piece)))
    return min(1.25 * words / max(characters, 1), 1.0)


def prediction_cost(
    network: NetworkSize, texts: list[str], *, chunk: int, max_sentences: int, density: float = 1.0
) -> tuple[int, int]:
    """Return the bytes that prediction needs: in total, and without the words that are processed at once.

    `density` is the maximum number of words per character; for the other parameters, see `plan_prediction`.
    """
    characters, most = sum(map(len, texts)), max(map(len, texts))
    longest = TEXT_CHARACTER * max(chunk if characters > chunk else 0, most)
    longest += min(most // SENTENCE_CHARACTERS, max_sentences) * network.prediction_sentence
    words = int(min(density * min(characters, THREADS * max(chunk, most)), THREADS * MAX_BATCH_WORDS))
    distinct = min(network.vocabulary_size, int(density * characters)) * network.prediction_distinct
    fixed = FIXED_PREDICTION + distinct + longest
    return fixed + words * network.prediction_word, fixed


def plan_prediction(
    network: NetworkSize, texts: list[str], *, chunk: int, splitter: DocumentSplitter, limit: Limit
) -> PredictionPlan:
    """Return a plan that keeps prediction below the limit, and warn if prediction has to be divided for it.

    Parameters
    ----------
    network : NetworkSize
    texts : list of str
    chunk : int
        Number of characters that a thread processes, unless a single text has more.
    splitter : DocumentSplitter
    limit : Limit

    Raises
    ------
    MemoryLimitError
        If the limit is too low even for the smallest parts.
    """
    needed, fixed = prediction_cost(network, texts, chunk=chunk, max_sentences=splitter.max_sentences)
    if needed > limit.size:
        # The first estimate assumes a word per character; most texts have far fewer words.
        density = words_per_character(texts, splitter)
        needed, fixed = prediction_cost(
            network, texts, chunk=chunk, max_sentences=splitter.max_sentences, density=density
        )
    if needed <= limit.size:
        return PredictionPlan()
    room = limit.size - fixed
    most = room // network.prediction_word
    if most < MIN_WORDS:
        raise _memory_error(
            "prediction", fixed + MIN_WORDS * network.prediction_word, limit, "pass long documents in parts, or "
        )
    threads = int(np.clip(most // MAX_BATCH_WORDS, 1, THREADS))
    plan = PredictionPlan(min(most // threads, MAX_BATCH_WORDS), threads)
    _warn_divided("prediction", needed, limit, f"{threads} of {THREADS} threads process {plan.words:,} words at once")
    return plan


def _warn_divided(work: str, needed: int, limit: Limit, done: str) -> None:
    warn_user(
        f"{work} would need up to {gigabytes(needed)} of additional memory, above the limit of {limit}: {done}",
        MemoryLimitWarning,
    )


def _memory_error(work: str, needed: int, limit: Limit, advice: str) -> MemoryLimitError:
    name, increase = "the available memory", "make more memory available"
    if limit.source == "memory_limit":
        name, increase = "memory_limit", "raise memory_limit"
    return MemoryLimitError(
        f"{name} must be sufficient for {work} (at least {gigabytes(needed)} of additional memory), got {limit}; "
        f"{advice}{increase}"
    )
