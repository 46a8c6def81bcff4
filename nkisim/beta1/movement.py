"""Moving data: between HBM and the chip, within the chip, and by indexes that are known at run time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import isa
from ..core import dtypes
from ..core import operators as tokens
from ..core.dtypes import dtype_of
from ..core.dtypes import store as convert
from ..core.errors import fail
from ..core.memory import OFF_CHIP, PSUM
from ..core.tensor import Tensor
from .access import Access
from .compute import active, computed, domain_of, in_sbuf, new_tile
from .dtypes import result_type
from .elementwise import tile_operand
from .masks import Mask, Region
from .memory import holding
from .operators import operator_of
from .subscripts import OutOfBounds
from .tile import Operand, Tile


def operand(value: Any, name: str, what: str) -> Operand:
    """A tile or tensor in any memory. Raises SimulationError otherwise."""
    if not isinstance(value, Operand):
        raise fail(f"{name}: {what} must be a tensor or a tile, it is a {type(value).__name__}")
    return value


def load(src: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """A new tile in SBUF with what a tensor in HBM holds; at most 128 rows. One element is ``[1, 1]``."""
    data = operand(src, "nl.load", "src")
    data = data if data.shape else data.reshape((1, 1))
    return computed(isa.dma_copy, data.shape, dtype_of(dtype or data.dtype), mask, (data,))


def load_transpose2d(src: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """A new tile in SBUF with the transpose of a matrix in HBM; at most 128 columns."""
    return dma_transpose(src, mask=mask, dtype=dtype)


def dma_transpose(src: Any, *, axes: Any = None, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """The transpose by DMA: axes (1, 0), (2, 1, 0), or (3, 1, 2, 0). A mask is about src."""
    data = operand(src, "nisa.dma_transpose", "src")
    order = axes or isa_axes(data)
    region = active(mask, data.shape, (data,))
    out = new_tile([data.shape[a] for a in order], dtype_of(dtype or data.dtype))
    if region is not None:
        if region.lanes is not None:
            raise fail("nisa.dma_transpose: its mask must bound axes (i_p < n)")
        out.region = Region(out.shape, tuple(region.box[a] for a in order))
    if region is None or not region.empty:
        isa.dma_transpose(out.part(out.region), data.part(region), axes)
    return out


def isa_axes(data: Operand) -> tuple[int, ...]:
    """How ``dma_transpose`` permutes, by the number of dimensions."""
    from ..isa.transpose import AXES

    if data.ndim not in AXES:
        raise fail(f"nisa.dma_transpose: src is a {data!r}; it must have 2, 3 or 4 dimensions")
    return AXES[data.ndim]


def store(dst: Any, value: Any, *, mask: Any = None, **kwargs: Any) -> None:
    """Write a tile to a tensor in HBM; one in PSUM is copied to SBUF first."""
    target = operand(dst, "nl.store", "dst")
    source = operand(value, "nl.store", "value")
    if target.buffer not in OFF_CHIP:
        raise fail(f"nl.store: dst is a {target!r}; it must be in HBM, assign to tiles with t[...] = value")
    transfer(target, source, active(mask, target.shape, (target, source)))


def transfer(
    target: Operand, source: Operand, region: Region | None, rmw: Any = None, **options: Any
) -> None:
    """A DMA into a target that may be scattered."""
    if region is not None and region.empty:
        return
    if source.shape != target.shape and region is not None:
        source = _matched(source, target)
    values = in_sbuf(source.part(region))
    if _viewable(target, region):
        isa.dma_copy(target.part(region), values, rmw, **options)
        return
    landed = holding(np.empty(values.array.shape, target.dtype.numpy), target.dtype, target.buffer)
    isa.dma_copy(landed, values, None, **options)
    target.put(landed, region)


def _viewable(target: Operand, region: Region | None) -> bool:
    affine = not isinstance(target, Access) or target.affine
    return affine and (region is None or region.lanes is None)


def _matched(source: Operand, target: Operand) -> Tile:
    """A source in the target's shape, for a mask that is about the target."""
    whole = source.whole()
    return (
        whole.reshape(target.shape)
        if whole.tensor.size == np.prod(target.shape)
        else whole.broadcast_to(target.shape)
    )


def dma_copy(
    *,
    dst: Any,
    src: Any,
    mask: Any = None,
    dst_rmw_op: Any = None,
    oob_mode: Any = isa.oob_mode.error,
    dge_mode: Any = isa.dge_mode.unknown,
    **kwargs: Any,
) -> None:
    """Copy between HBM and SBUF; with ``dst_rmw_op=np.add`` add. Indexes may be tiles: a gather or a scatter.

    With ``oob_mode.skip`` lanes whose index is out of range are left as they are.
    """
    target, source = operand(dst, "nisa.dma_copy", "dst"), operand(src, "nisa.dma_copy", "src")
    for side, what in ((target, "dst"), (source, "src")):
        if side.buffer == PSUM:
            raise fail(f"nisa.dma_copy: {what} is a {side!r}; the DMA engines do not reach PSUM")
    if oob_mode is isa.oob_mode.skip:
        mask = _inside(mask, target, source)
    if dst_rmw_op is not None:
        add_in_place(target, source, operator_of(dst_rmw_op, "dma_copy", "dst_rmw_op"), mask)
        return
    gathers = any(isinstance(side, Access) and not side.affine for side in (target, source))
    mode = isa.dge_mode.unknown if gathers else dge_mode
    transfer(target, source, active(mask, target.shape, (target, source)), dge_mode=mode)


def _inside(mask: Any, *sides: Operand) -> Any:
    for side in sides:
        if isinstance(side, Access):
            inside = side.in_range()
            mask = (
                Mask(inside.shape, None, inside) if mask is None else mask & Mask(inside.shape, None, inside)
            )
    return mask


def add_in_place(target: Operand, value: Any, op: Any, mask: Any) -> None:
    """``target = target + value`` in float32; an index that repeats is added each time."""
    if op is not tokens.add:
        raise fail(f"nl.atomic_rmw: op is {op!r}; only np.add or nl.add")
    region = active(mask, target.shape, (target,))
    lanes = np.ones(target.shape, np.bool_) if region is None else region.flags(target.shape)
    values = (
        value.part(None).read().reshape(target.shape) if isinstance(value, Operand) else np.float32(value)
    )
    places = np.indices(target.shape) if isinstance(target, Tile) else None
    base = target.tile.tensor
    at = tuple(places) if places is not None else _everywhere(target)
    picked = tuple(np.broadcast_to(index, target.shape)[lanes] for index in at)
    for axis, (index, size) in enumerate(zip(picked, base.array.shape, strict=True)):
        if index.size and (index.min() < 0 or index.max() >= size):
            raise OutOfBounds(
                str(
                    fail(
                        f"index {int(index.max())} is out of bounds: dimension {axis} of {base!r} has {size}"
                    )
                )
            )
    total = base.read()
    np.add.at(
        total if total is not base.array else base.array, picked, np.broadcast_to(values, target.shape)[lanes]
    )
    if total is not base.array:
        convert(base.array, total, base.dtype)


def _everywhere(target: Any) -> tuple[Any, ...]:
    return tuple(index.array for index in target.indices)


def atomic_rmw(dst: Any, value: Any, op: Any, *, mask: Any = None, **kwargs: Any) -> None:
    """``dst = dst + value`` in HBM, at indexes that may be tiles."""
    target = operand(dst, "nl.atomic_rmw", "dst")
    if target.buffer not in OFF_CHIP:
        raise fail(f"nl.atomic_rmw: dst is a {target!r}; it must be in HBM")
    add_in_place(target, value, operator_of(op, "atomic_rmw"), mask)


def copy(src: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """A copy in SBUF."""
    data = tile_operand(src, "copy", "src")
    return computed(isa.tensor_copy, data.shape, dtype_of(dtype or data.dtype), mask, (data,))


def astype(tile: Operand, dtype: Any) -> Tile:
    """A copy in SBUF as another element type."""
    return copy(tile, dtype=dtype)


Operand.astype = astype  # type: ignore[attr-defined]


def broadcast_to(src: Any, *, shape: Any, **kwargs: Any) -> Operand:
    """The tile repeated along dimensions of size 1, partitions too; itself when it has the shape already."""
    data = tile_operand(src, "broadcast_to", "src")
    if tuple(data.shape) == tuple(shape):
        return data
    return copy(data.broadcast_to(shape))


def expand_dims(data: Any, axis: Any) -> Tile:
    """A view with more dimensions of size 1."""
    return tile_operand(data, "expand_dims", "data").expand_dims(axis)


def gather_flattened(data: Any, indices: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """In each partition the elements at the indices, counted over all free dimensions."""
    source, index = (
        tile_operand(data, "gather_flattened", "data"),
        tile_operand(indices, "gather_flattened", "indices"),
    )
    values = source.part(None)

    def body(dst: Tensor, places: Tensor) -> None:
        kind = dst if dst.dtype is values.dtype else new_tile(dst.array.shape, values.dtype).tensor
        rows = values.like(values.array[: dst.array.shape[0]])
        isa.nc_n_gather(kind, in_sbuf(rows), _unsigned(places))
        if kind is not dst:
            isa.tensor_copy(dst, kind)

    return computed(body, index.shape, dtype_of(dtype or source.dtype), mask, (index,))


def _unsigned(places: Tensor) -> Tensor:
    if places.dtype in (dtypes.uint16, dtypes.uint32):
        return in_sbuf(places)
    cast = new_tile(places.array.shape, dtypes.uint32).tensor
    isa.tensor_copy(cast, places)
    return cast


def where(condition: Any, x: Any, y: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
    """x where the condition is not 0, y elsewhere; either may be a number."""
    chosen = result_type(dtype, *(v for v in (x, y) if isinstance(v, Operand)))
    test = tile_operand(condition, "where", "condition")
    domain = domain_of(test, x, y)

    def body(dst: Tensor, flags: Tensor, first: Any, second: Any) -> None:
        shape = dst.array.shape
        _fill(dst, second, shape)
        predicate = new_tile(shape, dtypes.uint8).tensor
        isa.tensor_scalar(predicate, _spread(flags, shape), tokens.not_equal, 0)
        source = first
        if isinstance(first, Tensor):
            source = new_tile(shape, dst.dtype).tensor
            _fill(source, first, shape)
        isa.tensor_copy_predicated(dst, source, predicate)

    return computed(body, domain, chosen, mask, (test, x, y))


def _spread(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    return tensor.like(np.broadcast_to(tensor.array, shape))


def _fill(dst: Tensor, value: Any, shape: tuple[int, ...]) -> None:
    if isinstance(value, Tensor):
        isa.tensor_copy(dst, _spread(value, shape))
    else:
        isa.memset(dst, value)
