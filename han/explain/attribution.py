"""What a network's decision rests on: scores for words and sentences, by attention and by three other methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from han.explain.explanation import Explanation
from han.inference.compiled import CompiledNetwork
from han.inference.inference import Network, inference_of
from han.inference.prediction import CHUNK, divide
from han.text.batches import MAX_BATCH_WORDS, consecutive, prediction_batches
from han.text.corpus import Corpus, Documents, Int64, ranges
from han.text.reader import DocumentReader

Float32 = npt.NDArray[np.float32]

# A gradient keeps some 5 kB for each word at 50 units, and occlusion makes some twenty words of each.
BATCH_WORDS = 16_384
# Words that prediction could read in the memory that a gradient takes for one.
GRADIENT_COST = 5


class Scores(NamedTuple):
    """Scores of documents' words and sentences; `han.explain.explanation.Explanation` says what they mean.

    Attributes
    ----------
    probabilities : float32 [documents, classes]
    word_scores : float32 [words]
    sentence_scores : float32 [sentences]
    completeness_errors : float32 [documents]
        Zeros but for integrated gradients.
    """

    probabilities: Float32
    word_scores: Float32
    sentence_scores: Float32
    completeness_errors: Float32


def attribute(
    network: Network,
    corpus: Corpus,
    method: str,
    targets: Int64 | None = None,
    n_steps: int = 32,
    max_words: int = MAX_BATCH_WORDS,
) -> Scores:
    """Score the words and sentences of encoded documents.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork or StoredNetwork
    corpus : Corpus
        At least one document.
    method : {"attention", "gradient_x_input", "integrated_gradients", "occlusion"}
        A key of `METHODS`.
    targets : int64 [documents] or None, default None
        The index of each document's target class; None takes the most probable one.
    n_steps : int, default 32
        Points at which integrated gradients evaluates the gradient.
    max_words : int, default 131072
        Words that fit into memory at once in prediction. Documents are not divided here.
    """
    return inference_of(network).run(_attribute, corpus, method, targets, n_steps, max_words)


def _attribute(
    network: CompiledNetwork, corpus: Corpus, method: str, targets: Int64 | None, n_steps: int, max_words: int
) -> Scores:
    size = max_words if method == "attention" else min(max_words // GRADIENT_COST, BATCH_WORDS)
    parts = [
        METHODS[method](network, corpus.batch(part), None if targets is None else targets[part], n_steps)
        for part in prediction_batches(corpus, max_words=size)
    ]
    return Scores(*(np.concatenate(arrays).astype(np.float32) for arrays in zip(*parts, strict=True)))


def attention(
    network: CompiledNetwork,
    documents: Documents,
    targets: Int64 | None,  # noqa: ARG001 all methods are called alike
    n_steps: int,  # noqa: ARG001
) -> Scores:
    """Score by the weights of the two attention poolings, as the decision itself was made with them.

    Nothing of the evidence of n-grams is in them.
    """
    probabilities, words, sentences = (part.numpy() for part in network.forward(*network.project_distinct(documents)))
    return Scores(probabilities, words, sentences, np.zeros(len(probabilities), np.float32))


def gradient_x_input(
    network: CompiledNetwork,
    documents: Documents,
    targets: Int64 | None,
    n_steps: int,  # noqa: ARG001
) -> Scores:
    """Score by the gradient of the target's probability at each word's vector, times the vector."""
    probabilities, chosen = _decide(network, documents, targets)
    words = network.contributions(documents, chosen, np.float32(1.0))[1].numpy()
    return _shared_out(documents, probabilities, words, np.zeros(len(chosen), np.float32))


def integrated_gradients(network: CompiledNetwork, documents: Documents, targets: Int64 | None, n_steps: int) -> Scores:
    """Score by integrated gradients (Sundararajan et al. 2017, equation 1) from zero vectors to the words' own.

    A zero vector is what word dropout puts in place of a word, so the network has learned to read it as a word missing.
    The evidence of n-grams goes from none to the words' own.
    The integral is by Gauss-Legendre quadrature.
    """
    probabilities, chosen = _decide(network, documents, targets)
    words = np.zeros(len(documents.word_ids))
    for node, weight in zip(*np.polynomial.legendre.leggauss(n_steps), strict=True):
        words += weight / 2 * network.contributions(documents, chosen, np.float32((node + 1) / 2))[1].numpy()
    nothing = network.contributions(documents, chosen, np.float32(0.0))[0].numpy()
    difference = (probabilities - nothing)[np.arange(len(chosen)), chosen]
    scores = _shared_out(documents, probabilities, words, np.zeros(len(chosen), np.float32))
    sums = _sums(scores.sentence_scores, documents.document_lengths)
    return scores._replace(completeness_errors=np.abs(sums - difference))


def occlusion(
    network: CompiledNetwork,
    documents: Documents,
    targets: Int64 | None,
    n_steps: int,  # noqa: ARG001
) -> Scores:
    """Score by how far the target's probability falls when a word, or a sentence, is deleted from the document.

    Without a word only its sentence changes: that one is encoded anew, and the document is read again from its sentence
    vectors, at a tenth of the work of reading all of its words. The evidence of its n-grams is looked up again.
    """
    probabilities, chosen = _decide(network, documents, targets)
    lengths, counts = documents.sentence_lengths.astype(np.int64), documents.document_lengths.astype(np.int64)
    documents, projection = network.project_distinct(documents)
    word_ids = documents.word_ids.numpy()
    sentence_of = np.repeat(np.arange(len(lengths)), lengths)
    document_of = np.repeat(np.arange(len(counts)), counts)
    words, sentences = np.arange(len(word_ids)), np.arange(len(lengths))

    vectors = [network.sentence_vectors(documents, projection).numpy()]
    starts = np.cumsum(lengths) - lengths
    for part in consecutive(lengths[sentence_of], MAX_BATCH_WORDS):
        sentence = sentence_of[part]
        members = ranges(starts[sentence], lengths[sentence])
        others = members[members != np.repeat(part, lengths[sentence])]
        shortened = (lengths[sentence] - 1).astype(np.int32)
        variants = Documents(word_ids[others], shortened, documents.document_lengths)
        vectors.append(network.sentence_vectors(variants, projection).numpy())
    rows = np.concatenate(vectors)

    firsts = np.cumsum(counts) - counts
    corpus = Corpus(word_ids, np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([[0], np.cumsum(counts)]))
    word_starts, word_counts = corpus.sentence_starts[corpus.document_starts], corpus.word_counts

    def evidence(document: Int64, start: Int64, end: Int64) -> Float32:
        """Return the evidence of documents each time without its words from `start` to `end`."""
        if network.network.evidence is None:
            return np.zeros((len(document), 0), np.float32)
        results = [np.zeros((0, network.network.evidence_columns), np.float32)]
        for part in consecutive(word_counts[document], MAX_BATCH_WORDS):
            word = ranges(word_starts[document[part]], word_counts[document[part]])
            first, last = (np.repeat(edge[part], word_counts[document[part]]) for edge in (start, end))
            rest = corpus.take(document[part]).keep_words((word < first) | (word >= last))
            results.append(network.document_evidence(rest.batch(np.arange(len(part))), projection).numpy())
        return np.concatenate(results)

    def falls(sentence: Int64, substitute: Int64, start: Int64, end: Int64) -> Float32:
        """Return the falls when a sentence each time is replaced by another row, or left out if that is -1.

        That is, when the words from `start` to `end` are deleted.
        """
        results = []
        said = evidence(document_of[sentence], start, end)
        for part in consecutive(counts[document_of[sentence]], MAX_BATCH_WORDS):
            document = document_of[sentence[part]]
            index = ranges(firsts[document], counts[document])
            replaced = index == np.repeat(sentence[part], counts[document])
            index = np.where(replaced, np.repeat(substitute[part], counts[document]), index)
            sizes = counts[document] - (substitute[part] < 0)
            left = network.forward_vectors(rows, index[index >= 0].astype(np.int32), sizes.astype(np.int32), said[part])
            column = chosen[document]
            results.append(probabilities[document, column] - left.numpy()[np.arange(len(part)), column])
        return np.concatenate([np.zeros(0, np.float32), *results])

    # The word alone in its sentence takes the sentence with it.
    return Scores(
        probabilities,
        falls(sentence_of, np.where(lengths[sentence_of] > 1, len(lengths) + words, -1), words, words + 1),
        falls(sentences, np.full(len(sentences), -1), starts, starts + lengths),
        np.zeros(len(chosen), np.float32),
    )


METHODS: dict[str, Callable[[CompiledNetwork, Documents, Int64 | None, int], Scores]] = {
    "attention": attention,
    "gradient_x_input": gradient_x_input,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}


def explain(
    network: Network,
    texts: list[str],
    reader: DocumentReader,
    classes: list[Any],
    *,
    method: str,
    targets: Int64 | None,
    n_steps: int,
    max_words: int = MAX_BATCH_WORDS,
) -> tuple[list[Explanation], int]:
    """Return the explanations of raw texts, and how many documents were over the cap on sentences.

    See `attribute` for the parameters.
    """
    explanations, cut = [], 0
    for start, end in divide([len(text) for text in texts], CHUNK):
        corpus, words, offsets = reader.encode_with_offsets(texts[start:end])
        cut += corpus.cut
        scores = attribute(network, corpus, method, None if targets is None else targets[start:end], n_steps, max_words)
        chosen = scores.probabilities.argmax(axis=1) if targets is None else targets[start:end]
        for document, text in enumerate(texts[start:end]):
            sentences = slice(*corpus.document_starts[document : document + 2])
            starts = corpus.sentence_starts[sentences.start : sentences.stop + 1]
            own = slice(starts[0], starts[-1])
            error = float(scores.completeness_errors[document]) if method == "integrated_gradients" else None
            explanations.append(
                # Copies: a view of a chunk would keep the chunk.
                Explanation(
                    text=str(text),
                    method=method,
                    classes=tuple(classes),
                    probabilities=scores.probabilities[document].copy(),
                    target=classes[chosen[document]],
                    words=tuple(words[own]),
                    offsets=offsets[own].copy(),
                    sentence_starts=(starts - starts[0]).astype(np.int32),
                    word_scores=scores.word_scores[own].copy(),
                    sentence_scores=scores.sentence_scores[sentences].copy(),
                    completeness_error=error,
                )
            )
    return explanations, cut


def _decide(network: CompiledNetwork, documents: Documents, targets: Int64 | None) -> tuple[Float32, Int64]:
    """Return the probabilities, and the classes that are explained."""
    probabilities = network.forward(*network.project_distinct(documents))[0].numpy()
    return probabilities, probabilities.argmax(axis=1) if targets is None else targets


def _shared_out(
    documents: Documents, probabilities: Float32, words: npt.NDArray[Any], errors: npt.NDArray[Any]
) -> Scores:
    """Return scores that add up: a sentence's is the sum of its words'."""
    return Scores(probabilities, words, _sums(words, documents.sentence_lengths), errors)


def _sums(values: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sums of consecutive groups of values; 0.0 of a group of none."""
    sums: npt.NDArray[Any] = np.diff(
        np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])[np.concatenate([[0], np.cumsum(lengths)])]
    )
    return sums
