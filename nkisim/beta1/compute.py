"""How an instruction that gives a value runs: on which lanes and parts of operands, into which tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from .. import isa
from ..core.dtypes import DType, store
from ..core.errors import fail
from ..core.memory import PSUM, SBUF
from ..core.tensor import Tensor
from .masks import Region, as_mask, region_of
from .memory import holding, new
from .tile import Operand, Tile, write_lanes

Body = Callable[..., None]


def new_tile(shape: Sequence[int], dtype: DType, buffer: str = SBUF, name: str = "") -> Tile:
    """An unwritten tile."""
    return Tile(*new(shape, dtype, buffer, name))


def active(mask: Any, domain: tuple[int, ...], operands: Sequence[Any]) -> Region | None:
    """The lanes left by ``mask=`` and by masks in subscripts of operands; None for all."""
    masks = [
        operand.where for operand in operands if isinstance(operand, Operand) and operand.where is not None
    ]
    if not masks:
        return region_of(mask, domain)
    return reduce(lambda one, other: one & other, masks, as_mask(True if mask is None else mask)).region(
        domain
    )


def lanes_shape(region: Region | None, domain: tuple[int, ...]) -> tuple[int, ...]:
    """What shape the operands have in a region."""
    if region is None or region.lanes is not None:
        return domain
    return tuple(max(0, high - low) for low, high in region.box)


def part(operand: Any, region: Region | None, domain: tuple[int, ...] | None = None) -> Any:
    """An operand in a region, repeated to the domain's shape when that is given; numbers stay."""
    if not isinstance(operand, Operand):
        return operand
    found = operand.part(region)
    if domain is None or found.array.shape == lanes_shape(region, domain):
        return found
    return found.like(np.broadcast_to(found.array, lanes_shape(region, domain)))


def computed(
    body: Body,
    domain: tuple[int, ...],
    dtype: DType,
    mask: Any,
    operands: Sequence[Any],
    *,
    shape: tuple[int, ...] | None = None,
    buffer: str = SBUF,
    fill: float | None = None,
) -> Tile:
    """A new tile, into which ``body(dst, region)`` writes the lanes of ``domain`` that the mask leaves.

    Args:
        domain: the shape that the mask is about. shape: the result's, where it differs; its axes are those of
            the domain, or of another size where the instruction reduces or searches.
        fill: what such instructions must see in lanes that a mask which is no box leaves out.
    """
    region = active(mask, domain, operands)
    result = shape or domain
    out = new_tile(result, dtype, buffer)
    if region is None:
        body(out.tensor, *operands_in(None, operands, domain))
        return out
    out.region = region.on(result)
    if region.empty:
        return out
    if region.lanes is None:
        body(
            out.tensor.like(out.tensor.array[out.region.slices(result)]),
            *operands_in(region, operands, domain),
        )
        return out
    whole = new_tile(result, dtype, buffer)
    inputs = operands_in(region, operands, domain)
    body(whole.tensor, *(filled(each, region, fill) if fill is not None else each for each in inputs))
    write_lanes(out.tensor, whole.tensor, out.region.flags(result))
    return out


def operands_in(region: Region | None, operands: Sequence[Any], domain: tuple[int, ...]) -> list[Any]:
    """The operands in a region, each in its own shape."""
    return [part(operand, region) for operand in operands]


def filled(value: Any, region: Region, fill: float) -> Any:
    """A tensor with another value in the lanes that a mask leaves out."""
    if not isinstance(value, Tensor) or region.lanes is None or value.array.shape != region.lanes.shape:
        return value
    stored = np.empty(value.array.shape, value.dtype.numpy)
    store(stored, np.where(region.lanes, value.read(), np.float32(fill)), value.dtype)
    return holding(stored, value.dtype, value.buffer)


def domain_of(*operands: Any) -> tuple[int, ...]:
    """The shape that operands broadcast to: a column is repeated along all free dimensions of the other one.

    Raises SimulationError when they do not broadcast.
    """
    shapes = [operand.shape for operand in operands if isinstance(operand, Operand)]
    rank = max(map(len, shapes))
    try:
        return np.broadcast_shapes(*(widened(shape, rank) for shape in shapes))
    except ValueError:
        which = " and ".join(repr(operand) for operand in operands)
        raise fail(f"{which} do not broadcast to one shape") from None


def widened(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The shape of a column (one element in each partition) in more dimensions; other shapes as they are."""
    is_column = 2 <= len(shape) < rank and prod(shape[1:]) == 1
    return (*shape, *[1] * (rank - len(shape))) if is_column else shape


def in_sbuf(tensor: Tensor) -> Tensor:
    """The tensor, copied when it lies in PSUM, as the compiler does where an instruction cannot read PSUM."""
    if tensor.buffer != PSUM:
        return tensor
    copy = new_tile(tensor.array.shape, tensor.dtype).tensor
    isa.tensor_copy(copy, tensor)
    return copy


def as_type(tensor: Tensor, dtype: DType) -> Tensor:
    """The tensor, copied when it has another element type."""
    if tensor.dtype is dtype:
        return tensor
    copy = new_tile(tensor.array.shape, dtype).tensor
    isa.tensor_copy(copy, tensor)
    return copy
