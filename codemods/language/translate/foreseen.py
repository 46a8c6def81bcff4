"""Where tiles with block dimensions belong, as far as the text of a function tells before it is walked.

This is a guess: how they are used indeed is noted on the walk, see :mod:`.blocks`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Sequence

from ...record import cached_property
from ..analysis.blocks import Loop, Placing, Use, placed
from ..analysis.facts import Facts
from ..analysis.symbols import ONE, ZERO, Sym
from .iterations import RANGES
from .walker import Walker

_MAKERS = frozenset(("nl.ndarray", "nl.zeros", "nl.ones", "nl.full"))
_INDEXES = frozenset(("nl.arange", "nl.ds", "nl.mgrid"))
_ARITHMETIC: dict[type, Callable[[Sym, Sym], Sym]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_SOMETHING = Sym.atom("any")


def placings(w: Walker) -> dict[int, Placing]:
    """What is likely to become of each tile that gets a name, by its allocation."""
    return dict(_Text(w).placings())


class _Text:
    """A function's text."""

    def __init__(self, w: Walker) -> None:
        self._w = w
        self._nodes = w.function.nodes
        self._sizes: dict[str, Sym] = {}
        self._running: dict[str, bool] = {}

    def placings(self) -> Iterator[tuple[int, Placing]]:
        for name, values in self._nodes.assignments.items():
            made = [(call, sizes) for call in values if (sizes := self._made(call))]
            for number, (call, (outer, rank)) in enumerate(made, 1):
                end = made[number][0] if number < len(made) else None
                uses = [*self._uses(name, len(outer), call, end)]
                yield (
                    id(call),
                    placed([*map(self._size, outer)], rank, self._loops(call), uses, Facts()),
                )

    def _made(self, node: ast.expr) -> tuple[list[ast.expr], int] | None:
        """The dimensions of an allocation in front of its partitions, if there are any, and the rank."""
        if not isinstance(node, ast.Call) or self._w.names.short(node.func) not in _MAKERS:
            return None
        given = [k.value for k in node.keywords if k.arg == "shape"] or node.args[:1]
        shape = given[0] if given else None
        if isinstance(shape, ast.Name):
            values = self._nodes.assignments.get(shape.id, ())
            shape = values[0] if len(values) == 1 else None
        sizes = shape.elts if isinstance(shape, ast.Tuple | ast.List) else []
        calls = [isinstance(n, ast.Call) and self._w.names.short(n.func) == "nl.par_dim" for n in sizes]
        return (sizes[: calls.index(True)], len(sizes)) if any(calls[1:]) and not calls[0] else None

    # -- uses -----------------------------------------------------------------------------------------

    def _uses(self, name: str, outer: int, behind: ast.expr, until: ast.expr | None) -> Iterator[Use]:
        """Where a tile with so many outer dimensions is used, in the order of the text."""
        for node in sorted(self._nodes.loads.get(name, ()), key=_place):
            if _place(behind) < _place(node) and (until is None or _place(node) < _place(until)):
                yield from self._use(node, outer)

    def _use(self, node: ast.Name, outer: int) -> Iterator[Use]:
        parent = self._nodes.parents[node]
        if isinstance(parent, ast.Subscript) and parent.value is node:
            keys = parent.slice.elts if isinstance(parent.slice, ast.Tuple) else [parent.slice]
            at = [None if self._runs(key) else self._size(key) for key in keys[:outer]]
            at += [None] * (outer - len(at))
            yield Use(tuple(at), self._loops(node), self._overwrites(parent, keys[outer:]))
        elif isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            yield from self._uses(parent.targets[0].id, outer, node, None)
        elif not isinstance(parent, ast.Attribute):
            at = [None if self._is_worked_on(node, parent) else _SOMETHING] * outer
            yield Use(tuple(at), self._loops(node))

    def _is_worked_on(self, node: ast.Name, parent: ast.AST) -> bool:
        """Whether the language's operations get all of a tile; others only get the list of its parts."""
        call = self._nodes.parents[parent] if isinstance(parent, ast.keyword) else parent
        named = self._w.names.short(call.func) if isinstance(call, ast.Call) else ""
        return named.startswith(("nl.", "nisa.")) or isinstance(parent, ast.BinOp)

    def _overwrites(self, target: ast.Subscript, inner: Sequence[ast.expr]) -> bool:
        """Whether all elements of a part of a tile get a value."""
        node = self._nodes.parents[target]
        if not isinstance(node, ast.Assign) or node.targets[0] is not target:
            return False
        masked = isinstance(node.value, ast.Call) and any(k.arg == "mask" for k in node.value.keywords)
        return not masked and all(map(self._runs, inner))

    def _loops(self, node: ast.AST) -> tuple[Loop, ...]:
        """The loops around a place."""
        found: list[Loop] = []
        certain, parents = True, self._nodes.parents
        while node in parents:
            inner, node = node, parents[node]
            certain = certain and not isinstance(node, ast.If)
            if isinstance(node, ast.For) and inner in node.body:
                found += self._loop(node, certain)
        return tuple(reversed(found))

    def _loop(self, node: ast.For, certain: bool) -> Iterator[Loop]:
        call, target = node.iter, node.target
        ranges = isinstance(call, ast.Call) and self._w.names.short(call.func) in RANGES
        if isinstance(call, ast.Call) and ranges and isinstance(target, ast.Name) and call.args:
            bounds = [*map(self._size, call.args)]
            start, stop, step = (ZERO, *bounds, ONE) if len(bounds) == 1 else (*bounds, ONE)[:3]
            yield Loop(id(node), Sym.atom(target.id), start, stop, step, certain)

    # -- expressions ----------------------------------------------------------------------------------

    def _runs(self, node: ast.expr) -> bool:
        """Whether it is an index tile or a slice, and no single number."""
        if isinstance(node, ast.Name):
            return self._is_running(node.id)
        if isinstance(node, ast.BinOp):
            return self._runs(node.left) or self._runs(node.right)
        if isinstance(node, ast.Subscript | ast.Attribute):
            return self._runs(node.value) or self._w.names.short(node) in _INDEXES
        if isinstance(node, ast.Call):
            return self._w.names.short(node.func) in _INDEXES
        return isinstance(node, ast.Slice) or (isinstance(node, ast.Constant) and node.value is Ellipsis)

    def _is_running(self, name: str) -> bool:
        if name not in self._running:
            self._running[name] = False  # where it is made from what it was before
            values = self._nodes.assignments.get(name, ())
            self._running[name] = any(map(self._runs, values)) or name in self._grids
        return self._running[name]

    @cached_property
    def _grids(self) -> frozenset[str]:
        """Names of index tiles that are assigned together."""
        made = (self._nodes.parents[v] for v in self._nodes.assignments.get("", ()) if self._runs(v))
        targets = (target for node in made for target in getattr(node, "targets", ()))
        return frozenset(n.id for t in targets for n in getattr(t, "elts", ()) if isinstance(n, ast.Name))

    def _size(self, node: ast.expr) -> Sym:
        """An integer."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return Sym.constant(node.value)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](self._size(node.left), self._size(node.right))
        return self._named(node.id) if isinstance(node, ast.Name) else Sym.atom(self._w.segment(node))

    def _named(self, name: str) -> Sym:
        if name not in self._sizes:
            self._sizes[name] = Sym.atom(name)
            values = self._nodes.assignments.get(name, ())
            number = self._w.module.numbers.get(name)
            if len(values) == 1 and name not in self._w.env.often:
                self._sizes[name] = self._size(values[0])
            elif isinstance(number, int) and not values:
                self._sizes[name] = Sym.constant(number)
        return self._sizes[name]


def _place(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset
