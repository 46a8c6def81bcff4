"""Microscaling: ``nisa.nc_matmul_mx`` and ``nisa.quantize_mx`` (gen4).

A packed element holds four values, the first in the lowest bits. One scale, a byte s that stands for
``2 ** (s - 127)``, belongs to 8 partitions × 4 values. Scales of a tile of up to 32 partitions lie dense, in
partitions 0 … P/8 - 1. Those of a larger tile lie in partitions 0..3 of each quadrant of 32, counted from the
scale tile's first partition, which may be 0, 4, 8 or 12 of a quadrant: four tiles can share an allocation.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from ..core import dtypes
from ..core.context import state
from ..core.dtypes import Array, DType
from ..core.errors import fail
from ..core.memory import PSUM, SBUF
from ..core.tensor import Tensor
from .common import instruction, operand
from .matmul import check_tile
from .psum import multiply_into, resolved

GROUP = 8
"""Partitions that share a scale."""
BYTES = {
    dtypes.float8_e4m3fn_x4: dtypes.float8_e4m3fn,
    dtypes.float8_e5m2_x4: dtypes.float8_e5m2,
}
LARGEST = {dtypes.float8_e4m3fn_x4: (8, 448.0), dtypes.float8_e5m2_x4: (15, 57344.0)}
"""Exponent of the largest value, and that value."""
PACKED = (*BYTES, dtypes.float4_e2m1fn_x4)
NIBBLES = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
MOVING_LIMIT = {dtypes.float32: 512, dtypes.bfloat16: 1024}
scale_shift = 0
"""Added to the scales that ``quantize_mx`` picks: 0 as kernels of 2.28 expect, 1 as 2.32 has it."""


@instruction
def nc_matmul_mx(
    dst: Any,
    stationary: Any,
    moving: Any,
    stationary_scale: Any,
    moving_scale: Any,
    tile_position: Any = None,
    tile_size: Any = None,
    name: str | None = None,
) -> None:
    """``dst[i, j] (+)= Σ_k Σ_q stationary[k, i, q] · moving[k, j, q]`` of scaled values, on TensorE of gen4.

    k is the partition, q the value in a packed element. Accumulation in PSUM is that of ``nc_matmul``.

    Args:
        dst: PSUM, float32 or bfloat16 (added in float32).
        stationary, moving: SBUF, float8_e4m3fn_x4, float8_e5m2_x4 or float4_e2m1fn_x4, which may differ; 32,
            64, 96 or 128 partitions; an even number of up to 128 elements, and up to 512 (1024 for a bfloat16
            ``dst``).
        stationary_scale, moving_scale: SBUF, uint8, as the module says; further columns are unused.
        tile_position, tile_size: rows of the array of processing elements, as (row, 0) and (rows, 128).

    Raises SimulationError on other generations, and when types, sizes, buffers or scales do not fit.
    """
    _gen4("nc_matmul_mx")
    operand(dst, "nc_matmul_mx", "dst", (PSUM,))
    _allowed(dst, "nc_matmul_mx", "dst", tuple(MOVING_LIMIT))
    left = _scaled(stationary, stationary_scale, "stationary")
    right = _scaled(moving, moving_scale, "moving")
    rows, columns = left.shape[0] // 4, left.shape[1]
    if left.shape[0] != right.shape[0]:
        raise fail(
            f"nisa.nc_matmul_mx: stationary is a {stationary!r}, moving a {moving!r}; their partitions "
            "must match"
        )
    check_tile("nc_matmul_mx", tile_position, tile_size, rows, columns)
    if tile_size and int(tile_size[1]) != 128:
        raise fail(
            f"nisa.nc_matmul_mx: tile_size is {tuple(tile_size)}; only rows can be tiled, columns are 128"
        )
    if columns % 2:
        raise fail(f"nisa.nc_matmul_mx: stationary is a {stationary!r}; its elements must be even in number")
    if right.shape[1] > MOVING_LIMIT[dst.dtype]:
        raise fail(
            f"nisa.nc_matmul_mx: moving has {right.shape[1]} elements in a partition, the most is "
            f"{MOVING_LIMIT[dst.dtype]} for a {dst.dtype} dst"
        )
    multiply_into(dst, left, right, "nc_matmul_mx")


@instruction
def quantize_mx(dst: Any, src: Any, dst_scale: Any, name: str | None = None) -> None:
    """8-bit values and their scales, on VectorE of gen4: ``dst = src / 2**(s - 127)``, rounded and saturated.

    For each group of 8 partitions × 4 elements, ``s`` is the largest biased exponent of a float32 in it minus
    that of the type's largest value (8 for e4m3, 15 for e5m2), at least 0.

    Args:
        dst: SBUF, float8_e4m3fn_x4 or float8_e5m2_x4, a quarter of the elements of ``src``.
        src: SBUF, bfloat16 or float16; 32, 64, 96 or 128 partitions, a multiple of 4 elements in each.
        dst_scale: SBUF, uint8, one column for each of ``dst``; laid out as the module says.

    Raises SimulationError on other generations, and when types, sizes, buffers or scales do not fit.
    """
    _gen4("quantize_mx")
    for tensor, what in ((dst, "dst"), (src, "src"), (dst_scale, "dst_scale")):
        operand(tensor, "quantize_mx", what, (SBUF,))
    _allowed(src, "quantize_mx", "src", (dtypes.bfloat16, dtypes.float16))
    _allowed(dst, "quantize_mx", "dst", tuple(BYTES))
    values = src.read()
    values = values.reshape(values.shape[0], -1)
    rows, columns = values.shape
    _partitions(src, rows, "quantize_mx", "src")
    if columns % 4 or dst.shape[0] != rows or dst.size * 4 != values.size:
        raise fail(
            f"nisa.quantize_mx: src is a {src!r}, dst a {dst!r}; src must have a multiple of 4 elements in a "
            "partition, dst as many partitions and a quarter of the elements"
        )
    scales = _choose(values, dst.dtype)
    _write_scales(dst_scale, scales, rows)
    dst.write(_encode(values, scales, dst.dtype).reshape(dst.shape))


def _gen4(name: str) -> None:
    if state.generation < 4:
        raise fail(f"nisa.{name}: needs NeuronCore-v4, the target is gen{state.generation}")


def _allowed(tensor: Tensor, name: str, what: str, types: tuple[DType, ...]) -> None:
    if tensor.dtype not in types:
        raise fail(f"nisa.{name}: {what} is a {tensor!r}; allowed types: {', '.join(t.name for t in types)}")


def _partitions(tensor: Tensor, rows: int, name: str, what: str) -> None:
    if rows % 32:
        raise fail(f"nisa.{name}: {what} is a {tensor!r}; it must have 32, 64, 96 or 128 partitions")


# -- values -------------------------------------------------------------------------------------------


def unpack(raw: Array, dtype: DType) -> Array:
    """The values of a packed array ``[P, …]`` as float32 ``[P, F, 4]``."""
    data = np.ascontiguousarray(raw).reshape(raw.shape[0], -1).view(np.uint8)
    if dtype is dtypes.float4_e2m1fn_x4:
        halves = np.stack((data & 15, data >> 4), axis=-1)
        values: Array = NIBBLES.take(halves)
        return values.reshape(raw.shape[0], -1, 4)
    narrow = BYTES[dtype]
    return dtypes.up(data.view(narrow.numpy), narrow).reshape(raw.shape[0], -1, 4)


def _scaled(tensor: Tensor, scale: Tensor, what: str) -> Array:
    """An operand as float32 ``[4 P, F]``, its values times their scales."""
    operand(tensor, "nc_matmul_mx", what, (SBUF,))
    operand(scale, "nc_matmul_mx", f"{what}_scale", (SBUF,))
    _allowed(tensor, "nc_matmul_mx", what, PACKED)
    raw = tensor.read_raw()
    _partitions(tensor, raw.shape[0], "nc_matmul_mx", what)
    values = unpack(raw, tensor.dtype)
    rows, columns = values.shape[:2]
    places = scale_places(scale, rows, "nc_matmul_mx", f"{what}_scale")
    scales = places.reshape(rows // GROUP, -1)[:, :columns]
    if scales.shape[1] < columns:
        raise fail(f"nisa.nc_matmul_mx: {what}_scale is a {scale!r}; {what} has {columns} columns")
    values *= np.repeat(_factors(scales), GROUP, axis=0)[:, :, None]
    flat: Array = values.transpose(0, 2, 1).reshape(rows * 4, columns)
    return flat


def _factors(scales: Array) -> Array:
    factors: Array = np.ldexp(np.float32(1), scales.astype(np.int32) - 127)
    return factors


def _choose(values: Array, dtype: DType) -> Array:
    """A scale for each group, ``[P / 8, F / 4]``."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    exponents = (bits >> 23 & 255).astype(np.int32).reshape(len(values) // GROUP, GROUP, -1, 4)
    scales: Array = np.maximum(exponents.max(axis=(1, 3)) - LARGEST[dtype][0] + scale_shift, 0)
    return scales.astype(np.uint8)


def _encode(values: Array, scales: Array, dtype: DType) -> Array:
    shift = 127 - np.repeat(np.repeat(scales.astype(np.int32), GROUP, axis=0), 4, axis=1)
    largest = np.float32(LARGEST[dtype][1])
    codes = np.empty(values.shape, BYTES[dtype].numpy)
    dtypes.store(codes, np.clip(np.ldexp(values, shift), -largest, largest), BYTES[dtype])
    packed: Array = codes.view(np.uint8).view(dtype.numpy)
    return packed


# -- scales -------------------------------------------------------------------------------------------


def scale_places(scale: Tensor, rows: int, name: str, what: str) -> Array:
    """The bytes ``[rows / 8, …]`` that hold the scales of a tile of so many partitions, as a view.

    They are looked up in the allocation, as the scale tile may be a slice of four of its partitions.
    Raises SimulationError for another type or first partition, or when the allocation ends too early.
    """
    _allowed(scale, name, what, (dtypes.uint8,))
    scale = resolved(scale)
    storage, array = scale.storage, scale.array if scale.partitioned else scale.array[None]
    assert storage.pitch is not None
    if storage.fresh:
        storage.poison()
    first = (scale.start_byte() - storage.base) // storage.pitch
    if first % 32 not in (0, 4, 8, 12):
        raise fail(f"nisa.{name}: {what}, a {scale!r}, starts at partition {first}, not at 0, 4, 8, 12 of 32")
    quadrants, each = (1, rows // GROUP) if rows <= 32 else (rows // 32, 4)
    if first + (quadrants - 1) * 32 + each > storage.rows:
        raise fail(
            f"nisa.{name}: {what} is a {scale!r} of an allocation with {storage.rows} partitions; scales of "
            f"{rows} partitions end at partition {first + (quadrants - 1) * 32 + each}"
        )
    places: Array = np.ndarray(
        (quadrants, each, *array.shape[1:]),
        np.uint8,
        buffer=storage.raw,
        offset=scale.start_byte(),
        strides=(32 * storage.pitch, storage.pitch, *array.strides[1:]),
    )
    return places


def _write_scales(dst_scale: Tensor, scales: Array, rows: int) -> None:
    places = scale_places(dst_scale, rows, "quantize_mx", "dst_scale")
    if places.size != scales.size:
        raise fail(
            f"nisa.quantize_mx: dst_scale is a {dst_scale!r}; a partition has {scales.shape[1]} scales"
        )
    places[...] = scales.reshape(places.shape)
