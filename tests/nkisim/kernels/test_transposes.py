"""Transposing matrices of any size by tiles, on every engine that can; and of two free dimensions."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim.core.running import run
from nkisim.core.tensor import Tensor as ndarray

RNG = np.random.default_rng(41)


def transpose_by_tiles(a: Any, engine: str) -> Any:
    """Tiles of 128 × 128 through PSUM on TensorE, 32 × 32 in SBUF on VectorE, or by DMA."""
    rows, columns = a.shape
    side = 32 if engine == "vector" else 128
    out = ndarray((columns, rows), dtype=a.dtype, buffer="shared_hbm")
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            high, wide = min(side, rows - top), min(side, columns - left)
            part = a[top : top + high, left : left + wide]
            tile = ndarray((wide, high), dtype=a.dtype, buffer="sbuf")
            if engine == "dma":
                nisa.dma_transpose(dst=tile, src=part)
            else:
                turn_tile(tile, part, engine)
            nisa.dma_copy(dst=out[left : left + wide, top : top + high], src=tile)
    return out


def turn_tile(tile: Any, part: Any, engine: str) -> None:
    source = ndarray(part.shape, dtype=part.dtype, buffer="sbuf")
    nisa.dma_copy(dst=source, src=part)
    if engine == "vector":
        nisa.nc_transpose(dst=tile, data=source, engine=nisa.vector_engine)
        return
    flipped = ndarray(tile.shape, dtype=part.dtype, buffer="psum")
    nisa.nc_transpose(dst=flipped, data=source)
    nisa.tensor_copy(dst=tile, src=flipped)


@pytest.mark.parametrize("engine", ["tensor", "vector", "dma"])
@pytest.mark.parametrize("shape", [(128, 128), (300, 77), (1, 200), (64, 1)])
@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_transpose(engine: str, shape: tuple[int, int], kind: Any) -> None:
    a = RNG.standard_normal(shape).astype(kind)
    np.testing.assert_array_equal(run(transpose_by_tiles, (), (a, engine), {}), a.T)


def swap_free_dimensions(a: Any, shape: tuple[int, int]) -> Any:
    """``[P, F1 * F2]`` to ``[P, F2 * F1]`` with a copy for each element of the first free dimension."""
    first, second = shape
    out = ndarray(a.shape, dtype=a.dtype, buffer="shared_hbm")
    source = ndarray(a.shape, dtype=a.dtype, buffer="sbuf")
    nisa.dma_copy(dst=source, src=a)
    target = ndarray(a.shape, dtype=a.dtype, buffer="sbuf")
    for i in range(first):
        width = first * second
        nisa.tensor_copy(
            dst=target.ap([[width, a.shape[0]], [first, second]], offset=i),
            src=source[:, i * second : (i + 1) * second],
        )
    nisa.dma_copy(dst=out, src=target)
    return out


@pytest.mark.parametrize("shape", [(3, 4), (1, 8), (16, 5)])
def test_swap_of_free_dimensions(shape: tuple[int, int]) -> None:
    a = RNG.standard_normal((7, shape[0] * shape[1])).astype(np.float32)
    expected = a.reshape(7, *shape).transpose(0, 2, 1).reshape(7, -1)
    np.testing.assert_array_equal(run(swap_free_dimensions, (), (a, shape), {}), expected)
