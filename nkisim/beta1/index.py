"""Index tiles: ``nl.arange``, ``nl.mgrid``, and the integer arithmetic on them.

An affine index is ``offset + Σ steps[a]·i[a]`` over the axes of the tile; sums of index tiles and products
with integers stay affine, whatever is broadcast. A tensor indexed by affine ones only is a strided view:
nothing is gathered. Everything else (``//``, ``%``, products, values of tiles) is computed; where the result
is affine after all, it is recognised.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dtypes import Array
from ..core.errors import fail
from ..core.registers import Register
from .masks import Box, Mask, compared


class Index:
    """An integer for each element of a tile; :class:`Affine` or :class:`Values`. Comparisons give masks."""

    __slots__ = ()
    __array_ufunc__ = None
    shape: tuple[int, ...]

    @property
    def array(self) -> Array:
        """All integers."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __add__(self, other: Any) -> Index:
        return _sum(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Index:
        return _sum(self, as_index(other) * -1)

    def __rsub__(self, other: Any) -> Index:
        return _sum(self * -1, other)

    def __mul__(self, other: Any) -> Index:
        return _product(self, other)

    __rmul__ = __mul__

    def __neg__(self) -> Index:
        return self * -1

    def __floordiv__(self, other: Any) -> Index:
        return _computed(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Index:
        return _computed(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Index:
        return _computed(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Index:
        return _computed(operator.mod, other, self)

    def __lt__(self, other: Any) -> Mask:
        return _comparison(np.less, self, other)

    def __le__(self, other: Any) -> Mask:
        return _comparison(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Mask:
        return _comparison(np.greater, self, other)

    def __ge__(self, other: Any) -> Mask:
        return _comparison(np.greater_equal, self, other)

    def __eq__(self, other: object) -> Mask:  # type: ignore[override]
        return _comparison(np.equal, self, other)

    def __ne__(self, other: object) -> Mask:  # type: ignore[override]
        return _comparison(np.not_equal, self, other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise fail("an index tile has no truth value; compare it and pass the result as mask=")


class Affine(Index):
    """``offset + Σ steps[a]·i[a]``."""

    __slots__ = ("offset", "shape", "steps")

    def __init__(self, offset: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> None:
        self.offset = offset
        self.shape = shape
        self.steps = steps

    @property
    def array(self) -> Array:
        total = np.full(self.shape, self.offset, np.int64)
        for axis, (step, size) in enumerate(zip(self.steps, self.shape, strict=True)):
            if step:
                total += (np.arange(size) * step).reshape((-1,) + (1,) * (len(self.shape) - axis - 1))
        return total

    def aligned(self, ndim: int) -> tuple[int, ...]:
        """The steps among ``ndim`` axes, where it broadcasts: 0 on axes that it has not, or once only."""
        steps = tuple(step if size > 1 else 0 for step, size in zip(self.steps, self.shape, strict=True))
        return (0,) * (ndim - len(steps)) + steps

    def extremes(self, box: Box) -> tuple[int, int]:
        """Smallest and largest integer in a box of the shape it broadcasts to."""
        low = high = self.offset
        for step, (first, behind) in zip(self.aligned(len(box)), box, strict=True):
            ends = (step * first, step * (behind - 1))
            low, high = low + min(ends), high + max(ends)
        return low, high

    def __getitem__(self, key: Any) -> Affine:
        """Axes are picked, cut and added (None), as NumPy does."""
        keys = _filled(key if isinstance(key, tuple) else (key,), len(self.shape))
        offset, shape, steps, axis = self.offset, [], [], 0
        for k in keys:
            if k is None:
                shape.append(1)
                steps.append(0)
                continue
            size, step = self.shape[axis], self.steps[axis]
            axis += 1
            if isinstance(k, slice):
                first, stop, stride = k.indices(size)
                shape.append(len(range(first, stop, stride)))
                steps.append(step * stride)
            else:
                first = int(k) % size if size else 0
            offset += step * first
        return Affine(offset, tuple(shape), tuple(steps))

    def __repr__(self) -> str:
        return f"index tile {list(self.shape)} from {self.offset} in steps of {list(self.steps)}"


class Values(Index):
    """Any integers; a tensor indexed by them is gathered."""

    __slots__ = ("_array", "shape")

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape = array.shape

    @property
    def array(self) -> Array:
        return self._array

    def __getitem__(self, key: Any) -> Index:
        return Values(self._array[key])

    def __repr__(self) -> str:
        return f"index tile {list(self.shape)}"


class Grid(tuple[Index, ...]):
    """What ``nl.mgrid[…]`` gives; its index tiles are also ``.p``, ``.x``, ``.y``, ``.z``, in this order."""

    __slots__ = ()

    @property
    def p(self) -> Index:
        return self[0]

    @property
    def x(self) -> Index:
        return self[1]

    @property
    def y(self) -> Index:
        return self[2]

    @property
    def z(self) -> Index:
        return self[3]


class _MeshGrid:
    """``nl.mgrid[a:b, c:d]``: one index tile for each range, all of the full shape."""

    def __getitem__(self, key: Any) -> Grid:
        ranges = [arange_of(k) for k in (key if isinstance(key, tuple) else (key,))]
        shape = tuple(len(r) for r in ranges)
        steps = [
            tuple(r.step if a == axis else 0 for a in range(len(ranges))) for axis, r in enumerate(ranges)
        ]
        return Grid(Affine(r.start, shape, step) for r, step in zip(ranges, steps, strict=True))


def arange_of(key: slice) -> range:
    """A slice of ``nl.mgrid`` as a range. Raises SimulationError for steps that are no integers."""
    try:
        return range(int(key.start or 0), int(key.stop), int(key.step or 1))
    except (TypeError, AttributeError):
        raise fail(f"nl.mgrid takes ranges of integers, such as [0:128, 0:512], not {key!r}") from None


mgrid = _MeshGrid()


def arange(*args: Any) -> Affine:
    """``nl.arange(stop)`` or ``nl.arange(start, stop)``: an index tile of one axis."""
    values = range(*(int(arg) for arg in args))
    return Affine(values.start, (len(values),), (values.step,))


def as_index(value: Any) -> Index:
    """An integer, register, integer array, tile or index as an index. Raises SimulationError otherwise."""
    if isinstance(value, Index):
        return value
    if isinstance(value, int | np.integer | Register):
        return Affine(int(value), (), ())
    found = value.index_values() if hasattr(value, "index_values") else value
    if isinstance(found, np.ndarray) and found.dtype.kind in "iu":
        return recognised(found)
    raise fail(f"{value!r} is no index; use integers, index tiles, or tiles of integers")


def recognised(array: Array) -> Index:
    """Integers as an index; affine if they are."""
    values = array.astype(np.int64, copy=False)
    if values.size == 0:
        return Values(values)
    offset = int(values.flat[0])
    steps = [0] * values.ndim
    for axis, size in enumerate(values.shape):
        if size > 1:
            neighbour = tuple(int(a == axis) for a in range(values.ndim))
            steps[axis] = int(values[neighbour]) - offset
    affine = Affine(offset, values.shape, tuple(steps))
    return affine if np.array_equal(affine.array, values) else Values(values)


def _filled(keys: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """Keys for all axes: an ellipsis, or what is missing at the end, stands for whole ones."""
    missing = ndim - sum(k is not None and k is not Ellipsis for k in keys)
    if missing < 0:
        raise fail(f"too many indexes for an index tile of {ndim} axes: {len(keys)}")
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    return (*keys[:at], *(slice(None),) * missing, *keys[at + 1 :])


def _sum(left: Index, right: Any) -> Index:
    other = as_index(right)
    if not isinstance(left, Affine) or not isinstance(other, Affine):
        return _computed(operator.add, left, other)
    shape = np.broadcast_shapes(left.shape, other.shape)
    pairs = zip(left.aligned(len(shape)), other.aligned(len(shape)), strict=True)
    return Affine(left.offset + other.offset, shape, tuple(a + b for a, b in pairs))


def _product(left: Index, right: Any) -> Index:
    other = as_index(right)
    for index, factor in ((left, other), (other, left)):
        if isinstance(index, Affine) and isinstance(factor, Affine) and not factor.shape:
            times = factor.offset
            return Affine(index.offset * times, index.shape, tuple(step * times for step in index.steps))
    return _computed(operator.mul, left, other)


def _computed(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Index:
    sides = as_index(left), as_index(right)
    result = np.asarray(function(sides[0].array, sides[1].array))
    return recognised(result)


def _comparison(test: Any, left: Index, right: Any) -> Mask:
    other = as_index(right)
    difference = _sum(left, other * -1)
    if not isinstance(difference, Affine):
        holds = np.asarray(test(difference.array, 0))
        return Mask(holds.shape, None, holds)
    found = compared(difference.offset, difference.steps, difference.shape, test)
    if found is None:
        found = Mask(difference.shape, None, np.asarray(test(difference.array, 0)))
    found.relation = (difference, test)
    return found
