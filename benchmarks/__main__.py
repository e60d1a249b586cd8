"""Run a benchmark by name: `python -m benchmarks NAME [ARGUMENTS]`; without a name, list them."""

from __future__ import annotations

import runpy
import sys
from typing import NamedTuple


class Benchmark(NamedTuple):
    """A module that measures something, and what to expect of it."""

    module: str
    measures: str
    takes: str


BENCHMARKS = {
    "accuracy": Benchmark("accuracy.single_label", "test accuracy against other methods, ablation", "hours, resumable"),
    "few_labels": Benchmark("accuracy.few_labels", "accuracy after 100 to 3,000 documents", "hours, resumable"),
    "multilabel": Benchmark("accuracy.multilabel", "F1 on Reuters-21578 against a linear model", "1 hour, resumable"),
    "explanations": Benchmark("explanations.faithfulness", "how faithful each explanation method is", "15 minutes"),
    "picture": Benchmark("explanations.picture", "nothing: draws the README's picture from models/imdb", "1 minute"),
    "speed": Benchmark("speed.throughput", "words/s, latency and memory against PyTorch and others", "30 minutes"),
    "profile": Benchmark("speed.profile", "where a training step and a prediction spend their time", "5 minutes"),
    "commands": Benchmark("speed.commands", "how long until a mistake is refused, whole processes", "1 minute"),
    "streaming": Benchmark("speed.streaming", "`han predict` on a file of 1 GB", "15 minutes"),
    "vectors": Benchmark("speed.vectors", "reading a million word vectors", "5 minutes"),
    "kills": Benchmark("robustness.kills", "what SIGKILL during saving and training leaves behind", "25 minutes"),
    "corruptions": Benchmark("robustness.corruptions", "loading 5,000 damaged classifiers", "20 minutes"),
    "generated": Benchmark("robustness.generated", "10,000 generated inputs of the Python API", "30 minutes"),
    "tables": Benchmark("robustness.tables", "2,000 generated tables, through `han predict`", "25 minutes"),
    "memory_growth": Benchmark("robustness.memory_growth", "memory after 100 fits and 100 loads", "20 minutes"),
    "mutation": Benchmark("robustness.mutation", "which small code changes no test detects", "90 minutes, resumable"),
}


def main() -> None:
    """Run the benchmark that the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        rows = [f"  {known:13} {benchmark.measures} ({benchmark.takes})" for known, benchmark in BENCHMARKS.items()]
        unknown = f"no benchmark is named {name!r}\n" if name else ""
        sys.exit(f'{unknown}make bench NAME=... [ARGS="..."]\n\n' + "\n".join(rows))
    sys.argv = [f"make bench NAME={name}", *sys.argv[2:]]
    runpy.run_module(f"benchmarks.{BENCHMARKS[name].module}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
