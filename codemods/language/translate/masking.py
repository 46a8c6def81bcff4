"""Masks: every operand of a masked operation becomes the part that the mask leaves.

A tile that a masked operation makes has only that part; its former size is kept in ``extents``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ...record import replace
from ...trees import is_none
from ..analysis import values as v
from ..analysis.access import Access, subscript
from ..analysis.index import broadcast
from ..analysis.masks import Bound, Comparison, Condition, Mask, Region, for_operand, is_column, solved
from ..analysis.refusal import Refused
from ..analysis.spelling import Leaf
from ..analysis.symbols import ZERO, Sym
from . import expressions
from .parameters import arguments, defaults
from .values import Absent, Value
from .walker import Walker, known

Ranges = Mapping[int, tuple[Sym, Sym]]
Smaller = dict[object, Sym]
"""Sizes that masks made smaller → what they were. Numbers are told apart by the axis that has them."""
TRANSPOSED = {"nisa.nc_transpose": "data", "nl.transpose": "x", "nl.load_transpose2d": "src"}
"""Operations that exchange the axes of this operand."""
_PRODUCTS = frozenset(("nisa.nc_matmul", "nl.matmul"))
"""Operations whose operands have axes of their own."""


def region(w: Walker, node: ast.expr) -> Region | None:
    """What a ``mask=`` leaves; None where it is None. Raises Refused when it is no range of axes."""
    value = known(expressions.evaluate(w, node))
    if isinstance(value, Absent):
        return None
    if isinstance(value, v.Unknown | v.Scalar) and isinstance(node, ast.Name) and _may_be_none(w, node.id):
        value = v.Unknown(f"({value.text} == None or {value.text})")
    mask = as_mask(w, value)
    if mask is None:
        raise Refused("M-MASK", expr=w.segment(node))
    return _region(w, mask, w.segment(node))


def _may_be_none(w: Walker, name: str) -> bool:
    """Whether a parameter can be None: by its default, or since a call of the file's hands that over."""
    node = w.function.node
    given = [default for key, default in defaults(node) if key == name]
    if name in {a.arg for a in arguments(node)}:
        given += [a for call in w.function.callers for a in (*call.args, *(k.value for k in call.keywords))]
    return any(map(is_none, given))


def _region(w: Walker, mask: Mask, expr: str) -> Region:
    for part in mask.parts:
        _check(w, part, expr)
        for side in (part.left, part.right) if isinstance(part, Comparison) else ():
            for size in side.shape:  # an instruction works on one element at least
                w.env.facts.at_least(size, 1)
    try:
        found = solved(mask, w.env.facts)
    except Refused as refusal:
        raise Refused(refusal.message, **{"expr": expr, **refusal.fields}) from None
    if found.never:
        raise Refused("M-MASK", expr=expr, reason="nothing is left")
    return replace(found, bounds=tuple(_named(w, bound) for bound in found.bounds))


def kept(w: Walker, base: v.Tensor, mask: Mask, expr: str) -> v.Tensor:
    """``tile[i_p < n]``: what a mask leaves of one operand. Raises Refused for no range of its axes."""
    found, own = _region(w, mask, expr), former(base)
    if own is None:
        raise Refused("M-SHAPE", fn="a mask", operands=base.text)
    w.writer.only_if(found.guards)
    ranges = _defined(w, own, found.on(own, w.env.facts), [base])
    return with_extents(cut(w, base, ranges), _smaller(ranges, own))


def _check(w: Walker, part: Comparison | Condition, expr: str) -> None:
    """Masks are written out where they are used: their names must still mean the same."""
    if isinstance(part, Condition):
        outdated = w.env.identity(part.text) != part.identity
    else:
        sides = (part.left, part.right)
        syms = (sym for side in sides for sym in (side.base, *side.shape, *side.steps))
        outdated = any(w.env.outdated(sym) is not None for sym in syms)
    if outdated:
        raise Refused("M-MASK", expr=expr, reason="its names have other values since it was made")


def as_mask(w: Walker, value: Value) -> Mask | None:
    """A value as a mask: also a condition of trace time."""
    if isinstance(value, Mask):
        return value
    if not isinstance(value, v.Scalar | v.Unknown):
        return None
    return Mask((Condition(value.text, w.env.identity(value.text)),))


def _named(w: Walker, bound: Bound) -> Bound:
    """A bound whose end has a name of its own, given before the statement where it has none yet."""
    return replace(bound, high=_bound_name(w, bound.axis, bound.high))


def _bound_name(w: Walker, axis: int, high: Sym) -> Sym:
    if high.value is not None or isinstance(high.form, Leaf):
        return high
    name = w.env.sizes.get(high.terms)
    if name is None:
        name = w.writer.bind("rows" if axis != -1 else "columns", high.text)
        w.env.sizes[high.terms] = name
    return high.named(name)


Narrowed = tuple[Mapping[str, Value], v.Tensor | None, Smaller]
"""The arguments of an operation, the statement's tile, and what sizes became smaller."""


def narrowed(w: Walker, name: str, found: Region | None, arguments: Mapping[str, Value]) -> Narrowed:
    """The operands as a mask leaves them, and as earlier masks left some of them.

    Raises Refused when the mask does not fit.
    """
    goal = w.writer.innermost
    tensors = [value for value in arguments.values() if isinstance(value, v.Tensor)]
    if found is not None:
        w.writer.only_if(found.guards)
    if name in _PRODUCTS:
        operands = _multiplied(w, name, found, arguments)
        return operands, goal.target and _product(w, goal.target, operands), {}
    bounds = found.bounds if found is not None else ()
    if not bounds and not any(tensor.extents for tensor in tensors):
        return arguments, goal.target, {}
    try:
        shape = _shape(w, name, arguments, tensors)
    except Refused:
        if bounds:
            raise
        return arguments, goal.target, {}  # operands with axes of their own
    ranges = _defined(w, shape, found.on(shape, w.env.facts) if found is not None else {}, tensors)
    narrow = {
        key: _operand(w, value, shape, ranges) if isinstance(value, v.Tensor) else value
        for key, value in arguments.items()
    }
    if name in TRANSPOSED:
        shape, ranges = shape[::-1], {-3 - axis: ends for axis, ends in ranges.items()}
    target = goal.target and _operand(w, goal.target, shape, ranges, reduced=True)
    whole = all(low.value == 0 and w.env.facts.holds_at_most(1, high) for low, high in ranges.values())
    if target is None and not whole:
        goal.window = (shape, ranges)  # a tile of the whole size, since there is none of no size
    return narrow, target, _smaller(ranges, shape)


def _smaller(ranges: Ranges, shape: v.Shape) -> Smaller:
    rank = len(shape)
    return {_key(high, axis, rank): shape[axis] for axis, (low, high) in ranges.items() if low.value == 0}


def smaller_rows(tensor: v.Tensor, rank: int) -> Smaller:
    """What a mask took from the partitions of a tensor, for another one of this rank on as many of them."""
    was = tensor.extents[0] if tensor.extents else None
    return {} if was is None or not tensor.shape else {_key(tensor.shape[0], -rank, rank): was}


def _key(size: Sym, axis: int, rank: int) -> object:
    return size.terms if size.value is None else (size.value, axis, rank)


def _multiplied(
    w: Walker, name: str, found: Region | None, arguments: Mapping[str, Value]
) -> Mapping[str, Value]:
    """The operands of a product: a mask is about the partitions of both, and both must have as many."""
    keys = ("stationary", "moving")
    operands = [arguments.get(key) for key in keys]
    tensors = [tensor for tensor in operands if isinstance(tensor, v.Tensor) and tensor.shape]
    masked = found is not None and bool(found.bounds)
    if len(tensors) < len(keys) or name != "nisa.nc_matmul":
        if masked:
            raise Refused("M-MASK", reason=f"{name} works on operands of several shapes")
        return arguments
    low, highs = ZERO, [tensor.shape[0] for tensor in tensors if tensor.shape and tensor.extents]
    if masked and found is not None:
        if {bound.axis for bound in found.bounds} != {-len(found.shape)} or len(found.shape) > 2:
            raise Refused("M-MASK", reason=f"it does not bound the partitions of {name}")
        low = found.bounds[0].low
        highs.append(found.bounds[0].high)
    if not highs:
        return arguments
    high = _bound_name(w, -2, w.env.facts.least(*highs))
    rows = {
        key: cut(w, tensor, {-len(tensor.shape or ()): (low, high)})
        for key, tensor in zip(keys, tensors, strict=True)
    }
    return {**arguments, **rows}


def _product(w: Walker, target: v.Tensor, operands: Mapping[str, Value]) -> v.Tensor:
    """The part of a tile that a product of operands with fewer rows or columns fills."""
    wanted: dict[int, tuple[Sym, Sym]] = {}
    for axis, key in (-2, "stationary"), (-1, "moving"):
        operand = operands.get(key)
        if isinstance(operand, v.Tensor) and operand.extents and operand.extents[-1] and operand.shape:
            wanted[axis] = (ZERO, operand.shape[-1])
    return cut(w, target, wanted)


def _defined(w: Walker, shape: v.Shape, ranges: Ranges, tensors: Sequence[v.Tensor]) -> Ranges:
    """The ranges without what an earlier mask took from an operand: nothing is known of its elements."""
    found = dict(ranges)
    for tensor in tensors:
        rank = len(tensor.extents)
        for axis, was in enumerate(tensor.extents, -rank):
            if was is None or tensor.shape is None:
                continue
            own = -len(shape) if axis == -rank and is_column(former(tensor) or ()) else axis
            low, high = found.get(own, (ZERO, shape[own]))
            size = tensor.shape[axis]
            if w.env.facts.holds_at_most(high, size):
                continue
            less = _bound_name(w, own, w.env.facts.least(high, size))
            if own in found and not w.env.facts.holds_below(low, less):
                w.writer.only_if((f"{less.text} > {low.text}",))
            found[own] = (low, less)
    return found


def _shape(w: Walker, name: str, arguments: Mapping[str, Value], tensors: Sequence[v.Tensor]) -> v.Shape:
    """The shape that the mask is about: what the operands broadcast to."""
    if name == "nl.store" and isinstance(arguments.get("dst"), v.Tensor):
        tensors = [arguments["dst"]]  # type: ignore[list-item]
    shapes = [former(tensor) for tensor in tensors]
    if not shapes and w.writer.innermost.target is not None:
        shapes = [former(w.writer.innermost.target)]
    whole = [shape for shape in shapes if shape is not None]
    if len(whole) < len(shapes) or not whole:
        raise Refused("M-SHAPE", fn=name, operands=", ".join(t.text for t in tensors if t.shape is None))
    return broadcast(whole, w.env.facts)


def former(tensor: v.Tensor) -> v.Shape | None:
    """The shape that the old code sees."""
    if tensor.shape is None or not tensor.extents:
        return tensor.shape
    return tuple(was or size for was, size in zip(tensor.extents, tensor.shape, strict=True))


def _operand(w: Walker, tensor: v.Tensor, shape: v.Shape, ranges: Ranges, reduced: bool = False) -> v.Tensor:
    own = former(tensor)
    if own is None:
        raise Refused("M-SHAPE", fn="mask", operands=tensor.text)
    wanted = for_operand(ranges, shape, own, w.env.facts, reduced)
    return cut(w, tensor, wanted)


def cut(w: Walker, tensor: v.Tensor, wanted: Ranges) -> v.Tensor:
    """A part of a tensor; what a mask took away before is not there to be taken again."""
    assert tensor.shape is not None
    left: dict[int, tuple[Sym, Sym]] = {}
    for axis, (low, high) in wanted.items():
        size = tensor.shape[axis]
        if low.value == 0 and w.env.facts.same(size, high) is True:
            continue
        if tensor.extents and tensor.extents[axis] is not None and not w.env.facts.holds_at_most(high, size):
            raise Refused("M-MASK", reason=f"{tensor.text} has {size.text} elements, of {high.text}")
        left[axis] = (low, high)
    if not left:
        return tensor
    access = w.views.get(tensor.text) or subscript(tensor, (Ellipsis,), w.env.facts)
    return part(w, tensor, access.narrowed(left))


def part(w: Walker, base: v.Tensor, access: Access) -> v.Tensor:
    """The tensor that an access gives, which further subscripts and masks start from."""
    emitted = access.emitted()
    text = access.respelled(w.env.sizes).emitted().text
    if text != base.text:
        w.views[text] = emitted.access
    return replace(base, text=text, shape=emitted.shape, whole=base.whole and emitted.whole, extents=())


def smaller_sizes(name: str, tensors: Sequence[v.Tensor]) -> Smaller:
    """What masks took from the operands of an operation, as far as its result has the same axes."""
    found: Smaller = {}
    for tensor in tensors:
        rank = len(tensor.extents)
        for axis, (size, was) in enumerate(zip(tensor.shape or (), tensor.extents, strict=False), -rank):
            numbered = size.value is not None
            if was is None or (numbered and name in _PRODUCTS):
                continue
            found[_key(size, -3 - axis if numbered and name in TRANSPOSED else axis, rank)] = was
    return found


def with_extents(result: v.Tensor, smaller: Mapping[object, Sym]) -> v.Tensor:
    """A result of operands of which a mask left a part."""
    if result.shape is None or not smaller:
        return result
    rank = len(result.shape)
    extents = tuple(smaller.get(_key(size, axis, rank)) for axis, size in enumerate(result.shape, -rank))
    return replace(result, extents=extents if any(e is not None for e in extents) else ())


def clamped(w: Walker, access: Access, base: v.Tensor) -> tuple[Access, Smaller]:
    """A view, of a tile's former shape, as a view of what a mask left of the tile."""
    assert base.shape is not None
    ranges: dict[int, tuple[Sym, Sym]] = {}
    smaller: Smaller = {}
    rank = len(access.shape)
    for dim, was in enumerate(base.extents):
        if was is None:
            continue
        size, start = base.shape[dim], access.bases[dim]
        moving = [axis for axis, step in enumerate(access.steps[dim]) if step.value != 0]
        if not moving:
            continue  # an element that the mask left, or nobody can read it
        last = start + 1
        for axis in moving:
            last = last + access.steps[dim][axis] * (access.shape[axis] - 1)
        if w.env.facts.holds_at_most(last, size):
            continue
        if len(moving) > 1 or access.steps[dim][moving[0]].value != 1:
            raise Refused("M-MASK", reason=f"{base.text} has {size.text} elements here")
        axis, count = moving[0] - rank, access.shape[moving[0]]
        high = _bound_name(w, axis, w.env.facts.least(count, size - start))
        if not w.env.facts.holds_at_most(1, high):
            w.writer.only_if((f"{high.text} > 0",))
        ranges[axis] = (ZERO, high)
        smaller[_key(high, axis, rank)] = count
    part = access.narrowed(ranges) if ranges else access
    return replace(part, tensor=replace(base, extents=()), dims=base.shape), smaller
