"""Where a training step and a prediction spend their time: `make bench NAME=profile`.

TensorFlow's profiler watches a second `fit`, when all is compiled. The time that operations take
is summed up by their kind; of operations that run side by side each counts, and the last line says how long there was
any. The stages of a prediction run one after another in a single thread; in `predict`, two chunks of text are on their
way at a time. `--han FOLDER` profiles the `han` of another checkout, so that a change can be seen from both sides:
`git worktree add ../before COMMIT`, then `make bench NAME=profile ARGS="--han ../before --label before"`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.reporting import MEASUREMENTS, RESULTS, describe

if TYPE_CHECKING:
    from han import HANClassifier

DOCUMENTS = 1280
BATCH_SIZE = 64
# By the operation's type, as TensorFlow names it; what no pattern is found in is "other".
KINDS = {
    "recurrence": ("CpuExecutable::ExecuteAsyncOnStream", "PyFuncStateless"),
    "matrix products": ("MatMul", "Einsum"),
    "gathers, scatters, padding": ("Gather", "Scatter", "Pad", "Concat", "Pack", "Unpack", "Slice", "Split",
                                   "Transpose"),
    "sums over sequences": ("Segment",),
    "dropout": ("Random",),
    "element by element": ("Mul", "Add", "Sub", "Div", "Tanh", "Exp", "Square", "Sqrt", "Select", "Cast", "Sum", "Max",
                           "Min", "Neg", "L2Loss", "Less", "Equal", "Greater", "Softmax"),
    "layout of words": ("Unique", "Where", "Range", "Cumsum", "TopK", "Search", "Count", "Invert", "Fill", "Tile"),
}  # fmt: skip


def main() -> None:
    """Profile, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--han", help="folder of another checkout")
    parser.add_argument("--label", default="after", help="name of the profile in the results")
    arguments = parser.parse_args()
    if arguments.han:
        sys.path.insert(0, arguments.han)

    from han import HANClassifier, load_dataset

    dataset = load_dataset("imdb")
    texts, labels = list(dataset.X_train[:: len(dataset.X_train) // DOCUMENTS]), dataset.y_train
    labels = labels[:: len(labels) // DOCUMENTS]
    classifier = HANClassifier(
        embedding_dim=200,
        max_vocabulary=20_000,
        batch_size=BATCH_SIZE,
        epochs=1,
        validation_fraction=0,
        random_state=0,
        verbose=0,
    )
    classifier.fit(texts, labels)
    steps = -(-len(texts) // BATCH_SIZE)
    profiles = {"training, ms a step": profile(lambda: classifier.fit(texts, labels), steps)}
    if not arguments.han:
        profiles["prediction, ns a word on one core"] = prediction_stages(classifier, list(dataset.X_test)[:1000])
    path = RESULTS / "profile.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    stored["command"] = "make bench NAME=profile"
    stored["setting"] = f"IMDB, {len(texts)} documents, batch {BATCH_SIZE}, embedding 200"
    stored[arguments.label] = {**describe(), **profiles}
    path.write_text(json.dumps(stored, indent=1) + "\n")
    (MEASUREMENTS / "profile.md").write_text("\n".join(table(stored)) + "\n")
    print("\n".join(table(stored)))


def profile(action: Callable[[], object], steps: int) -> dict[str, float]:
    """Return the milliseconds of each kind of operation, divided by the steps."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from han.backend import tf

    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, options=options)
        action()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).glob("plugins/profile/*/*.xplane.pb")).read_bytes())
    times: Counter[str] = Counter()
    spans = []
    for plane in space.planes:
        names = {key: metadata.name for key, metadata in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                kind = kind_of(names[event.metadata_id])
                if kind:
                    times[kind] += event.duration_ps / 1e9
                    start = line.timestamp_ns / 1e6 + event.offset_ps / 1e9
                    spans.append((start, start + event.duration_ps / 1e9))
    kinds = {kind: times[kind] for kind in [*KINDS, "other"]}
    return {kind: round(value / steps, 2) for kind, value in {**kinds, "elapsed": covered(spans)}.items()}


def prediction_stages(classifier: HANClassifier, texts: list[str]) -> dict[str, float]:
    """Return the nanoseconds that each stage of a prediction takes for a word, and those of `predict` on all cores."""
    from benchmarks.speed.contender import seconds
    from han.inference.compiled import compiled
    from han.recurrence.level import Inputs

    reader, network = classifier.reader(), compiled(classifier.model_)
    forward, projection = network.forward_pass(), network.project(np.arange(reader.vocabulary.size, dtype=np.int32))
    corpora = [reader.encode(texts[start : start + 100]) for start in range(0, len(texts), 100)]
    batches = [corpus.batch(np.arange(len(corpus))) for corpus in corpora]
    words = sum(len(batch.word_ids) for batch in batches)
    inputs = [Inputs(projection.table, batch.word_ids, batch.sentence_lengths) for batch in batches]
    vectors = [forward.words.pool(part).vectors for part in inputs]
    evidence = [forward.evidence(batch) for batch in batches]

    def classify() -> None:
        for batch, rows, columns in zip(batches, vectors, evidence, strict=True):
            forward.logits(rows, np.arange(len(rows), dtype=np.int32), batch.document_lengths, columns)

    stages: dict[str, Callable[[], object]] = {
        "finding sentences": lambda: [[*reader.splitter.sentence_splitter(text)] for text in texts],
        "sentences, words and their ids": lambda: [
            reader.encode(texts[start : start + 100]) for start in range(0, len(texts), 100)
        ],
        "word level": lambda: [forward.words.pool(part) for part in inputs],
        "sentence level and classes": classify,
        "n-grams": lambda: [forward.evidence(batch) for batch in batches],
        "`predict`, all cores": lambda: classifier.predict(texts),
    }
    return {name: round(1e9 * median(seconds(stage) for _ in range(9)) / words, 1) for name, stage in stages.items()}


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of spans (start, end)."""
    total, reached = 0.0, -float("inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def kind_of(name: str) -> str | None:
    """Return what kind of operation an event is, or None for what is no operation: frames around others."""
    recurrence, *patterns = KINDS.values()
    if name.rpartition(":")[2] in recurrence or name in recurrence:  # the loops; before, programs compiled by XLA
        return next(iter(KINDS))
    # An operation's event is called name:Type; names of C++ functions hold double colons.
    operation = name.rpartition(":")[2]
    if "::" in name or ":" not in name or not operation.isidentifier() or operation.startswith("Xla"):
        return None
    kinds = list(KINDS)[1:]
    return next(
        (kind for kind, parts in zip(kinds, patterns, strict=True) if any(p in operation for p in parts)), "other"
    )


def table(stored: dict[str, Any]) -> list[str]:
    """Return the profiles side by side as Markdown."""
    labels = [label for label, value in stored.items() if isinstance(value, dict)]
    lines = [
        "# Where the time goes",
        "",
        f"`{stored['command']}`: {stored['setting']}. Operations that run side by side each count.",
        "The recurrence was one loop on both cores, compiled by XLA; now two loops with a core each, by Numba,",
        "also pool. The last line says how long any operation ran. The stages of a prediction ran one after another;",
        "sentences are found as part of the second one.",
    ]
    for action in stored[labels[-1]]:
        if "," not in action:
            continue
        columns: dict[str, list[str]] = defaultdict(list)
        measured = [label for label in labels if action in stored[label]]
        for label in measured:
            for kind, value in stored[label][action].items():
                columns[kind].append(f"{value:.1f}")
        lines += ["", f"| {action} | {' | '.join(measured)} |", "|---|" + "---|" * len(measured)]
        lines += [f"| {kind} | {' | '.join(values)} |" for kind, values in columns.items()]
    return lines


if __name__ == "__main__":
    main()
