"""Allocations in HBM, SBUF and PSUM.

On-chip tensors are laid out as rows of bytes, one for each partition. A tensor with an address is a window
into the core's one physical SBUF or PSUM, so that overlapping addresses really share bytes; one without gets
bytes of its own. New on-chip memory reads as NaN (floats) or 0x5A bytes until it is written (0xFF bytes, also
NaN, where it has an address); the poison is filled in only when something reads, or writes a part, before the
whole was written. HBM reads as zero, as kernels rely on.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .boxes import Box
from .dtypes import FLOAT, FLOAT8, Array, DType, fill
from .errors import SimulationError, fail
from .physical import PARTITIONS as PARTITIONS
from .physical import Physical
from .pool import LEAST, borrow, give_back

SBUF, PSUM, HBM, SHARED_HBM, PRIVATE_HBM = "sbuf", "psum", "hbm", "shared_hbm", "private_hbm"
OFF_CHIP = (HBM, SHARED_HBM, PRIVATE_HBM)
PSUM_BANK_BYTES = 2048
PSUM_BANKS = 8
PSUM_BYTES = PSUM_BANK_BYTES * PSUM_BANKS
SBUF_BYTES = {2: 192 << 10, 3: 224 << 10, 4: 256 << 10}
"""Bytes of one SBUF partition by generation (2: trn1, 3: trn2, 4: trn3), from NKI's architecture guides."""


class Storage:
    """One allocation.

    Attributes:
        raw: all bytes. pitch: bytes from one partition to the next, None for HBM. base: first byte of the
            allocation in ``raw``. rows, size: partitions, and bytes of one of them (1 and all, for HBM).
        fresh: nothing was written or read yet, so that the bytes are not even poisoned.
        written: for PSUM a flag for each byte that an instruction wrote, made when first needed;
        regions: the PSUM regions that a matmul has written as a whole, if any has, with boxes around them.
        watch, mark: a trace's.
        memory: the one that it has an address in, or None.
        known, sums, site: in strict mode a byte for each byte that says who wrote it (None: outside of
            kernels), for PSUM who wrote it through this allocation, and where the allocation is.
    """

    fresh = False
    written: Array | None = None
    regions: dict[Any, Any] | None = None
    watch: Any = None
    mark: Any = None
    known: Array | None = None
    sums: Array | None = None
    site: tuple[str, int] | None = None
    _pointer: int | None = None

    def __init__(
        self,
        raw: Array,
        pitch: int | None,
        size: int,
        rows: int,
        buffer: str,
        name: str,
        dtype: DType,
        base: int = 0,
        memory: Physical | None = None,
    ) -> None:
        self.raw = raw
        self.pitch = pitch
        self.size = size
        self.rows = rows
        self.buffer = buffer
        self.name = name
        self.dtype = dtype
        self.base = base
        self.memory = memory

    def __del__(self) -> None:
        ends = LEAST is None  # as the interpreter leaves it when it ends
        if not ends and self.pitch is not None and self.raw.nbytes >= LEAST:
            give_back(self)

    def move(self, raw: Array) -> None:
        """Be in other memory of the same size."""
        self.raw, self._pointer = raw, None

    @property
    def pointer(self) -> int:
        """The address of ``raw``."""
        if self._pointer is None:
            self._pointer = int(self.raw.__array_interface__["data"][0])
        return self._pointer

    def settle(self) -> None:
        """An instruction is about to write all of it, which is fresh."""
        self.fresh = False
        if self.memory is not None:
            self.memory.settle(self.box)

    @property
    def nbytes(self) -> int:
        """Bytes of the allocation itself."""
        return self.rows * self.size

    @property
    def box(self) -> Box:
        """Where it is on chip."""
        assert self.pitch is not None
        row, byte = divmod(self.base, self.pitch)
        return row, row + self.rows, byte, byte + self.size

    def poison(self) -> None:
        """Fill in what unwritten memory reads as."""
        self.fresh = False
        if self.memory is not None:
            self.memory.poison(self.box)
            return
        window = self.raw.view(self.dtype.numpy)
        if self.dtype.kind == FLOAT:
            fill(window, np.nan)
        else:
            window.view(np.uint8)[...] = 0xFF if self.dtype.kind == FLOAT8 else 0x5A


Allocation = tuple[Storage, Array]
"""A storage, and the array that shows it in the asked shape."""


def off_chip(shape: tuple[int, ...], dtype: DType, buffer: str, name: str) -> Allocation:
    """A zeroed HBM tensor."""
    count = prod(shape)
    raw = np.zeros(count * dtype.stored, np.uint8)
    storage = Storage(raw, None, raw.size, 1, buffer, name, dtype)
    return storage, np.ndarray(shape, dtype.numpy, buffer=raw)


def on_chip(
    shape: tuple[int, ...],
    dtype: DType,
    buffer: str,
    name: str,
    address: tuple[int, int] | None,
    physical: dict[str, Physical],
    generation: int,
) -> Allocation:
    """An SBUF or PSUM tensor; ``physical`` holds the core's memories that addressed tensors share.

    Raises SimulationError when it has too many partitions, is larger than a partition, or runs past the end.
    """
    capacity = PSUM_BYTES if buffer == PSUM else SBUF_BYTES[generation]
    rows, elements = shape[0], prod(shape[1:])
    row = elements * dtype.itemsize
    if rows > PARTITIONS or row > capacity:
        raise _too_large(_described(shape, dtype, buffer, name), buffer, rows, row, capacity)
    if address is None:
        stored = elements * dtype.stored
        raw = borrow(rows * stored)
        storage = Storage(raw, stored, stored, rows, buffer, name, dtype)
        storage.fresh = True
        return storage, np.ndarray(shape, dtype.numpy, raw)
    return _addressed(shape, dtype, buffer, name, address, physical, capacity, rows, row)


def _described(shape: tuple[int, ...], dtype: DType, buffer: str, name: str) -> str:
    return f"{buffer} tensor {name!r} of shape {list(shape)} {dtype}"


def _too_large(what: str, buffer: str, rows: int, row: int, capacity: int) -> SimulationError:
    if rows > PARTITIONS:
        return fail(
            f"{what}: {rows} partitions; the hardware has {PARTITIONS}. Dimension 0 is the partition."
        )
    return fail(f"{what}: {row} bytes in a partition; {buffer} has {capacity}")


def _misplaced(what: str, buffer: str, address: tuple[int, int], capacity: int) -> SimulationError:
    if buffer == PSUM and address[1] % PSUM_BANK_BYTES:
        return fail(
            f"{what} at byte {address[1]}: a PSUM address must start a bank, a multiple of {PSUM_BANK_BYTES}"
        )
    return fail(f"{what} at address {address} runs past the end of {buffer} ({capacity} bytes a partition)")


def _addressed(
    shape: tuple[int, ...],
    dtype: DType,
    buffer: str,
    name: str,
    address: tuple[int, int],
    physical: dict[str, Physical],
    capacity: int,
    rows: int,
    row: int,
) -> Allocation:
    partition, start = int(address[0]), int(address[1])
    outside = partition < 0 or start < 0 or partition + rows > PARTITIONS or start + row > capacity
    if outside or (buffer == PSUM and start % PSUM_BANK_BYTES):
        raise _misplaced(_described(shape, dtype, buffer, name), buffer, (partition, start), capacity)
    wide = dtype.stored // dtype.itemsize
    plane = f"{buffer} {wide}"
    if plane not in physical:
        physical[plane] = Physical(capacity * wide)
    memory = physical[plane]
    base = partition * memory.pitch + start * wide
    strides = [dtype.stored] * len(shape)
    for axis in range(len(shape) - 2, 0, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    strides[0] = memory.pitch
    storage = Storage(memory.raw, memory.pitch, row * wide, rows, buffer, name, dtype, base, memory)
    memory.reach(storage)
    return storage, np.ndarray(shape, dtype.numpy, buffer=memory.raw, offset=base, strides=strides)
