"""Tiles with block dimensions: dropped in the loop that owns an element, lists of tiles, or free dimensions.

A walk through a function begins with what is foreseen of them (see :mod:`.foreseen`), and notes how each of
them is used; where that asks for something else, the function is walked again.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable, Mapping, Sequence

from ...record import fresh, record, replace
from ..analysis import values as v
from ..analysis.access import Access, Layout, subscript
from ..analysis.blocks import Loop, Placing, Use, placed
from ..analysis.refusal import Refused
from ..analysis.symbols import ONE, Sym
from . import access, addresses, capacity
from .environment import Environment
from .layout import nested
from .values import Address, Blocks, Value, Whole
from .walker import Walker, text
from .writer import sizes


@record(frozen=False)
class Block:
    """One allocation with block dimensions.

    Attributes:
        value: the tile. fill: the number it is filled with. address: where the kernel places it.
        loops: around the allocation.
    """

    value: Blocks
    fill: str | None
    address: Address | None
    loops: tuple[Loop, ...]
    uses: list[Use] = fresh(factory=list)


def allocated(
    w: Walker,
    node: ast.Call,
    tile: v.Tensor,
    partition: int,
    fill: str | None,
    address: Address | None = None,
) -> Value:
    """An allocation with block dimensions; its lines are written here, or where the tile belongs."""
    goal = w.writer.innermost
    if not goal.exact or tile.shape is None:
        raise Refused("M-ARGUMENT", fn="nl.ndarray", parameter="shape", value=w.segment(node))
    key = id(node)
    whole = replace(tile, text=goal.hint, whole=True)
    placing, goal.made = w.placings.get(key), whole
    if placing is None:
        value = Blocks(goal.hint, key, whole, partition, Layout())
        w.blocks[key] = Block(value, fill, address, loops_around(w))
        return value
    value = Blocks(goal.hint, key, whole, partition, placing.layout)
    moves = placing.inside is not None or placing.grown is not None
    if address is not None:
        address = addresses.settled(w, address, whole, partition, moves)
    w.blocks[key] = Block(value, fill, address, loops_around(w))
    capacity.check(w, whole if placing.inside is None else _element(whole, partition), goal.hint, partition)
    if placing.inside is None:
        for line in _start(w, value, placing, fill):
            w.writer.ahead(line)
    return value


def _element(whole: v.Tensor, partition: int) -> v.Tensor:
    """The tile without its block dimensions, in its place among others."""
    shape = whole.shape or ()
    return replace(whole, shape=(*(ONE for _ in shape[:partition]), *shape[partition:]))


def loops_around(w: Walker) -> tuple[Loop, ...]:
    """The loops around the present place."""
    return tuple(
        Loop(id(loop.node), loop.sym, loop.start, loop.stop, loop.step, loop.branches == w.env.branches)
        for loop in w.env.loops
        if loop.sym is not None
    )


# -- uses ---------------------------------------------------------------------------------------------


def view(w: Walker, base: Blocks, keys: Sequence[Value], expr: str, overwrites: bool = False) -> Value:
    """A part of such a tile, whose use is noted."""
    if not keys or all(isinstance(key, Whole) for key in keys):
        keys = [Whole()]
    items = [access.item(w, key, expr) for key in keys]
    try:
        found = subscript(base.whole, items, w.env.facts, base.partition, base.layout)
    except Refused as refusal:
        raise Refused(refusal.message, **{"expr": expr, **refusal.fields}) from refusal
    points = tuple(_point(found, dim) for dim in range(base.partition))
    if not base.handed:
        covers = overwrites and _covers(found, base.partition)
        w.blocks[base.key].uses.append(Use(points, loops_around(w), covers))
    if base.key not in w.placings and not base.handed:
        return replace(base.whole, text=expr, shape=_shape(found, base.partition), whole=False)
    code = found.code()
    w.views[code] = found
    kept = len(base.layout.kept(len(found.dims)))
    whole = all(point is not None for point in points) and _covers(found, base.partition)
    short = base.text + "".join(f"[{found.bases[dim].text}]" for dim in base.layout.lists)
    if whole and kept == len(found.dims) - base.partition:
        w.views[short] = found
        return replace(base.whole, text=short, shape=tuple(found.dims[base.partition :]), whole=True)
    return replace(base.whole, text=code, shape=found.new_shape, whole=False)


def handed(w: Walker, base: Blocks) -> Blocks:
    """The whole tile given to a function of the file, which gets the list of its tiles."""
    if not base.handed:
        outer = (base.whole.shape or ())[: base.partition]
        anywhere = tuple(Sym.atom(f"any of {size.text}") for size in outer)
        w.blocks[base.key].uses.append(Use(anywhere, loops_around(w)))
    return base


def spelled(w: Walker, value: Value) -> str:
    """The new code for a value that is handed on, also for a list of tiles."""
    return handed(w, value).text if isinstance(value, Blocks) else text(value)


def _point(found: Access, dim: int) -> Sym | None:
    """The integer that a dimension is indexed with."""
    return found.bases[dim] if all(step.value == 0 for step in found.steps[dim]) else None


def _covers(found: Access, partition: int) -> bool:
    """Whether it is all of the elements at its block indexes."""
    for dim in range(partition, len(found.dims)):
        moving = [axis for axis, step in enumerate(found.steps[dim]) if step.value != 0]
        single = found.dims[dim].value == 1 and not moving
        if not single and (len(moving) != 1 or found.steps[dim][moving[0]].value != 1):
            return False
        if found.bases[dim].value != 0:
            return False
        if moving and found.facts.same(found.shape[moving[0]], found.dims[dim]) is not True:
            return False
    return True


def _shape(found: Access, partition: int) -> v.Shape:
    return found.shape[-(len(found.dims) - partition) :]


# -- where they are allocated -------------------------------------------------------------------------


def placings(w: Walker) -> dict[int, Placing]:
    """Where each tile with block dimensions belongs, after a walk."""
    found = {}
    for key, block in w.blocks.items():
        shape = block.value.whole.shape or ()
        outer = shape[: block.value.partition]
        found[key] = placed(outer, len(shape), block.loops, block.uses, w.env.facts)
    for key, other in w.twins.items():
        found[key] = found[other] = Placing(Layout(lists=tuple(range(w.blocks[key].value.partition))))
    return found


def joined(w: Walker, taken: Environment) -> None:
    """Behind a branch, a tile that either arm allocates, and does not use, is one: a list of tiles."""
    for name in {**w.env.values.changed, **taken.values.changed}:
        mine, theirs = w.env.values.get(name), taken.values.get(name)
        if not isinstance(mine, Blocks) or not isinstance(theirs, Blocks) or mine.key == theirs.key:
            continue
        again = w.twins.get(theirs.key) == mine.key  # a loop's body is walked more than once
        if not (again or _unused_twins(w, mine, theirs)):
            continue
        w.twins[theirs.key] = mine.key
        dtype = mine.whole.dtype
        if dtype != theirs.whole.dtype:
            dtype = v.Dtype(f"{mine.tile(name)}.dtype", None, w.env.identity(name))
        w.env.values[name] = taken.values[name] = replace(mine, whole=replace(mine.whole, dtype=dtype))


def _unused_twins(w: Walker, one: Blocks, two: Blocks) -> bool:
    """Whether two tiles of which nothing is used yet differ in their dtypes at most."""
    if one.handed or two.handed or any(w.blocks[each.key].uses for each in (one, two)):
        return False
    alike = [(each.whole.shape, each.whole.space, each.partition, each.layout) for each in (one, two)]
    return alike[0] == alike[1]


_ANYWHERE = Placing()


def at_start(w: Walker, node: ast.For, indent: str) -> list[str]:
    """The lines at the start of a loop's body: allocations that belong there."""
    found: list[str] = []
    for key, block in w.blocks.items():
        placing = w.placings.get(key, _ANYWHERE)
        lines: list[str] = []
        if placing.inside == id(node):
            lines += _start(w, block.value, placing, block.fill)
        if placing.grown == id(node):
            lines += _appended(w, block.value, block.fill, node)
        for line in lines:
            found += nested(line, indent, w.unit)
    return found


def _start(w: Walker, value: Blocks, placing: Placing, fill: str | None) -> list[str]:
    """The tile itself, or the start of its list."""
    if not value.layout.lists:
        lines = [f"{value.text} = {_tile(w, value, {})}"]
        return lines + _filled(w, value, value.text, fill)
    lines = [f"{value.text} = []"]
    return lines if placing.grown is not None else lines + _all(w, value, fill)


def _all(w: Walker, value: Blocks, fill: str | None) -> list[str]:
    """Every tile of the list, one loop for each of its dimensions."""
    lines: list[str] = []
    element = value.text
    lists = value.layout.lists
    indexes: dict[int, Sym] = {}
    for depth, dim in enumerate(lists):
        size = (value.whole.shape or ())[dim]
        index = w.shared.fresh(_INDEXES[min(depth, len(_INDEXES) - 1)])
        lines.append("    " * depth + f"for {index} in nl.affine_range({size.text}):")
        indexes[dim] = Sym.atom(index)
        new = "[]" if depth + 1 < len(lists) else _tile(w, value, indexes)
        lines.append("    " * (depth + 1) + f"{element}.append({new})")
        element += f"[{index}]"
    w.shared.needs.add("nl")
    return lines + ["    " * len(lists) + line for line in _filled(w, value, element, fill)]


_INDEXES = ("block", "inner_block", "innermost_block")


def _appended(w: Walker, value: Blocks, fill: str | None, node: ast.For) -> list[str]:
    (dim,) = value.layout.lists
    lines = [f"{value.text}.append({_tile(w, value, {dim: _variable(w, id(node))})})"]
    return lines + _filled(w, value, f"{value.text}[-1]", fill)


def _filled(w: Walker, value: Blocks, element: str, fill: str | None) -> list[str]:
    if fill is None:
        return []
    w.shared.needs.add("nisa")
    return [f"nisa.memset(dst={element}, value={fill})"]


def _tile(w: Walker, value: Blocks, indexes: Mapping[int, Sym]) -> str:
    """The allocation of one tile; ``indexes`` are its places in the lists."""
    whole, shape = value.whole, value.whole.shape or ()
    assert whole.dtype is not None
    assert whole.space is not None
    kept = tuple(shape[dim] for dim in value.layout.kept(len(shape)))
    for size in kept:
        if w.env.outdated(size) is not None:
            raise Refused("M-SHAPE", fn=f"the loop in which {value.text} is allocated", operands=value.text)
    code = f"nl.ndarray(({sizes(kept)}), dtype={whole.dtype.text}, buffer=nl.{whole.space.value}"
    block = w.blocks[value.key]
    if block.address is None:
        return f"{code})"
    if value.layout.order is not None:
        raise Refused("M-ALLOC", fn="nl.ndarray", name=value.text)
    owners = dict(zip(value.layout.dropped, w.placings[value.key].owners, strict=True))
    points = tuple(
        indexes[dim] if dim in indexes else _variable(w, owners[dim]) for dim in range(value.partition)
    )
    place = addresses.code(w, block.address, points, kept, whole.dtype)
    return f"{code}, address={place})"


def _variable(w: Walker, key: Hashable) -> Sym:
    """What stands for the variable of a loop around the present place."""
    return next(loop.sym for loop in w.env.loops if id(loop.node) == key and loop.sym is not None)
