"""Masks: which lanes of a tile an instruction works on, as ``mask=`` says with comparisons of index tiles.

A bound on one axis (``i_p < n``), and any ``&`` of such bounds, is a box: a range of each axis. The compiler
makes the instruction smaller for it, and so does this package: it works on slices. Other masks (``i >= j``,
``|``) keep a flag for each lane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..core.dtypes import Array
from ..core.errors import SimulationError, fail

Box = tuple[tuple[int, int], ...]
"""First lane and the one behind the last, for each axis."""


@dataclass(frozen=True, slots=True)
class Region:
    """The lanes of a tile of one shape that an instruction works on: a box, or ``lanes``, a flag for each."""

    shape: tuple[int, ...]
    box: Box
    lanes: Array | None = None

    @property
    def empty(self) -> bool:
        if self.lanes is not None:
            return not self.lanes.any()
        return any(low >= high for low, high in self.box)

    def bounds(self, shape: tuple[int, ...]) -> Box:
        """The box on another operand: axes align at the end, those of another size (1) are whole."""
        pairs = zip(_padded(self.box, len(shape)), _padded(self.shape, len(shape)), shape, strict=True)
        return tuple(bounds if size == n and bounds is not None else (0, n) for bounds, size, n in pairs)

    def slices(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """:meth:`bounds` to index with."""
        return tuple(slice(*bounds) for bounds in self.bounds(shape))

    def flags(self, shape: tuple[int, ...]) -> Array:
        """A flag for each element of an operand with the axes of the region, or of another size (1)."""
        lanes = self.lanes
        if lanes is None:
            lanes = np.zeros(shape, np.bool_)
            lanes[self.slices(shape)] = True
            return lanes
        lanes = lanes[(None,) * (len(shape) - lanes.ndim)]
        other = tuple(
            axis for axis, (n, size) in enumerate(zip(shape, lanes.shape, strict=True)) if n != size
        )
        return np.broadcast_to(lanes.any(axis=other, keepdims=True), shape) if other else lanes

    def on(self, shape: tuple[int, ...]) -> Region:
        """The region of a result, whose axes are those of the operands, or of another size (reduced)."""
        return Region(shape, self.bounds(shape), None if self.lanes is None else self.flags(shape))


class Mask:
    """A predicate on index tiles.

    Attributes:
        shape: that of the index tiles, broadcast together. box: the lanes, where a box can say which.
        relation: for one comparison of affine index tiles, their difference, and the ufunc that compares it
            with 0.
    """

    __slots__ = ("_array", "box", "relation", "shape")
    __array_ufunc__ = None

    def __init__(self, shape: tuple[int, ...], box: Box | None, array: Array | None = None) -> None:
        self.shape = shape
        self.box = box
        self._array = array
        self.relation: tuple[Any, Any] | None = None

    @property
    def array(self) -> Array:
        """A flag for each lane."""
        if self._array is None:
            assert self.box is not None
            flags = np.zeros(self.shape, np.bool_)
            flags[tuple(slice(*bounds) for bounds in self.box)] = True
            self._array = flags
        return self._array

    def __and__(self, other: Any) -> Mask:
        other = as_mask(other)
        shape = np.broadcast_shapes(self.shape, other.shape)
        if self.box is None or other.box is None:
            return Mask(shape, None, np.broadcast_to(self.array & other.array, shape))
        boxes = [_aligned(mask.box, mask.shape, shape) for mask in (self, other)]
        box = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(*boxes, strict=True))
        return Mask(shape, box)

    __rand__ = __and__

    def __or__(self, other: Any) -> Mask:
        either = self.array | as_mask(other).array
        return Mask(either.shape, None, either)

    __ror__ = __or__

    def __invert__(self) -> Mask:
        return Mask(self.shape, None, ~self.array)

    def __bool__(self) -> bool:
        """Raises SimulationError unless all lanes agree."""
        if self.array.all():
            return True
        if not self.array.any():
            return False
        raise fail(
            "a mask has no truth value where its lanes differ; combine masks with & and | instead of "
            "and, or, not and chained comparisons"
        )

    def __repr__(self) -> str:
        return f"mask of {int(self.array.sum())} in {list(self.shape)} lanes"

    def region(self, shape: tuple[int, ...]) -> Region:
        """The lanes of a tile of this shape. Raises SimulationError when the mask does not fit it."""
        box, own = self.box, self.shape
        if box is None:
            return Region(shape, tuple((0, n) for n in shape), self._lanes(shape))
        if any(low >= high for low, high in box):
            return Region(shape, tuple((0, 0) for _ in shape))
        if len(own) < len(shape) and not _fits(box, own, shape) and _leads(own, shape):
            own, box = own + (1,) * (len(shape) - len(own)), box + ((0, 1),) * (len(shape) - len(own))
        if not _fits(box, own, shape):
            raise self._misfit(shape)
        sized = zip(_padded(box, len(shape)), _padded(own, len(shape)), shape, strict=True)
        return Region(shape, tuple(b if o == n and b is not None else (0, n) for b, o, n in sized))

    def _lanes(self, shape: tuple[int, ...]) -> Array:
        own = self.array
        if _leads(self.shape, shape) and len(self.shape) < len(shape):
            own = own.reshape(self.shape + (1,) * (len(shape) - len(self.shape)))
        try:
            return np.broadcast_to(own, shape)
        except ValueError:
            raise self._misfit(shape) from None

    def _misfit(self, shape: tuple[int, ...]) -> SimulationError:
        return fail(f"the mask has the shape {list(self.shape)}, the instruction works on {list(shape)}")


def _padded(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """Aligned at the end: None in front, or the last ``count`` of them."""
    return (None,) * (count - len(values)) + values[max(0, len(values) - count) :]


def _leads(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a mask bounds the partitions only, whatever follows them."""
    return bool(own) and bool(shape) and own[0] == shape[0] and prod(own[1:]) == 1


def _fits(box: Box, own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether every axis that is bounded is there, with the mask's size."""
    count = max(len(own), len(shape))
    for bounds, size, there in zip(
        _padded(box, count), _padded(own, count), _padded(shape, count), strict=True
    ):
        if bounds is not None and bounds != (0, size) and size != there:
            return False
    return True


def _aligned(box: Box | None, own: tuple[int, ...], shape: tuple[int, ...]) -> Box:
    """A box in the shape that it broadcasts to."""
    assert box is not None
    whole = all(bounds == (0, size) for bounds, size in zip(box, own, strict=True))
    if not whole and any(low >= high for low, high in box):
        return tuple((0, 0) for _ in shape) or ()
    pairs = zip(_padded(box, len(shape)), _padded(own, len(shape)), shape, strict=True)
    return tuple(bounds if size == n and bounds is not None else (0, n) for bounds, size, n in pairs)


def as_mask(value: Any) -> Mask:
    """A mask, a truth value known at compile time, or an array of them. Raises SimulationError otherwise."""
    if isinstance(value, Mask):
        return value
    if isinstance(value, bool | np.bool_):
        return Mask((1,), ((0, int(value)),))
    if isinstance(value, np.ndarray) and value.dtype == np.bool_:
        return Mask(value.shape, None, value)
    raise fail(
        f"{value!r} is no mask; a mask compares index tiles (nl.arange, nl.mgrid, loop variables): "
        "mask=(i_p < n) & (i_f < m)"
    )


def region_of(mask: Any, shape: tuple[int, ...]) -> Region | None:
    """The lanes that ``mask=`` leaves of a tile of this shape; None when it leaves all."""
    if mask is None or mask is True:
        return None
    return as_mask(mask).region(shape)


def compared(
    offset: int, steps: tuple[int, ...], shape: tuple[int, ...], test: Callable[[Any, Any], Any]
) -> Mask | None:
    """``test(offset + Σ step·i, 0)`` as a box; None when the lanes that hold are no box."""
    moving = [axis for axis, step in enumerate(steps) if step and shape[axis] > 1]
    box = [(0, n) for n in shape]
    if not moving:
        if not shape:
            return Mask((1,), ((0, int(test(offset, 0))),))
        if not test(offset, 0):
            box = [(0, 0)] * len(shape)
        return Mask(shape, tuple(box))
    if len(moving) > 1:
        return None
    axis = moving[0]
    holds = np.flatnonzero(test(offset + steps[axis] * np.arange(shape[axis]), 0))
    if holds.size and holds[-1] - holds[0] + 1 != holds.size:
        return None
    box[axis] = (int(holds[0]), int(holds[-1]) + 1) if holds.size else (0, 0)
    return Mask(shape, tuple(box))
