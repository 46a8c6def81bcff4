"""The nodes of one function, listed once: what its walks look up by name or from below."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterable

from ...record import cached_property
from ...trees import children, walk


class Nodes:
    """The nodes at and below ``root``, from the outside to the inside."""

    def __init__(self, root: ast.AST) -> None:
        self._root = root

    @cached_property
    def every(self) -> tuple[ast.AST, ...]:
        """All of them; the first is the root."""
        return tuple(walk(self._root))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """What each stands in."""
        return {child: parent for parent in self.every for child in children(parent)}

    @cached_property
    def loads(self) -> dict[str, list[ast.Name]]:
        """Where each name is read."""
        found: dict[str, list[ast.Name]] = {}
        for node in self.every:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.setdefault(node.id, []).append(node)
        return found

    @cached_property
    def assignments(self) -> dict[str, list[ast.expr]]:
        """What is assigned to each name alone."""
        found: dict[str, list[ast.expr]] = {}
        for node in self.every:
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                name = getattr(node.targets[0], "id", "")
                found.setdefault(name, []).append(node.value)
        return found

    @cached_property
    def buffers(self) -> list[ast.expr]:
        """What calls are given as ``buffer=``."""
        return [n.value for n in self.every if isinstance(n, ast.keyword) and n.arg == "buffer"]

    def stored_in(self, statements: Iterable[ast.stmt]) -> list[str]:
        """Names that statements bind, in them or below."""
        places, names = self._stores
        return _within(statements, places, names)

    def added_to_in(self, statements: Iterable[ast.stmt]) -> list[str]:
        """Names that statements like ``i += 1`` change, which are among others or below."""
        places, names = self._additions
        return _within(statements, places, names)

    @cached_property
    def _stores(self) -> tuple[list[tuple[int, int]], list[str]]:
        """Where names are bound, in the order of the text, and which."""
        return _placed(n for n in self.every if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))

    @cached_property
    def _additions(self) -> tuple[list[tuple[int, int]], list[str]]:
        """Where names are changed like ``i += 1``, in the order of the text, and which."""
        targets = (n.target for n in self.every if isinstance(n, ast.AugAssign))
        return _placed(target for target in targets if isinstance(target, ast.Name))

    @cached_property
    def names(self) -> frozenset[str]:
        """Names that mean something in it."""
        names = {node.id for node in self.every if isinstance(node, ast.Name)}
        return frozenset(names | {node.arg for node in self.every if isinstance(node, ast.arg)})


def _placed(names: Iterable[ast.Name]) -> tuple[list[tuple[int, int]], list[str]]:
    found = sorted(names, key=lambda n: (n.lineno, n.col_offset))
    return [(n.lineno, n.col_offset) for n in found], [n.id for n in found]


def _within(statements: Iterable[ast.stmt], places: list[tuple[int, int]], names: list[str]) -> list[str]:
    """The names whose places lie in some statements, each once."""
    found: dict[str, None] = {}
    for node in statements:
        first = bisect_left(places, (node.lineno, node.col_offset))
        behind = bisect_left(places, (node.end_lineno or 0, node.end_col_offset or 0))
        found.update(dict.fromkeys(names[first:behind]))
    return list(found)
