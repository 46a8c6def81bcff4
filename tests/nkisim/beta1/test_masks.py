"""Masks: boxes and flags, and what instructions do in the lanes they leave out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nkisim.beta1 as nki
import nkisim.beta1.language as nl
from nkisim.beta1.masks import as_mask
from nkisim.core.errors import SimulationError

COMPARISONS = ["__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"]


@given(st.sampled_from(COMPARISONS), st.integers(-3, 3), st.integers(-8, 8), st.integers(-8, 8))
def test_comparisons_of_one_axis(name, step, offset, bound):
    mine = getattr(nl.arange(6)[:, None] * step + offset, name)(bound)
    theirs = getattr(np.arange(6)[:, None] * step + offset, name)(bound)
    np.testing.assert_array_equal(mine.array, theirs)
    if name != "__ne__":
        assert mine.box is not None


@given(st.integers(0, 7), st.integers(0, 9), st.integers(0, 7), st.integers(0, 9))
def test_conjunctions_of_bounds_are_boxes(a, b, c, d):
    i, j = nl.arange(6)[:, None], nl.arange(8)[None, :]
    x, y = np.arange(6)[:, None], np.arange(8)[None, :]
    mine = (i < a) & (j >= b) & (i >= c) & (j < d)
    assert mine.box is not None
    np.testing.assert_array_equal(
        np.broadcast_to(mine.array, (6, 8)), (x < a) & (y >= b) & (x >= c) & (y < d)
    )


def test_other_masks_keep_flags():
    i, j = nl.arange(6)[:, None], nl.arange(8)[None, :]
    x, y = np.arange(6)[:, None], np.arange(8)[None, :]
    for mine, theirs in (
        (i >= j, x >= y),
        ((i < 2) | (j > 5), (x < 2) | (y > 5)),
        (~(i < 2), ~(x < 2)),
        ((i >= j) & (j < 3), (x >= y) & (y < 3)),
        (True & (i > j), x > y),
        (False | (i != 3), x != 3),
        (i * j < 9, x * y < 9),
    ):
        np.testing.assert_array_equal(np.broadcast_to(mine.array, (6, 8)), np.broadcast_to(theirs, (6, 8)))


def test_truth_values():
    i = nl.arange(4)[:, None]
    assert bool(i < 4)
    assert not bool(i < 0)
    with pytest.raises(SimulationError, match="combine masks with"):
        bool(i < 2)
    with pytest.raises(SimulationError, match="is no mask"):
        as_mask(3)


MASKS = [
    (lambda i, j: i < 3, "rows"),
    (lambda i, j: (i < 3) & (j < 5), "box"),
    (lambda i, j: (i >= 2) & (j >= 4), "end"),
    (lambda i, j: i >= j, "triangle"),
    (lambda i, j: (i < 0) & (j < 5), "nothing"),
]


@pytest.mark.parametrize(("mask", "name"), MASKS, ids=[name for _, name in MASKS])
def test_lanes_without_a_result_are_not_a_number(mask, name, run, rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)
    i, j = nl.mgrid[0:6, 0:8]
    keep = np.broadcast_to(mask(*np.mgrid[0:6, 0:8]), (6, 8))
    found = run(lambda t: nl.exp(t, mask=mask(i, j)), x)
    np.testing.assert_allclose(found[keep], np.exp(x.astype(np.float64))[keep], rtol=1e-6)
    assert np.isnan(found[~keep]).all()
    found = run(lambda t: nl.add(t, t[:, 0:1], mask=mask(i, j)), x)
    np.testing.assert_allclose(found[keep], (x.astype(np.float64) + x[:, :1])[keep], rtol=1e-6, atol=1e-7)
    assert np.isnan(found[~keep]).all()


@pytest.mark.parametrize(("mask", "name"), MASKS, ids=[name for _, name in MASKS])
def test_assignments_take_the_lanes_of_the_result(mask, name, run, rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)
    i, j = nl.mgrid[0:6, 0:8]
    keep = np.broadcast_to(mask(*np.mgrid[0:6, 0:8]), (6, 8))

    def body(t):
        out = nl.full((6, 8), -1.0, nl.float32)
        out[i, j] = nl.multiply(t[i, j], 2.0, mask=mask(i, j))
        return out

    np.testing.assert_array_equal(run(body, x), np.where(keep, x * 2, np.float32(-1)))

    def in_place(t):
        t[i, j] += nl.multiply(t[i, j], 2.0, mask=mask(i, j))
        return t

    np.testing.assert_array_equal(run(in_place, x), np.where(keep, x + x * 2, x))


@pytest.mark.parametrize(("mask", "name"), MASKS[:4], ids=[name for _, name in MASKS[:4]])
def test_reductions_take_the_lanes_of_the_mask(mask, name, run, rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)
    i, j = nl.mgrid[0:6, 0:8]
    keep = np.broadcast_to(mask(*np.mgrid[0:6, 0:8]), (6, 8))
    rows = keep.any(axis=1)
    for reduce, neutral, function in (
        (nl.sum, 0.0, np.sum),
        (nl.max, -np.inf, np.max),
        (nl.min, np.inf, np.min),
    ):
        found = run(lambda t, reduce=reduce: reduce(t, axis=1, mask=mask(i, j)), x)
        expected = function(np.where(keep, x.astype(np.float64), neutral), axis=1)
        np.testing.assert_allclose(found[rows, 0], expected[rows], rtol=1e-6)
        assert np.isnan(found[~rows]).all()


def test_lanes_left_out_may_lie_outside_of_the_tensor(rng):
    x = rng.standard_normal((200, 40)).astype(np.float32)

    @nki.jit
    def kernel(tensor):
        out = nl.zeros(tensor.shape, tensor.dtype, buffer=nl.shared_hbm)
        i, j = nl.arange(128)[:, None], nl.arange(40)[None, :]
        for block in nl.affine_range(2):
            mask = block * 128 + i < 200
            tile = nl.load(tensor[block * 128 + i, j], mask=mask)
            nl.store(out[block * 128 + i, j], nl.square(tile, mask=mask), mask=mask)
        return out

    np.testing.assert_array_equal(kernel(x), x * x)


def test_without_a_mask_they_are_an_error(rng):
    @nki.jit
    def kernel(tensor):
        return nl.load(tensor[100 + nl.arange(128)[:, None], nl.arange(40)[None, :]])

    with pytest.raises(IndexError, match=r"test_masks\.py:\d+: index 227 is out of bounds.*has 200.*mask="):
        kernel(np.zeros((200, 40), np.float32))


def test_triangle_that_lies_outside(run):
    @nki.jit
    def kernel(tensor):
        i, j = nl.arange(4)[:, None], nl.arange(4)[None, :]
        tile = nl.load(tensor[i, i + j], mask=i + j < 4)
        out = nl.zeros((4, 4), nl.float32, buffer=nl.shared_hbm)
        nl.store(out[i, i + j], tile, mask=i + j < 4)
        return out

    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(kernel(x), np.triu(x))


def test_a_mask_that_does_not_fit(run):
    i = nl.arange(64)[:, None]
    with pytest.raises(
        SimulationError, match=r"mask has the shape \[64, 1\], the instruction works on \[6, 8\]"
    ):
        run(lambda t: nl.exp(t, mask=i < 3), np.zeros((6, 8), np.float32))


def test_masks_in_subscripts(run, rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)
    i, j = nl.mgrid[0:6, 0:8]
    found = run(lambda t: nl.exp(t[i < 2]), x)
    np.testing.assert_allclose(found[:2], np.exp(x.astype(np.float64))[:2], rtol=1e-6)
    assert np.isnan(found[2:]).all()
    found = run(lambda t: nl.exp(t[i, j][i < 2][j < 3], mask=j > 0), x)
    assert np.isfinite(found[:2, 1:3]).all()
    assert np.isnan(found).sum() == 48 - 4


def test_trace_time_truth_values(run, rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)

    def body(t):
        out = nl.zeros((6, 8), nl.float32)
        for step in nl.affine_range(4):
            out[...] = nl.multiply(t, float(step), mask=step < 3)
        return out

    np.testing.assert_array_equal(run(body, x), x * np.float32(2))


def test_partition_masks_of_tiles_with_more_dimensions(run, rng):
    x = rng.standard_normal((6, 4, 8)).astype(np.float32)
    found = run(lambda t: nl.square(t, mask=nl.arange(6)[:, None] < 2), x)
    np.testing.assert_array_equal(found[:2], (x * x)[:2])
    assert np.isnan(found[2:]).all()
