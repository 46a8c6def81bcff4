"""Operators: integers of trace time, index tiles, and device operations on tiles."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.dtypes import is_real
from ..analysis.index import Index
from ..analysis.masks import Comparison, Mask
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from ..lowering.operators import BINARY, COMPARISON, UNARY
from . import access, expressions, masking, operations
from .arithmetic import ARITHMETIC, combined
from .values import Value
from .walker import Walker, integer, known, text


def binary(w: Walker, node: ast.BinOp) -> Value:
    """``a + b`` and the like."""
    left, right = operands(w, node.left, node.right)
    place = access.place(w, node.op, left, right)
    if place is not None:
        return place
    if isinstance(left, v.Tensor) or isinstance(right, v.Tensor):
        return operations.operator(w, BINARY.get(type(node.op), ""), left, right)
    if isinstance(node.op, ast.BitAnd) and (isinstance(left, Mask) or isinstance(right, Mask)):
        one, two = masking.as_mask(w, left), masking.as_mask(w, right)
        if one is not None and two is not None:
            return one.both(two)
    if isinstance(left, Mask) or isinstance(right, Mask):
        raise Refused("M-MASK", expr=w.segment(node))
    if isinstance(left, Index) or isinstance(right, Index):
        return _index(w, node, left, right)
    spelled = w.respelled(node, [(node.left, text(left)), (node.right, text(right))])
    if isinstance(node.op, ast.FloorDiv | ast.Mod) and not isinstance(
        node.left, ast.Constant | ast.JoinedStr
    ):
        return v.Scalar(spelled, _integer(node.op, integer(w, left), integer(w, right)))
    if isinstance(node.op, ast.MatMult):
        raise Refused("M-PY", x="the operator `@`")
    if isinstance(left, v.Scalar) and isinstance(right, v.Scalar):
        real = isinstance(node.op, ast.Div) or is_real(left) or is_real(right)
        return v.Scalar(spelled, _integer(node.op, left.sym, right.sym), real)
    if isinstance(node.op, ast.Add) and isinstance(left, v.Items) and isinstance(right, v.Items):
        return v.Items(spelled, left.items + right.items)
    return v.Unknown(spelled)


def operands(w: Walker, *nodes: ast.expr) -> list[Value]:
    """Values from left to right, each with a place of its own."""
    return [known(operations.nested(w, node, apart=True)) for node in nodes]


def _integer(op: ast.operator, left: Sym | None, right: Sym | None) -> Sym | None:
    return None if left is None or right is None else combined(op, left, right)


def counted(w: Walker, node: ast.expr, value: Value) -> Sym | None:
    """The value of an expression where an integer is needed: then its operands are integers, too."""
    if isinstance(value, v.Scalar) and value.sym is not None:
        return value.sym
    operation = ARITHMETIC.get(type(node.op)) if isinstance(node, ast.BinOp) else None
    if isinstance(node, ast.BinOp) and operation is not None and isinstance(value, v.Scalar | v.Unknown):
        sides = (node.left, node.right)
        one, two = (counted(w, side, known(expressions.evaluate(w, side))) for side in sides)
        if one is not None and two is not None:
            return operation(one, two).named(value.text)
    return integer(w, value)


def _index(w: Walker, node: ast.BinOp, left: Value, right: Value) -> Value:
    one, two = _as_index(w, node, left), _as_index(w, node, right)
    facts = w.env.facts
    match node.op:
        case ast.Add():
            return one.plus(two, facts) if isinstance(left, Index) else two.plus(one, facts)
        case ast.Sub():
            return one.plus(two, facts, -1)
        case ast.Mult():
            return one.times(two, facts)
        case ast.FloorDiv() if two.scalar is not None:
            return one.floor_divided(two.scalar, facts)
        case ast.Mod() if two.scalar is not None:
            return one.remainder(two.scalar, facts)
    raise Refused("M-IDX", expr=w.segment(node))


def _as_index(w: Walker, node: ast.expr, value: Value) -> Index:
    if isinstance(value, Index):
        return value
    sym = integer(w, value)
    if sym is not None:
        return Index(sym)
    raise Refused("M-IDX", expr=w.segment(node))


def unary(w: Walker, node: ast.UnaryOp) -> Value:
    """``-a``, ``not a``, ``~a``."""
    (value,) = operands(w, node.operand)
    if isinstance(value, v.Tensor):
        if type(node.op) not in UNARY:
            raise Refused("M-PY", x="this operator on a tile")
        return operations.lowered(w, UNARY[type(node.op)], {"x": value})
    if isinstance(value, Mask):
        raise Refused("M-MASK", expr=w.segment(node))
    if isinstance(value, Index) and isinstance(node.op, ast.USub):
        return Index(Sym.constant(0)).plus(value, w.env.facts, -1)
    spelled = w.respelled(node, [(node.operand, text(value))])
    if isinstance(value, v.Scalar):
        negated = isinstance(node.op, ast.USub) and value.sym is not None
        sym = (-value.sym).named(spelled) if negated and value.sym is not None else None
        return v.Scalar(spelled, sym, is_real(value) and not isinstance(node.op, ast.Not))
    return v.Unknown(spelled)


def compare(w: Walker, node: ast.Compare) -> Value:
    """Comparisons of numbers at trace time, of tiles on the device; ``is`` becomes ``==``."""
    found = operands(w, node.left, *node.comparators)
    if any(isinstance(value, v.Tensor) for value in found) and not _with_none(node):
        if len(found) > 2 or type(node.ops[0]) not in COMPARISON:
            raise Refused("M-PY", x="a chained comparison of tiles")
        return operations.operator(w, COMPARISON[type(node.ops[0])], *found)
    if any(isinstance(value, Index) for value in found):
        return _mask(w, node, found)
    nodes = [node.left, *node.comparators]
    spelled = w.respelled(node, [(n, text(x)) for n, x in zip(nodes, found, strict=True)])
    if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
        spelled = _without_is(node, [text(value) for value in found])
    return v.Scalar(spelled)


def _mask(w: Walker, node: ast.Compare, found: list[Value]) -> Value:
    sides = [_as_index(w, node, value) for value in found]
    parts = zip(sides, node.ops, sides[1:], strict=False)
    return Mask(tuple(Comparison.of(left, _SIGNS[type(op)], right) for left, op, right in parts))


def _with_none(node: ast.Compare) -> bool:
    return any(isinstance(n, ast.Constant) and n.value is None for n in (node.left, *node.comparators))


_SIGNS: dict[type, str] = {
    ast.Is: "==",
    ast.IsNot: "!=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


def _without_is(node: ast.Compare, parts: list[str]) -> str:
    signs = [_SIGNS[type(op)] for op in node.ops]
    return " ".join([parts[0], *(f"{sign} {part}" for sign, part in zip(signs, parts[1:], strict=True))])


def logical(w: Walker, node: ast.BoolOp) -> Value:
    """``and`` and ``or`` of trace time."""
    found = [known(expressions.evaluate(w, part)) for part in node.values]
    if any(isinstance(value, Mask) for value in found):  # a mask has no truth value
        raise Refused("M-JOINED", expr=w.segment(node))
    spelled = w.respelled(node, [(n, text(x)) for n, x in zip(node.values, found, strict=True)])
    return v.Scalar(spelled)
