"""Index tiles: ``nl.arange`` with new axes, ``nl.mgrid``, and the integer arithmetic on them.

An :class:`Index` is ``base + Σ steps[a] * i[a]``, where ``i[a]`` counts along axis ``a`` of the tile. Sums of
index tiles and products with trace-time integers stay of this form, however their axes broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...record import record
from .facts import Facts
from .refusal import Refused
from .symbols import ONE, ZERO, Sym, as_sym, ceil_div
from .values import Shape

NEW_AXIS = None
"""``None`` in a subscript."""


@record
class Window:
    """A slice or ``nl.ds`` in a subscript.

    Attributes:
        start, stop, step: None where the author left them out; negative numbers count from the end.
        text: the author's code, which stays as it is where nothing changes.
    """

    start: Sym | None = None
    stop: Sym | None = None
    step: Sym | None = None
    text: str | None = None

    @classmethod
    def of_size(cls, start: Sym, size: Sym, text: str | None = None) -> Window:
        """``nl.ds(start, size)``."""
        return cls(start, start + size, None, text)

    @property
    def plain(self) -> bool:
        """Whether its bounds count from the start; others are written anew."""
        bounds = (bound.value for bound in (self.start, self.stop) if bound is not None)
        return all(value is None or value >= 0 for value in bounds)

    def run(self, length: Sym) -> tuple[Sym, Sym, Sym]:
        """Start, count and step on a dimension of this length. Raises Refused for a negative step."""
        step = self.step or ONE
        if step.value is not None and step.value < 1:
            raise Refused("M-IDX", reason=f"the slice has the step {step.text}")
        start = _from_start(self.start, length, ZERO)
        stop = _from_start(self.stop, length, length)
        return start, ceil_div(stop - start, step) if step.value != 1 else stop - start, step


WHOLE = Window(text=":")


def _from_start(bound: Sym | None, length: Sym, default: Sym) -> Sym:
    if bound is None:
        return default
    return length + bound if bound.value is not None and bound.value < 0 else bound


@record
class Index:
    """``base + Σ steps[a] * i[a]`` for ``i[a]`` in ``range(shape[a])``; the step of a single element is 0."""

    base: Sym
    shape: Shape = ()
    steps: Shape = ()

    @classmethod
    def arange(cls, start: Sym, stop: Sym | None = None, step: Sym = ONE) -> Index:
        """``nl.arange``, before axes are added to it."""
        if stop is None:
            start, stop = ZERO, start
        count = stop - start if step.value == 1 else ceil_div(stop - start, step)
        return cls(start, (count,), (_unless_single(step, count),))

    def placed(self, keys: Sequence[Literal[":", "..."] | None]) -> Index:
        """Subscripted with ``:``, ``...`` and ``None`` (a new axis). Raises Refused for too many keys."""
        missing = len(self.shape) - sum(key == ":" for key in keys)
        if missing < 0:
            raise Refused("M-IDX", reason="an index tile has fewer axes than its subscript")
        at = keys.index("...") if "..." in keys else len(keys)
        filled = [*keys[:at], *[":"] * missing, *keys[at + 1 :]]
        shape: list[Sym] = []
        steps: list[Sym] = []
        own = iter(zip(self.shape, self.steps, strict=True))
        for key in filled:
            size, step = (ONE, ZERO) if key is NEW_AXIS else next(own)
            shape.append(size)
            steps.append(step)
        return Index(self.base, tuple(shape), tuple(steps))

    @property
    def moving(self) -> tuple[int, ...]:
        """The axes along which it changes."""
        return tuple(axis for axis, step in enumerate(self.steps) if step.value != 0)

    @property
    def scalar(self) -> Sym | None:
        """Its value, when it is the same everywhere."""
        return None if self.moving else self.base

    def plus(self, other: Index | Sym | int, facts: Facts, sign: int = 1) -> Index:
        """The sum, or with ``sign=-1`` the difference. Raises Refused when the axes do not fit."""
        other = as_index(other)
        shape = broadcast((self.shape, other.shape), facts)
        mine, theirs = self.aligned(len(shape)), other.aligned(len(shape))
        if sign > 0:
            pairs = tuple(_spelled_sum(a, b) for a, b in zip(mine, theirs, strict=True))
            return Index(self.base + other.base, shape, pairs)
        pairs = tuple(a - b for a, b in zip(mine, theirs, strict=True))
        return Index(self.base - other.base, shape, pairs)

    def times(self, other: Index | Sym | int, facts: Facts, reverse: bool = False) -> Index:
        """The product; ``reverse`` for ``other * self``. Raises Refused when both change."""
        other = as_index(other)
        if self.moving and other.moving:
            raise Refused("M-IDX", reason="two index tiles are multiplied")
        if other.moving:
            return other.times(self, facts, not reverse)
        shape = broadcast((self.shape, other.shape), facts)
        factor = other.base

        def scaled(value: Sym) -> Sym:
            return factor * value if reverse else value * factor

        steps = tuple(ZERO if step.value == 0 else scaled(step) for step in self.aligned(len(shape)))
        return Index(scaled(self.base), shape, steps)

    def floor_divided(self, divisor: Sym, facts: Facts) -> Index:
        """``self // divisor`` where that is affine. Raises Refused otherwise."""
        if all(facts.divides(divisor, step) for step in self.steps if step.value != 0):
            return Index(self.base // divisor, self.shape, tuple(step // divisor for step in self.steps))
        if self._stays_below(divisor, facts):
            return Index(ZERO, self.shape, (ZERO,) * len(self.shape))
        raise Refused("M-IDX", reason=f"// {divisor.text} of an index tile")

    def remainder(self, divisor: Sym, facts: Facts) -> Index:
        """``self % divisor`` where that is affine. Raises Refused otherwise."""
        if all(facts.divides(divisor, step) for step in self.steps if step.value != 0):
            return Index(self.base % divisor, self.shape, (ZERO,) * len(self.shape))
        if self._stays_below(divisor, facts):
            return self
        raise Refused("M-IDX", reason=f"% {divisor.text} of an index tile")

    def _stays_below(self, divisor: Sym, facts: Facts) -> bool:
        """Whether it lies in ``range(divisor)`` everywhere."""
        if not all(facts.holds_at_most(0, step) for step in self.steps):
            return False
        last = self.base
        for size, step in zip(self.shape, self.steps, strict=True):
            last = last + step * (size - 1)
        return facts.holds_at_most(0, self.base) and facts.holds_below(last, divisor)

    def aligned(self, rank: int) -> Shape:
        """The steps among so many axes, where it broadcasts."""
        return (ZERO,) * (rank - len(self.steps)) + self.steps


def as_index(value: Index | Sym | int) -> Index:
    """A number as an index without axes."""
    return value if isinstance(value, Index) else Index(as_sym(value))


def mgrid(windows: Sequence[Window]) -> tuple[Index, ...]:
    """The components of ``nl.mgrid[...]``: one for each slice, which runs along its own axis."""
    found = []
    for axis, window in enumerate(windows):
        if window.stop is None:
            raise Refused("M-IDX", reason="a slice of nl.mgrid has no end")
        keys: list[Literal[":", "..."] | None] = [None] * len(windows)
        keys[axis] = ":"
        found.append(
            Index.arange(window.start or ZERO, window.stop, window.step or ONE).placed(keys),
        )
    return tuple(found)


def broadcast(shapes: Sequence[Shape], facts: Facts) -> Shape:
    """The shape they broadcast to. Raises Refused unless sizes are certainly 1 or equal."""
    rank = max(map(len, shapes), default=0)
    found: list[Sym] = [ONE] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size.value == 1:
                continue
            if found[axis].value == 1:
                found[axis] = size
            elif facts.same(found[axis], size) is not True:
                reason = f"index tiles of {found[axis].text} and {size.text} along one axis"
                raise Refused("M-IDX", reason=reason)
    return tuple(found)


def _spelled_sum(left: Sym, right: Sym) -> Sym:
    return right if left.value == 0 else left if right.value == 0 else left + right


def _unless_single(step: Sym, count: Sym) -> Sym:
    return ZERO if count.value == 1 else step
