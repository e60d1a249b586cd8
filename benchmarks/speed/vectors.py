"""Time and memory that it takes to read a file of a million word vectors: `make bench NAME=vectors`.

Each file is read in a process of its own, for a vocabulary of 30,000 of its words. Writes
`docs/measurements/vectors.md`.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.reporting import MEASUREMENTS, describe, peak_memory, source
from han.text.vocabulary import Vocabulary
from han.text.word_vectors import find_vectors

WORDS, FEATURES, KNOWN = 1_000_000, 100, 30_000


def main() -> None:
    """Write the files, read each, and store what it took."""
    if len(sys.argv) > 1:
        print(json.dumps(read(Path(sys.argv[1]))))
        return
    lines = ["# Reading a million word vectors", "",
             f"{WORDS:,} words, {FEATURES} features, of which {KNOWN:,} words are kept.", "",
             "| file | size | time | memory at its peak, above what it was before |", "|---|---|---|---|"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for path in write(Path(folder)):
            child = [sys.executable, "-m", "benchmarks.speed.vectors", str(path)]
            result = json.loads(subprocess.run(child, capture_output=True, text=True, check=True).stdout)  # noqa: S603
            size = path.stat().st_size / 1e6
            lines.append(
                f"| {path.name} | {size:,.0f} MB | {result['seconds']:.1f} s | {result['megabytes']:,.0f} MB |"
            )
    lines += ["", f"{source({'command': 'make bench NAME=vectors', **describe()})}; one run each."]
    (MEASUREMENTS / "vectors.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def write(folder: Path) -> list[Path]:
    """Write the same vectors in three forms."""
    rng = np.random.default_rng(0)
    text, binary = folder / "text.vec", folder / "binary.bin"
    with text.open("wb") as lines, binary.open("wb") as records:
        for file in (lines, records):
            file.write(f"{WORDS} {FEATURES}\n".encode())
        for start in range(0, WORDS, 10_000):
            for number, vector in enumerate(rng.normal(size=(10_000, FEATURES)).astype("<f4"), start):
                name = f"word{number}".encode()
                lines.write(name + b" " + " ".join(f"{value:.4f}" for value in vector).encode() + b"\n")
                records.write(name + b" " + vector.tobytes())
    with text.open("rb") as source, gzip.open(folder / "text.vec.gz", "wb", compresslevel=1) as target:
        while chunk := source.read(1 << 24):
            target.write(chunk)
    return [text, folder / "text.vec.gz", binary]


def read(path: Path) -> dict[str, float]:
    """Read one file; return the seconds, and the megabytes that the process grew by at most."""
    vocabulary = Vocabulary([f"word{number}" for number in range(0, WORDS, WORDS // KNOWN)][:KNOWN])
    before = peak_memory()
    started = time.perf_counter()
    vectors = find_vectors(path, vocabulary)
    seconds = time.perf_counter() - started
    assert vectors.known.all()
    return {"seconds": seconds, "megabytes": peak_memory() - before}


if __name__ == "__main__":
    main()
