"""Statements that can be carried out earlier than others which stand above them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from ...trees import walk

_HARMLESS = frozenset({"int", "len", "list", "max", "min", "tuple"})


def hoisted(
    body: Sequence[ast.stmt],
    block: Sequence[ast.stmt],
    depends: Callable[[ast.stmt], bool],
    wanted: Callable[[ast.stmt], bool],
    plain: Sequence[ast.stmt] = (),
) -> list[ast.stmt]:
    """The wanted statements of a block that can stand at its start, with the assignments that they need; in
    order.

    Args:
        body: all statements of the function. depends: whether a statement has to stay where it is.
        plain: statements that are wanted if they only compute.
    """
    found: set[int] = set()
    for index, node in enumerate(block):
        if wanted(node) or (node in plain and _is_harmless(node)):
            found |= _needed(block, index, depends) or set()
    settled = [block[i] for i in sorted(found)]
    once = all(_times_stored(body, name) == 1 for s in settled for name in _stored(s))
    return settled if once and all(_is_first(block, i, found) for i in found) else []


def _needed(block: Sequence[ast.stmt], index: int, depends: Callable[[ast.stmt], bool]) -> set[int] | None:
    """A statement with those of the block that give names their values which it reads."""
    node = block[index]
    if not isinstance(node, ast.Assign) or depends(node) or not all(map(_is_name, node.targets)):
        return None
    found = {index}
    for name in _loaded(node.value):
        givers = [i for i in range(index) if name in _stored(block[i])]
        for giver in givers:
            more = _needed(block, giver, depends) if _is_harmless(block[giver]) else None
            if more is None:
                return None
            found |= more
    return found


def _is_first(block: Sequence[ast.stmt], index: int, found: set[int]) -> bool:
    """Whether nothing that stays, and stands above, uses or changes what a statement has to do with."""
    node = block[index]
    mine = set(_stored(node))
    above = [block[i] for i in range(index) if i not in found]
    return not any(mine & {*_stored(s), *_loaded(s)} for s in above) and not any(
        isinstance(inner, ast.Return) for s in above for inner in walk(s)
    )


def _is_name(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(map(_is_name, target.elts)))


def _is_harmless(node: ast.stmt) -> bool:
    """Whether it only computes."""
    calls = (inner.func for inner in walk(node) if isinstance(inner, ast.Call))
    return all(isinstance(func, ast.Name) and func.id in _HARMLESS for func in calls)


def _stored(node: ast.AST) -> Iterator[str]:
    return (n.id for n in walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))


def _loaded(node: ast.AST) -> Iterator[str]:
    return (n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def _times_stored(body: Sequence[ast.stmt], name: str) -> int:
    return sum(stored == name for statement in body for stored in _stored(statement))
