"""Access patterns: ``tensor.ap(...)`` as a view, or as an address computed when an instruction runs.

A pattern is ``[[step, count], …]``, outermost first, in elements of the flattened base tensor. In HBM the steps
are free. On chip the flat index is ``partition * F + f`` with ``F`` elements in a partition, so the first step
moves over partitions. A pattern that does not fit is an error only when an instruction uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import Array, DType, store, up
from .errors import fail
from .registers import Register

if TYPE_CHECKING:
    from .tensor import Tensor

Pattern = Sequence[Sequence[int]]


def static_view(tensor: Tensor, pattern: Pattern, offset: int, dtype: DType) -> Array:
    """The bytes of ``tensor`` that a pattern names, without copying. Raises SimulationError out of bounds."""
    storage = tensor.storage
    shape = tuple(int(count) for _, count in pattern)
    first = tensor.start_byte()
    if storage.pitch is None:
        strides = [int(step) * dtype.itemsize for step, _ in pattern]
        start = first + offset * dtype.itemsize
    else:
        strides, start = _on_chip(tensor, pattern, offset, dtype, first)
    try:
        return np.ndarray(shape, dtype.numpy, buffer=storage.raw, offset=start, strides=strides)
    except (TypeError, ValueError) as error:
        raise fail(
            f"access pattern {list(map(list, pattern))} with offset {offset} runs out of {tensor!r}"
        ) from error


def _on_chip(
    tensor: Tensor, pattern: Pattern, offset: int, dtype: DType, first: int
) -> tuple[list[int], int]:
    pitch = tensor.storage.pitch
    assert pitch is not None
    row = tensor.row_elements() * tensor.dtype.itemsize // dtype.itemsize
    partition, element = divmod(offset, row)
    strides = []
    for index, (step, count) in enumerate(pattern):
        over, rest = divmod(int(step), row)
        moves = index == 0 or (step >= row > 1 and rest == 0)
        if index == 0 and count > 1 and rest:
            raise fail(
                f"access pattern on {tensor!r}: the first step is {step}, and must be a multiple of the {row} "
                "elements of a partition"
            )
        strides.append((over or 1) * pitch if moves else int(step) * dtype.itemsize)
    if pattern and pattern[0][0] == 0 and pattern[0][1] > 1:
        strides[0] = 0
    return strides, first + partition * pitch + element * dtype.itemsize


@dataclass(slots=True)
class Dynamic:
    """An access whose address is known when an instruction runs; see :meth:`get` and :meth:`put`.

    ``scalar`` and ``vector`` are the offsets as given; ``axis`` is the dimension of the base tensor they index.
    """

    tensor: Tensor
    pattern: Pattern
    offset: int
    dtype: DType
    scalar: Any = None
    vector: Any = None
    axis: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(count) for _, count in self.pattern)

    def get(self, skip: bool = False) -> tuple[Array, Array | None]:
        """The values, and which rows are valid (None: all). Raises SimulationError out of range unless ``skip``."""
        if self.vector is None:
            view = self._scalar_view(skip)
            if view is None:
                empty = np.zeros(self.shape, self.dtype.numpy)
                return empty, np.zeros(self.shape[0], np.bool_)
            return view, None
        where, valid = self._addresses(skip)
        values = self._flat()[where]
        return values, None if valid.all() else valid

    def put(self, values: Array, skip: bool = False, accumulate: bool = False) -> None:
        """Write ``values``; rows out of range are dropped when ``skip``, an error otherwise."""
        if self.vector is None:
            view = self._scalar_view(skip)
            if view is not None:
                _write(view, values.reshape(view.shape), self.dtype, accumulate)
            return
        where, valid = self._addresses(skip)
        values = values.reshape(self.shape)[valid]
        flat = self._flat()
        if not accumulate:
            converted = np.empty(values.shape, self.dtype.numpy)
            store(converted, values, self.dtype)
            flat[where[valid]] = converted
            return
        for row, value in zip(where[valid], values, strict=True):
            target = flat[row]
            _write(target, value, self.dtype, True)
            flat[row] = target

    def _flat(self) -> Array:
        return self.tensor.array.reshape(-1)

    def _step(self) -> int:
        return int(np.prod(self.tensor.array.shape[self.axis + 1 :], dtype=np.int64))

    def _scalar_view(self, skip: bool) -> Array | None:
        value = scalar_value(self.scalar)
        limit = max(self.tensor.array.shape[self.axis], 1)
        if not 0 <= value < limit:
            if skip:
                return None
            raise fail(
                f"dynamic offset {value} is outside 0..{limit - 1}, dimension {self.axis} of {self.tensor!r}"
            )
        return static_view(self.tensor, self.pattern, self.offset + value * self._step(), self.dtype)

    def _addresses(self, skip: bool) -> tuple[Array, Array]:
        """Flat element numbers ``[row, …]`` and which rows are in range (those of the others are 0)."""
        rows = self.shape[0]
        index = np.asarray(self.vector.read_raw()).reshape(-1).astype(np.int64)
        if index.size < rows:
            raise fail(f"vector_offset has {index.size} indices, the pattern asks for {rows}")
        index = index[:rows]
        limit = self.tensor.array.shape[self.axis]
        inner = self._inner()
        ends = index * self._step() + (int(inner.max()) if inner.size else 0)
        valid = (index >= 0) & (index < limit) & (ends < self.tensor.array.size)
        if not valid.all() and not skip:
            raise fail(f"vector offset {int(index[~valid][0])} is outside 0..{limit - 1} of {self.tensor!r}")
        start = np.where(valid, index, 0) * self._step()
        where = start.reshape(-1, *(1,) * inner.ndim) + inner[None]
        return np.where(valid.reshape(-1, *(1,) * inner.ndim), where, 0), valid

    def _inner(self) -> Array:
        """Element numbers of one row relative to its start."""
        steps = [np.arange(count) * int(step) for step, count in self.pattern[1:]]
        total = np.zeros(tuple(len(s) for s in steps), np.int64)
        for axis, offsets in enumerate(steps):
            total = total + offsets.reshape([-1 if i == axis else 1 for i in range(len(steps))])
        return total + self.offset


def scalar_value(source: Any) -> int:
    """The integer in a register, a one-element tensor, or given as it is."""
    if isinstance(source, Register | int | np.integer):
        return int(source)
    return int(np.asarray(source.read_raw()).reshape(-1)[0])


def _write(into: Array, values: Array, dtype: DType, accumulate: bool) -> None:
    if accumulate:
        values = up(np.asarray(into), dtype) + values.astype(np.float32)
    store(into, values, dtype)
