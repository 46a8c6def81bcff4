"""What the iterations of a loop hand to the next ones under names from in front of it."""

from __future__ import annotations

from collections.abc import Iterator

from ...record import fresh, record, replace
from ..analysis import values as v
from .environment import Environment
from .values import Value

RANGES = {
    "nl.affine_range": True,
    "nl.sequential_range": True,
    "nl.static_range": False,
    "builtins.range": False,
}
"""Whether the former tracer ran the body once, with a symbol for the variable."""
_WALKS = 64
"""How often the body of one loop is walked at most, for all walks of the loops around it."""


@record(frozen=False)
class HandedOn:
    """What one loop hands on, found out by walking its body.

    A body is walked until what names stand for at its start is what they stand for at its end. Since a loop
    inside of others is walked for each of their walks, it starts with what the last one found: without that,
    each loop around it would double the number of walks.

    Attributes:
        walks: how often the body was walked.
        replaced: by name, the tensors, or element types, that were there, and what replaced them.
    """

    walks: int = 0
    replaced: dict[str, tuple[Value, Value]] = fresh(factory=dict)

    @property
    def endless(self) -> bool:
        """Whether the body has been walked more often than any use of it explains."""
        return self.walks >= _WALKS

    def expected(self, start: Environment) -> None:
        """At the start of an iteration, names may stand for what former walks have left under them."""
        for name, (before, after) in self.replaced.items():
            value = start.values.get(name)
            new = _likewise(value, before, after)
            if value is not None and new is not None and new != value:
                start.values[name] = start.joined(name, value, new)

    def met(self, start: Environment, end: Environment) -> bool:
        """Whether names may stand for something else than at the start, where they stand for either then."""
        found = False
        for name, value, new in list(_differing(start, end)):
            start.values[name] = start.joined(name, value, new)
            if start.values[name] != value:
                found = True
                self.replaced[name] = value, new
        return found


def _differing(start: Environment, end: Environment) -> Iterator[tuple[str, Value, Value]]:
    for name in end.values.changed:
        value, new = start.values.get(name), end.values[name]
        numbers = isinstance(new, v.Scalar) and isinstance(value, v.Scalar)
        if value is not None and new != value and not numbers:
            yield name, value, new


def _likewise(value: Value | None, before: Value, after: Value) -> Value | None:
    """What differs from ``value`` like ``after`` from ``before``; None when that is not known."""
    if isinstance(value, v.Dtype) and isinstance(before, v.Dtype) and isinstance(after, v.Dtype):
        return after
    if not isinstance(value, v.Tensor) or not isinstance(before, v.Tensor) or not isinstance(after, v.Tensor):
        return None
    return replace(
        value,
        shape=_shape(value.shape, before.shape, after.shape),
        dtype=value.dtype if after.dtype == before.dtype else after.dtype,
        space=value.space if after.space == before.space else after.space,
        extents=value.extents if after.extents == before.extents else after.extents,
    )


def _shape(value: v.Shape | None, before: v.Shape | None, after: v.Shape | None) -> v.Shape | None:
    if value is None or before is None or after is None or not len(value) == len(before) == len(after):
        return value if before == after else after
    return tuple(size if was == now else now for size, was, now in zip(value, before, after, strict=True))
