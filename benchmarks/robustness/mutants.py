"""Mutants: modules of `han` with one small change each, made by Cosmic Ray's operators."""

from __future__ import annotations

import ast
import difflib
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[2]
# Cosmic Ray replaces each operator by every other one. Here it is by its opposite, and a comparison by its neighbour
# too: what survives one of the others, as `%` in place of `+`, nearly always survives these.
OPPOSITES = "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul BitOr_BitAnd BitAnd_BitOr RShift_LShift"
COMPARISONS = "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is"
OPERATORS = [
    *(f"ReplaceBinaryOperator_{name}" for name in OPPOSITES.split()),
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISONS.split()),
    *(f"ReplaceUnaryOperator_{name}" for name in ("Delete_USub", "Delete_Invert", "Delete_Not")),
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer"),
    *("RemoveDecorator", "ZeroIterationForLoop"),
]


class Mutant(NamedTuple):
    """A module with one change."""

    key: str
    line: int
    operator: str
    before: str
    after: str
    source: str


def mutants(module: str, seed: int) -> list[Mutant]:
    """Return all mutants of a module in random order, of which any first part is a sample."""
    source = (ROOT / "han" / f"{module}.py").read_text(encoding="utf-8")
    nodes = list(ast_nodes(get_ast(source)))
    hints, meaning = set(_annotations(source)), ast.dump(ast.parse(source))
    result: dict[str, Mutant] = {}
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, place in enumerate(places):
            mutated = mutate_code(source, operator, occurrence)
            # Nothing evaluates annotations here; and some changes make no Python, or none that is another.
            if place in hints or mutated is None or not _differs(meaning, mutated):
                continue
            changes = list(difflib.unified_diff(source.splitlines(), mutated.splitlines(), n=0))[2:]
            before, after = (" ".join(line[1:].strip() for line in changes if line[0] == sign) for sign in "-+")
            key = hashlib.sha256(mutated.encode()).hexdigest()
            result.setdefault(key, Mutant(key, place[0], name, before, after, mutated))
    ordered = sorted(result.values())
    random.Random(seed).shuffle(ordered)  # noqa: S311
    return ordered


def _annotations(source: str) -> Iterator[tuple[int, int]]:
    """Yield each place (line, column) of an annotation, none of which is on more than one line."""
    for node in ast.walk(ast.parse(source)):
        for hint in (getattr(node, name, None) for name in ("annotation", "returns")):
            if isinstance(hint, ast.expr):
                yield from ((hint.lineno, column) for column in range(hint.col_offset, hint.end_col_offset or 0))


def _differs(meaning: str, mutated: str) -> bool:
    try:
        return meaning != ast.dump(ast.parse(mutated))
    except SyntaxError:
        return False
