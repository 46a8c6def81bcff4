"""Allocations: tiles with block dimensions in front of the partition, and buffers that say where they lie.

``(B, nl.par_dim(P), F)`` is B tiles of ``[P, F]``. They lie next to each other in every partition. The
compiler may place blocks over each other when they are no longer used; here each has bytes of its own, so
that only one block, not all of them together, must fit into the memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import product
from math import prod

import numpy as np

from ..core.context import state
from ..core.dtypes import Array, DType
from ..core.errors import fail
from ..core.memory import (
    OFF_CHIP,
    PARTITIONS,
    PSUM,
    PSUM_BANK_BYTES,
    PSUM_BANKS,
    SBUF,
    SBUF_BYTES,
    Storage,
    on_chip,
)
from ..core.tensor import Tensor, allocate, from_storage

ON_CHIP = (SBUF, PSUM)
_RESERVED = 16 << 10
"""Bytes of an SBUF partition that the compiler keeps for itself."""
_LINES = ((64, (0,)), (32, (0, 64)), (0, (0, 32, 64, 96)))
"""Tiles with more partitions than this start at one of these partitions."""

Place = Callable[[tuple[int, ...], int, int], tuple[int, ...]]
"""Block index, partitions and bytes in each → (bank, for PSUM,) first partition and byte."""


class ParDim(int):
    """``nl.par_dim(n)``: an extent that lies on the partitions."""


class Buffer(str):
    """A memory, as ``buffer=`` names it. ``place`` says where each block lies; None: anywhere."""

    place: Place | None

    def __new__(cls, name: str, place: Place | None = None) -> Buffer:
        made = super().__new__(cls, name)
        made.place = place
        return made

    def alloc(self, func: Place) -> Buffer:
        """Blocks lie where ``func`` says; checked, see :func:`new`."""
        return Buffer(self, func)

    def auto_alloc(self) -> Buffer:
        """The compiler chooses."""
        return Buffer(self)


def new(shape: Sequence[int], dtype: DType, buffer: str, name: str = "") -> tuple[Tensor, int]:
    """A tensor, and which of its dimensions lies on the partitions.

    Raises SimulationError for more than 128 partitions, a tile that is larger than the memory, and for a
    place (of ``alloc`` or ``mod_alloc``) that the hardware does not have.
    """
    dims = tuple(int(n) for n in shape)
    marked = [axis for axis, n in enumerate(shape) if isinstance(n, ParDim)]
    par = marked[0] if marked and buffer in ON_CHIP else 0
    place = getattr(buffer, "place", None)
    if buffer in ON_CHIP and len(dims) == 1:
        dims = (*dims, 1)
    if place is not None:
        _check_places(place, dims, par, dtype, str(buffer), name)
    if par == 0:
        return allocate(dims, dtype, str(buffer), name, None), 0
    return _blocks(dims, par, dtype, str(buffer), name), par


def _blocks(dims: tuple[int, ...], par: int, dtype: DType, buffer: str, name: str) -> Tensor:
    rows, count = dims[par], prod(dims[:par])
    on_chip(dims[par:], dtype, buffer, name, None, state.running().physical, state.generation)
    block = prod(dims[par + 1 :]) * dtype.stored
    storage = Storage(
        np.empty(rows * count * block, np.uint8), count * block, count * block, rows, buffer, name, dtype
    )
    storage.fresh = True
    array = np.ndarray((rows, *dims[:par], *dims[par + 1 :]), dtype.numpy, buffer=storage.raw)
    tensor = from_storage((storage, np.moveaxis(array, 0, par)), dtype, buffer, name)
    tensor.partitioned = False
    for listener in state.allocations:
        listener(storage, None)
    return tensor


def holding(array: Array, dtype: DType, buffer: str) -> Tensor:
    """A tensor of values that were computed; the array's memory becomes the tensor's."""
    values = np.ascontiguousarray(array).reshape(array.shape)
    rows = values.shape[0] if values.ndim else 1
    raw = values.reshape(-1).view(np.uint8)
    size = raw.size // max(rows, 1)
    if buffer in OFF_CHIP:
        storage = Storage(raw, None, raw.size, 1, buffer, "", dtype)
    else:
        storage = Storage(raw, size, size, rows, buffer, "", dtype)
    return from_storage((storage, values), dtype, buffer)


def _check_places(
    place: Place, dims: tuple[int, ...], par: int, dtype: DType, buffer: str, name: str
) -> None:
    rows, size = dims[par], prod(dims[par + 1 :]) * dtype.itemsize
    what = f"{buffer} tensor {name!r} of shape {list(dims)} {dtype}"
    for block in product(*(range(n) for n in dims[:par])):
        found = tuple(int(n) for n in _place(place, block, rows, size))
        if buffer == PSUM:
            bank, partition, byte = found
            if not 0 <= bank < PSUM_BANKS or byte < 0 or byte + size > PSUM_BANK_BYTES:
                raise fail(
                    f"{what}: block {block} lies at byte {byte} of bank {bank}; PSUM has {PSUM_BANKS} banks "
                    f"of {PSUM_BANK_BYTES} bytes in a partition"
                )
        else:
            partition, byte = found
            limit = SBUF_BYTES[state.generation] - _RESERVED
            if byte < 0 or byte + size > limit:
                raise fail(f"{what}: block {block} lies at bytes {byte} to {byte + size}; SBUF has {limit}")
        _check_partition(what, block, partition, rows)


def _check_partition(what: str, block: tuple[int, ...], partition: int, rows: int) -> None:
    starts = next(starts for least, starts in _LINES if rows > least) if rows else (0,)
    if partition not in starts or partition + rows > PARTITIONS:
        raise fail(
            f"{what}: block {block} starts at partition {partition}; with {rows} partitions: one of {starts}"
        )


_NAMES = ("idx", "pdim_size", "fdim_size")


def _place(place: Place, block: tuple[int, ...], rows: int, size: int) -> tuple[int, ...]:
    """What ``alloc``'s function says; by its documented parameter names where it has them."""
    try:
        inspect.signature(place).bind(**dict.fromkeys(_NAMES))
    except (TypeError, ValueError):
        return place(block, rows, size)
    by_name: Callable[..., tuple[int, ...]] = place
    return by_name(idx=block, pdim_size=rows, fdim_size=size)


def modulo(base: tuple[int, ...], tiles: tuple[tuple[int, ...], ...]) -> Place:
    """Blocks take turns: each coordinate counts the tiles of ``tiles`` from ``base``, over and over.

    Coordinates are (partition, byte), in PSUM (bank, partition, byte).
    """

    def place(block: tuple[int, ...], rows: int, size: int) -> tuple[int, ...]:
        units = (1, rows, size)[-len(base) :]
        return tuple(
            first + _number(block, extents or (1,) * len(block)) * unit
            for first, extents, unit in zip(base, tiles, units, strict=True)
        )

    return place


def _number(block: tuple[int, ...], extents: tuple[int, ...]) -> int:
    if not block:
        return 0
    if len(extents) != len(block):
        raise fail(f"mod_alloc: {extents} must count the tiles of {len(block)} block dimensions")
    total = 0
    for index, extent in zip(block, extents, strict=True):
        total = total * extent + index % extent
    return total
