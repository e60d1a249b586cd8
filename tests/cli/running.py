"""Running the command line program: in the process of the tests, or in a separate process if that is what is tested."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from han.cli import main

HAN = Path(sys.executable).with_name("han")
GOOD, BAD = "A good film.", "A bad film."
SMALL = ["--units", "2", "--embedding-dim", "4", "--epochs", "1", "--quiet"]


def run(*arguments, folder):
    """Run a command in this process, in which TensorFlow is imported already, and return its result."""
    written = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(written[0]), redirect_stderr(written[1]):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [str(HAN), *arguments])
        patch.setattr(sys, "path", [*sys.path])
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code
    texts = [stream.buffer.getvalue().decode() for stream in written]
    return subprocess.CompletedProcess(arguments, code, *texts)


def run_process(*arguments, folder, **environment):
    return subprocess.run(  # noqa: S603
        [HAN, *arguments], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def stop(command, folder, condition, number=signal.SIGINT):
    """Send a signal to a command when a condition holds, and return its exit code and output."""
    with subprocess.Popen(  # noqa: S603
        [HAN, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(condition, process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def predictions(lines):
    return [json.loads(line)["prediction"] for line in lines.splitlines()]
