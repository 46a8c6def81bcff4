"""A tiled matmul, its three loops in every order, against float64."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim.core import operators as nl
from nkisim.core.running import run
from nkisim.core.tensor import Tensor as ndarray

ROWS, DEEP, WIDE = 128, 128, 512
"""Sizes of a tile: M, K and N."""
ORDERS = ["".join(order) for order in permutations("mkn")]
RNG = np.random.default_rng(31)


def loaded(source: Any) -> Any:
    tile = ndarray(source.shape, dtype=source.dtype, buffer="sbuf")
    nisa.dma_copy(dst=tile, src=source)
    return tile


def left_tile(a: Any, m: int, k: int) -> Any:
    """``a[m, k]`` transposed by TensorE, as the stationary operand needs it."""
    rows = loaded(a[m * ROWS : (m + 1) * ROWS, k * DEEP : (k + 1) * DEEP])
    flipped = ndarray((DEEP, ROWS), dtype=a.dtype, buffer="psum")
    nisa.nc_transpose(dst=flipped, data=rows)
    tile = ndarray((DEEP, ROWS), dtype=a.dtype, buffer="sbuf")
    nisa.tensor_copy(dst=tile, src=flipped)
    return tile


def right_tile(b: Any, k: int, n: int) -> Any:
    return loaded(b[k * DEEP : (k + 1) * DEEP, n * WIDE : (n + 1) * WIDE])


def store(c: Any, m: int, n: int, total: Any) -> None:
    tile = ndarray((ROWS, WIDE), dtype=c.dtype, buffer="sbuf")
    nisa.tensor_copy(dst=tile, src=total)
    nisa.dma_copy(dst=c[m * ROWS : (m + 1) * ROWS, n * WIDE : (n + 1) * WIDE], src=tile)


def counts(a: Any, b: Any) -> dict[str, int]:
    return {"m": a.shape[0] // ROWS, "k": a.shape[1] // DEEP, "n": b.shape[1] // WIDE}


def places(count: dict[str, int], order: str) -> list[dict[str, int]]:
    """The tiles' numbers in the order that three loops give, the outermost first in ``order``."""
    found = []
    for first in range(count[order[0]]):
        for second in range(count[order[1]]):
            for third in range(count[order[2]]):
                found.append({order[0]: first, order[1]: second, order[2]: third})
    return found


def matmul_in_psum(a: Any, b: Any, order: str) -> Any:
    """Every result tile has a bank of PSUM; products arrive in the order of the loops."""
    c = ndarray((a.shape[0], b.shape[1]), dtype="float32", buffer="shared_hbm")
    count = counts(a, b)
    banks = ndarray((ROWS, count["m"] * count["n"], WIDE), dtype="float32", buffer="psum")
    for at in places(count, order):
        bank = banks[:, at["m"] * count["n"] + at["n"]]
        nisa.nc_matmul(
            dst=bank, stationary=left_tile(a, at["m"], at["k"]), moving=right_tile(b, at["k"], at["n"])
        )
    for m in range(count["m"]):
        for n in range(count["n"]):
            store(c, m, n, banks[:, m * count["n"] + n])
    return c


def matmul_in_sbuf(a: Any, b: Any, order: str) -> Any:
    """Every product has a PSUM tile of its own; sums are made in SBUF."""
    c = ndarray((a.shape[0], b.shape[1]), dtype="float32", buffer="shared_hbm")
    count = counts(a, b)
    totals = []
    for _ in range(count["m"] * count["n"]):
        total = ndarray((ROWS, WIDE), dtype="float32", buffer="sbuf")
        nisa.memset(total, 0.0)
        totals.append(total)
    for at in places(count, order):
        part = ndarray((ROWS, WIDE), dtype="float32", buffer="psum")
        nisa.nc_matmul(
            dst=part, stationary=left_tile(a, at["m"], at["k"]), moving=right_tile(b, at["k"], at["n"])
        )
        total = totals[at["m"] * count["n"] + at["n"]]
        nisa.tensor_tensor(dst=total, data1=total, data2=part, op=nl.add)
    for m in range(count["m"]):
        for n in range(count["n"]):
            store(c, m, n, totals[m * count["n"] + n])
    return c


@pytest.mark.parametrize("kernel", [matmul_in_psum, matmul_in_sbuf])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_every_loop_order(kernel: Any, order: str, kind: Any) -> None:
    a, b = RNG.standard_normal((256, 384)).astype(kind), RNG.standard_normal((384, 1024)).astype(kind)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    result = run(kernel, (), (a, b, order), {})
    assert np.abs(result - expected).max() <= 2e-6 * np.abs(expected).max()


def test_loop_orders_change_the_order_of_loads_only() -> None:
    a, b = RNG.standard_normal((2, 256, 1024)).astype(np.float32)
    results = [run(matmul_in_psum, (), (a[:, :256].copy(), b, order), {}) for order in ORDERS]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def matmul_by_free_dimension(a: Any, b: Any) -> Any:
    """K is split over partitions and a free dimension: ``b[p, s, n]`` is row ``p * S + s``."""
    deep = a.shape[1]
    steps = deep // DEEP
    c = ndarray((a.shape[0], b.shape[1]), dtype="float32", buffer="shared_hbm")
    left = ndarray((DEEP, steps, a.shape[0]), dtype=a.dtype, buffer="sbuf")
    right = ndarray((DEEP, steps, b.shape[1]), dtype=b.dtype, buffer="sbuf")
    nisa.dma_copy(dst=left, src=a.ap([[steps, DEEP], [1, steps], [deep, a.shape[0]]]))
    nisa.dma_copy(dst=right, src=b.reshape((DEEP, steps, b.shape[1])))
    total = ndarray((a.shape[0], b.shape[1]), dtype="float32", buffer="psum")
    for step in range(steps):
        nisa.nc_matmul(total, left[:, step], right[:, step])
    out = ndarray(total.shape, dtype="float32", buffer="sbuf")
    nisa.tensor_copy(out, total)
    nisa.dma_copy(dst=c, src=out)
    return c


def test_contraction_over_a_free_dimension() -> None:
    a, b = (
        RNG.standard_normal((96, 512)).astype(np.float32),
        RNG.standard_normal((512, 200)).astype(np.float32),
    )
    expected = a.astype(np.float64) @ b.astype(np.float64)
    result = run(matmul_by_free_dimension, (), (a, b), {})
    assert np.abs(result - expected).max() <= 2e-6 * np.abs(expected).max()
