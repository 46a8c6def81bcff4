"""Working on large tiles a few partitions at a time: what is computed in between stays in the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..core.dtypes import Array, float32
from ..core.operators import Operator
from ..core.scratch import scratch
from ..core.tensor import Tensor
from .common import matched

BLOCK = 1 << 16
"""Elements worked on at a time."""
_WORK: Any = 1000
"""How long NumPy may search for a byte that two views share before it counts as found."""


def in_blocks(*whole: Any) -> Iterable[tuple[Any, ...]]:
    """``whole``, dst and operands, a few partitions at a time; all at once when they are small.

    For instructions that compute each partition of ``dst`` from the same partition of the operands alone.
    Other operands (numbers, None) are the same in every block. Tiles stay whole, too, when ``dst`` overlaps
    an operand other than exactly, when an address is dynamic, or when partitions do not match.
    """
    dst = whole[0]
    if dst.array.size <= BLOCK or dst.dynamic is not None:
        return (whole,)
    rows = dst.array.shape[0]
    tensors = [each for each in whole if isinstance(each, Tensor)]
    if not all(_alike(each, dst, rows) for each in tensors):
        return (whole,)
    for tensor in tensors[1:]:
        if tensor.storage.fresh:
            tensor.storage.poison()
    dst.before_write()
    return _cut(whole, rows, max(1, BLOCK * rows // dst.array.size))


def _cut(whole: tuple[Any, ...], rows: int, step: int) -> Iterator[tuple[Any, ...]]:
    top = scratch.top
    for start in range(0, rows, step):
        scratch.top = top
        part = slice(start, min(start + step, rows))
        yield tuple([each[part] if isinstance(each, Tensor) else each for each in whole])


def _alike(tensor: Tensor, dst: Tensor, rows: int) -> bool:
    array, into = tensor.array, dst.array
    if not tensor.partitioned or tensor.dynamic is not None:
        return False
    if array.shape[0] != rows and (array.shape[0] < rows or array.size != array.shape[0]):
        return False
    if tensor.storage.raw is not dst.storage.raw or not np.may_share_memory(array, into):
        return True
    if tensor.dtype.itemsize == dst.dtype.itemsize and array.shape == into.shape:
        same = tensor.start_byte() == dst.start_byte() and array.strides == into.strides
        if same:
            return True
    try:
        return not np.shares_memory(array, into, max_work=_WORK)
    except RuntimeError:  # too hard to tell
        return False


def room(dst: Tensor, shape: tuple[int, ...]) -> Array:
    """Where to compute a float32 result of an instruction: ``dst`` if it can hold it, or scratch memory.

    To be asked for when all operands were read, and to be handed to ``put`` afterwards.
    """
    into = dst.array
    if dst.dtype is not float32 or into.shape != shape or not dst.partitioned or dst.dynamic is not None:
        return scratch.take(shape)
    if not into.flags.c_contiguous and not _apart(into.strides, shape):
        return scratch.take(shape)
    if dst.storage.fresh or dst.storage.written is not None:
        dst.before_write()
    return into


def _apart(steps: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether these are rows of neighbours. Elements that share memory could not be read back."""
    return len(steps) == 2 and steps[1] == 4 and steps[0] >= 4 * shape[1]


def combined(
    op: Operator, first: Array, second: Array, dst: Tensor, name: str, operands: tuple[str, str]
) -> Array:
    """``first op second`` for ``dst``: two float32 operands of the instruction ``name``.

    Raises SimulationError when their partitions or elements in each differ.
    """
    shape = first.shape
    if second.shape != shape:
        second = matched(first, second, name, operands)
    if op.into is None:
        return op.function(first, second)
    return op.into(first, second, out=room(dst, shape))


def mapped(op: Operator, values: Array, dst: Tensor) -> Array:
    """``op(values)`` in float32, for ``dst``."""
    return op.function(values) if op.into is None else op.into(values, out=room(dst, values.shape))
