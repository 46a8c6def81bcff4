"""Views of tensors by index tiles, slices and numbers."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ...record import replace
from ..analysis import values as v
from ..analysis.access import Access, Dynamic, Item, subscript, within
from ..analysis.index import Index, Window
from ..analysis.masks import Mask
from ..analysis.refusal import Refused
from ..analysis.symbols import ONE, Sym
from . import masking
from .values import Absent, NewAxis, Value, Whole
from .walker import Walker, integer


def view(w: Walker, base: v.Tensor, keys: Sequence[Value], expr: str) -> v.Tensor:
    """``base[keys]``. Raises Refused when it is no view of the new language."""
    if all(isinstance(key, Whole) for key in keys):
        return base
    if len(keys) == 1 and isinstance(keys[0], Mask):
        return masking.kept(w, base, keys[0], expr)
    if base.shape is None and len(keys) == 1 and w.env.ranks.get(base.text, 0) < 2:
        number = item(w, keys[0], expr)
        if isinstance(number, Sym):  # of what else the tensor has dimensions for
            return replace(base, text=f"{base.text}[{number.text}]", whole=False)
    access = accessed(w, replace(base, shape=masking.former(base)), keys, expr)
    smaller: masking.Smaller = {}
    if base.extents:
        access, smaller = masking.clamped(w, access, base)
    for key in keys:
        if isinstance(key, v.Tensor) and key.extents:  # as many places as a mask left of the indices
            smaller = {**smaller, **masking.smaller_rows(key, len(access.shape))}
    return masking.with_extents(masking.part(w, base, access), smaller)


def accessed(w: Walker, base: v.Tensor, keys: Sequence[Value], expr: str) -> Access:
    """The elements that a subscript means."""
    items = [item(w, key, expr) for key in keys]
    if base.shape is None:
        rank = max(
            w.env.ranks.get(base.text, 0), sum(item is not None and item is not Ellipsis for item in items)
        )
        moving = [item for item in items if not isinstance(item, Sym)]
        slices = all(isinstance(item, Window) for item in moving)
        few = slices and len(moving) < 2 and isinstance(items[0], Sym)
        if len(items) == rank and (rank == 1 or few):  # no matrix is left, unless there are more dimensions
            w.writer.note("M-RANK", fn=expr, x=base.text, n=str(rank))
        base = replace(base, shape=unknown_shape(w, base.text, rank))
    outer = None if base.whole else w.views.get(base.text)
    try:
        if outer is not None and outer.shape == base.shape:
            return within(outer, items)
        return subscript(base, items, w.env.facts)
    except Refused as refusal:
        raise Refused(refusal.message, **{"expr": expr, **refusal.fields}) from refusal


def unknown_shape(w: Walker, name: str, rank: int) -> v.Shape:
    """The dimensions of a tensor as its own attributes."""
    return tuple(w.env.of_tensor(f"{name}.shape[{axis}]") for axis in range(rank))


def item(w: Walker, key: Value, expr: str) -> Item:
    if isinstance(key, Index | Window):
        for sym in _parts(key):
            _current(w, sym, expr)
        return key
    if isinstance(key, v.Scalar | v.Unknown) and not isinstance(key, Absent):
        return integer(w, key)
    if isinstance(key, Whole):
        return Ellipsis
    if isinstance(key, NewAxis):
        return None
    if isinstance(key, Dynamic):
        return key
    if isinstance(key, v.Tensor):
        return Dynamic(_indices(w, key))
    raise Refused("M-IDX", expr=expr)


def _indices(w: Walker, tile: v.Tensor) -> Access:
    """A tile's elements as indexes: where it is not known, there is one for each partition, as the language
    asks, and as an assertion says where the number might be another one.
    """
    if tile.text in w.views:
        return w.views[tile.text]
    shape = tile.shape or (*unknown_shape(w, tile.text, 1), ONE)
    one = w.env.facts.same(shape[1], 1) if len(shape) == 2 else False
    if one is None:
        w.writer.note("M-COLUMN", x=tile.text)
        w.writer.line(f'assert {tile.text}.shape[1] == 1, "one index for each partition"')
        w.env.facts.equal(shape[1], 1)
    if one is not False:
        shape = (shape[0], ONE)
    return subscript(replace(tile, shape=shape), (Ellipsis,), w.env.facts)


def place(w: Walker, op: ast.operator, left: Value, right: Value) -> Dynamic | None:
    """``tile[i, 0] + nl.arange(n)``: index tiles behind a place that a tile holds."""
    if not isinstance(op, ast.Add):
        return None
    if isinstance(right, Dynamic | v.Tensor):
        left, right = right, left
    if not isinstance(left, Dynamic | v.Tensor) or not isinstance(right, Index):
        return None
    known = left if isinstance(left, Dynamic) else Dynamic(_indices(w, left))
    return replace(known, extra=known.extra.plus(right, w.env.facts))


def _parts(key: Index | Window) -> list[Sym]:
    if isinstance(key, Index):
        return [key.base, *key.shape, *key.steps]
    return [part for part in (key.start, key.stop, key.step) if part is not None]


def _current(w: Walker, sym: Sym, expr: str) -> None:
    """An index tile is written out where it is used: its names must still mean the same."""
    name = w.env.outdated(sym)
    if name is not None:
        raise Refused("M-IDX", expr=expr, reason=f"{name} has another value since the index tile was made")
