"""``x[...]``: views of tensors, placed index tiles, items of shapes."""

from __future__ import annotations

import ast
from typing import Literal

from ...record import replace
from ..analysis import values as v
from ..analysis.emission import ONE_PARTITION
from ..analysis.index import Index, Window, mgrid
from ..analysis.refusal import Refused
from ..analysis.symbols import ONE
from ..lowering.registry import LOWERINGS
from . import access, arguments, blocks, expressions, listed, masking, operations
from .values import Axes, Blocks, Grid, NewAxis, Tiles, Value, Whole
from .walker import NO_INDEX, Walker, known, text


def subscript(w: Walker, node: ast.Subscript) -> Value:
    """The value of a subscript that is read."""
    if w.names.short(node.value) == "nl.mgrid":
        return _grid(w, node)
    viewed = _of_view(w, node)
    if viewed is not None:
        return viewed
    base = known(expressions.evaluate(w, node.value))
    if isinstance(base, Index):
        return base.placed(_placing(w, node))
    if isinstance(base, v.Tensor | Blocks):
        try:
            return element(w, node, base)
        except Refused as refusal:
            if refusal.fields.get("reason") != ONE_PARTITION or not _is_source(w, node):
                raise
            return _repeated(w, node, base)
    try:
        return _of_another(w, node, base)
    except Refused as refusal:
        if not isinstance(base, v.Unknown) or refusal.fields.get("reason") != NO_INDEX:
            raise
        why = f"nothing tells that {base.text} is a tensor"
        raise Refused("M-IDX", expr=w.segment(node), reason=why) from refusal


def _of_another(w: Walker, node: ast.Subscript, base: Value) -> Value:
    """A part of something else than a tensor."""
    index = known(expressions.evaluate(w, node.slice))
    if isinstance(base, Tiles):
        return listed.item(w, node, base, index)
    if isinstance(base, v.Items | Axes | Grid):
        found = _item(w, node, base, index)
        if found is not None:
            return found
    return v.Unknown(w.respelled(node, [(node.value, text(base)), (node.slice, text(index))]))


def _of_view(w: Walker, node: ast.Subscript) -> Value | None:
    """``tiles.view(dtype)[i, …]`` of a tile with block dimensions: the view of one of its tiles."""
    call = node.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "view":
        return None
    tiles = w.env.values.get(call.func.value.id) if isinstance(call.func.value, ast.Name) else None
    if not isinstance(tiles, Blocks):
        return None
    parts = keys(w, node.slice)
    outer, inner = parts[: tiles.partition], parts[tiles.partition :]
    if not all(isinstance(key, v.Scalar | v.Unknown) for key in outer):
        return None
    tile = blocks.view(w, tiles, outer, w.segment(node))
    given = arguments.bound(w, call, "nki.tensor.view", tile)
    return access.view(w, operations.lowered(w, "nki.tensor.view", given), inner, w.segment(node))  # type: ignore[arg-type]


def element(w: Walker, node: ast.Subscript, base: v.Tensor | Blocks, overwrites: bool = False) -> Value:
    """A part of a tensor; ``overwrites`` says that it is written without being read."""
    parts = keys(w, node.slice)
    if isinstance(base, Blocks):
        return blocks.view(w, base, parts, w.segment(node), overwrites)
    return access.view(w, base, parts, w.segment(node))


_SOURCES = frozenset(("src", "data", "data1", "data2", "x", "y", "value", "stationary", "moving"))
"""Parameters of instructions that only read the tile they get."""


def _is_source(w: Walker, node: ast.Subscript) -> bool:
    """Whether it is what an instruction reads."""
    outer = w.function.nodes.parents.get(node)
    call = w.function.nodes.parents.get(outer) if isinstance(outer, ast.keyword) else outer
    if not isinstance(call, ast.Call) or w.names.short(call.func) not in LOWERINGS:
        return False
    given = arguments.named(w, call, w.names.short(call.func))
    return any(given.get(parameter) is node for parameter in _SOURCES)


def _repeated(w: Walker, node: ast.Subscript, base: v.Tensor | Blocks) -> Value:
    """One partition of a tile that is read for several, as in ``row[0 * p, f]``: a tile with it in each."""
    if not isinstance(base, v.Tensor) or base.extents:
        raise Refused("M-IDX", expr=w.segment(node), reason=ONE_PARTITION)
    whole = access.accessed(w, base, keys(w, node.slice), w.segment(node))
    if whole.dynamic is not None:
        raise Refused("M-IDX", expr=w.segment(node), reason=ONE_PARTITION)
    row = masking.part(w, base, replace(whole, shape=(ONE, *whole.shape[1:])))
    sizes = v.Items("", tuple(v.Scalar(size.text, size) for size in whole.shape))
    return operations.lowered(w, "nl.broadcast_to", {"src": row, "shape": sizes})


def keys(w: Walker, node: ast.expr) -> list[Value]:
    """The parts of a subscript."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    found: list[Value] = []
    for part in parts:
        if isinstance(part, ast.Constant) and part.value is None:
            found.append(NewAxis())
            continue
        value = known(expressions.evaluate(w, part))
        if isinstance(value, Grid):
            found += value.components
        else:
            found += value.items if isinstance(value, v.Items) else [value]  # a tuple of a name
    return found


def _grid(w: Walker, node: ast.Subscript) -> Grid:
    windows = keys(w, node.slice)
    if not all(isinstance(window, Window) for window in windows):
        raise Refused("M-IDX", expr=w.segment(node), reason="an index grid of something else than slices")
    return Grid(w.segment(node), mgrid(windows))  # type: ignore[arg-type]


def _placing(w: Walker, node: ast.Subscript) -> list[Literal[":", "..."] | None]:
    found: list[Literal[":", "..."] | None] = []
    for key in keys(w, node.slice):
        if isinstance(key, NewAxis):
            found.append(None)
        elif isinstance(key, Whole):
            found.append("...")
        elif isinstance(key, Window) and key.start is key.stop is key.step is None:
            found.append(":")
        else:
            raise Refused("M-IDX", expr=w.segment(node), reason="a part of an index tile")
    return found


def _item(w: Walker, node: ast.Subscript, base: v.Items | Axes | Grid, index: Value) -> Value | None:
    number = index.sym.value if isinstance(index, v.Scalar) and index.sym is not None else None
    if isinstance(base, Axes):
        spelled = w.respelled(node, [(node.value, base.text)])
        return (
            None
            if number is None
            else v.Scalar(spelled, w.env.of_tensor(f"{base.of}.shape[{number}]").named(spelled))
        )
    items = base.components if isinstance(base, Grid) else base.items
    if number is not None and -len(items) <= number < len(items):
        item = items[number]
        if isinstance(item, v.Scalar) and not isinstance(base, Grid):
            spelled = (
                item.text if base.text[:1] in ("", "(") else w.respelled(node, [(node.value, base.text)])
            )
            return v.Scalar(spelled, item.sym.named(spelled) if item.sym else None)
        return item
    if isinstance(index, Window) and isinstance(base, v.Items):
        start, stop, step = (None if s is None else s.value for s in (index.start, index.stop, index.step))
        if (start is None) == (index.start is None) and (stop is None) == (index.stop is None):
            spelled = w.respelled(node, [(node.value, base.text)])
            return v.Items(spelled, base.items[slice(start, stop, step)])
    return None
