"""The hyper-parameters that are functions, which are saved by name only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUNCTIONS = ("sentence_splitter", "tokenizer")


def function_name(function: Callable[..., Any]) -> str:
    """Return the qualified name of a function."""
    name = getattr(function, "__qualname__", repr(function))
    return f"{function.__module__}.{name}" if getattr(function, "__module__", None) else name
