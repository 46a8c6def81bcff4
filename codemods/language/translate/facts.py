"""What assertions and conditions tell about sizes."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.symbols import Sym
from . import assignments, expressions
from .values import Axes
from .walker import Walker


def learn(w: Walker, test: ast.expr) -> None:
    """Take what a condition that holds says about integers."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for part in test.values:
            learn(w, part)
    if not isinstance(test, ast.Compare):
        return
    operands = [test.left, *test.comparators]
    if len(operands) == 2 and isinstance(test.ops[0], ast.Eq):
        _rank(w, *operands)
    for left, op, right in zip(operands, test.ops, operands[1:], strict=False):
        _compare(w, left, op, right)


def _rank(w: Walker, left: ast.expr, right: ast.expr) -> None:
    """``len(x.shape) == 2``, ``x.ndim == 2``, ``x.shape == (n, m)``: how many dimensions there are."""
    size = _sym(w, right)
    if isinstance(left, ast.Attribute) and left.attr == "shape":
        shape = expressions.evaluate(w, right)
        axes = expressions.evaluate(w, left)
        if not isinstance(shape, v.Items):
            return
        if isinstance(axes, Axes):
            axes = assignments.ranked(w, axes, len(shape.items))
        if isinstance(axes, v.Items) and len(axes.items) == len(shape.items):
            for one, two in zip(axes.items, shape.items, strict=True):
                if isinstance(one, v.Scalar) and isinstance(two, v.Scalar) and one.sym and two.sym:
                    w.env.facts.equal(one.sym, two.sym)
        return
    of = _ranked_of(left)
    if of is None or size is None or not size.value:
        return
    axes = expressions.evaluate(w, of)
    if isinstance(axes, Axes):
        assignments.ranked(w, axes, size.value)


def _ranked_of(node: ast.expr) -> ast.expr | None:
    """The shape in ``len(x.shape)`` or ``x.ndim``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return node.args[0] if len(node.args) == 1 else None
    if isinstance(node, ast.Attribute) and node.attr == "ndim":
        return ast.copy_location(ast.Attribute(node.value, "shape", ast.Load()), node)
    return None


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
