"""Bounds of what queries see, against every pair of a query and a key."""

from __future__ import annotations

import itertools
from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import FP32, in_hbm, in_sbuf, sbuf
from kernels import launch

from nkilib.blocks import masks
from nkilib.blocks.masks import Band, Bounds
from nkilib.blocks.memory import manager, psum_tile, scratch

BANDS = [
    Band(causal=False),
    Band(),
    Band(window=1),
    Band(window=40),
    Band(step=4, least=0, most=3),
    Band(window=100, step=4, least=0, most=3),
    Band(window=7, least=10, most=60),
    Band(least=5, most=1000),
]
KEYS = 150


def seen(band: Band, offset: int, query: int, key: int) -> bool:
    at = offset + band.step * query
    return not band.causal or (key <= at and (band.window == 0 or key > at - band.window))


def offsets(band: Band) -> set[int]:
    """Both ends, and something between."""
    return {band.least, band.most, (band.least + band.most) // 2}


RANGES = [(0, 1), (0, 30), (12, 13), (20, 45)]


@pytest.mark.parametrize("band", BANDS, ids=str)
@pytest.mark.parametrize("queries", RANGES)
def test_seen_keys(band: Band, queries: tuple[int, int]) -> None:
    """All keys that some query sees, for each offset that is possible, lie within; one key at the least."""
    start, stop = masks.seen_keys(band, *queries, KEYS)
    assert 0 <= start < stop <= KEYS
    for offset, query, key in itertools.product(offsets(band), range(*queries), range(KEYS)):
        if seen(band, offset, query, key):
            assert start <= key < stop


@pytest.mark.parametrize(
    ("band", "expected"),
    [
        (Band(causal=False), (0, 150)),
        (Band(), (0, 45)),
        (Band(window=10), (11, 45)),
        (Band(window=10, step=2, most=1), (31, 90)),
        (Band(window=10, least=5, most=15), (16, 60)),
        (Band(window=10, least=500, most=500), (149, 150)),
    ],
    ids=str,
)
def test_seen_keys_leaves_out_what_it_can(band: Band, expected: tuple[int, int]) -> None:
    assert masks.seen_keys(band, 20, 45, KEYS) == expected


@pytest.mark.parametrize("band", BANDS, ids=str)
@pytest.mark.parametrize("queries", RANGES)
def test_sees_all(band: Band, queries: tuple[int, int]) -> None:
    for start, stop in [(0, 1), (0, 13), (10, 12), (40, 41), (70, 90), (0, KEYS)]:
        every = all(
            seen(band, offset, query, key)
            for offset, query, key in itertools.product(offsets(band), range(*queries), range(start, stop))
        )
        assert masks.sees_all(band, *queries, start, stop) is every


@pytest.mark.parametrize("window", [0, 1, 2, 30, 200])
def test_seen_prior(window: int) -> None:
    """Of a prefix of 60, whatever part is used."""
    band = Band(window=window)
    for first, end in [(0, 5), (1, 2), (28, 29), (29, 40), (30, 31)]:
        start, stop = masks.seen_prior(band, first, end, 60)
        visible = [
            key
            for used, query, key in itertools.product((0, 1, 37, 60), range(first, end), range(60))
            if key < used and seen(band, 0, query, key - used)
        ]
        assert all(start <= key < stop for key in visible)
        assert (start < stop) == bool(visible)


@pytest.mark.parametrize("in_psum", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("tile", [0, 2])
def test_mask_and_max(tile: int, lower: bool, in_psum: bool) -> None:
    """Query 128·tile + p sees keys up to its position, and from 5 before it; the block of keys starts at 100."""
    rows, columns, first_key = 77, 300, 100
    scores = np.random.default_rng(2).normal(size=(rows, columns)).astype(np.float32)

    def kernel(scores: Any) -> Any:
        work = scratch(manager())
        positions = work.tile((128, 3), FP32)
        masks.query_positions(positions, 1)
        bounds = Bounds(upper=positions)
        if lower:
            bounds.lower = work.tile((128, 3), FP32)
            nisa.tensor_scalar(dst=bounds.lower, data=positions, op0=nl.add, operand0=-5.0)
        held = psum_tile((rows, columns)) if in_psum else work.tile((rows, columns), FP32)
        nisa.tensor_copy(dst=held, src=in_sbuf(scores))
        largest = work.tile((rows, 1), FP32)
        masks.mask_and_max(held, first_key, bounds, tile, largest)
        return in_hbm(held), in_hbm(largest)

    got, largest = launch(kernel, scores)
    at = 128 * tile + np.arange(rows)[:, None]
    key = first_key + np.arange(columns)[None, :]
    keep = (key <= at) & ((key >= at - 5) | (not lower))
    want = np.where(keep, scores, np.float32(masks.MASKED))
    assert np.array_equal(got, want)
    assert np.array_equal(largest, want.max(axis=1, keepdims=True))
    assert np.finfo(np.float32).min == np.float32(masks.MASKED)


@pytest.mark.parametrize("step", [1, 7])
def test_query_positions(step: int) -> None:
    def kernel() -> Any:
        positions = sbuf((128, 5), FP32)
        masks.query_positions(positions, step)
        return in_hbm(positions)

    assert np.array_equal(launch(kernel), step * np.arange(640).reshape(5, 128).T)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_load_number(shape: tuple[int, ...], dtype: Any) -> None:
    def kernel(number: Any) -> Any:
        work = scratch(manager())
        held = work.tile((128, 1), FP32)
        masks.load_number(held, number, work)
        return in_hbm(held)

    number = np.full(shape, 12345, dtype)
    assert np.array_equal(launch(kernel, number), np.full((128, 1), 12345.0))
