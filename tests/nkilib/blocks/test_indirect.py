"""Rows that numbers name: gathered and scattered, with and without numbers out of range."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import FP32, drawn, in_hbm, in_sbuf, sbuf
from kernels import cast, launch

from nkilib.blocks.indirect import gather_or_zero, gather_rows, scatter_rows
from nkisim.core.errors import SimulationError


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3"])
def test_rows_go_to_their_slots(dtype: str) -> None:
    """Other slots stay as they are; values are converted to the cache's type."""
    rows = drawn((100, 24), "bfloat16")
    slots = np.random.default_rng(2).permutation(160)[:100].astype(np.int32).reshape(100, 1)
    held = drawn((160, 24), dtype, 1)
    want = held.copy()
    want[slots[:, 0]] = cast(rows, dtype)

    def kernel(rows, slots, held):
        source, places = sbuf(rows.shape, rows.dtype), sbuf(slots.shape, nl.int32)
        nisa.dma_copy(dst=source, src=rows)
        nisa.dma_copy(dst=places, src=slots)
        scatter_rows(held, places, source)
        return held

    got = launch(kernel, rows, slots, held)
    assert got.tobytes() == want.tobytes()


NUMBERS = np.array([[4], [-1], [0], [7], [2]], np.int32)


def gathered(source: Any, numbers: Any, width: int, start: int, skip: bool) -> Any:
    tile = sbuf((len(numbers), width), source.dtype)
    nisa.memset(dst=tile, value=9.0)
    gather_rows(tile, source, in_sbuf(numbers), start, skip)
    return in_hbm(tile)


def test_gathered_rows() -> None:
    """Elements 5 on of rows of two dimensions; numbers that name no row leave what was there."""
    source = drawn((6, 2, 8), FP32)
    want = np.full((5, 8), 9, FP32)
    for row, number in enumerate(NUMBERS[:, 0]):
        if 0 <= number < 6:
            want[row] = source[number].reshape(-1)[5:13]
    assert np.array_equal(launch(gathered, source, NUMBERS, 8, 5, True), want)


def test_a_number_out_of_range_is_an_error() -> None:
    with pytest.raises(SimulationError, match="outside"):
        launch(gathered, drawn((6, 2, 8), FP32), NUMBERS, 8, 5, False)


def test_scattered_rows_may_be_skipped() -> None:
    def kernel(rows: Any, numbers: Any, held: Any) -> Any:
        scatter_rows(held, in_sbuf(numbers), in_sbuf(rows), 8, True)
        return held

    rows, held = drawn((5, 8), FP32), drawn((6, 2, 8), FP32, 1)
    want = held.copy()
    for row, number in enumerate(NUMBERS[:, 0]):
        if 0 <= number < 6:
            want[number, 1] = rows[row]
    assert np.array_equal(launch(kernel, rows, NUMBERS, held.copy()), want)


def test_rows_out_of_range_are_zero() -> None:
    def kernel(source: Any, numbers: Any) -> Any:
        tile = sbuf((len(numbers), 8), source.dtype)
        gather_or_zero(tile, source, in_sbuf(numbers), 5)
        return in_hbm(tile)

    source = drawn((6, 2, 8), FP32)
    want = np.zeros((5, 8), FP32)
    for row, number in enumerate(NUMBERS[:, 0]):
        if 0 <= number < 6:
            want[row] = source[number].reshape(-1)[5:13]
    assert np.array_equal(launch(kernel, source, NUMBERS), want)
