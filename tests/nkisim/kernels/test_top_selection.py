"""The largest values of each row and where they stand, eight at a time, against sorting."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.kernel import jit

RNG = np.random.default_rng(71)
BELOW_ALL = -3e38


def selected(x: Any, values: Any, places: Any, searches: bool) -> None:
    """Fill ``values`` and ``places``; each round takes eight and strikes them out of a copy of ``x``."""
    rows, columns = x.shape
    left = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=left, src=x)
    for first in nl.sequential_range(0, values.shape[1], 8):
        best, where = values[:, first : first + 8], places[:, first : first + 8]
        nisa.max8(dst=best, src=left)
        if searches:
            nisa.nc_find_index8(dst=where, data=left, vals=best)
            nisa.nc_match_replace8(dst=left, data=left, vals=best, imm=BELOW_ALL)
        else:
            nisa.nc_match_replace8(dst=left, data=left, vals=best, imm=BELOW_ALL, dst_idx=where)


@jit
def largest(x: Any, count: int, searches: bool) -> Any:
    """``count`` (a multiple of 8) largest values of each row, largest first, and their columns."""
    rows, columns = x.shape
    values = nl.ndarray((rows, count), dtype=nl.float32, buffer=nl.shared_hbm)
    places = nl.ndarray((rows, count), dtype=nl.uint32, buffer=nl.shared_hbm)
    for top in nl.affine_range(0, rows, 128):
        high = min(128, rows - top)
        tile = nl.ndarray((high, columns), dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=x[top : top + high])
        best = nl.ndarray((high, count), dtype=nl.float32, buffer=nl.sbuf)
        where = nl.ndarray((high, count), dtype=nl.uint32, buffer=nl.sbuf)
        selected(tile, best, where, searches)
        nisa.dma_copy(dst=values[top : top + high], src=best)
        nisa.dma_copy(dst=places[top : top + high], src=where)
    return values, places


@pytest.mark.parametrize("searches", [True, False])
@pytest.mark.parametrize(
    ("rows", "columns", "count"), [(128, 64, 8), (150, 33, 16), (1, 8, 8), (3, 16384, 40), (130, 24, 24)]
)
def test_distinct_values(rows: int, columns: int, count: int, searches: bool) -> None:
    x = np.stack([RNG.permutation(columns) for _ in range(rows)]).astype(np.float32)
    values, places = largest(x, count, searches)
    order = np.argsort(-x, axis=1)[:, :count]
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, axis=1))
    np.testing.assert_array_equal(places, order)


@pytest.mark.parametrize("searches", [True, False])
@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_equal_values_are_taken_from_left_to_right(kind: Any, searches: bool) -> None:
    x = RNG.integers(-3, 4, (40, 50)).astype(kind)
    values, places = largest(x, 32, searches)
    order = np.argsort(-x.astype(np.float64), axis=1, kind="stable")[:, :32]
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, axis=1).astype(np.float32))
    np.testing.assert_array_equal(places, order)
