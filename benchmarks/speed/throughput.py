"""The project's speed and memory compared with other classifiers', on IMDB: `make bench NAME=speed`.

Every contender is a process of its own, started once, and takes its turn in every round: all meet the same machine in
the same state, and what is reported is a ratio within rounds. Writes `results/speed.json`, `results/speed.png` and the
tables in `docs/speed.md` and the README.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.reporting import RESULTS, describe, fill, peak_memory, source, store
from benchmarks.speed.arithmetic import ceiling, matrix_product_rate
from benchmarks.speed.contender import BATCH_SIZE, EMBEDDING_DIM, UNITS, VOCABULARY, seconds
from benchmarks.speed.rivals import Han, contender
from han import load_dataset
from han.text.splitting import DocumentSplitter

CONTENDERS = {
    "han": "han, default settings",
    "plain": "han, the network of the next two rows",
    "torch": "HAN in PyTorch, packed",
    "keras": "HAN in Keras, TimeDistributed",
    "linear": "TF-IDF + logistic regression",
    "fasttext": "fastText",
    "static": "model2vec, random vectors + logistic regression",
}
LATENCY_WORDS = 240
SIZES = (25_000, 2_500, 250_000)  # the first in a new process: its first step counts compiling


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=2000, help="training documents in a round")
    parser.add_argument("--only", choices=("rounds", "memory", "sizes"), help="measure this anew, keep the rest")
    parser.add_argument("--draw", action="store_true", help="only draw the tables and the figure")
    parser.add_argument("--turn", help="what a contender's process is started with")
    arguments = parser.parse_args()
    if arguments.turn:
        serve(arguments.turn, arguments.documents)
        return

    path = RESULTS / "speed.json"
    results: dict[str, Any] = json.loads(path.read_text()) if arguments.only or arguments.draw else {}
    if not arguments.draw:
        results |= {"command": "make bench NAME=speed", **describe("torch", "floret", "scikit-learn")}
    sections = {
        "rounds": lambda: side_by_side(arguments.rounds, arguments.documents),
        "memory": memory,
        "sizes": sizes,
    }
    for name, section in sections.items():
        if arguments.only in (None, name) and not arguments.draw:
            results |= section()
            path.write_text(json.dumps(results, indent=1) + "\n")
    store("speed", results, table(results))
    fill("speed-summary", [*rate_table(results), "", f"{source(results)}; {results['setting']}; {results['spread']}."])
    draw(results)


def side_by_side(rounds: int, documents: int) -> dict[str, Any]:
    """Let all contenders take turns."""
    workers = {name: Worker(name, documents) for name in [*CONTENDERS, "products"]}
    turns: list[dict[str, Any]] = []
    for index in range(rounds):
        turns.append({name: worker.ask("turn") for name, worker in workers.items()})
        print(f"round {index + 1}: {json.dumps(turns[-1])}", flush=True)
    latency = {name: worker.ask("latency") for name, worker in workers.items() if name in ("han", "torch")}
    for worker in workers.values():
        worker.close()
    return {
        "setting": f"IMDB, {documents:,} documents to train on, {turns[0]['han']['test_documents']:,} to label; "
        f"all networks but the first: embedding {EMBEDDING_DIM}, {UNITS} units, vocabulary {VOCABULARY:,}, "
        f"batch {BATCH_SIZE}",
        "spread": f"median (lowest to highest) of {rounds} interleaved rounds",
        "contenders": summary(turns),
        "latency_ms": latency,
        "ceiling": ceilings(turns),
    }


def memory() -> dict[str, Any]:
    """Measure the memory of a process that trains on all of IMDB, and what libraries and documents take of it."""
    result: dict[str, Any] = {"memory_mb": {}}
    for name in ("han", "torch"):
        worker = Worker(name, 0)
        result["memory_mb"][name] = {"before": worker.ask("memory"), "peak": worker.ask("train and memory")}
        worker.close()
    print(json.dumps(result), flush=True)
    return result


def sizes() -> dict[str, Any]:
    """Measure one process with corpora of several sizes."""
    worker = Worker("han", 0)
    result = []
    for documents in SIZES:
        result.append(worker.ask("size", documents))
        print(json.dumps(result[-1]), flush=True)
    worker.close()
    return {"sizes": result}


class Worker:
    """A contender in a process of its own, which does what it is asked for and answers in JSON."""

    def __init__(self, name: str, documents: int) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.speed.throughput", "--turn", name, "--documents", str(documents)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def ask(self, *request: object) -> Any:
        """Send a request, wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        self.errors.seek(0)
        raise RuntimeError(f"{self.name} stopped without an answer to {request}:\n{self.errors.read()[-3000:]}")

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def serve(name: str, documents: int) -> None:
    """Answer requests until there are no more."""
    if name == "products":
        for _ in sys.stdin:
            print("answer", json.dumps(matrix_product_rate()), flush=True)
        return
    dataset = load_dataset("imdb")
    order = np.random.default_rng(0).permutation(len(dataset.X_train))[: documents or None]
    texts, labels = [dataset.X_train[index] for index in order], dataset.y_train[order]
    train_words, test_words = words(texts), words(dataset.X_test)
    rival = contender(name)
    prepared = False
    for line in sys.stdin:
        request, *values = json.loads(line)
        if request in ("turn", "latency", "train and memory") and not prepared:
            rival.prepare(texts, labels)
            rival.train()  # a first time, to warm up: rounds are of a process that has compiled and loaded all
            rival.predict(dataset.X_test)
            prepared = True
        if request == "turn":
            train_seconds = rival.train()
            rival.predict(texts[:500])
            predict_seconds = seconds(partial(rival.predict, dataset.X_test))
            answer: Any = {
                "train": train_words / train_seconds,
                "predict": test_words / predict_seconds,
                "test_documents": len(dataset.X_test),
            }
        elif request == "latency":
            text = " ".join(" ".join(dataset.X_test[:3]).split()[:LATENCY_WORDS])
            answer = 1000 * median(seconds(partial(rival.predict, [text])) for _ in range(200))
        elif request == "size":
            assert isinstance(rival, Han)
            answer = size(rival, dataset, *values)
        else:
            answer = peak_memory()
        print("answer", json.dumps(answer), flush=True)


def size(han: Han, dataset: Any, documents: int) -> dict[str, float]:
    """Return the rates with the corpus repeated up to so many documents."""
    order = np.random.default_rng(0).permutation(len(dataset.X_train) + len(dataset.X_test))
    everything = np.array([*dataset.X_train, *dataset.X_test], object)[order].tolist()
    texts = list(islice(cycle(everything), documents))
    labels = np.resize(np.concatenate([dataset.y_train, dataset.y_test])[order], documents)
    han.prepare(texts, labels)
    train_seconds = han.train(epochs=1 if documents > 100_000 else 2)
    han.predict(texts[:500])
    count = words(texts)
    return {
        "documents": documents,
        "train": count / train_seconds,
        "predict": count / seconds(partial(han.predict, texts)),
        "first_step_seconds": han.to_first_step,
    }


def words(texts: list[str]) -> int:
    """Count words as the project does."""
    splitter = DocumentSplitter()
    return sum(len(sentence) for text in texts for sentence in splitter(text))


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's rates, and how they compare with PyTorch's of the same round."""
    result: dict[str, Any] = {}
    for name in CONTENDERS:
        result[name] = {}
        for action in ("train", "predict"):
            rates = [turn[name][action] for turn in rounds]
            ratios = [turn[name][action] / turn["torch"][action] for turn in rounds]
            result[name][action] = {"words_per_second": spread(rates, 0), "times_torch": spread(ratios, 3)}
    return result


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Return median, lowest and highest."""
    return {
        key: round(value, digits)
        for key, value in (("median", median(values)), ("min", min(values)), ("max", max(values)))
    }


def ceilings(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far each network is from what its arithmetic would take at the rate of large matrix products."""
    rate = median(turn["products"] for turn in rounds)
    result: dict[str, Any] = {"gflop_per_second": round(rate / 1e9, 1), "shares": {}}
    for name, form in (
        ("plain", "as in the paper"),
        ("plain", "distinct words"),
        ("torch", "as in the paper"),
        ("keras", "padded"),
    ):
        for action in ("train", "predict"):
            flop, most = ceiling(form, action, rate)
            share = median(turn[name][action] / most * rate / turn["products"] for turn in rounds)
            title = "han" if name == "plain" else name
            result["shares"][f"{title}, {form}, {action}"] = {
                "flop_per_word": round(flop),
                "words_per_second_at_most": round(most),
                "share": round(share, 3),
            }
    return result


def rate_table(results: dict[str, Any]) -> list[str]:
    """Return a table of each contender's words a second."""
    lines = [
        "| words a second | training | relative to PyTorch | prediction (from raw text) | relative to PyTorch |",
        "|---|---|---|---|---|",
    ]
    for name, title in CONTENDERS.items():
        cells = []
        for action in ("train", "predict"):
            row = results["contenders"][name][action]
            rate, ratio = row["words_per_second"], row["times_torch"]
            cells.append(f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})")
            cells.append(f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def table(results: dict[str, Any]) -> list[str]:
    """Return the results as Markdown."""
    lines = rate_table(results)
    ceiling_ = results["ceiling"]
    rate = f"{ceiling_['gflop_per_second']:.0f} GFLOP/s"
    lines += [
        "",
        f"During the benchmark, large matrix products ran at {rate}. Fraction of that limit reached:",
        "",
        "| | FLOP a word | words a second at most | reached |",
        "|---|---|---|---|",
    ]
    for name, row in ceiling_["shares"].items():
        lines.append(
            f"| {name} | {row['flop_per_word']:,} | {row['words_per_second_at_most']:,} | {row['share']:.0%} |"
        )
    used, latency = results["memory_mb"], results["latency_ms"]
    lines += ["", "| | han | PyTorch |", "|---|---|---|"]
    for title, key in (
        ("peak memory, training on all of IMDB", "peak"),
        ("of which libraries and documents", "before"),
    ):
        lines.append(f"| {title} | {used['han'][key]:,.0f} MB | {used['torch'][key]:,.0f} MB |")
    lines.append(
        f"| one document of {LATENCY_WORDS} words, median | {latency['han']:.1f} ms | {latency['torch']:.1f} ms |"
    )
    lines += ["", "| documents | training, words/s | prediction, words/s | `fit` to first step |", "|---|---|---|---|"]
    for row in results["sizes"]:
        rates = f"{row['train']:,.0f} | {row['predict']:,.0f}"
        lines.append(f"| {row['documents']:,} | {rates} | {row['first_step_seconds']:.1f} s |")
    lines += [
        "",
        f"The {SIZES[0]:,} documents came first, in a new process, so their first step includes the tracing of graphs",
        "and the loading of compiled loops. Rates are from the second epoch (from the first for 250,000).",
    ]
    lines += ["", "![Words a second of each contender, in training and in prediction](../benchmarks/results/speed.png)"]
    return lines


def draw(results: dict[str, Any]) -> None:
    """Draw each contender's rates as bars on a logarithmic scale."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, action, title in zip(
        figure.subplots(1, 2, sharey=True),
        ("train", "predict"),
        ("training", "prediction (from raw text)"),
        strict=True,
    ):
        rows = [results["contenders"][name][action]["words_per_second"] for name in CONTENDERS]
        medians = [row["median"] for row in rows]
        errors = [[row["median"] - row["min"] for row in rows], [row["max"] - row["median"] for row in rows]]
        colors = ["#0072b2" if name in ("han", "plain") else "#999999" for name in CONTENDERS]
        axes.barh(list(CONTENDERS.values()), medians, xerr=errors, color=colors, ecolor="#444444", capsize=3)
        for position, row in enumerate(rows):
            axes.text(row["max"] * 1.1, position, f"{row['median'] / 1000:,.0f}k", va="center", fontsize=9)
        axes.set_xscale("log")
        axes.set_xlim(1e3, 1e7)
        axes.set_xlabel("words a second")
        axes.set_title(title, loc="left", fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.invert_yaxis() if action == "train" else None
    figure.savefig(RESULTS / "speed.png", dpi=110)


if __name__ == "__main__":
    main()
