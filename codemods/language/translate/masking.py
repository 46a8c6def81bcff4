"""Masks: every operand of a masked operation becomes the part that the mask leaves.

A tile that a masked operation makes has only that part; its former size is kept in ``extents``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..analysis import values as v
from ..analysis.access import Access, subscript
from ..analysis.index import broadcast
from ..analysis.masks import Condition, Mask, Region, for_operand, solved
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym, Terms
from . import expressions
from .values import Value
from .walker import Walker, known

Ranges = Mapping[int, tuple[Sym, Sym]]
_PRODUCTS = frozenset(
    ("nisa.nc_matmul", "nl.matmul", "nisa.nc_transpose", "nl.transpose", "nl.load_transpose2d")
)
"""Operations whose operands have axes of their own."""


def region(w: Walker, node: ast.expr) -> Region:
    """What a ``mask=`` leaves. Raises Refused when it is no range of axes."""
    value = known(expressions.evaluate(w, node))
    mask = as_mask(value)
    if mask is None:
        raise Refused("M-MASK", expr=w.segment(node))
    try:
        found = solved(mask, w.env.facts)
    except Refused as refusal:
        raise Refused(refusal.message, **{"expr": w.segment(node), **refusal.fields}) from None
    if found.never:
        raise Refused("M-MASK", expr=w.segment(node), reason="nothing is left")
    return replace(found, bounds=tuple(_named(w, bound) for bound in found.bounds))


def as_mask(value: Value) -> Mask | None:
    """A value as a mask: also a condition of trace time."""
    if isinstance(value, Mask):
        return value
    return Mask((Condition(value.text),)) if isinstance(value, v.Scalar | v.Unknown) else None


def _named(w: Walker, bound):  # type: ignore[no-untyped-def]
    """A bound whose end has a name of its own, given before the statement where it has none yet."""
    if bound.high.value is not None or bound.high.text.isidentifier():
        return bound
    name = w.env.sizes.get(bound.high.terms)
    if name is None:
        name = w.writer.bind("rows" if bound.axis != -1 else "columns", bound.high.text)
        w.env.sizes[bound.high.terms] = name
    return bound.named(high=name)


def narrowed(
    w: Walker, name: str, found: Region, arguments: Mapping[str, Value]
) -> tuple[dict[str, Value], v.Tensor | None, dict[Terms, Sym]]:
    """The arguments as the mask leaves them, the statement's tile likewise, and what sizes became smaller.

    Raises Refused when the mask does not fit.
    """
    w.writer.only_if(found.guards)
    goal = w.writer.innermost
    if not found.bounds:
        return dict(arguments), goal.target, {}
    if name in _PRODUCTS:
        raise Refused("M-MASK", expr="", reason=f"{name} works on operands of several shapes")
    tensors = [value for value in arguments.values() if isinstance(value, v.Tensor)]
    shape = _shape(w, name, arguments, tensors)
    ranges = found.on(shape, w.env.facts)
    narrow = {
        key: _operand(w, value, shape, ranges) if isinstance(value, v.Tensor) else value
        for key, value in arguments.items()
    }
    target = goal.target and _operand(w, goal.target, shape, ranges, reduced=True)
    if target is None and any(low.value != 0 for low, _ in ranges.values()):
        goal.window = (shape, ranges)
    smaller = {high.terms: shape[axis] for axis, (low, high) in ranges.items() if low.value == 0}
    return narrow, target, smaller


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
    assert own is not None
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
            raise Refused("M-MASK", expr="", reason=f"{tensor.text} has {size.text} elements, of {high.text}")
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


def smaller_sizes(tensors: Sequence[v.Tensor]) -> dict[Terms, Sym]:
    """Sizes that masks made smaller → what they were."""
    return {
        size.terms: was
        for tensor in tensors
        if tensor.extents and tensor.shape
        for size, was in zip(tensor.shape, tensor.extents, strict=True)
        if was is not None
    }


def with_extents(result: v.Tensor, smaller: Mapping[Terms, Sym]) -> v.Tensor:
    """A result of operands of which a mask left a part."""
    if result.shape is None or not smaller:
        return result
    extents = tuple(smaller.get(size.terms) for size in result.shape)
    return replace(result, extents=extents if any(e is not None for e in extents) else ())


def clamped(w: Walker, access: Access, base: v.Tensor) -> tuple[Access, dict[Terms, Sym]]:
    """A view, of a tile's former shape, as a view of what a mask left of the tile."""
    assert base.shape is not None
    ranges: dict[int, tuple[Sym, Sym]] = {}
    smaller: dict[Terms, Sym] = {}
    rank = len(access.shape)
    for dim, was in enumerate(base.extents):
        if was is None:
            continue
        size, start = base.shape[dim], access.bases[dim]
        moving = [axis for axis, step in enumerate(access.steps[dim]) if step.value != 0]
        last = start + 1
        for axis in moving:
            last = last + access.steps[dim][axis] * (access.shape[axis] - 1)
        if w.env.facts.holds_at_most(last, size):
            continue
        plain = len(moving) == 1 and access.steps[dim][moving[0]].value == 1 and start.value == 0
        if not plain or w.env.facts.same(access.shape[moving[0]], was) is not True:
            raise Refused("M-MASK", expr="", reason=f"{base.text} has {size.text} elements here")
        ranges[moving[0] - rank] = (start, size)
        smaller[size.terms] = was
    part = access.narrowed(ranges) if ranges else access
    return replace(part, tensor=replace(base, extents=()), dims=base.shape), smaller
