"""``nisa.nc_matmul`` on TensorE."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.context import state
from ..core.dtypes import Array
from ..core.errors import fail
from ..core.memory import PSUM, PSUM_BANK_BYTES, SBUF
from ..core.tensor import Tensor
from .common import instruction, operand
from .constants import matmul_perf_mode
from .psum import multiply_into, resolved

# Types by name: looking up a string is much faster than comparing element types.
FLOAT8S = dict.fromkeys(("float8_e4m3", "float8_e5m2"))
WIDE = dict.fromkeys(("float32", "tfloat32"))
INPUTS = dict.fromkeys((*FLOAT8S, "float8_e4m3fn", "bfloat16", "float16", *WIDE))
_NONE, _DOUBLE_ROW = matmul_perf_mode.none, matmul_perf_mode.double_row
_SBUF, _PSUM = (SBUF,), (PSUM,)
_SIDES = ("partitions", "elements in a partition")
MOVING_LIMIT = {"float32": 4096, "bfloat16": 8192}
"""Largest free size of ``moving`` on gen4, by the destination's type; before, it is 512."""


@instruction
def nc_matmul(
    dst: Any,
    stationary: Any,
    moving: Any,
    is_stationary_onezero: bool = False,
    is_moving_onezero: bool = False,
    is_transpose: bool = False,
    tile_position: Any = (),
    tile_size: Any = (),
    perf_mode: Any = _NONE,
    name: str | None = None,
) -> None:
    """``dst[M, N] (+)= stationary[K, M].T @ moving[K, N]`` in float32, on TensorE.

    The first matmul at a PSUM location overwrites it, later ones add to it (see :mod:`.psum`). K lies on the
    partitions; the other dimensions of an operand count as one. With ``double_row`` operands are
    ``[K, 2, …]`` and both leading dimensions are contracted. With ``is_transpose`` and an identity as
    ``moving``, from gen3 on, ``dst`` is the bit-exact transpose of ``stationary`` and has its type; nothing
    is added up.

    Args:
        dst: PSUM, float32; on gen4 bfloat16 too (added in float32, rounded when written).
        stationary, moving: SBUF, 8- and 16-bit floats, or both float32/tfloat32. K ≤ 128, M ≤ 128;
            N ≤ 512, on gen4 4096 for a float32 and 8192 for a bfloat16 ``dst``.
        is_stationary_onezero, is_moving_onezero: hints without an effect on values.
        tile_position, tile_size: part of the array of processing elements, as (row, column); both or none.
        perf_mode: ``double_row`` for 8-bit floats, from gen3 on.

    Raises SimulationError when a limit is exceeded, sizes differ, or buffers or types are not allowed.
    """
    mode = perf_mode if isinstance(perf_mode, matmul_perf_mode) else matmul_perf_mode(perf_mode)
    doubled = mode is _DOUBLE_ROW
    _check_types(dst, stationary, moving, doubled)
    left, right = _matrix(stationary, mode, "stationary"), _matrix(moving, mode, "moving")
    if left.shape[0] != right.shape[0]:
        raise fail(
            f"nisa.nc_matmul: the contraction differs: stationary is a {stationary!r}, moving a {moving!r}; "
            "their partitions must match"
        )
    if doubled and tile_size and int(tile_size[1]) != 128:
        raise fail(f"nisa.nc_matmul: double_row excludes column tiling, tile_size is {tuple(tile_size)}")
    check_tile("nc_matmul", tile_position, tile_size, left.shape[0] >> doubled, left.shape[1])
    if is_transpose and state.generation >= 3 and _is_identity(right):
        _transpose(dst, stationary)
        return
    _check_dst(dst, right.shape[1])
    multiply_into(dst, left, right, "nc_matmul")


def _check_types(dst: Tensor, stationary: Tensor, moving: Tensor, doubled: bool) -> None:
    operand(dst, "nc_matmul", "dst", _PSUM)
    operand(stationary, "nc_matmul", "stationary", _SBUF)
    operand(moving, "nc_matmul", "moving", _SBUF)
    first, second = stationary.dtype.name, moving.dtype.name
    types = FLOAT8S if doubled else INPUTS
    if first not in types or second not in types:
        when = " with double_row" if doubled else ""
        _allowed(stationary, "stationary", types, when)
        _allowed(moving, "moving", types, when)
    if (first in WIDE) is not (second in WIDE):
        raise fail(
            f"nisa.nc_matmul: stationary is {first}, moving is {second}; float32 and tfloat32 mix with each "
            "other only"
        )
    if doubled and state.generation < 3:
        raise fail("nisa.nc_matmul: perf_mode double_row needs NeuronCore-v3 or newer")


def _allowed(tensor: Tensor, what: str, types: Collection[str], when: str) -> None:
    if tensor.dtype.name not in types:
        raise fail(f"nisa.nc_matmul: {what} is a {tensor!r}; allowed types{when}: {', '.join(types)}")


def _matrix(tensor: Tensor, mode: matmul_perf_mode, what: str) -> Array:
    """An operand as float32 ``[K, free]``."""
    values = tensor.read()
    if mode is _NONE:
        return values if values.ndim == 2 else values.reshape(values.shape[0], -1)
    if values.ndim < 3 or values.shape[1] != 2:
        raise fail(f"nisa.nc_matmul: {what} is a {tensor!r}; with double_row dimension 1 must be 2")
    return values.reshape(values.shape[0] * 2, -1)


def _check_dst(dst: Tensor, columns: int) -> None:
    newest = state.generation >= 4
    if newest or dst.dtype is not dtypes.float32:
        _allowed(dst, "dst", MOVING_LIMIT if newest else ("float32",), f" on gen{state.generation}")
    limit = MOVING_LIMIT[dst.dtype.name] if newest else 512
    if columns > limit:
        raise fail(f"nisa.nc_matmul: moving has {columns} elements in a partition, the most is {limit}")
    check_bank("nc_matmul", dst)


def check_bank(name: str, dst: Tensor) -> None:
    """Before gen4 TensorE writes to one PSUM bank. A tile starts with a bank. Raises SimulationError."""
    if state.generation >= 4 or dst.storage.size <= PSUM_BANK_BYTES:
        return
    dst = resolved(dst)
    assert dst.storage.pitch is not None
    first, array = (dst.start_byte() - dst.storage.base) % dst.storage.pitch, dst.array
    low, high = _reach(first, array.shape[dst.partitioned :], array.strides[dst.partitioned :])
    if low // PSUM_BANK_BYTES != high // PSUM_BANK_BYTES:
        raise fail(
            f"nisa.{name}: dst is a {dst!r} in bytes {low} to {high + array.itemsize - 1} of a "
            f"partition; TensorE writes to one PSUM bank, which has {PSUM_BANK_BYTES}"
        )


@lru_cache(maxsize=1024)
def _reach(first: int, counts: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """The lowest and the highest byte at which an element of a partition starts."""
    ends = [(count - 1) * stride for count, stride in zip(counts, strides, strict=True)]
    return first + sum(end for end in ends if end < 0), first + sum(end for end in ends if end > 0)


def check_tile(name: str, position: Any, size: Any, rows: int, columns: int) -> None:
    """Check that a stationary tile of ``rows × columns`` fits the part of the array it is put on.

    A part is 32 (from gen3 on), 64 or 128 wide; sizes between take the next of these.
    Raises SimulationError when it does not fit.
    """
    if not position and not size and columns <= 128:
        return
    if bool(position) != bool(size):
        raise fail(f"nisa.{name}: tile_position and tile_size must be given together")
    starts, sizes = (position, size) if size else ((0, 0), (128, 128))
    start, extent = (int(starts[0]), int(starts[1])), (int(sizes[0]), int(sizes[1]))
    problem = _misfit(start, extent, (rows, columns), state.generation)
    if problem:
        raise fail(f"nisa.{name}: {problem}")


@lru_cache(maxsize=1024)
def _misfit(starts: tuple[int, int], sizes: tuple[int, int], used: tuple[int, int], generation: int) -> str:
    """Why a stationary tile does not fit, or nothing."""
    slots = (32, 64, 128) if generation >= 3 else (64, 128)
    for start, extent, most, what in zip(starts, sizes, used, _SIDES, strict=True):
        slot = next((s for s in slots if extent <= s), 0)
        if slot == 0 or extent < 1:
            return f"tile_size {sizes}; a side is one of {slots}"
        if start % slot or not 0 <= start <= 128 - slot:
            return f"tile_position {starts}; {start} is no multiple of {slot} below 128"
        if most > extent:
            return f"stationary has {most} {what}, the most is {extent}"
    return ""


def _is_identity(matrix: Array) -> bool:
    rows, columns = matrix.shape
    return rows == columns and np.array_equal(matrix, _identity(rows))


@lru_cache(maxsize=8)
def _identity(size: int) -> Array:
    return np.eye(size, dtype=np.float32)


def _transpose(dst: Tensor, stationary: Tensor) -> None:
    raw = stationary.read_raw()
    flipped = raw.reshape(raw.shape[0], -1).T
    rows = dst.shape[0] if dst.partitioned else 1
    fits = dst.size == flipped.size and rows == flipped.shape[0]
    if dst.dtype not in (stationary.dtype, dtypes.float32) or not fits:
        raise fail(
            f"nisa.nc_matmul: the transpose of stationary, a {stationary!r}, does not fit dst, a {dst!r}"
        )
    check_bank("nc_matmul", dst)
    dst.write(flipped if dst.dtype is stationary.dtype else dtypes.up(flipped, stationary.dtype))
