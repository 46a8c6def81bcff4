"""What assertions and conditions tell about sizes."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.symbols import Sym
from . import expressions
from .walker import Walker


def learn(w: Walker, test: ast.expr) -> None:
    """Take what a condition that holds says about integers."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for part in test.values:
            learn(w, part)
    if not isinstance(test, ast.Compare):
        return
    operands = [test.left, *test.comparators]
    for left, op, right in zip(operands, test.ops, operands[1:], strict=False):
        _compare(w, left, op, right)


def _compare(w: Walker, left: ast.expr, op: ast.cmpop, right: ast.expr) -> None:
    facts = w.env.facts
    two = _sym(w, right)
    if isinstance(op, ast.Eq) and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod):
        number, divisor = _sym(w, left.left), _sym(w, left.right)
        if two is not None and two.value == 0 and number and divisor and divisor.value:
            facts.divisible(number, divisor.value)
        return
    one = _sym(w, left)
    if one is None or two is None:
        return
    match op:
        case ast.Eq():
            facts.equal(one, two)
        case ast.LtE():
            facts.at_most(one, two)
        case ast.Lt():
            facts.at_most(one + 1, two)
        case ast.GtE():
            facts.at_least(one, two)
        case ast.Gt():
            facts.at_least(one, two + 1)


def _sym(w: Walker, node: ast.expr) -> Sym | None:
    value = expressions.evaluate(w, node)
    return value.sym if isinstance(value, v.Scalar) else None
