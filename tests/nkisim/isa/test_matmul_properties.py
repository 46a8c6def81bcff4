"""nc_matmul against float64 on random shapes, types, views and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tiles import got, psum, tile

from nkisim import isa as nisa
from nkisim.core.tensor import Tensor

NARROW = ("bfloat16", "float16", "float8_e4m3", "float8_e5m2")
KINDS = st.one_of(
    st.tuples(*(st.sampled_from(("float32", "tfloat32")),) * 2), st.tuples(*(st.sampled_from(NARROW),) * 2)
)


def view(rng: np.random.Generator, rows: int, columns: int, kind: str) -> Tensor:
    """``[rows, columns]`` somewhere in a larger tile, every element, every other one, or reversed."""
    step = int(rng.integers(1, 3))
    first, left = int(rng.integers(0, 129 - rows)), int(rng.integers(0, 4))
    values = rng.standard_normal((first + rows, left + columns * step))
    part = tile(values, kind)[first:, left : left + columns * step : step]
    return part[:, ::-1] if rng.integers(2) else part


def product(left: Tensor, right: Tensor) -> tuple[Any, Any]:
    """The product in float64, and the sum of the sizes of its terms: what rounding is relative to."""
    a, b = got(left).astype(np.float64), got(right).astype(np.float64)
    return a.T @ b, np.abs(a).T @ np.abs(b)


def rounding(terms: int) -> float:
    """Relative to the sizes of the terms: the most that ``terms`` float32 operations in a row lose, n u / (1 - n u).

    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3.) It holds in whatever order terms
    are added, so also for the engine's.
    """
    unit = 2.0**-24
    return terms * unit / (1 - terms * unit)


@settings(deadline=None, max_examples=60)
@given(
    kinds=KINDS,
    k=st.integers(1, 128),
    m=st.integers(1, 128),
    n=st.integers(1, 512),
    group=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_group_of_products(kinds: tuple[str, str], k: int, m: int, n: int, group: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    banks = psum((m, 2, 512))
    dst = banks[:, int(rng.integers(2)), 0:n]
    total, size = np.zeros((m, n)), np.zeros((m, n))
    for _ in range(group):
        left, right = view(rng, k, m, kinds[0]), view(rng, k, n, kinds[1])
        nisa.nc_matmul(dst, left, right)
        exact, terms = product(left, right)
        total += exact
        size += terms
    assert (
        np.abs(got(dst) - total) <= rounding(k + group) * size + k * group * np.finfo(np.float32).tiny
    ).all()
    assert np.isnan(got(banks)).all(axis=(0, 2)).sum() == 1


@settings(deadline=None, max_examples=40)
@given(
    kinds=KINDS,
    k=st.integers(1, 128),
    m=st.integers(1, 128),
    n=st.integers(1, 512),
    seed=st.integers(0, 2**32 - 1),
)
def test_small_integers_are_exact(kinds: tuple[str, str], k: int, m: int, n: int, seed: int) -> None:
    """Products and sums of integers below 2²⁴ lose nothing in float32, in any order."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-8, 9, (k, m)), rng.integers(-8, 9, (k, n))
    dst = psum((m, n))
    nisa.nc_matmul(dst, tile(a, kinds[0]), tile(b, kinds[1]))
    assert np.array_equal(got(dst), a.T @ b)
