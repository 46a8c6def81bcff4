"""Access patterns: ``tensor.ap(...)`` as a view, or as an address computed when an instruction runs.

A pattern is ``[[step, count], …]``, outermost first, in elements of the flattened base tensor. In HBM the
steps are free. On chip the flat index is ``partition * F + f`` with ``F`` elements in a partition, so the
first step moves over partitions. A pattern that does not fit is an error only when an instruction uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .context import state
from .dtypes import Array, DType, store, up
from .errors import fail
from .registers import Register

if TYPE_CHECKING:
    from .errors import SimulationError
    from .tensor import Tensor

Pattern = Sequence[Sequence[int]]


def static_view(tensor: Tensor, pattern: Pattern, offset: int, dtype: DType) -> tuple[Array, int]:
    """The bytes of ``tensor`` that a pattern names, without copying, and where in the storage they start.

    Raises SimulationError out of bounds.
    """
    storage = tensor.storage
    size = dtype.stored
    if storage.pitch is None:
        strides = [step * size for step, _ in pattern]
        start = tensor.start_byte() + offset * size
    else:
        strides, start = _on_chip(tensor, pattern, offset, size)
    shape = [count for _, count in pattern]
    try:
        return np.ndarray(shape, dtype.numpy, buffer=storage.raw, offset=start, strides=strides), start
    except ValueError:
        raise _runs_out(tensor, pattern, offset) from None


def _runs_out(tensor: Tensor, pattern: Pattern, offset: int) -> SimulationError:
    return fail(
        f"access pattern {[list(pair) for pair in pattern]} with offset {offset} runs out of {tensor!r}"
    )


def _on_chip(tensor: Tensor, pattern: Pattern, offset: int, size: int) -> tuple[list[int], int]:
    """Strides in bytes and the first byte; an inner step of whole partitions moves over partitions too."""
    storage = tensor.storage
    pitch = storage.pitch
    assert pitch is not None
    row = tensor.row_elements() * tensor.dtype.stored // size or 1
    start_row, start = divmod(tensor.start_byte() - storage.base, pitch)
    partition, element = divmod(offset, row)
    first = low = high = start + element * size
    top = start_row + partition
    rows = top + 1
    strides = []
    leading = True
    for step, count in pattern:
        if (leading and (step == 0 or step % row == 0)) or (step >= row > 1 and step % row == 0):
            strides.append(step // row * pitch)
            if step < 0:
                top += (count - 1) * (step // row)
            else:
                rows += (count - 1) * (step // row)
        elif leading and count == 1:
            strides.append(pitch)
        elif leading:
            raise _uneven(tensor, pattern, row)
        else:
            strides.append(step * size)
            if step < 0:
                low += (count - 1) * step * size
            else:
                high += (count - 1) * step * size
        leading = False
    if top < 0 or low < 0 or high + size > storage.size or rows > storage.rows:
        raise _runs_out(tensor, pattern, offset)
    return strides, storage.base + (start_row + partition) * pitch + first


def _uneven(tensor: Tensor, pattern: Pattern, row: int) -> SimulationError:
    return fail(
        f"access pattern {[list(pair) for pair in pattern]} on {tensor!r}: its first step, {pattern[0][0]}, "
        f"must be a multiple of the {row} elements of a partition"
    )


@dataclass(slots=True)
class Dynamic:
    """An access whose address is known when an instruction runs; see :meth:`get` and :meth:`put`.

    ``scalar`` and ``vector`` are the offsets as given; ``axis`` is the dimension of the base that they index.
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
        """The values, and which rows are valid (None: all).

        Raises SimulationError out of range unless ``skip``.
        """
        if self.vector is None:
            view = self._scalar_view(skip)
            if view is None:
                return np.zeros(self.shape, self.dtype.numpy), np.zeros(self.shape[0], np.bool_)
            return view, None
        index, valid = self._index(skip)
        if valid.all():
            return self._rows()[index], None
        values = np.zeros(self.shape, self.dtype.numpy)
        if valid.any():
            values[valid] = self._rows()[index[valid]]
        return values, valid

    def put(
        self, values: Array, skip: bool = False, accumulate: bool = False, taken: Array | None = None
    ) -> None:
        """Write ``values``; rows out of range are dropped when ``skip``, an error otherwise.

        With ``accumulate`` they are added in float32, repeated rows one after the other. Of rows with indices
        only those that ``taken`` marks are written.
        """
        values = values.reshape(self.shape)
        if self.vector is None:
            view = self._scalar_view(skip)
            if view is not None:
                self.tensor.like(view, dtype=self.dtype).before_write()
                _write(view, values, self.dtype, accumulate)
            return
        index, valid = self._index(skip)
        if taken is not None:
            valid &= taken
        index, values = index[valid], values[valid]
        if self.tensor.storage.fresh:
            self.tensor.storage.poison()
        if not index.size:
            return
        rows = self._rows()
        if accumulate and len(set(index.tolist())) < index.size:
            for row, value in zip(index, values, strict=True):
                _write(rows[row : row + 1], value[None], self.dtype, True)
            return
        converted = rows[index] if accumulate else np.empty(values.shape, self.dtype.numpy)
        _write(converted, values, self.dtype, accumulate)
        rows[index] = converted

    def in_range(self) -> Array:
        """Which of the pattern's rows exist; the others do not move where they are skipped."""
        rows = self.shape[0]
        if self.vector is None:
            return np.full(rows, 0 <= scalar_value(self.scalar) < max(self.tensor.array.shape[self.axis], 1))
        if np.asarray(self.vector.read_raw()).size < rows:
            return np.ones(rows, np.bool_)  # the instruction will say what is wrong
        return self._index(skip=True)[1]

    def _step(self) -> int:
        """Elements of the access's type from one index to the next."""
        base = self.tensor
        inner: int = prod(base.array.shape[self.axis + 1 :])
        return inner * base.dtype.stored // self.dtype.stored

    def _scalar_view(self, skip: bool) -> Array | None:
        value = self._scalar_index(skip)
        if value is None:
            return None
        return static_view(self.tensor, self.pattern, self.offset + value * self._step(), self.dtype)[0]

    def _scalar_index(self, skip: bool) -> int | None:
        value = scalar_value(self.scalar)
        limit = max(self.tensor.array.shape[self.axis], 1)
        if 0 <= value < limit:
            return value
        if skip:
            return None
        raise fail(
            f"dynamic offset {value} is outside 0..{limit - 1}, dimension {self.axis} of {self.tensor!r}"
        )

    def at_zero(self) -> tuple[Array, int]:
        """What a scalar of 0 stands for, and where in the storage that starts."""
        return static_view(self.tensor, self.pattern, self.offset, self.dtype)

    def moved(self) -> int:
        """Bytes from there to what the scalar stands for now. Raises SimulationError out of range."""
        value = self._scalar_index(skip=False)
        assert value is not None
        return value * self._step() * self.dtype.stored

    def _limit(self) -> int:
        """How many indices reach only elements that the tensor has."""
        base = self.tensor
        last = self.offset + sum((count - 1) * max(step, 0) for step, count in self.pattern[1:])
        size = base.array.size * base.dtype.stored // self.dtype.stored
        return max(0, min(base.array.shape[0], (size - 1 - last) // max(self._step(), 1) + 1))

    def _rows(self) -> Array:
        """What each index stands for: ``[indices, *shape of a row]``, a view."""
        pattern = [[self._step(), self._limit()], *self.pattern[1:]]
        return static_view(self.tensor, pattern, self.offset, self.dtype)[0]

    def _index(self, skip: bool) -> tuple[Array, Array]:
        """The indices, and which of them are in range."""
        rows = self.shape[0]
        index = np.asarray(self.vector.read_raw()).reshape(-1)
        if index.size < rows:
            raise fail(f"vector_offset has {index.size} indices, the pattern asks for {rows}")
        index = index[:rows].astype(np.int64)
        limit = self._limit()
        valid: Array = (index >= 0) & (index < limit)
        if not skip and not valid.all():
            raise fail(f"vector offset {int(index[~valid][0])} is outside 0..{limit - 1} of {self.tensor!r}")
        return index, valid


def scalar_value(source: Any) -> int:
    """The integer in a register, a one-element tensor, or given as it is."""
    if isinstance(source, int | Register | np.integer):
        return int(source)
    if state.recorder is not None and not state.running().busy:
        state.recorder.spoil("an address in its Python depends on values")
    found = np.asarray(source.read_raw())
    if found.size != 1:
        raise fail(f"an offset must have one element; {source!r} has {found.size}")
    return int(found.reshape(-1)[0])


def _write(into: Array, values: Array, dtype: DType, accumulate: bool) -> None:
    if accumulate:
        values = up(np.asarray(into), dtype) + values.astype(np.float32)
    store(into, values, dtype)
