"""What expressions that combine others give: conditional ones, displays, comprehensions, operators."""

from __future__ import annotations

import ast
from collections.abc import Callable

from . import containers
from . import values as v

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .evaluate import Evaluator

# Longer displays are tables of data, not collections of kernels.
_LONG = 64
_SHORT = 8
Recurse = Callable[[ast.expr], v.Value]
"""Gives the value of a part of the expression."""


def _if_exp(_evaluator: Evaluator, node: ast.IfExp, value: Recurse) -> v.Value:
    return v.one_of([value(node.body), value(node.orelse)])


def _bool_op(_evaluator: Evaluator, node: ast.BoolOp, value: Recurse) -> v.Value:
    return v.one_of([value(part) for part in node.values])


def _tuple(_evaluator: Evaluator, node: ast.Tuple, value: Recurse) -> v.Value:
    if len(node.elts) > _SHORT or any(isinstance(part, ast.Starred) for part in node.elts):
        return _display(_evaluator, node, value)
    items = tuple(value(part) for part in node.elts)
    return v.Row(items) if any(i is not None and not isinstance(i, v.Constant) for i in items) else None


def _display(_evaluator: Evaluator, node: ast.List | ast.Tuple | ast.Set, value: Recurse) -> v.Value:
    if len(node.elts) > _LONG or any(isinstance(part, ast.Starred | ast.Constant) for part in node.elts):
        return None
    return v.Sequence(v.one_of([value(part) for part in node.elts]))


def _comprehension(evaluator: Evaluator, node: ast.ListComp, _: Recurse) -> v.Value:
    scope = evaluator.module.scope_of.get(node)
    return v.Sequence(evaluator.at_end(node.elt, scope)) if scope else None


def _dict(_evaluator: Evaluator, node: ast.Dict, value: Recurse) -> v.Value:
    items: list[tuple[object, v.Value]] = []
    for key, item in zip(node.keys, node.values, strict=True):
        known = value(key) if key is not None else None
        if not isinstance(known, v.Constant):
            return None
        items.append((known.value, value(item)))
    return v.Mapping(tuple(items))


def _joined(_evaluator: Evaluator, node: ast.JoinedStr, value: Recurse) -> v.Value:
    parts: list[str] = []
    for part in node.values:
        inner = part.value if isinstance(part, ast.FormattedValue) and part.format_spec is None else part
        known = value(inner)
        if not isinstance(known, v.Constant) or not isinstance(known.value, str):
            return None
        parts.append(known.value)
    return v.Constant("".join(parts))


def _bin_op(_evaluator: Evaluator, node: ast.BinOp, value: Recurse) -> v.Value:
    if not isinstance(node.op, ast.Add):
        left = value(node.left) if isinstance(node.op, ast.Mult) else None
        return containers.copied(left) if containers.is_former(left) else None
    left, right = value(node.left), value(node.right)
    if containers.is_former(left) or containers.is_former(right):
        return containers.joined(left, right)
    if not isinstance(left, v.Constant) or not isinstance(right, v.Constant):
        return None
    joined = isinstance(left.value, str) and isinstance(right.value, str)
    return v.Constant(f"{left.value}{right.value}") if joined else None


def _lambda(evaluator: Evaluator, node: ast.Lambda, _: Recurse) -> v.Value:
    scope = evaluator.module.scope_of.get(node)
    returned = evaluator.at_end(node.body, scope) if scope else None
    return v.Function("<lambda>", returned)


def _await(_evaluator: Evaluator, node: ast.Await, value: Recurse) -> v.Value:
    """A call of a coroutine function has the value of what it returns."""
    return value(node.value)


def _named(_evaluator: Evaluator, node: ast.NamedExpr, value: Recurse) -> v.Value:
    return value(node.value)


COMPOUND: dict[type, Callable[[Evaluator, Any, Recurse], v.Value]] = {
    ast.IfExp: _if_exp,
    ast.BoolOp: _bool_op,
    ast.List: _display,
    ast.Tuple: _tuple,
    ast.Set: _display,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Dict: _dict,
    ast.JoinedStr: _joined,
    ast.BinOp: _bin_op,
    ast.Lambda: _lambda,
    ast.NamedExpr: _named,
    ast.Await: _await,
}
"""Kind of expression → what gives its value."""
