"""What one iteration of a loop leaves to the next one in Python names, lists and dictionaries.

The former tracer ran the body of most loops once: such a name kept what it stood for before the loop, and a
list got one item. In the new language it happens in every iteration.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from ...trees import children, walk
from ..analysis import values as v
from ..plain import scopes
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
    for node in walk(test):
        value = w.env.values.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(value, v.Scalar) and value.sym is not None and variables & set(value.sym.atoms):
            yield value.text


def counters(w: Walker, body: Sequence[ast.stmt], places: bool) -> list[str]:
    """Numbers from in front of a loop to which its body adds.

    ``places``: only those that nothing but ``buffer=`` reads, which cannot change what a kernel computes.
    """
    added = w.function.nodes.added_to_in(body)
    known = [name for name in sorted(added) if isinstance(w.env.values.get(name), v.Scalar)]
    return [name for name in known if not places or _counts_places(w, name)]


def _counts_places(w: Walker, name: str) -> bool:
    buffers = w.function.nodes.buffers
    return any(name in _loaded(buffer) for buffer in buffers) and _only_places(w.function.node, name)


def _only_places(node: ast.AST, name: str) -> bool:
    """Whether a name is used to say where tiles lie, or to say it the next time, and for nothing else."""
    if isinstance(node, ast.Name):
        return node.id != name or isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.keyword) and node.arg == "buffer":
        return True
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
        return _only_places(node.value, name)
    return all(_only_places(child, name) for child in children(node))


def again(w: Walker, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Lines in front of a loop and at the start of its body, where names are what they were before it."""
    starts = {name: w.shared.fresh(f"{name}_start") for name in names}
    before = [f"{start} = {name}" for name, start in starts.items()]
    return before, [f"{name} = {start}" for name, start in starts.items()]


def enter(w: Walker, names: Iterable[str]) -> None:
    """The names of such a loop are bound in its body."""
    for name in names:
        w.env.bind(name, v.Unknown(name))
        w.env.values[name] = v.Scalar(name, w.env.atom(name))


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
    for name in sorted(stored):
        bound.setdefault(name, node)
    return before | stored


@lru_cache(maxsize=4096)
def _loaded(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


_stored = lru_cache(maxsize=4096)(scopes.stored)
