"""The progress bar in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 200])
def test_one_line_shows_the_whole_run(columns):
    code = (
        "from han import HANClassifier; "
        "HANClassifier(embedding_dim=8, units=4, epochs=3, batch_size=2, random_state=0)"
        ".fit([f'A {word} film, number {n}.' for n in range(40) for word in ('fine', 'dull')], ['good', 'bad'] * 40)"
    )
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, columns))
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code], stderr=child, stdout=subprocess.PIPE
    )
    os.close(child)
    screen = b""
    while True:
        try:
            chunk = os.read(parent, 4096)
        except OSError:  # raised by Linux if the other end is closed
            break
        if not chunk:
            break
        screen += chunk
    output, _ = process.communicate()
    os.close(parent)
    assert process.returncode == 0
    assert output == b""
    parts = screen.decode().replace("\n", "\r").split("\r")
    assert max(map(len, parts)) <= columns
    bars = [part for part in parts if part.rstrip().endswith("left")]
    assert re.match(r"epoch 1/3  loss \d\.\d{3}  .* [ \d]\d%  \d\d:\d\d left$", bars[2].rstrip())
    assert re.match(r"epoch 3/3  loss \d\.\d{3} val_accuracy [01]\.\d{3}, best [12]  .*\d%", bars[-3].rstrip())
    shares = [int(re.search(r"(\d+)%", bar)[1]) for bar in bars]
    assert shares == sorted(shares)
    # The line is gone in the end.
    (line,) = [part for part in parts if part.strip() and part not in bars]
    assert re.fullmatch(r"trained 3 epochs in \d+ s; the best was [123]", line)
