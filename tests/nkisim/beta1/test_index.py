"""Index tiles against NumPy: arithmetic, recognition, and accesses as views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nkisim.beta1.language as nl
from nkisim.beta1.access import Access
from nkisim.beta1.index import Affine, Values, as_index
from nkisim.beta1.tile import Tile
from nkisim.core.errors import SimulationError
from nkisim.core.tensor import argument


def test_arange_and_mgrid():
    np.testing.assert_array_equal(nl.arange(3, 9).array, np.arange(3, 9))
    grid = nl.mgrid[2:6, 0:5]
    for found, expected in zip(grid, np.mgrid[2:6, 0:5], strict=True):
        np.testing.assert_array_equal(found.array, expected)
    deep = nl.mgrid[0:2, 0:3, 0:4, 0:5]
    assert all(one is other for one, other in zip((deep.p, deep.x, deep.y, deep.z), deep, strict=True))
    np.testing.assert_array_equal(nl.mgrid[0:8:2, 0:3].p.array, np.mgrid[0:8:2, 0:3][0])


@pytest.mark.parametrize(
    "expression",
    [
        lambda i, j: i + j,
        lambda i, j: 5 - 2 * i + j * 3,
        lambda i, j: -(i - j),
        lambda i, j: (i * 4 + j) // 4,
        lambda i, j: (i + j) % 3,
        lambda i, j: i * j,
        lambda i, j: 7 // (i + 1),
        lambda i, j: 100 % (j + 1),
        lambda i, j: np.int64(3) + i * np.int32(2),
    ],
)
def test_arithmetic(expression):
    i, j = np.arange(6)[:, None], np.arange(2, 9)[None, :]
    found = expression(nl.arange(6)[:, None], nl.arange(2, 9)[None, :])
    np.testing.assert_array_equal(found.array, expression(i, j))


@pytest.mark.parametrize(
    "key",
    [np.s_[:, None], np.s_[None, :], np.s_[None, :, None], np.s_[2:5], np.s_[::2], np.s_[...], np.s_[3]],
)
def test_subscripts(key):
    np.testing.assert_array_equal((1 + nl.arange(8) * 3)[key].array, (1 + np.arange(8) * 3)[key])


def test_affine_results_are_recognised():
    i = nl.arange(8)[:, None]
    assert isinstance((i * 6) // 3, Affine)
    assert isinstance((i * 6) // 3 + nl.arange(4)[None, :], Affine)
    assert isinstance(i // 3, Values)
    assert isinstance(as_index(np.array([[4, 7, 10]])), Affine)


def test_no_truth_value():
    with pytest.raises(SimulationError, match="index tile has no truth value"):
        bool(nl.arange(3))


sizes = st.integers(1, 5)


@st.composite
def accesses(draw):
    """A tensor, its indexes as functions of aranges, and the aranges' sizes."""
    extents = draw(st.lists(sizes, min_size=1, max_size=3))
    ndim = draw(st.integers(1, 3))
    dims, indexes = [], []
    for _ in range(ndim):
        offset = draw(st.integers(0, 4))
        steps = [draw(st.integers(-3, 3)) for _ in extents]
        low = sum(min(0, step * (n - 1)) for step, n in zip(steps, extents, strict=True))
        high = sum(max(0, step * (n - 1)) for step, n in zip(steps, extents, strict=True))
        dims.append(offset + high - low + 1 + draw(st.integers(0, 2)))
        indexes.append((offset - low, steps))
    return dims, extents, indexes


def grids(extents, arange):
    """One arange for each axis, with the others added as None."""
    count = len(extents)
    return [
        arange(n)[tuple(slice(None) if a == axis else None for a in range(count))]
        for axis, n in enumerate(extents)
    ]


def total(offset, steps, tiles):
    result = offset
    for step, tile in zip(steps, tiles, strict=True):
        result = result + tile * step
    return result


@given(accesses())
def test_affine_accesses_equal_fancy_indexing(case):
    dims, extents, indexes = case
    data = np.arange(int(np.prod(dims)), dtype=np.float32).reshape(dims)
    theirs = data[tuple(total(*index, grids(extents, np.arange)) for index in indexes)]
    access = Tile(argument(data))[tuple(total(*index, grids(extents, nl.arange)) for index in indexes)]
    assert isinstance(access, Access)
    assert access.affine
    part = access.part(None)
    assert np.shares_memory(part.array, data)  # a view, no copy
    np.testing.assert_array_equal(part.array, np.broadcast_to(theirs, part.array.shape))
    assert access.shape == theirs.shape


@given(accesses(), st.data())
def test_bounded_accesses_equal_fancy_indexing(case, data):
    dims, extents, indexes = case
    tensor = np.arange(int(np.prod(dims)), dtype=np.float32).reshape(dims)
    axis = data.draw(st.integers(0, len(extents) - 1))
    bound = data.draw(st.integers(0, extents[axis]))
    mine, theirs = grids(extents, nl.arange), grids(extents, np.arange)
    access = Tile(argument(tensor))[tuple(total(*index, mine) for index in indexes)]
    region = (mine[axis] < bound).region(access.shape)
    found = access.part(region).array
    kept = tuple(slice(bound if a == axis else None) for a in range(len(extents)))
    expected = np.broadcast_to(tensor[tuple(total(*index, theirs) for index in indexes)], extents)
    if bound:
        np.testing.assert_array_equal(found, expected[kept])
    else:
        assert region.empty
        assert found.size == 0


def test_writes_through_accesses_equal_fancy_indexing(rng):
    mine = np.zeros((12, 20), np.float32)
    theirs = mine.copy()
    values = rng.standard_normal((4, 5)).astype(np.float32)
    i, j = nl.arange(4)[:, None], nl.arange(5)[None, :]
    source = Tile(argument(values))
    Tile(argument(mine))[2 * i + 1, 19 - 3 * j].put(source.tensor, None)
    theirs[2 * np.arange(4)[:, None] + 1, 19 - 3 * np.arange(5)[None, :]] = values
    np.testing.assert_array_equal(mine, theirs)


def test_gathers_and_scatters_equal_fancy_indexing(rng):
    data = rng.standard_normal((12, 20)).astype(np.float32)
    rows = np.array([7, 0, 7, 3])[:, None]
    found = Tile(argument(data))[as_index(rows), nl.arange(20)[None, :] // 3]
    assert not found.affine
    np.testing.assert_array_equal(found.part(None).array, data[rows, np.arange(20)[None, :] // 3])
    target = Tile(argument(np.zeros((12, 20), np.float32)))
    target[as_index(np.array([5, 1, 2])[:, None]), nl.arange(20)[None, :]].put(argument(data[:3]), None)
    expected = np.zeros((12, 20), np.float32)
    expected[[5, 1, 2]] = data[:3]
    np.testing.assert_array_equal(target.tensor.array, expected)
