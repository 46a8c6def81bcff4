"""Masks: comparisons of index tiles as ranges of axes.

A mask is a conjunction. A comparison in which one axis moves bounds that axis; one in which none moves is a
condition on loop variables, which decides when the kernel is traced. Everything else is no range of axes.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...record import record, replace
from .facts import Facts
from .index import Index, as_index, broadcast
from .refusal import Refused
from .spelling import operand
from .symbols import ONE, ZERO, Sym, ceil_div
from .values import Shape

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@record
class Comparison:
    """``left op right`` of index tiles, or of an index tile and a number."""

    left: Index
    op: str
    right: Index

    @classmethod
    def of(cls, left: Index | Sym | int, op: str, right: Index | Sym | int) -> Comparison:
        """Either side may be a number."""
        return cls(as_index(left), op, as_index(right))


@record
class Condition:
    """Something else that is true or false when the kernel is traced, as code.

    ``identity`` tells what the code means where the mask is made.
    """

    text: str
    identity: str = ""


@record
class Mask:
    """A conjunction of comparisons and conditions."""

    parts: tuple[Comparison | Condition, ...]

    def both(self, other: Mask) -> Mask:
        """``self & other``; what is said twice is said once."""
        return Mask(self.parts + tuple(part for part in other.parts if part not in self.parts))


@record
class Bound:
    """``low <= i < high`` along one axis of the index tiles.

    Attributes:
        axis: counted from the end, from -1.
        extent: the size of the axis.
        may_be_empty: it is not certain that ``low < high``.
    """

    axis: int
    extent: Sym
    low: Sym
    high: Sym
    may_be_empty: bool

    @property
    def guard(self) -> str | None:
        """The condition that something is left, where that is not certain."""
        if not self.may_be_empty:
            return None
        if self.low.value == 0:
            return f"{self.high.text} > 0"
        return f"{self.low.text} < {self.high.text}"

    def named(self, low: str | None = None, high: str | None = None) -> Bound:
        """With names for its ends, to which the new code binds them."""
        return replace(
            self,
            low=self.low if low is None else self.low.named(low),
            high=self.high if high is None else self.high.named(high),
        )


@record
class Region:
    """What a mask leaves of tiles.

    Attributes:
        shape: that of the index tiles of the mask.
        bounds: for each axis that is not whole.
        conditions: code that must be true for anything to happen; none for what always holds.
        never: nothing is ever left.
    """

    shape: Shape
    bounds: tuple[Bound, ...] = ()
    conditions: tuple[str, ...] = ()
    never: bool = False

    @property
    def guards(self) -> tuple[str, ...]:
        """All conditions for the statement to run."""
        return self.conditions + tuple(bound.guard for bound in self.bounds if bound.guard is not None)

    def on(self, shape: Shape, facts: Facts) -> Mapping[int, tuple[Sym, Sym]]:
        """The ranges of the axes, counted from the end, of an instruction's result of this shape.

        Raises Refused when the mask does not fit.
        """
        rank = len(shape)
        if self._fits(shape, 0, facts):
            return {bound.axis: (bound.low, bound.high) for bound in self.bounds}
        behind = rank - len(self.shape)
        leads = behind > 0 and all(size.value == 1 for size in self.shape[1:])
        if leads and self._fits(shape, behind, facts):
            return {bound.axis - behind: (bound.low, bound.high) for bound in self.bounds}
        mine, theirs = (", ".join(size.text for size in sizes) for sizes in (self.shape, shape))
        raise Refused("M-MASK", reason=f"the mask has the shape ({mine}), the tile ({theirs})")

    def _fits(self, shape: Shape, behind: int, facts: Facts) -> bool:
        return all(
            len(shape) >= behind - bound.axis and facts.same(shape[bound.axis - behind], bound.extent) is True
            for bound in self.bounds
        )


def for_operand(
    ranges: Mapping[int, tuple[Sym, Sym]], shape: Shape, operand: Shape, facts: Facts, reduced: bool = False
) -> dict[int, tuple[Sym, Sym]]:
    """The ranges of an operand's axes, from those of an instruction's result of ``shape``.

    Axes align at the end; those of size 1, along which the operand is the same for all, stay whole. A column,
    one value for each partition, has the range of the partitions whatever the rank. So do axes of another
    size in the result of an operation that reduces them (``reduced``). Raises Refused for another size.
    """
    if is_column(operand):
        first = ranges.get(-len(shape))
        return {} if first is None or operand[0].value == 1 else {-len(operand): first}
    found = {}
    for axis, ends in ranges.items():
        if -axis > len(operand) or operand[axis].value == 1:
            continue
        same = facts.same(operand[axis], shape[axis])
        if reduced and same is False:
            continue
        if same is not True:
            reason = f"an operand has {operand[axis].text} elements where others have {shape[axis].text}"
            raise Refused("M-MASK", reason=reason)
        found[axis] = ends
    return found


def is_column(shape: Shape) -> bool:
    """Whether a tile has one value for each partition."""
    return len(shape) > 1 and all(size.value == 1 for size in shape[1:])


def solved(mask: Mask, facts: Facts) -> Region:
    """The ranges that a mask stands for. Raises Refused (M-MASK) when it is no range of axes."""
    lows: dict[int, list[Sym]] = {}
    highs: dict[int, list[Sym]] = {}
    conditions: list[str] = []
    never = False
    shape = _common_shape(mask, facts)
    for part in mask.parts:
        if isinstance(part, Condition):
            conditions.append(part.text)
            continue
        axis, step, part = _single_axis(part, facts)
        if axis is None:
            known = _decided(part, facts)
            never = never or known is False
            conditions += [_condition(part)] if known is None else []
            continue
        low, high = _ends(part, step, facts)
        if low is not None:
            lows.setdefault(axis, []).append(low)
        if high is not None:
            highs.setdefault(axis, []).append(high)
    bounds = []
    for axis in sorted({*lows, *highs}):
        extent = shape[axis]
        low = facts.greatest(ZERO, *lows.get(axis, ()))
        high = facts.least(extent, *highs.get(axis, ()))
        never = never or facts.holds_at_most(high, low)
        if low.value != 0 or facts.same(high, extent) is not True:
            bounds.append(Bound(axis, extent, low, high, not facts.holds_below(low, high)))
    return Region(shape, tuple(bounds), tuple(dict.fromkeys(conditions)), never)


def _common_shape(mask: Mask, facts: Facts) -> Shape:
    comparisons = [part for part in mask.parts if isinstance(part, Comparison)]
    shapes = [side.shape for part in comparisons for side in (part.left, part.right)]
    try:
        return broadcast(shapes, facts)
    except Refused as refusal:
        raise Refused("M-MASK", **refusal.fields) from None


def _single_axis(part: Comparison, facts: Facts) -> tuple[int | None, Sym, Comparison]:
    """The axis that moves, counted from the end, its positive step, and the comparison turned accordingly."""
    rank = max(len(part.left.shape), len(part.right.shape))
    pairs = zip(part.left.aligned(rank), part.right.aligned(rank), strict=True)
    steps = [left - right for left, right in pairs]
    moving = [axis for axis, step in enumerate(steps) if facts.same(step, ZERO) is not True]
    if not moving:
        return None, ONE, part
    if len(moving) > 1:
        raise Refused("M-MASK", reason="it compares index tiles of several axes")
    step = steps[moving[0]]
    if facts.holds_at_most(1, step):
        return moving[0] - rank, step, part
    if facts.holds_at_most(step, -1):
        return moving[0] - rank, -step, Comparison(part.right, FLIPPED[part.op], part.left)
    raise Refused("M-MASK", reason=f"the sign of {step.text} is not known")


def _ends(part: Comparison, step: Sym, facts: Facts) -> tuple[Sym | None, Sym | None]:
    """The range of ``i`` where ``base + step * i op bound`` holds."""
    distance = part.right.base - part.left.base
    if part.op == "<":
        return None, _rounded_up(distance, step)
    if part.op == "<=":
        return None, _rounded_down(distance, step) + 1
    if part.op == ">":
        return _rounded_down(distance, step) + 1, None
    if part.op == ">=":
        return _rounded_up(distance, step), None
    if part.op == "==" and facts.divides(step, distance):
        only = _rounded_down(distance, step)
        return only, only + 1
    raise Refused("M-MASK", reason=f"{part.op} leaves no range of the axis")


def _rounded_up(distance: Sym, step: Sym) -> Sym:
    return distance if step.value == 1 else ceil_div(distance, step)


def _rounded_down(distance: Sym, step: Sym) -> Sym:
    return distance if step.value == 1 else distance // step


def _decided(part: Comparison, facts: Facts) -> bool | None:
    """Whether a comparison without moving axes holds; None when only the trace can tell."""
    left, right = part.left.base, part.right.base
    if part.op in (">", ">="):
        left, right = right, left
    if part.op in ("==", "!="):
        same = facts.same(left, right)
        return None if same is None else same == (part.op == "==")
    if part.op in ("<", ">"):
        return True if facts.holds_below(left, right) else False if facts.holds_at_most(right, left) else None
    return True if facts.holds_at_most(left, right) else False if facts.holds_below(right, left) else None


def _condition(part: Comparison) -> str:
    left, right = (operand(side.base.form) for side in (part.left, part.right))
    return f"{left} {part.op} {right}"
