"""The progress bar in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

import pytest


@pytest.mark.slow
def test_the_bar_shows_loss_accuracy_and_remaining_time():
    code = (
        "from han import HANClassifier; "
        "HANClassifier(embedding_dim=8, units=4, epochs=2, batch_size=2, validation_fraction=0, random_state=0)"
        ".fit(['A fine film.', 'A dull film.'] * 40, ['good', 'bad'] * 40)"
    )
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 120))
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
    text = screen.decode()
    bars = [part for part in text.split("\r") if "/40 [" in part]
    assert any("loss" in bar and "accuracy" in bar and "<" in bar for bar in bars)
    lines = [line for line in text.replace("\r", "\n").split("\n") if "accuracy" in line and "[" not in line]
    assert [line.strip().split()[1] for line in lines] == ["1/2", "2/2"]
