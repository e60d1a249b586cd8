from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest

from han import HANClassifier
from han.exceptions import MemoryLimitError, MemoryLimitWarning
from han.memory.limits import Limit, container_memory, find_limit, parse_size
from han.memory.planning import (
    FIXED_TRAINING,
    NetworkSize,
    PredictionPlan,
    TrainingPlan,
    check_network,
    check_text_lengths,
    plan_prediction,
    plan_training,
    training_cost,
    words_per_character,
)
from han.text.batches import MAX_BATCH_WORDS
from han.text.corpus import Corpus
from han.text.splitting import DocumentSplitter

NETWORK = NetworkSize(units=50, embedding_dim=100, vocabulary_size=3000)
SMALL = {"embedding_dim": 8, "units": 4, "epochs": 1, "batch_size": 8, "random_state": 0, "verbose": 0}


def corpus_of(documents, sentences, words):
    lengths, counts = np.full(documents * sentences, words), np.full(documents, sentences)
    starts = [np.concatenate([[0], np.cumsum(part)]) for part in (lengths, counts)]
    return Corpus(np.zeros(documents * sentences * words, np.int32), *starts)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, 1), (np.int64(5), 5), ("2GB", 2_000_000_000), ("1.5 GiB", 1_610_612_736), (" 800mb ", 800_000_000),
        ("64B", 64), ("3 kB", 3000), ("1TB", 10**12),
        (0, None), (-1, None), (True, None), (2.5, None), ("2", None), ("GB", None), ("0B", None), ("2 GBs", None),
        (None, None), ("-2GB", None),
    ],
)  # fmt: skip
def test_sizes_are_ints_or_strings(size, expected):
    assert parse_size(size) == expected


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_memory_left_in_control_groups_of_version_2(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "self"
    membership.write_text("0::/outer/inner\n")
    group(root / "outer" / "inner", memory__max="max", memory__current=900)
    assert container_memory(root, membership) is None
    group(root / "outer", memory__max=1000, memory__current=700, memory__stat="anon 5\ninactive_file 60\nfile 7")
    assert container_memory(root, membership) == 360
    group(root / "outer" / "inner", memory__max=950, memory__current=900)
    assert container_memory(root, membership) == 50
    group(root / "outer" / "inner", memory__max=800)
    assert container_memory(root, membership) == 0


def test_a_container_may_see_its_own_group_as_the_root(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "self"
    membership.write_text("0::/docker/0123\n")
    group(root, memory__max=1000, memory__current=400)
    assert container_memory(root, membership) == 600


def test_memory_left_in_control_groups_of_version_1(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "self"
    membership.write_text("5:cpu,cpuacct:/jobs\n4:memory:/jobs\n0::/\n")
    group(root / "memory" / "jobs", memory__limit_in_bytes=1000, memory__usage_in_bytes=300)
    group(root / "memory" / "jobs", memory__stat="inactive_file 1\ntotal_inactive_file 20")
    assert container_memory(root, membership) == 720


def test_no_limit_without_control_groups(tmp_path):
    assert container_memory(tmp_path, tmp_path / "nothing") is None


def test_the_default_limit_is_that_of_the_machine():
    assert find_limit("2GB") == Limit(2_000_000_000, "memory_limit")
    found = find_limit(None)
    assert 0 < found.size <= psutil.virtual_memory().total
    assert found.source != "memory_limit"


def test_nothing_is_divided_below_the_limit():
    corpus = corpus_of(16, 100, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limit = Limit(10**12, "memory_limit")
        plan = plan_training(NETWORK, corpus, corpus, batch_size=8, evidence=True, limit=limit)
        assert plan == TrainingPlan()
        texts = ["word " * 100]
        assert (
            plan_prediction(NETWORK, texts, chunk=10**6, splitter=DocumentSplitter(), limit=limit) == PredictionPlan()
        )


def training_plan(corpus, size, **changes):
    arguments = {"batch_size": 16, "evidence": False, "limit": Limit(size, "memory_limit"), **changes}
    with pytest.warns(MemoryLimitWarning, match=r"training would need up to .* GB of additional .* above the limit of"):
        return plan_training(NETWORK, corpus, corpus.take([]), **arguments)


def test_batches_are_divided_between_documents_first():
    corpus = corpus_of(16, 1000, 20)
    whole, distinct = training_cost(NETWORK, corpus, 16)
    overhead = FIXED_TRAINING + NETWORK.training_table + 16 * len(corpus.word_ids) + distinct
    document = (whole - distinct) // 16
    plan = training_plan(corpus, overhead + 3 * document + 1000)
    assert plan.parts.most_grouped is None
    assert 3 * document <= plan.parts.most < 4 * document
    # A single document is too large, so its sentences are grouped.
    plan = training_plan(corpus, overhead + document * 9 // 10)
    assert plan.parts.most_grouped >= 50 * NETWORK.training_word
    assert plan.parts.most >= 1000 * NETWORK.training_sentence
    assert plan.parts.most + plan.parts.most_grouped <= document * 9 // 10
    with pytest.raises(MemoryLimitError, match=r"sufficient for training.*max_sentences.*or raise memory_limit"):
        plan_training(
            NETWORK, corpus, corpus.take([]), batch_size=16, evidence=False,
            limit=Limit(overhead + document // 10, "memory_limit"),
        )  # fmt: skip


def test_a_long_validation_document_does_not_divide_training_batches():
    corpus, long = corpus_of(16, 2, 20), corpus_of(1, 5000, 20)
    limit = Limit(430_000_000, "memory_limit")
    with pytest.warns(MemoryLimitWarning, match="validation processes"):
        plan = plan_training(NETWORK, corpus, long, batch_size=16, evidence=False, limit=limit)
    assert plan.parts is None
    assert plan.prediction_words < MAX_BATCH_WORDS


def test_indivisible_work_above_the_limit_is_an_error():
    corpus, limit = corpus_of(1000, 100, 20), Limit(500_000_000, "memory_limit")
    with pytest.raises(MemoryLimitError, match=r"linear model of n-grams.*0\.64 GB.*0\.50 GB.*ngram_evidence=False"):
        plan_training(NETWORK, corpus, corpus.take([]), batch_size=1, evidence=True, limit=limit)
    with pytest.raises(MemoryLimitError, match=r"word vectors.*max_vocabulary or embedding_dim"):
        check_network(NETWORK._replace(vocabulary_size=100_000), corpus, limit)
    with pytest.raises(MemoryLimitError, match="splitting the longest document"):
        check_text_lengths(["a" * 10**6], Limit(10**6, "memory_limit"))
    limit, splitter = Limit(10**6, "memory_limit"), DocumentSplitter()
    with pytest.raises(MemoryLimitError, match="sufficient for prediction"):
        plan_prediction(NETWORK, ["a b " * 10**5], chunk=10**6, splitter=splitter, limit=limit)


def test_an_error_without_a_memory_limit_does_not_blame_it():
    message = r"^the available memory must be .* \(at least 0\.02 GB .*\), got 0\.00 GB \(available on this machine\);"
    with pytest.raises(MemoryLimitError, match=message) as raised:
        check_text_lengths(["a" * 10**6], Limit(10**6, "available on this machine"))
    assert "memory_limit" not in str(raised.value)


def test_a_lower_limit_means_fewer_threads_and_words_at_once():
    texts = ["word " * 10**6]
    plans = []
    for size in (280_000_000, 240_000_000, 180_000_000):
        limit = Limit(size, "memory_limit")
        with pytest.warns(MemoryLimitWarning, match="prediction would need"):
            plans.append(plan_prediction(NETWORK, texts * 9, chunk=550_000, splitter=DocumentSplitter(), limit=limit))
    assert [plan.threads for plan in plans] == sorted((plan.threads for plan in plans), reverse=True)
    assert plans[-1].words < plans[0].words <= MAX_BATCH_WORDS
    assert plans[-1].threads == 1


def test_fit_fails_early_with_advice(news):
    classifier = HANClassifier(**SMALL, memory_limit=1000)
    with pytest.raises(MemoryLimitError, match=r"memory_limit must be sufficient for .* raise memory_limit"):
        classifier.fit(news[0], news[1])
    assert not hasattr(classifier, "model_")


def test_words_per_character_is_a_conservative_estimate():
    texts = ["Ein Haus am See. " * 100, "", "a b c " * 500, "見よ" * 300]
    splitter = DocumentSplitter(max_sentences=10**6)
    words = sum(len(sentence) for text in texts for sentence in splitter(text))
    expected = words / sum(map(len, texts))
    assert expected <= words_per_character(texts, splitter) <= 2 * expected
    assert words_per_character([""], splitter) == 0.0


PEAK = Path(__file__).parents[1] / "memory_peak.py"


needs_peak = pytest.mark.skipif(
    sys.platform != "linux",
    reason="the peak of a fit alone needs /proc/self/clear_refs, with which Linux resets VmHWM",
)


def peak(work, **settings):
    """Return the peak memory of a fit or a prediction in its own process, without its libraries and documents."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, PEAK, work, json.dumps(settings)],
        capture_output=True, check=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
@needs_peak
@pytest.mark.parametrize(("work", "limit"), [("fit", 590_000_000), ("predict", 66_000_000)])
def test_the_estimate_is_above_the_peak_and_the_limit_is_observed(work, limit):
    free, kept = peak(work), peak(work, memory_limit=limit)
    assert free["peak"] <= free["estimate"] <= 3 * free["peak"]
    assert free["peak"] > limit
    assert free["warnings"] == 0
    assert kept["peak"] <= limit
    assert kept["warnings"] == 1


@pytest.mark.slow
@needs_peak
@pytest.mark.parametrize("settings", [{"units": 20, "embedding_dim": 200, "cell": "gru"}, {"units": 100}], ids=str)
def test_the_estimate_depends_on_the_settings(settings):
    found = peak("fit", **settings)
    assert found["peak"] <= found["estimate"] <= 3 * found["peak"]
