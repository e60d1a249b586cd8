"""`han`: help, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.running import run, run_process


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("--version",)])
def test_help_does_not_wait_for_heavy_imports(arguments, tmp_path):
    assert run_process(*arguments, folder=tmp_path).returncode == 0
    code = (
        "import sys; from han.cli import cli; "
        f"cli({[*arguments]!r}, standalone_mode=False); "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_characters_that_the_terminal_cannot_display_are_escaped(saved):
    result = run_process(
        "explain", "model", "--text", "Aktien \N{EURO SIGN}.", folder=saved, PYTHONIOENCODING="latin-1"
    )
    assert result.returncode == 0, result.stderr
    assert r"Aktien \u20ac." in result.stdout


def test_a_failure_prints_one_line_and_with_debug_a_traceback(saved, tmp_path):
    (tmp_path / "splits.py").write_text("def split(text):\n    return 1 / 0\n")
    command = ["explain", str(saved / "model"), "--text", "x", "--tokenizer", "splits:split"]
    assert "tokenizer must not be given" in run(*command, folder=tmp_path).stderr
    assert "Traceback" in run(*command, "--debug", folder=tmp_path).stderr
    (tmp_path / "in.csv").write_text("text,label\n" + "".join(f"A text {n}.,{n % 2}\n" for n in range(20)))
    result = run("train", "in.csv", "--tokenizer", "splits:split", "--quiet", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "han: ZeroDivisionError: division by zero (use --debug for a traceback)\n"
    assert not (tmp_path / "models").exists()
