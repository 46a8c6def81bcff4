"""Python's operators on tiles, as the functions of the language that they are."""

from __future__ import annotations

import ast

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "nl.add",
    ast.Sub: "nl.subtract",
    ast.Mult: "nl.multiply",
    ast.Div: "nl.divide",
    ast.Pow: "nl.power",
    ast.Mod: "nl.mod",
    ast.BitAnd: "nl.bitwise_and",
    ast.BitOr: "nl.bitwise_or",
    ast.BitXor: "nl.bitwise_xor",
    ast.LShift: "nl.left_shift",
    ast.RShift: "nl.right_shift",
}
"""``x op y`` is the function of (x, y). ``@`` is none: it is not in the language (M-PY)."""
UNARY: dict[type[ast.unaryop], str] = {ast.USub: "nl.negative", ast.Invert: "nl.invert"}
"""``op x`` is the function of (x)."""
COMPARISON: dict[type[ast.cmpop], str] = {
    ast.Eq: "nl.equal",
    ast.NotEq: "nl.not_equal",
    ast.Lt: "nl.less",
    ast.LtE: "nl.less_equal",
    ast.Gt: "nl.greater",
    ast.GtE: "nl.greater_equal",
}
"""``x op y`` is the function of (x, y)."""
