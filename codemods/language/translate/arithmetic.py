"""Python's operations on integers of trace time."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from ..analysis.symbols import Sym

ARITHMETIC: Mapping[type, Callable[[Sym, Sym], Sym]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}


def combined(op: ast.operator, left: Sym, right: Sym) -> Sym | None:
    """The integer that an operation gives; None where it is none, or an error."""
    function = ARITHMETIC.get(type(op))
    if function is None or (isinstance(op, ast.FloorDiv | ast.Mod) and right.value == 0):
        return None
    return function(left, right)
