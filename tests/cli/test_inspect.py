"""`han info` and `han export`."""

from __future__ import annotations

from tests.cli.running import run


def test_info_and_export(saved, tmp_path):
    assert "  business: 40\n  sports: 40\n" in run("info", "model", folder=saved).stdout
    result = run("export", str(saved / "model"), "model.onnx", folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "wrote model.onnx, model.tokenizer.json\n")
    result = run("export", str(saved / "model"), "served", folder=tmp_path)
    assert result.stdout == "wrote served, served/assets.extra/tokenizer.json\n"
    result = run("export", str(saved / "model"), "model.onnx", folder=tmp_path)
    assert result.returncode == 2
    assert "model.onnx' exists; use overwrite=True (han export --force) to replace it" in result.stderr
    assert run("export", str(saved / "model"), "model.onnx", "--force", folder=tmp_path).returncode == 0
    result = run("export", str(saved / "model"), "out.xyz", folder=tmp_path)
    assert (result.returncode, (tmp_path / "out.xyz").exists()) == (2, False)
    assert "path must end in .onnx for an ONNX file" in result.stderr
    assert (tmp_path / "served" / "saved_model.pb").is_file()
