"""The order of the modules: each imports only what stands before it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "han"
# As docs/architecture.md draws it: folders, and the modules beside them.
ORDER = (
    "exceptions", "files", "backend", "recurrence", "text", "data", "tables", "layers", "memory", "hyperparameters",
    "model", "inference", "explain", "fitted", "training", "saving", "classifier", "datasets", "heatmap",
    "faithfulness", "evaluation", "cli",
)  # fmt: skip
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def stage(module: str) -> str:
    return module.split(".")[1]


def imports(path: Path) -> set[str]:
    """Return the modules of `han` that a module imports, within functions too; not those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only or not isinstance(node, ast.ImportFrom) or node.level:
            continue
        if node.module == "han":
            found |= {f"han.{name.name}" for name in node.names}
        elif node.module and node.module.startswith("han."):
            inner = [f"{node.module}.{name.name}" for name in node.names]
            found |= {name if (ROOT / f"{name[4:].replace('.', '/')}.py").exists() else node.module for name in inner}
    return found - {"han.__version__"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_stages_before_its_own(path):
    own = stage(name_of(path))
    assert own in ORDER, f"{own} has no place in the order"
    later = {name for name in imports(path) if ORDER.index(stage(name)) > ORDER.index(own)}
    assert not later


def test_no_module_imports_itself_by_way_of_others():
    graph = {name_of(path): imports(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way, name])
        if name in done:
            return
        for other in graph.get(name, set()):
            visit(other, (*way, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_what_needs_no_tensorflow_does_not_import_it():
    graph = {name_of(path): imports(path) for path in MODULES}

    def reached(name: str) -> set[str]:
        return {name}.union(*(reached(other) for other in graph.get(name, set())))

    for module in MODULES:
        name = name_of(module)
        if stage(name) in ("files", "text", "data", "tables", "hyperparameters", "exceptions"):
            assert not {other for other in reached(name) if stage(other) == "backend"}, name
