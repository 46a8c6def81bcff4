"""``nisa.nc_transpose`` on TensorE or VectorE, and ``nisa.dma_transpose``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.access import Dynamic
from ..core.context import state
from ..core.dtypes import Array
from ..core.errors import fail
from ..core.memory import OFF_CHIP, PSUM, SBUF
from ..core.tensor import Tensor
from . import rules
from .common import instruction, operand
from .constants import dge_mode as dge
from .constants import engine as engines
from .constants import oob_mode as oob
from .matmul import check_bank

AXES = {2: (1, 0), 3: (2, 1, 0), 4: (3, 1, 2, 0)}
"""The permutation that ``dma_transpose`` makes, by the number of dimensions of its source."""

_VECTOR = 32
"""Partitions, and elements of each, that VectorE transposes."""
_SMALL = 4096
_PIECE = 128
"""Rows flipped at a time, from dense copies: elements of a column that lie 2ⁿ bytes apart evict each other
from the processor's cache. Fewer than ``_SMALL`` elements are flipped as they lie."""


@instruction
def nc_transpose(dst: Any, data: Any, engine: Any = engines.unknown, name: str | None = None) -> None:
    """``dst[f, p] = data[p, f]``, bit by bit; free dimensions of ``data`` count as one.

    On gen2 TensorE multiplies with an identity: a NaN or infinity spoils the whole row of ``dst`` it lies in.

    Args:
        dst: SBUF or PSUM, of the type of ``data``.
        data: SBUF or PSUM; any type.
        engine: tensor (≤ 128 × 128, from SBUF to PSUM), vector (≤ 32 × 32, SBUF and PSUM both ways), or
            unknown: whichever of these can.

    Raises SimulationError when no allowed engine can, when types differ, when ``dst`` has another size, or
    when TensorE would write to two PSUM banks before gen4.
    """
    operand(data, "nc_transpose", "data")
    operand(dst, "nc_transpose", "dst")
    raw = data.read_raw()
    flat = np.ascontiguousarray(raw.reshape(raw.shape[0], -1))  # see _PIECE
    on_tensor = _transposing_engine(dst, data, flat.shape, engine) is engines.tensor
    rules.same_type("nc_transpose", data, dst, ("data", "dst"))
    flipped = _through_product(flat, data) if on_tensor and state.generation < 3 else flat.T
    target = dst.shape if dst.partitioned else (1, *dst.shape)
    if target[0] != flipped.shape[0] or dst.size != flipped.size:
        raise fail(
            f"nisa.nc_transpose: data is a {data!r}, dst a {dst!r}; partitions of one must match elements of "
            "the other"
        )
    if on_tensor and (engine is engines.tensor or max(flat.shape) > _VECTOR):
        check_bank("nc_transpose", dst)
    dst.write(flipped)


def _transposing_engine(dst: Tensor, data: Tensor, shape: tuple[int, ...], engine: Any) -> engines:
    """The engine that transposes; raises SimulationError when it cannot."""
    rows, columns = shape
    tensor = data.buffer == SBUF and dst.buffer == PSUM and max(rows, columns) <= 128
    vector = max(rows, columns) <= _VECTOR
    if engine not in (engines.unknown, engines.tensor, engines.vector):
        raise fail(f"nisa.nc_transpose: engine is {engine}; allowed: tensor, vector, unknown")
    if engine is not engines.vector and tensor:
        return engines.tensor
    if engine is not engines.tensor and vector:
        return engines.vector
    raise fail(
        f"nisa.nc_transpose: data is a {data!r}, dst a {dst!r}, engine {engine.name}; TensorE goes from "
        "sbuf to psum and takes 128 partitions of 128 elements, VectorE takes 32 of 32"
    )


def _through_product(flat: Array, data: Tensor) -> Array:
    """What a product with an identity gives: 0 × NaN and 0 × ∞ are NaN."""
    if data.dtype.kind not in (dtypes.FLOAT, dtypes.FLOAT8):
        return np.transpose(flat)
    flipped: Array = flat.T.copy()
    values = dtypes.up(flipped, data.dtype)
    others = ~np.isfinite(values)
    counts = others.sum(axis=1, keepdims=True)
    spoilt = (counts > others) | np.isnan(values)
    dtypes.store(flipped, np.where(spoilt, np.float32(np.nan), values), data.dtype)
    return flipped


@instruction
def dma_transpose(
    dst: Any,
    src: Any,
    axes: Any = None,
    dge_mode: Any = dge.unknown,
    oob_mode: Any = oob.error,
    name: str | None = None,
) -> None:
    """``dst = src.transpose(axes)`` by DMA: 2-D (1, 0), 3-D (2, 1, 0), 4-D (3, 1, 2, 0).

    The elements of the result fill ``dst`` in row-major order. Equal types are copied bit by bit, others are
    converted through float32. A source with ``vector_offset`` is gathered first; rows whose index is out of
    range are left as they are in ``dst`` with ``oob_mode.skip`` and are an error otherwise.

    Args:
        dst, src: HBM or SBUF.
        axes: the permutation, if given, must be the one above.
        dge_mode: unknown, none or hwdge (from gen3 on; 16 rows, last dimension a multiple of 128, 2-byte
            type); for a gathered source unknown or swdge (3-D, or 4-D as kernels in use have it; last
            dimension 128, 2-byte type, a multiple of 16 rows, uint32 indices).

    Raises SimulationError for another permutation, mode, size or buffer.
    """
    operand(src, "dma_transpose", "src", (SBUF, *OFF_CHIP))
    operand(dst, "dma_transpose", "dst", (SBUF, *OFF_CHIP))
    order = _order(src, axes)
    _check_mode(src, dge.of(dge_mode))
    values, valid = _gathered(src, oob_mode is oob.skip)
    if values.size != dst.size:
        raise fail(f"nisa.dma_transpose: src is a {src!r}, dst a {dst!r}; they differ in size")
    flipped = _flipped(values.reshape(len(values), -1, values.shape[-1])).reshape(
        [values.shape[axis] for axis in order]
    )
    if dst.dtype is not src.dtype:
        flipped = dtypes.up(flipped, src.dtype)
    if valid is not None:
        kept = dst.read_raw() if dst.dtype is src.dtype else dst.read()
        column = valid.reshape(-1, *(1,) * (values.ndim - 1)).transpose(order)
        flipped = np.where(column, flipped, kept.reshape(flipped.shape))
    dst.write(flipped.reshape(dst.shape))


def _flipped(values: Array) -> Array:
    """``[a, m, c]`` as ``[c, m, a]``."""
    rows, middle, columns = values.shape
    if rows * columns < _SMALL:
        return values.transpose(2, 1, 0)
    result: Array = np.empty((columns, middle, rows), values.dtype)
    for start in range(0, rows, _PIECE):
        part = slice(start, start + _PIECE)
        for index in range(middle):
            result[:, index, part] = np.ascontiguousarray(values[part, index]).T
    return result


def _order(src: Tensor, axes: Any) -> tuple[int, ...]:
    order = AXES.get(len(src.shape))
    if order is None:
        raise fail(f"nisa.dma_transpose: src is a {src!r}; it must have 2, 3 or 4 dimensions")
    if axes is not None and tuple(int(axis) for axis in axes) != order:
        raise fail(f"nisa.dma_transpose: axes {tuple(axes)}; for {len(order)} dimensions they are {order}")
    return order


def _gathered(src: Tensor, skip: bool) -> tuple[Array, Array | None]:
    """The source's elements, and which rows are in range (None: all)."""
    if isinstance(src.dynamic, Dynamic):
        if src.storage.fresh:
            src.storage.poison()
        return src.dynamic.get(skip)
    values = src.read_raw()
    return values.reshape(src.shape), None


def _check_mode(src: Tensor, mode: dge) -> None:
    indirect = isinstance(src.dynamic, Dynamic) and src.dynamic.vector is not None
    special = dge.swdge if indirect else dge.hwdge
    allowed = (dge.unknown, special) if indirect else (dge.unknown, dge.none, special)
    if mode not in allowed:
        kind = "a gathered source" if indirect else "this source"
        names = ", ".join(m.name for m in allowed)
        raise fail(f"nisa.dma_transpose: dge_mode is {mode}; for {kind} it is one of {names}")
    if mode is dge.hwdge and state.generation < 3:
        raise fail("nisa.dma_transpose: dge_mode.hwdge needs NeuronCore-v3 or newer")
    if mode is special:
        rows, last, size = src.shape[0], src.shape[-1], src.dtype.itemsize
        fits = _fits_swdge(src) if indirect else rows == 16 and last % 128 == 0 and size == 2
        if not fits:
            raise fail(f"nisa.dma_transpose: src is a {src!r}, which dge_mode.{mode.name} cannot transpose")


def _fits_swdge(src: Tensor) -> bool:
    assert isinstance(src.dynamic, Dynamic)
    shape, index = src.shape, src.dynamic.vector
    sizes = len(shape) in (3, 4) and shape[-1] == 128 and shape[0] % 16 == 0 and src.dtype.itemsize == 2
    return sizes and index.dtype is dtypes.uint32
