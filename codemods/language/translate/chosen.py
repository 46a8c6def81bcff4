"""Places of tiles that functions of the file choose: ``ncc.sbuf.alloc(f)``. They are carried out here."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

from ..analysis import values as v
from ..analysis.addresses import Chosen, Listed
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from .placers import SPACES
from .tracetime import UNKNOWN, Known, Trace, Unclear
from .values import PlacingFunction, Value
from .walker import Walker


def chosen(w: Walker, node: ast.expr, owner: str) -> Chosen:
    """The places that a function gives, which is carried out here."""
    trace = Trace(w.module.ctx, w.names)
    count = 3 if owner == "ncc.psum" else 2
    own = [x.node for x in w.env.values.values() if isinstance(x, PlacingFunction)]
    try:
        function = trace.value(node, {name: _traced(x) for name, x in w.env.values.items()}, own)
    except Unclear:
        raise Refused("M-ALLOC", fn="alloc", name=owner) from None

    def place(block: Sequence[Sym], rows: Sym, size: Sym) -> tuple[Sym, ...]:
        for attempt in (dict(zip(_PLACED, (tuple(block), rows, size), strict=True)), None):
            try:
                found = function(**attempt) if attempt else function(tuple(block), rows, size)
            except (Unclear, TypeError):
                continue
            if isinstance(found, tuple) and len(found) == count and all(isinstance(x, Sym) for x in found):
                return found
        raise Refused("M-ALLOC", fn="alloc", name=owner)

    return Chosen(place)


_PLACED = ("idx", "pdim_size", "fdim_size")
"""The parameters that the documentation gives such functions."""


def _traced(value: Value) -> Known:
    """A number or a tuple of numbers as functions get it."""
    if isinstance(value, v.Items):
        return tuple(_traced(item) for item in value.items)
    found = value.sym if isinstance(value, v.Scalar) else None
    return UNKNOWN if found is None else found


def only_places(w: Walker, function: ast.FunctionDef) -> bool:
    """Whether a function inside of a kernel is only handed to ``alloc``."""
    uses = w.function.nodes.loads.get(function.name, ())
    return not function.decorator_list and all(_is_allocating(w, use) for use in uses)


def _is_allocating(w: Walker, node: ast.AST) -> bool:
    """Whether a node stands in a call of ``alloc``."""
    parents = w.function.nodes.parents
    here: ast.AST | None = node
    while here is not None and not _is_alloc(w, here):
        here = parents.get(here)
    return here is not None


def _is_alloc(w: Walker, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and w.names.short(node.func) in [f"{owner}.alloc" for owner in SPACES]


def spelled(w: Walker, place: Chosen, tile: v.Tensor, partition: int, size: Sym) -> Chosen | Listed:
    """The places of a tile's blocks of ``size`` bytes: as they are where they have a rule, else one by one.

    Raises Refused when neither is possible.
    """
    assert tile.shape is not None
    outer, rows, facts = tile.shape[:partition], tile.shape[partition], w.env.facts
    try:
        place.address([Sym.atom(f"block {n}") for n in range(partition)], rows, size, facts)
    except Refused:
        counts = [count.value for count in outer if count.value is not None]
        if len(counts) < len(outer) or prod(counts) > _MOST:
            raise
    else:
        return place
    blocks = product(*(range(count) for count in counts))
    found = {b: place.address([Sym.constant(n) for n in b], rows, size, facts) for b in blocks}
    partitions = {first for first, _ in found.values()}
    if len(partitions) > 1:
        raise Refused("M-ALLOC", fn="alloc", name=tile.text)
    code = _nested({block: byte for block, (_, byte) in found.items()}, ())
    return Listed(partitions.pop(), w.writer.bind(f"{tile.text}_bytes", code))


def _nested(found: Mapping[tuple[int, ...], Sym], start: tuple[int, ...]) -> str:
    """Code for nested lists of what there is for indexes that start so."""
    if start in found:
        return found[start].text
    items = sorted({block[len(start)] for block in found if block[: len(start)] == start})
    return f"[{', '.join(_nested(found, (*start, item)) for item in items)}]"


_MOST = 32
"""Blocks of which the places are listed."""
