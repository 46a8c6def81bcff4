"""Affine predicates and values of instructions that compute them from the position of an element.

``nisa.affine_select`` and ``nisa.iota`` take ``offset + channel_multiplier * p + Σ step * i``, where ``p`` is
the partition and the ``[step, count]`` of ``pattern`` are those of the free dimensions, outermost first.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...record import record, replace
from .facts import Facts
from .index import Index
from .masks import Comparison, Mask
from .refusal import Refused
from .symbols import Sym
from .values import Shape

OPERATIONS = {
    "<": "nl.less",
    "<=": "nl.less_equal",
    ">": "nl.greater",
    ">=": "nl.greater_equal",
    "==": "nl.equal",
    "!=": "nl.not_equal",
}


@record
class Affine:
    """The arguments that say it; ``operation`` compares it with 0, for a predicate."""

    pattern: tuple[tuple[Sym, Sym], ...]
    offset: Sym
    channel_multiplier: Sym
    operation: str | None = None

    @property
    def symbols(self) -> tuple[Sym, ...]:
        """All expressions in it."""
        return (self.offset, self.channel_multiplier, *(each for pair in self.pattern for each in pair))

    def narrowed(self, ranges: Mapping[int, tuple[Sym, Sym]]) -> Affine:
        """The same on a part of the tile: ``low <= i < high`` for axes counted from the end."""
        offset, pattern = self.offset, list(self.pattern)
        for axis, (low, high) in ranges.items():
            free = axis + len(pattern)
            step = pattern[free][0] if free >= 0 else self.channel_multiplier
            offset = offset + step * low
            if free >= 0:
                pattern[free] = (step, high - low)
        return replace(self, pattern=tuple(pattern), offset=offset)

    def arguments(self) -> dict[str, str]:
        """Keyword arguments as code."""
        pairs = ", ".join(f"[{step.text}, {count.text}]" for step, count in self.pattern)
        found = {
            "pattern": f"[{pairs}]",
            "offset": self.offset.text,
            "channel_multiplier": self.channel_multiplier.text,
        }
        return found if self.operation is None else {**found, "cmp_op": self.operation}


def affine_value(index: Index, shape: Shape, facts: Facts) -> Affine:
    """``index`` for the elements of a tile of this shape. Raises Refused (M-PRED) when it does not fit.

    Free dimensions that are not known to differ are taken to be equal; as many elements as the index tile has
    are counted, so that the instruction says where the tile has others.
    """
    rank, counts = len(shape), list(shape)
    if rank < 2 or len(index.shape) > rank:
        raise Refused("M-PRED", reason=f"a tile of {rank} axes has none for each index tile")
    for axis, size in enumerate(index.shape, rank - len(index.shape)):
        same, there = facts.same(size, shape[axis]), shape[axis]
        if size.value == 1 or same is True:
            continue
        if same is False or axis == 0:
            raise Refused("M-PRED", reason=f"an index tile has {size.text} elements, the tile {there.text}")
        counts[axis] = size
    steps = index.aligned(rank)
    return Affine(tuple(zip(steps[1:], counts[1:], strict=True)), index.base, steps[0])


def predicate(mask: Mask, shape: Shape, facts: Facts) -> Affine:
    """The comparison that a predicate on a tile of this shape makes.

    Raises Refused (M-PRED) for what is no single comparison of affine index tiles.
    """
    part = mask.parts[0]
    if len(mask.parts) > 1 or not isinstance(part, Comparison):
        raise Refused("M-PRED", reason="it is no single comparison of index tiles")
    try:
        difference = part.left.plus(part.right, facts, sign=-1)
    except Refused as refusal:
        raise Refused("M-PRED", **refusal.fields) from None
    return replace(affine_value(difference, shape, facts), operation=OPERATIONS[part.op])
