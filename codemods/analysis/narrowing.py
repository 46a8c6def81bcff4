"""What ``isinstance`` tests in front of a use say about the type of its name."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .scopes import Binding, Module, Use


def narrowed(module: Module, use: Use, bindings: Iterable[Binding]) -> list[ast.expr]:
    """The classes of the nearest ``isinstance`` test that surely held for the name, still unevaluated.

    Tests count in ``if``, ``while``, conditional expressions, ``and``, and ``assert`` statements before; not
    when the name is bound again after the test.
    """
    if "isinstance" not in module.by_name:
        return []
    line = getattr(use.links[0], "lineno", 0)
    for test in (*_expressions(module, use), *_blocks(use), *_asserted(module, use)):
        kinds = _kinds(test, use.name)
        if kinds and not any(test.lineno < _line(binding) <= line for binding in bindings):
            return kinds
    return []


def _line(binding: Binding) -> int:
    return getattr(binding.stmt, "lineno", 0)


def _expressions(module: Module, use: Use) -> Iterator[ast.expr]:
    """Conditions inside the statement that hold where the use stands."""
    node: ast.AST | None = use.top
    while node is not None and not isinstance(node, ast.stmt):
        parent = module.parents.get(node)
        if isinstance(parent, ast.IfExp) and parent.body is node:
            yield parent.test
        if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And):
            yield from (value for value in parent.values if _ends_before(value, node))
        node = parent


def _ends_before(one: ast.expr, other: ast.AST) -> bool:
    end = (one.end_lineno or 0, one.end_col_offset or 0)
    return end <= (getattr(other, "lineno", 0), getattr(other, "col_offset", 0))


def _blocks(use: Use) -> Iterator[ast.expr]:
    for block in use.block.chain() if use.block else ():
        if isinstance(block.owner, ast.If | ast.While) and block.arm == "body":
            yield block.owner.test


def _asserted(module: Module, use: Use) -> Iterator[ast.expr]:
    """Tests of assertions that stand before the use in the blocks around it."""
    around = set(map(id, use.block.chain())) if use.block else set()
    line = getattr(use.links[0], "lineno", 0)
    for stmt in reversed(module.asserts):
        if stmt.lineno < line and id(module.bodies[stmt]) in around:
            yield stmt.test


def _kinds(test: ast.expr, name: str) -> list[ast.expr]:
    """The classes that ``test`` checks ``name`` for."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return next((kinds for part in test.values if (kinds := _kinds(part, name))), [])
    if not isinstance(test, ast.Call) or len(test.args) != 2:
        return []
    subject, kind = test.args
    checks = isinstance(test.func, ast.Name) and test.func.id == "isinstance"
    if not checks or not isinstance(subject, ast.Name) or subject.id != name:
        return []
    return list(kind.elts) if isinstance(kind, ast.Tuple) else [kind]
