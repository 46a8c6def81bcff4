"""What index tiles cost: as strided views, and gathered as if they were not recognised as affine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.beta1.access import Access

REPEATS = 7
CALLS = 30


@nki.jit
def loads(x: Any) -> None:
    """``[128, 512]`` tiles of a matrix."""
    i, j = nl.mgrid[0:128, 0:512]
    for _ in range(CALLS):
        nl.load(x[i, j + 512])


@nki.jit
def even_columns(x: Any) -> None:
    """Every other column of a tile."""
    tile = nl.load(x[0:128])
    i, j = nl.arange(128)[:, None], nl.arange(512)[None, :]
    for _ in range(CALLS):
        nl.copy(tile[i, 2 * j])


@nki.jit
def poolings(x: Any) -> None:
    """2 × 2 windows of 32 × 32 pixels, through five index tiles."""
    tile = nl.load(x[0:128])
    image = tile.reshape((128, 32, 32))
    p, r, c, i, j = nl.mgrid[0:128, 0:16, 0:16, 0:2, 0:2]
    for _ in range(CALLS):
        nl.max(image[p, 2 * r + i, 2 * c + j], axis=[3, 4])


@nki.jit
def products(x: Any) -> None:
    """Tiles of a matmul, read and accumulated through index tiles."""
    tile = nl.load(x[0:128])
    i, j, k = nl.arange(128)[:, None], nl.arange(128)[None, :], nl.arange(512)[None, :]
    total = nl.zeros((128, 512), nl.float32, buffer=nl.psum)
    for block in range(CALLS):
        total[i, k] += nisa.nc_matmul(tile[i, block % 4 * 128 + j], tile[i, k + 512])


KERNELS = (loads, even_columns, poolings, products)


def fastest(kernel: Callable[..., Any], x: Any) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        kernel(x)
        times.append(time.perf_counter() - began)
    return min(times)


def report() -> None:
    """Print the table."""
    x = np.random.default_rng(0).standard_normal((256, 1024)).astype(np.float32)
    print("\n| access | view, µs | gather, µs | ratio |\n|---|---|---|---|")
    for kernel in KERNELS:
        views = fastest(kernel, x)
        with mock.patch.object(Access, "affine", False):
            gathers = fastest(kernel, x)
        text = (kernel.__doc__ or "").rstrip(".")
        print(f"| {text} | {views / CALLS * 1e6:.0f} | {gathers / CALLS * 1e6:.0f} | {gathers / views:.1f} |")


if __name__ == "__main__":
    report()
