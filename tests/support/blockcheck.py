"""Kernels around blocks: inputs, tiles that hold them, and outputs that hold a tile."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import nki.isa as nisa
import nki.language as nl
import numpy as np
from kernels import normal

BF16, FP16, FP32 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16), np.dtype(np.float32)
FP8 = np.dtype(ml_dtypes.float8_e4m3)
"""nl.float8_e4m3: largest finite value 240."""


def drawn(shape: tuple[int, ...], dtype: Any = BF16, seed: int = 0, scale: float = 1.0) -> Any:
    """Normally distributed values, bfloat16 unless said otherwise."""
    return normal(shape, dtype, seed, scale)


class NoTileError(Exception):
    """A caller wants a tile of more partitions than SBUF has: no kernel can ever be given it."""


def possible(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a tile; NoTileError if there cannot be one."""
    if shape[0] > nl.tile_size.pmax:
        raise NoTileError(f"a tile {shape} would have {shape[0]} partitions")
    return shape


def in_sbuf(x: Any, dtype: Any = None) -> Any:
    """An HBM tensor ``[P ≤ 128, …]`` as a tile."""
    possible(x.shape)
    tile = nl.ndarray(x.shape, dtype=dtype or x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    return tile


def sbuf(shape: tuple[int, ...], dtype: Any = nl.float32) -> Any:
    return nl.ndarray(shape, dtype=dtype, buffer=nl.sbuf)


def in_hbm(tile: Any) -> Any:
    """A tile of SBUF or PSUM as an output of the kernel."""
    if tile.buffer == nl.psum:
        copy = nl.ndarray(tile.shape, dtype=tile.dtype, buffer=nl.sbuf)
        nisa.tensor_copy(dst=copy, src=tile)
        tile = copy
    out = nl.ndarray(tile.shape, dtype=tile.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=tile)
    return out


def per_core(tile: Any) -> Any:
    """What each core has in a tile, as an output ``[cores, …]``."""
    count, index = (nl.num_programs(0), nl.program_id(0)) if nl.program_ndim() else (1, 0)
    out = nl.ndarray((count, *tile.shape), dtype=tile.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out[index], src=tile)
    return out
