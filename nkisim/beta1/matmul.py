"""Products and transposes on TensorE.

``acc = nc_matmul(…)`` and ``acc[…] = nc_matmul(…)`` overwrite, ``acc += nc_matmul(…)`` accumulates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import isa
from ..core.dtypes import Array, dtype_of, float32
from ..core.errors import fail
from ..core.memory import PSUM, SBUF
from ..core.tensor import Tensor
from .compute import in_sbuf, new_tile
from .elementwise import tile_operand
from .masks import Mask, Region, as_mask
from .memory import holding
from .tile import Operand, Tile

_PERFORMANCE = {"double_row_gen3": "double_row", "double_row": "double_row"}


def nc_matmul(
    stationary: Any,
    moving: Any,
    *,
    is_stationary_onezero: bool = False,
    is_moving_onezero: bool = False,
    is_transpose: bool = False,
    tile_position: Any = (),
    tile_size: Any = (),
    mask: Any = None,
    perf_mode: Any = None,
    **kwargs: Any,
) -> Tile:
    """``stationary[K, M].T @ moving[K, N]`` as a new float32 tile ``[M, N]`` in PSUM.

    Limits are those of :func:`nkisim.isa.nc_matmul`; operands in PSUM are copied to SBUF, as the compiler
    does. ``mask`` bounds K, or with three axes K, M and N; masks in a subscript of an operand bound that
    operand's axes.
    """
    left = tile_operand(stationary, "nc_matmul", "stationary", "nisa")
    right = tile_operand(moving, "nc_matmul", "moving", "nisa")
    options = {"is_transpose": is_transpose, "tile_position": tile_position, "tile_size": tile_size}
    if perf_mode is not None:
        name = getattr(perf_mode, "name", perf_mode)
        options["perf_mode"] = _PERFORMANCE.get(name, name)
    return _product(left, right, mask, options)


def _product(left: Operand, right: Operand, mask: Any, options: dict[str, Any]) -> Tile:
    regions = _regions(left, right, mask)
    doubled = options.get("perf_mode") == "double_row"
    rows = left.shape[2 if doubled else 1 :]
    columns = right.shape[2 if doubled else 1 :]
    out = new_tile((int(np.prod(rows, dtype=np.int64)), *columns), float32, PSUM)
    out.product = True
    if regions is None:
        isa.nc_matmul(out.tensor, in_sbuf(left.part(None)), in_sbuf(right.part(None)), **options)
        return out
    first, second = regions
    out.region = _outcome(first, second, out.shape)
    if out.region.empty:
        return out
    one, other = _within(left, first, second), _within(right, second, first)
    isa.nc_matmul(out.part(out.region), in_sbuf(one), in_sbuf(other), **options)
    return out


def _regions(left: Operand, right: Operand, mask: Any) -> tuple[Region, Region] | None:
    """The lanes of both operands; None when there is no mask at all."""
    if mask is None and left.where is None and right.where is None:
        return None
    bounds = _split(True if mask is None else mask, left, right)
    masks = (left.where, right.where)
    both = [bound if own is None else bound & own for bound, own in zip(bounds, masks, strict=True)]
    return both[0].region(left.shape), both[1].region(right.shape)


def _split(mask: Any, left: Operand, right: Operand) -> tuple[Mask, Mask]:
    """What a mask says about each operand."""
    found = as_mask(mask)
    box = found.box
    if box is None:
        raise fail("nisa.nc_matmul: its mask must bound axes (i_k < n)")
    if len(box) == 3 and left.ndim == right.ndim == 2:
        shape = found.shape
        one, other = (Mask((shape[0], shape[a]), (box[0], box[a])) for a in (1, 2))
        return one, other
    free = zip(box[1:], found.shape[1:], strict=True)
    empty = any(low >= high for low, high in box)
    if not empty and any(bounds != (0, size) for bounds, size in free):
        raise fail(
            "nisa.nc_matmul: the mask bounds a free axis, and it cannot be told whether stationary's or "
            "moving's; bound that operand: stationary[i_m < n]"
        )
    partitions = Mask((found.shape[0], 1), (box[0] if not empty else (0, 0), (0, 1)))
    return partitions, partitions


def _outcome(first: Region, second: Region, shape: tuple[int, ...]) -> Region:
    """The lanes of the result: partitions are the first operand's free axis, the rest the second one's."""
    if first.empty or second.empty or first.lanes is not None or second.lanes is not None:
        if first.lanes is None and second.lanes is None:
            return Region(shape, tuple((0, 0) for _ in shape))
        return Region(shape, tuple((0, n) for n in shape))
    return Region(shape, (first.box[1] if len(first.box) == 2 else (0, shape[0]), *second.box[1:]))


def _within(operand: Operand, own: Region, other: Region) -> Tensor:
    """An operand without the partitions that either mask leaves out; other lanes left out are 0."""
    if own.lanes is None and other.lanes is None:
        shared = (max(own.box[0][0], other.box[0][0]), min(own.box[0][1], other.box[0][1]))
        return operand.part(Region(own.shape, (shared, *own.box[1:])))
    flags = own.flags(own.shape) & _partitions(other, own.shape)
    found = operand.part(Region(own.shape, own.box, flags))
    return holding(np.where(flags, found.read_raw(), np.zeros((), found.dtype.numpy)), found.dtype, SBUF)


def _partitions(region: Region, shape: tuple[int, ...]) -> Array:
    flags = region.flags(region.shape)
    return flags.reshape(flags.shape[0], -1).any(axis=1).reshape((-1,) + (1,) * (len(shape) - 1))


def matmul(x: Any, y: Any, *, transpose_x: bool = False, mask: Any = None, **kwargs: Any) -> Tile:
    """``x[M, K] @ y[K, N]``, with ``transpose_x`` ``x[K, M].T @ y[K, N]``: a float32 tile in PSUM.

    Operands in PSUM are copied to SBUF, and x is transposed on TensorE first where it has to be.
    """
    left, right = (_in_sbuf(tile_operand(v, "matmul", w)) for v, w in ((x, "x"), (y, "y")))
    if not transpose_x:
        left = _in_sbuf(transposed(left, None, None))
    return _product(left, right, mask, {})


def _in_sbuf(operand: Operand) -> Operand:
    if operand.buffer != PSUM:
        return operand
    copy = Tile(in_sbuf(operand.part(None)))
    copy.where = operand.where
    return copy


def transposed(data: Operand, dtype: Any, mask: Any, engine: Any = isa.unknown_engine) -> Tile:
    """``data[P, F].T`` on TensorE into PSUM, or on request or from PSUM (≤ 32 × 32) on VectorE into SBUF."""
    found = data.part(None) if mask is None else data.part(as_mask(mask).region(data.shape))
    rows, columns = found.array.shape[0], int(np.prod(found.array.shape[1:], dtype=np.int64))
    on_vector = engine is isa.vector_engine or (data.buffer == PSUM and max(rows, columns) <= 32)
    out = new_tile((columns, rows), found.dtype, SBUF if on_vector else PSUM)
    isa.nc_transpose(out.tensor, found, engine)
    kind = found.dtype if dtype is None else dtype_of(dtype)
    if kind is not found.dtype:
        cast = new_tile(out.shape, kind, out.buffer)
        isa.tensor_copy(cast.tensor, out.tensor)
        return cast
    return out


def nc_transpose(
    data: Any, *, mask: Any = None, dtype: Any = None, engine: Any = isa.unknown_engine, **kwargs: Any
) -> Tile:
    """The transpose of a tile, whose free dimensions count as one; another ``dtype`` takes one more copy."""
    return transposed(tile_operand(data, "nc_transpose", "data", "nisa"), dtype, mask, engine)


def transpose(x: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
    """The transpose of a tile of two dimensions, in SBUF."""
    data = tile_operand(x, "transpose", "x")
    found = transposed(_in_sbuf(data), dtype, mask)
    return Tile(in_sbuf(found.tensor))
