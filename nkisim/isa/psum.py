"""What TensorE does to PSUM: the first matmul at a location overwrites it, later ones add to it.

An allocation starts unwritten, so a new ``nl.ndarray(..., buffer=nl.psum)`` starts a new accumulation group.
Writes of other engines do not count as the first one: a zeroed tile and an untouched one give the same. (Once
matmuls have overlapped in an allocation, flags tell what was written, and such writes set them too.)
"""

from __future__ import annotations

import numpy as np

from ..core.access import Dynamic
from ..core.boxes import Box, apart
from ..core.dtypes import Array, float32, store, up
from ..core.errors import SimulationError, fail
from ..core.memory import Storage
from ..core.scratch import scratch
from ..core.tensor import Tensor

WHOLE = "whole"
Region = tuple[int, tuple[int, ...], tuple[int, ...], int]
"""First byte in the storage, shape, strides in bytes, bytes of an element."""


def multiply_into(dst: Tensor, left: Array, right: Array, name: str) -> None:
    """``dst (+)= left.T @ right`` for float32 ``[K, M]`` and ``[K, N]``; ``dst`` has M partitions of N.

    Raises SimulationError when ``dst`` has another size.
    """
    if dst.dynamic is not None:
        dst = resolved(dst)
    into = dst.array if dst.partitioned else dst.array[None]
    rows, columns = shape = left.shape[1], right.shape[1]
    if into.shape != shape and (into.shape[0] != rows or into.size != rows * columns):
        raise fail(
            f"nisa.{name}: the result has {rows} partitions of {columns} elements (the free sizes of "
            f"stationary and moving), dst is a {dst!r}"
        )
    seen = _seen(dst, into)
    if seen is False and _direct(into, columns):
        dst.before_write()
        _product(left, right, into)
        return
    result = _product(left, right, scratch.take(shape))
    dst.before_write()
    _accumulate(into, result if into.shape == shape else result.reshape(into.shape), seen, dst)


def resolved(dst: Tensor) -> Tensor:
    """The destination with a dynamic address looked up."""
    if isinstance(dst.dynamic, SimulationError):
        raise dst.dynamic
    return dst.like(dst.dynamic.get()[0]) if isinstance(dst.dynamic, Dynamic) else dst


def _accumulate(into: Array, result: Array, seen: bool | Array, dst: Tensor) -> None:
    if seen is True and dst.dtype is float32:
        np.add(into, result, out=into)
    elif seen is False:
        store(into, result, dst.dtype)
    else:
        store(into, np.where(seen, up(into, dst.dtype) + result, result), dst.dtype)


def _seen(dst: Tensor, into: Array) -> bool | Array:
    """Whether a matmul has written these elements: all, none, or a flag for each; from now on it has."""
    storage = dst.storage
    regions = storage.regions
    if regions is None:
        regions = storage.regions = {}
    if WHOLE in regions:
        return True
    region = (dst.start_byte(), into.shape, into.strides, into.itemsize)
    if region in regions:
        return True
    if not regions and into.nbytes == storage.rows * storage.size:
        regions[WHOLE] = ()
        return False
    box = _box(storage, region)
    alone = not regions or (storage.written is None and apart(box, regions.values()))
    others = None if alone else list(regions)
    regions[region] = box
    return False if others is None else _flagged(storage, region, others)


def _flagged(storage: Storage, region: Region, others: list[Region]) -> bool | Array:
    if storage.written is None:
        storage.written = np.zeros(storage.raw.size, np.bool_)
        for other in others:
            _flags(storage.written, other)[...] = True
    flags = _flags(storage.written, region)
    before = flags[..., 0].copy()
    flags[...] = True
    if before.all():
        return True
    return before if before.any() else False


def _flags(written: Array, region: Region) -> Array:
    """A flag for each byte of a region, bytes of an element last."""
    start, shape, strides, size = region
    flags: Array = np.ndarray((*shape, size), np.bool_, buffer=written, offset=start, strides=(*strides, 1))
    return flags


def _box(storage: Storage, region: Region) -> Box:
    """A box around a region, perhaps a larger one."""
    start, shape, strides, size = region
    pitch = storage.pitch or 1
    first, length = start - storage.base, size
    for n, stride in zip(shape, strides, strict=True):
        if stride < 0:
            first += (n - 1) * stride
    for n, stride in zip(shape[1:], strides[1:], strict=True):
        length += (n - 1) * abs(stride)
    row, byte = divmod(first, pitch)
    if byte + length > pitch:  # free dimensions that move over partitions
        return 0, storage.rows, 0, pitch
    return row, row + 1 + abs((shape[0] - 1) * strides[0]) // pitch, byte, byte + length


def _direct(into: Array, columns: int) -> bool:
    """Whether BLAS can write the destination itself."""
    flat = into.ndim == 2 and into.dtype == np.float32 and into.strides[1] == 4
    return flat and into.strides[0] >= 4 * columns


def _dense(matrix: Array) -> Array:
    """The matrix with neighbouring elements next to each other, as BLAS needs it."""
    if matrix.flags.c_contiguous:
        return matrix
    steps = matrix.strides
    if steps[1] == 4 and steps[0] >= 4 * matrix.shape[1]:
        return matrix
    return np.ascontiguousarray(matrix)


def _product(left: Array, right: Array, into: Array) -> Array:
    if len(left) == 1:
        # BLAS is slow here. It adds up from 0, so that no result is -0.
        np.multiply(left.T, right, out=into)
        return np.add(into, np.float32(0), out=into)
    return np.matmul(_dense(left).T, _dense(right), out=into)
