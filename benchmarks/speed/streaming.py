"""`han predict` on 1 GB of JSON Lines: memory, order, speed and Ctrl-C: `make bench NAME=streaming`.

The file repeats the test documents of IMDB, each with a number; the classifier is trained on a few of the others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reporting import describe, store
from han import HANClassifier, load_dataset

HAN = str(Path(sys.executable).with_name("han"))
GIGABYTE = 1_000_000_000


def main() -> None:
    """Make the file, predict it, interrupt a second run, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=GIGABYTE, help="size of the file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments.bytes)
    after = results["interrupted"]
    lines = [
        "| `han predict` on a JSON Lines file | |",
        "|---|---|",
        f"| size of the file, documents | {results['bytes'] / 1e9:.2f} GB, {results['documents']:,} |",
        f"| peak memory | {results['peak_mb']:,.0f} MB |",
        f"| time | {results['seconds']:,.0f} s, {results['bytes'] / 1e6 / results['seconds']:.1f} MB/s |",
        f"| rows in order | {'yes' if results['in_order'] else 'NO'} |",
        f"| after Ctrl-C: exit code, files left | {after['rc']}, {', '.join(after['left']) or 'none'} |",
    ]
    head = {"command": "make bench NAME=streaming", **describe("pandas"), "spread": "one run"}
    store("streaming", {**head, **results}, lines)


def measure(folder: Path, size: int) -> dict[str, Any]:
    """Return what was found."""
    # Run in the background it would ignore Ctrl-C, and hand that on to what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    dataset = load_dataset("imdb")
    classifier = HANClassifier(epochs=1, random_state=0, verbose=0)
    classifier.fit(dataset.X_train[::10], dataset.y_train[::10]).save(folder / "model")
    documents = written = 0
    with (folder / "in.jsonl").open("w", encoding="utf-8") as file:
        while written < size:
            text = dataset.X_test[documents % len(dataset.X_test)]
            written += file.write(json.dumps({"id": documents, "text": text}) + "\n")
            documents += 1
    output = folder / "out.jsonl"
    command = [HAN, "predict", "model", "in.jsonl", "--output", "out.jsonl", "--drop-text"]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) as process:  # noqa: S603
        peak, progress = watch(process)
    seconds = time.monotonic() - started
    with output.open(encoding="utf-8") as file:
        numbers = [json.loads(line)["id"] for line in file]
    output.unlink()
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) as process:  # noqa: S603
        while not list(folder.glob(".out.jsonl.*")):
            time.sleep(0.1)
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        process.communicate()
    left = sorted(path.name for path in folder.iterdir() if path.name not in ("in.jsonl", "model"))
    return {
        "bytes": (folder / "in.jsonl").stat().st_size,
        "documents": documents,
        "peak_mb": round(peak, 1),
        "seconds": round(seconds, 1),
        "in_order": numbers == list(range(documents)),
        "progress": progress,
        "interrupted": {"rc": process.returncode, "left": left},
    }


def watch(process: subprocess.Popen[bytes]) -> tuple[float, str]:
    """Return the most MB that a process held, and its progress half way; wait for its end."""
    if process.stderr is None:
        raise RuntimeError("the process has no standard error")
    status = Path(f"/proc/{process.pid}/status")
    peak, said = 0.0, b""
    while chunk := os.read(process.stderr.fileno(), 4096):
        said += chunk
        held = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        peak = max([peak, *(int(kilobytes) / 1024 for kilobytes in held)])
    if process.wait():
        raise RuntimeError(said.decode()[-2000:])
    shown = [line for line in said.decode().split("\r") if "<" in line]
    return peak, shown[len(shown) // 2].strip()


if __name__ == "__main__":
    main()
