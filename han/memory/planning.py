"""How much memory there is, how much training and prediction take, and how they are divided to fit.

The costs are upper bounds of peaks that were measured over networks of 10 to 200 units and 100 to 300 features, both
cells and all poolings; some are twice too high. What a process holds before the work begins
(libraries, the documents' text, a network that is there) does not count.
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

# The first steps trace graphs and compile the recurrence, anew for some of the shapes that come.
FIXED_TRAINING = 400_000_000
FIXED_PREDICTION = 200_000_000
# Words of an encoded corpus: their ids, twice or three times while it is made, and where sentences begin.
CORPUS_WORD = 16
# Words of the documents that the linear model of n-grams is fitted to: sorting their pairs takes most of it.
EVIDENCE_WORD = 200
# Characters of a single text while it is split into words.
TEXT_CHARACTER = 24
# What is split into words to learn how many there are: so many texts, and characters at the start and in the middle.
SAMPLED_TEXTS, SAMPLED_CHARACTERS = 50, 500
# Few documents have shorter sentences.
CHARACTERS_OF_SENTENCE = 10
# Keras' evaluation keeps what a gradient would need.
VALIDATION_WORDS = 32_768
# Fewer words at once than this would cost more time than they save memory.
FEWEST_WORDS = 512
THREADS = 4
# Hyper-parameters that what cannot be divided depends on.
OF_TABLES = "max_vocabulary or embedding_dim"
OF_STEPS = "max_vocabulary, embedding_dim, units, batch_size, max_sentences or max_words"


class Parts(NamedTuple):
    """How much of a batch is worked on at once, in any unit of costs.

    Attributes
    ----------
    word_cost, sentence_cost : int
        Of each word, and of each sentence besides its words.
    most : int
        Documents are taken together up to this cost, and one document at least.
    most_grouped : int or None
        Sentences are taken together up to this cost of their words, and one sentence at least; then words do not count
        for `most`. None lets the sentences of a part be read together.
    """

    word_cost: int
    sentence_cost: int
    most: int
    most_grouped: int | None = None


class NetworkSize(NamedTuple):
    """The sizes on which the memory costs of a network depend."""

    units: int
    embedding_dim: int
    vocabulary_size: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> NetworkSize:
        """Return the sizes in a network's configuration."""
        return cls(**{name: config[name] for name in cls._fields})

    @property
    def training_word(self) -> int:
        """Bytes that a training step keeps for each word."""
        return 1_200 + 170 * self.units

    @property
    def training_sentence(self) -> int:
        """Bytes that it keeps for each sentence besides."""
        return 1_200 + 270 * self.units

    @property
    def training_distinct(self) -> int:
        """Bytes that it keeps for each distinct word of the batch besides."""
        return 160 * self.units + 40 * self.embedding_dim

    @property
    def training_table(self) -> int:
        """Bytes that training takes for the rows of the embedding.

        They are the rows, two moments, the average, the best weights, and copies while these take each other's place.
        """
        return self.vocabulary_size * (7 * 4 * self.embedding_dim + 8)

    @property
    def prediction_word(self) -> int:
        """Bytes that prediction takes for each word that is read at once."""
        return 400 + 42 * self.units

    @property
    def prediction_sentence(self) -> int:
        """Bytes that prediction takes for each sentence of a document that is read in groups of them."""
        return 400 + 100 * self.units

    @property
    def prediction_distinct(self) -> int:
        """Bytes that prediction takes for each distinct word."""
        return 120 * self.units + 12 * self.embedding_dim


class TrainingPlan(NamedTuple):
    """How training is divided.

    Attributes
    ----------
    parts : Parts or None
        Of training batches; None for whole ones.
    validation_words : int
        Words of a batch of validation documents, or a document.
    prediction_words : int
        Words that are read at once by the finished network.
    """

    parts: Parts | None = None
    validation_words: int = VALIDATION_WORDS
    prediction_words: int = MAX_BATCH_WORDS


class PredictionPlan(NamedTuple):
    """How prediction is divided: words that are read at once by each thread, and the number of threads."""

    words: int = MAX_BATCH_WORDS
    threads: int = THREADS


def check_texts(texts: Iterable[str], limit: Limit) -> None:
    """Raise a MemoryLimitError if the longest text could not be split into words, whatever the network."""
    needed = TEXT_CHARACTER * max(map(len, texts), default=0)
    if needed > limit.size:
        raise _too_little("splitting the longest document into words", needed, limit, "pass it in parts, or ")


def check_network(network: NetworkSize, corpus: Corpus, limit: Limit) -> None:
    """Raise a MemoryLimitError if the network could not be trained on anything, before it is made."""
    needed = FIXED_TRAINING + network.training_table + CORPUS_WORD * len(corpus.word_ids)
    if needed > limit.size:
        raise _too_little("the word vectors and the documents", needed, limit, f"set a lower {OF_TABLES}, or ")


def training_cost(network: NetworkSize, corpus: Corpus, batch_size: int) -> tuple[int, int]:
    """Return the bytes of a training step with the most costly documents, in all and for the distinct words alone."""
    costs = corpus.word_counts * network.training_word + corpus.sentence_counts * network.training_sentence
    words = int(np.sort(corpus.word_counts)[-batch_size:].sum())
    distinct = min(network.vocabulary_size, words) * network.training_distinct
    return int(np.sort(costs)[-batch_size:].sum()) + distinct, distinct


def plan_training(
    network: NetworkSize, corpus: Corpus, validation: Corpus, *, batch_size: int, evidence: bool, limit: Limit
) -> TrainingPlan:
    """Divide training so that it takes no more than the limit, with a warning if that changes anything.

    Parameters
    ----------
    network : NetworkSize
    corpus, validation : Corpus
        The documents that are trained on, and those that are held out.
    batch_size : int
        Documents of a training batch.
    evidence : bool
        Whether a linear model of n-grams is fitted too.
    limit : Limit

    Raises
    ------
    MemoryLimitError
        If it takes more however it is divided.
    """
    words = len(corpus.word_ids) + len(validation.word_ids)
    step, distinct = training_cost(network, corpus, batch_size)
    evaluated = max(min(VALIDATION_WORDS, len(validation.word_ids)), int(validation.word_counts.max(initial=0)))
    after = max(
        min(MAX_BATCH_WORDS, len(validation.word_ids)) * network.prediction_word,
        EVIDENCE_WORD * words if evidence else 0,
    )
    fixed = FIXED_TRAINING + network.training_table + CORPUS_WORD * words
    needed = fixed + max(step, evaluated * (network.training_word + network.training_sentence), after)
    if needed <= limit.size:
        return TrainingPlan()

    room = limit.size - fixed
    if evidence and EVIDENCE_WORD * words > room:
        least = fixed + EVIDENCE_WORD * words
        raise _too_little("fitting the linear model of n-grams", least, limit, "set ngram_evidence=False, or ")
    most = room - distinct
    both = Corpus.concatenate([corpus, validation])
    costs = both.word_counts * network.training_word + both.sentence_counts * network.training_sentence
    most_grouped = None
    if int(costs.max(initial=0)) > most:
        # Half of the room is for the sentences of a document, half for the words of a group of them.
        most_grouped = most = most // 2
        sentences = int(both.sentence_counts.max(initial=0)) * network.training_sentence
        longest = int(np.diff(both.sentence_starts).max(initial=0)) * network.training_word
        if max(sentences, longest) > most:
            least = fixed + distinct + 2 * max(sentences, longest)
            raise _too_little("training", least, limit, f"set a lower {OF_STEPS}, or ")
    parts = None
    if step > room or most_grouped is not None:
        parts = Parts(network.training_word, network.training_sentence, most, most_grouped)
    each = network.training_word + network.training_sentence
    plan = TrainingPlan(
        parts,
        min(VALIDATION_WORDS, max(room // each, FEWEST_WORDS)),
        min(MAX_BATCH_WORDS, max(room // network.prediction_word, FEWEST_WORDS)),
    )
    done = []
    if parts is not None:
        number = -(-(step - distinct) // most)
        done.append(f"the longest training batches are read in some {number} parts, which takes longer")
    if len(validation):
        done.append(f"validation reads {min(plan.validation_words, plan.prediction_words):,} words at once")
    _warn("training", needed, limit, " and ".join(done))
    return plan


def words_per_character(texts: list[str], splitter: DocumentSplitter) -> float:
    """Return about how many words a character of the texts makes, and rather too many than too few, from a sample."""
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
    """Return the bytes that prediction takes, in all and without the words that are read at once.

    `density` is the number of words that a character of the texts makes at most; the rest is as for `plan_prediction`.
    """
    characters, most = sum(map(len, texts)), max(map(len, texts))
    longest = TEXT_CHARACTER * max(chunk if characters > chunk else 0, most)
    longest += min(most // CHARACTERS_OF_SENTENCE, max_sentences) * network.prediction_sentence
    words = int(min(density * min(characters, THREADS * max(chunk, most)), THREADS * MAX_BATCH_WORDS))
    distinct = min(network.vocabulary_size, int(density * characters)) * network.prediction_distinct
    fixed = FIXED_PREDICTION + distinct + longest
    return fixed + words * network.prediction_word, fixed


def plan_prediction(
    network: NetworkSize, texts: list[str], *, chunk: int, splitter: DocumentSplitter, limit: Limit
) -> PredictionPlan:
    """Divide prediction so that it takes no more than the limit, with a warning if that changes anything.

    Parameters
    ----------
    network : NetworkSize
    texts : list of str
    chunk : int
        Characters of the texts that a thread works on, or a single text.
    splitter : DocumentSplitter
    limit : Limit

    Raises
    ------
    MemoryLimitError
        If it takes more however it is divided.
    """
    needed, fixed = prediction_cost(network, texts, chunk=chunk, max_sentences=splitter.max_sentences)
    if needed > limit.size:
        # Letters may be words, so that there are as many of these; mostly there are far fewer, and it is worth a look.
        density = words_per_character(texts, splitter)
        needed, fixed = prediction_cost(
            network, texts, chunk=chunk, max_sentences=splitter.max_sentences, density=density
        )
    if needed <= limit.size:
        return PredictionPlan()
    room = limit.size - fixed
    most = room // network.prediction_word
    if most < FEWEST_WORDS:
        raise _too_little(
            "prediction", fixed + FEWEST_WORDS * network.prediction_word, limit, "pass long documents in parts, or "
        )
    threads = int(np.clip(most // MAX_BATCH_WORDS, 1, THREADS))
    plan = PredictionPlan(min(most // threads, MAX_BATCH_WORDS), threads)
    _warn("prediction", needed, limit, f"{threads} of {THREADS} threads read {plan.words:,} words at once")
    return plan


def _warn(work: str, needed: int, limit: Limit, done: str) -> None:
    warn_user(
        f"{work} would take up to {gigabytes(needed)} more memory than is used now, above the limit of {limit}: {done}",
        MemoryLimitWarning,
    )


def _too_little(work: str, needed: int, limit: Limit, advice: str) -> MemoryLimitError:
    return MemoryLimitError(
        f"memory_limit must leave room for {work}, which takes at least {gigabytes(needed)} more memory than is used "
        f"now, got {limit}; {advice}raise memory_limit"
    )
