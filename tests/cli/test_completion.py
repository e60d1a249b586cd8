from __future__ import annotations

import subprocess

import pytest

from tests.cli.running import HAN, run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    script = run("completion", shell, folder=tmp_path).stdout
    assert f"_HAN_COMPLETE={shell}_complete" in script
    if shell == "bash":
        asked = f"{script}\nCOMP_WORDS=(han pre); COMP_CWORD=1; _han_completion {HAN}; echo ${{COMPREPLY[@]}}"
        result = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603, S607
        assert result.stdout.split() == ["predict"]
