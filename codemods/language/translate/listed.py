"""Lists that a kernel fills with tiles one by one: all items are alike, so that any of them is known."""

from __future__ import annotations

import ast

from ...record import replace
from ..analysis import values as v
from ..analysis.dtypes import certainly_same
from ..analysis.refusal import Refused
from .values import Lost, Tiles, Value
from .walker import Walker, text


def append(w: Walker, base: ast.expr, tile: Value) -> None:
    """``tiles.append(tile)``. Raises Refused where items would differ, or the list is not known."""
    name = base.id if isinstance(base, ast.Name) else ""
    before = w.env.values.get(name)
    if not isinstance(tile, v.Tensor) or not _fits(w, before, tile):
        if name:
            w.env.values[name] = Lost(name)
        raise Refused("M-LIST", x=w.segment(base))
    if not isinstance(before, Tiles):
        dtype = tile.dtype and replace(tile.dtype, text="")  # which is spelled where an item is taken
        w.env.values[name] = Tiles(name, replace(tile, text="", dtype=dtype, whole=True))


def _fits(w: Walker, before: Value | None, tile: v.Tensor) -> bool:
    """Whether a list is known, and its items are like a tile."""
    if not _is_item(w, tile):
        return False
    if isinstance(before, Tiles):
        return _alike(w, before.item, tile)
    return isinstance(before, v.Items) and not before.items


def _is_item(w: Walker, tile: v.Tensor) -> bool:
    """Whether a tile is a whole one with a shape that is the same for all iterations of loops."""
    whole = tile.whole or tile.text.startswith("nl.ndarray(")  # which is not made anywhere else
    if tile.shape is None or not whole or tile.extents or tile.space in (None, v.Space.PSUM):
        return False
    counters = {atom for loop in w.env.loops if loop.sym is not None for atom in loop.sym.atoms}
    return not any(size.atoms & counters or w.env.changes(size) for size in tile.shape)


def _alike(w: Walker, one: v.Tensor, two: v.Tensor) -> bool:
    assert one.shape is not None
    assert two.shape is not None
    sizes = len(one.shape) == len(two.shape) and all(
        w.env.facts.same(a, b) is True for a, b in zip(one.shape, two.shape, strict=True)
    )
    return sizes and one.space == two.space and certainly_same(one.dtype, two.dtype)


def item(w: Walker, node: ast.Subscript, base: Tiles, index: Value) -> v.Tensor:
    """``tiles[i]``."""
    if not isinstance(index, v.Scalar | v.Unknown):
        raise Refused("M-LIST", x=base.text)
    spelled = w.respelled(node, [(node.value, base.text), (node.slice, text(index))])
    dtype = base.item.dtype and replace(base.item.dtype, text=f"{spelled}.dtype")
    return replace(base.item, text=spelled, dtype=dtype)
