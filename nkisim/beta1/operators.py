"""Operators of the legacy language that newer releases dropped, and what else names an operator there.

``op=`` takes functions of the language (``nl.add``, ``nl.max``), and of NumPy (``np.add``, ``np.max``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import operators
from ..core.dtypes import INTEGER, Array, DType, int32, uint32
from ..core.errors import fail
from ..core.operators import TOKENS, Operator


def _negative(x: Array) -> Array:
    return np.negative(x)


def _unary(name: str, function: Any) -> Operator:
    return Operator(name, function, 1, alu=False, activation=True)


ceil = _unary("ceil", np.ceil)
floor = _unary("floor", np.floor)
trunc = _unary("trunc", np.trunc)
cos = _unary("cos", np.cos)
tan = _unary("tan", np.tan)
negative = _unary("negative", _negative)
mod = Operator("mod", np.mod, 2)
fmod = Operator("fmod", np.fmod, 2)

DROPPED = {each.name: each for each in (ceil, floor, trunc, cos, tan, negative, mod, fmod)}
"""Functions of the language only: no instruction takes them as ``op=``."""

EXACT = {
    operators.add: Operator("add", np.add, 2, bitwise=True),
    operators.multiply: Operator("multiply", np.multiply, 2, bitwise=True),
}
"""GpSimd Engine adds and multiplies 32-bit integers as integers, not in float32."""

_SPELLINGS = {
    "all": operators.logical_and,
    "any": operators.logical_or,
    "absolute": operators.abs,
    "amax": operators.maximum,
    "amin": operators.minimum,
    "max": operators.maximum,
    "min": operators.minimum,
    "prod": operators.multiply,
    "sum": operators.add,
    "true_divide": operators.divide,
}
"""Names of functions that stand for an operator of another name."""


def operator_of(op: Any, instruction: str = "", what: str = "op") -> Operator:
    """The operator that a function of the language or of NumPy stands for. Raises SimulationError."""
    found = op if isinstance(op, Operator) else getattr(op, "operator", None)
    if not isinstance(found, Operator):
        name = getattr(op, "__name__", "")
        found = _SPELLINGS.get(name) or TOKENS.get(name)
    if found is None or found in DROPPED.values():
        raise fail(
            f"nisa.{instruction}: {what} is {op!r}; it must be an operator, such as nl.add, nl.exp or np.max"
        )
    return found


def in_integers(op: Operator, dtype: DType, operands: tuple[DType, ...]) -> Operator:
    """The operator that does the same in integers, where the hardware does: 32-bit sums and products."""
    wide = dtype in (int32, uint32) and all(each.kind == INTEGER for each in operands)
    return EXACT.get(op, op) if wide else op
