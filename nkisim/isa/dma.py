"""Data movement by the DMA engines: ``nisa.dma_copy`` and ``nisa.dma_compute``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import operators
from ..core.access import Dynamic
from ..core.context import state
from ..core.dtypes import PACKED, Array, up
from ..core.errors import fail
from ..core.memory import OFF_CHIP, SBUF
from ..core.tensor import Tensor
from .common import instruction, operand
from .constants import dge_mode as dge
from .constants import oob_mode as oob

REACHED = (SBUF, *OFF_CHIP)
"""What the DMA engines reach; PSUM they do not."""
MOST_SOURCES = 16


@instruction
def dma_copy(
    dst: Any,
    src: Any,
    dst_rmw_op: Any = None,
    oob_mode: oob = oob.error,
    dge_mode: dge = dge.unknown,
    unique_indices: bool = True,
    name: str | None = None,
    priority: Any = None,
    engine: Any = None,
) -> None:
    """``dst = src``, or ``dst + src`` with ``dst_rmw_op=nl.add``, element by element in row-major order.

    Equal types are copied bit by bit, others converted through float32; the sum is made in float32. Either
    side may be an ``.ap`` with a dynamic offset: a gather (source) or a scatter (destination).

    Args:
        dst, src: HBM or SBUF, of one number of elements; shapes and partitions may differ.
        dst_rmw_op: None or ``nl.add``; indices that repeat are added one after the other.
        oob_mode: with ``skip``, rows of ``dst`` that a dynamic index out of range reads for or writes to are
            left as they are; with ``error`` such an index is an error. ``skip`` excludes ``dst_rmw_op``.
        dge_mode: changes no value; hwdge needs gen3 or newer, and no gather or scatter.
        unique_indices, priority, engine: change no value.

    Raises SimulationError for PSUM, another number of elements, another operator or mode, or an index out of
    range.
    """
    operand(src, "dma_copy", "src", REACHED)
    operand(dst, "dma_copy", "dst", REACHED)
    if state.launch is not None and dst.buffer in OFF_CHIP:
        state.launch.copies(state.core)
    if _plain(dst, src) and dst_rmw_op is None and dge_mode is dge.unknown:
        dst.write(src.read_raw())
        return
    _check_copy(dst, src, dst_rmw_op, oob_mode, dge_mode)
    skip = oob_mode is oob.skip
    values, valid = fetched(src, skip)
    if not same_bits(dst, src) or dst_rmw_op is not None:
        values = up(values, src.dtype)
    if valid is not None and _scatters(dst, values):
        dst.dynamic.put(values, skip, taken=valid)
        return
    if valid is not None:
        values = _kept(dst, values, valid)
    put_down(dst, values, skip, dst_rmw_op is not None)


def _scatters(dst: Tensor, values: Array) -> bool:
    """Whether each row of the values has an index of its own; two may name the same row of ``dst``."""
    indirect = isinstance(dst.dynamic, Dynamic) and dst.dynamic.vector is not None
    return indirect and dst.shape[0] == values.shape[0]


def _plain(dst: Tensor, src: Tensor) -> bool:
    """The usual case, for which there is nothing to check."""
    return (
        src.dtype is dst.dtype
        and src.dynamic is None
        and dst.dynamic is None
        and src.array.shape == dst.array.shape
    )


def _check_copy(dst: Tensor, src: Tensor, rmw: Any, oob_mode: oob, dge_mode: dge) -> None:
    if dst.size != src.size:
        raise fail(
            f"nisa.dma_copy: src is a {src!r} of {src.size} elements, dst a {dst!r} of {dst.size}; "
            "they must match"
        )
    if not same_bits(dst, src) and PACKED in (dst.dtype.kind, src.dtype.kind):
        raise fail(f"nisa.dma_copy: src is {src.dtype}, dst is {dst.dtype}; packed types are not converted")
    if rmw is not None and rmw is not operators.add:
        raise fail(f"nisa.dma_copy: dst_rmw_op is {rmw!r}; only nl.add or None")
    if not isinstance(oob_mode, oob):
        raise fail(f"nisa.dma_copy: oob_mode is {oob_mode!r}; it is a member of nisa.oob_mode")
    if rmw is not None and oob_mode is oob.skip:
        raise fail("nisa.dma_copy: dst_rmw_op goes with oob_mode.error only")
    check_dge("dma_copy", dge_mode, dst, src)


def check_dge(name: str, mode: dge | int | None, *tensors: Tensor) -> None:
    """Raises SimulationError when descriptors cannot be made in this mode."""
    if dge.of(mode) is not dge.hwdge:
        return
    if state.generation < 3:
        raise fail(f"nisa.{name}: dge_mode.hwdge needs gen3 or newer, the target is gen{state.generation}")
    for tensor in tensors:
        if isinstance(tensor.dynamic, Dynamic) and tensor.dynamic.vector is not None:
            raise fail(f"nisa.{name}: {tensor!r} has a vector_offset, which needs dge_mode.swdge, not hwdge")


def same_bits(dst: Tensor, src: Tensor) -> bool:
    return dst.dtype.numpy == src.dtype.numpy


def fetched(src: Tensor, skip: bool) -> tuple[Array, Array | None]:
    """The elements as stored, and which rows are in range (None: all)."""
    if isinstance(src.dynamic, Dynamic):
        if src.storage.fresh:
            src.storage.poison()
        return src.dynamic.get(skip)
    return src.read_raw(), None


def _kept(dst: Tensor, values: Array, valid: Array) -> Array:
    """``values``, with what ``dst`` holds where a row of the source is out of range."""
    mask = np.broadcast_to(valid.reshape(-1, *(1,) * (values.ndim - 1)), values.shape)
    held, _ = fetched(dst, True)
    if values.dtype != held.dtype:
        held = up(held, dst.dtype)
    found: Array = np.where(mask, values, held.reshape(values.shape))
    return found


def put_down(dst: Tensor, values: Array, skip: bool = False, accumulate: bool = False) -> None:
    """Write, or add to, a destination that may be dynamic."""
    if isinstance(dst.dynamic, Dynamic):
        dst.dynamic.put(values, skip, accumulate)
        return
    if accumulate:
        held = dst.read()
        values = held + values.reshape(held.shape)
    dst.write(values)


@instruction
def dma_compute(
    dst: Any,
    srcs: Sequence[Any],
    scales: Sequence[float] | None = None,
    reduce_op: Any = None,
    name: str | None = None,
    unique_indices: bool = True,
    oob_mode: oob = oob.error,
) -> None:
    """``dst = srcs[0] + srcs[1] + …`` in float32, first to last, in the DMA engines.

    Args:
        dst, srcs: HBM or SBUF; any types; one number of elements; 1 to 16 sources.
        scales: one factor for each source, which must be 1.0. reduce_op: ``nl.add``.
        oob_mode: with ``skip``, rows of a gathered source that are out of range count as zero.

    Raises SimulationError for anything else.
    """
    operand(dst, "dma_compute", "dst", REACHED)
    _check_compute(dst, srcs, scales, reduce_op)
    skip = oob_mode is oob.skip
    total: Array | None = None
    for src in srcs:
        values, valid = fetched(src, skip)
        values = up(values, src.dtype)
        if valid is not None:
            values = np.where(valid.reshape(-1, *(1,) * (values.ndim - 1)), values, np.float32(0))
        total = values if total is None else total + values.reshape(total.shape)
    assert total is not None
    put_down(dst, total, skip)


def _check_compute(dst: Tensor, srcs: Sequence[Any], scales: Any, reduce_op: Any) -> None:
    if not 1 <= len(srcs) <= MOST_SOURCES:
        raise fail(f"nisa.dma_compute: {len(srcs)} sources; 1 to {MOST_SOURCES} are allowed")
    if scales is not None and (len(scales) != len(srcs) or any(float(scale) != 1.0 for scale in scales)):
        raise fail(
            f"nisa.dma_compute: scales are {list(scales)}; one 1.0 is needed for each of {len(srcs)} sources"
        )
    if reduce_op is not None and reduce_op is not operators.add:
        raise fail(f"nisa.dma_compute: reduce_op is {reduce_op!r}; only nl.add")
    for position, src in enumerate(srcs):
        operand(src, "dma_compute", f"srcs[{position}]", REACHED)
        if src.size != dst.size:
            raise fail(f"nisa.dma_compute: srcs[{position}] is a {src!r}, dst a {dst!r}; elements must match")
