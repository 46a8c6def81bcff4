"""Python's operators and builtins on plain values, with bounds on what they may take and give."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from .values import PLAIN, UNKNOWN, Dotted, Kernel

LONGEST = 256
"""Items of a list, at most."""
LARGEST = 2**63
"""The largest integer that is followed."""


def computed(operation: Callable[..., Any], *values: Any) -> Any:
    """The result for plain values and containers of them; unknown for anything else, or when it fails."""
    if not all(isinstance(value, (*PLAIN, list, tuple, Kernel, Dotted)) for value in values):
        return UNKNOWN
    try:
        found = operation(*values)
    except Exception:
        return UNKNOWN
    if isinstance(found, int) and abs(found) > LARGEST:
        return UNKNOWN
    return found if isinstance(found, (*PLAIN, list, tuple)) else UNKNOWN


def _power(base: Any, exponent: Any) -> Any:
    """``**`` of numbers, unless the result would be huge."""
    if isinstance(exponent, int) and abs(exponent) > 64:
        raise OverflowError
    return base**exponent


def _times(left: Any, right: Any) -> Any:
    """``*``; a container is not repeated without end."""
    if not all(isinstance(value, int | float) for value in (left, right)):
        items, count = (left, right) if isinstance(right, int) else (right, left)
        if len(items) * count > LONGEST:
            raise OverflowError
    return left * right


BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
BUILTINS: dict[str, Callable[..., Any]] = {
    "range": lambda *a: list(range(*a)[:LONGEST]),
    "len": len,
    "int": int,
    "float": float,
    "min": min,
    "max": max,
    "tuple": tuple,
    "list": list,
    "zip": lambda *a: list(zip(*a, strict=False)),
    "enumerate": lambda a: list(enumerate(a)),
    "str": str,
    "bool": bool,
    "abs": abs,
    "sum": sum,
}
