"""What one iteration of a loop leaves to the next one in Python names, lists and dictionaries.

The former tracer ran the body of most loops once: such a name kept what it stood for before the loop, and a
list got one item. In the new language it happens in every iteration.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from ..analysis import values as v
from .values import Blocks
from .walker import Walker

_CHANGES = frozenset(
    ("append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "reverse", "sort")
)
"""Methods that change a list or a dictionary."""


@lru_cache(maxsize=1024)
def names(loop: ast.For) -> Mapping[str, ast.stmt]:
    """See :func:`left`, of a loop's body."""
    return left(loop.body)


def left(body: Iterable[ast.stmt]) -> Mapping[str, ast.stmt]:
    """Names that statements read before they bind them anew, with the statement that binds them."""
    reads: set[str] = set()
    bound: dict[str, ast.stmt] = {}
    _block(body, reads, bound, frozenset())
    return {name: node for name, node in bound.items() if name in reads}


def changed(w: Walker, node: ast.expr) -> str | None:
    """The list or dictionary from outside of a loop traced once that a call, or an assignment to ``node``,
    changes in it.
    """
    if isinstance(node, ast.Call):
        func = node.func
        if not isinstance(func, ast.Attribute) or func.attr not in _CHANGES:
            return None
        node = func.value
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name) or isinstance(w.env.values.get(node.id), v.Tensor | Blocks):
        return None
    return node.id if node.id in w.env.values and w.env.carried(node.id) else None


def counted(w: Walker, test: ast.expr) -> Iterator[str]:
    """Names in a condition whose value depends on the variable of a loop that was traced once."""
    variables = {atom for loop in w.env.loops if loop.traced_once and loop.sym for atom in loop.sym.atoms}
    for node in ast.walk(test):
        value = w.env.values.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(value, v.Scalar) and value.sym is not None and variables & set(value.sym.atoms):
            yield value.text


def _block(
    body: Iterable[ast.stmt], reads: set[str], bound: dict[str, ast.stmt], before: frozenset[str]
) -> frozenset[str]:
    """The names that are surely bound behind the statements; ``before``: in front of them."""
    for node in body:
        before = _statement(node, reads, bound, before)
    return before


def _statement(
    node: ast.stmt, reads: set[str], bound: dict[str, ast.stmt], before: frozenset[str]
) -> frozenset[str]:
    if isinstance(node, ast.If):
        reads |= _loaded(node.test) - before
        arms = [_block(arm, reads, bound, before) for arm in (node.body, node.orelse)]
        return arms[0] & arms[1]
    if isinstance(node, ast.For):
        reads |= _loaded(node.iter) - before
        return _block(node.body, reads, bound, before | _stored(node.target))
    if isinstance(node, ast.With | ast.While | ast.Try):
        return _block(node.body, reads, bound, before)
    reads |= _loaded(node) - before
    stored = frozenset() if isinstance(node, ast.AugAssign) else _stored(node)
    for name in stored:
        bound.setdefault(name, node)
    return before | stored


def _loaded(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _stored(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
