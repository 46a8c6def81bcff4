"""Running sums along the last axis: ``y[…, i] = x[…, 0] + … + x[…, i]``.

Sums are fp32, each element is rounded to the input's dtype when it is stored. After every 2048 elements
they go on from the stored element.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integer
from ...blocks.lnc import cores, split
from ...blocks.memory import PARTITIONS, manager, scratch
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import kernel_assert

P_MAX = PARTITIONS
F_TILE_SIZE = 2048
"""Elements of a row between two carries."""


@nki.jit
def cumsum(x: nl.ndarray, axis: int = -1) -> nl.ndarray:
    """Running sums of HBM ``x`` of any rank; rows are divided between the cores.

    Args:
        axis: the last one, -1 or rank - 1.

    Returns:
        HBM of the shape and dtype of ``x``.

    Raises AssertionError for another axis.
    """
    assert_classes(tensors=((x, "x"),))
    assert_integer(axis, "axis")
    rank = len(x.shape)
    last = axis + rank if axis < 0 else axis
    kernel_assert(last == rank - 1, f"cumsum is along the last axis, of {rank}; axis is {axis}")
    kernel_assert(x.size > 0, f"x must have elements, its shape is {x.shape}")
    length = x.shape[rank - 1]
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    source, target = x.reshape((x.size // length, length)), out.reshape((x.size // length, length))
    sbm = manager()
    start, size = split(x.size // length, cores())
    for first in range(start, start + size, P_MAX):
        _sum_rows(target, source, first, min(P_MAX, start + size - first), sbm)
    return out


def _sum_rows(dst: nl.ndarray, src: nl.ndarray, first: int, count: int, sbm: SbufManager) -> None:
    """Up to 128 rows of HBM ``[R, N]``."""
    length = src.shape[1]
    width = min(F_TILE_SIZE, length)
    work = scratch(sbm, name="cumsum")
    ones = work.tile((count, width), nl.float32)
    carry = work.tile((count, 1), nl.float32)
    nisa.memset(dst=ones, value=1.0)
    nisa.memset(dst=carry, value=0.0)
    for begin in range(0, length, width):
        size = min(width, length - begin)
        inner = scratch(sbm, name="columns")
        values = inner.tile((count, size), src.dtype)
        sums = inner.tile((count, size), src.dtype)
        nisa.dma_copy(dst=values, src=src[first : first + count, begin : begin + size])
        _scan(sums, values, ones[:, 0:size], carry)
        if begin + size < length:
            nisa.tensor_copy(dst=carry, src=sums[:, size - 1 : size])
        nisa.dma_copy(dst=dst[first : first + count, begin : begin + size], src=sums)
        inner.close()
    work.close()


def _scan(dst: Any, values: Any, ones: Any, start: Any) -> None:
    """``dst[p, i] = start[p] + values[p, 0] + … + values[p, i]``."""
    nisa.tensor_tensor_scan(dst=dst, data0=ones, data1=values, initial=start, op0=nl.multiply, op1=nl.add)
