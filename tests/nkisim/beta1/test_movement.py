"""Loads, stores, copies and gathers against NumPy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.core.errors import SimulationError


def test_load_converts(run, rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)

    @nki.jit
    def kernel(t):
        out = nl.ndarray(t.shape, dtype=nl.bfloat16, buffer=nl.shared_hbm)
        nl.store(out, nl.load(t, dtype=nl.bfloat16))
        return out

    np.testing.assert_array_equal(kernel(x), x.astype(ml_dtypes.bfloat16))


def test_one_element_is_a_tile():
    @nki.jit
    def kernel(t):
        out = nl.ndarray((1, 1), nl.int32, buffer=nl.shared_hbm)
        one = nl.load(t[2])
        assert one.shape == (1, 1)
        nl.store(out, nl.add(one, 1))
        return out

    assert kernel(np.int32([3, 4, 5])).tolist() == [[6]]


def test_store_converts_and_takes_psum(rng):
    x = rng.standard_normal((32, 32)).astype(np.float32)

    @nki.jit
    def kernel(t):
        out = nl.ndarray(t.shape, dtype=nl.bfloat16, buffer=nl.shared_hbm)
        tile = nl.load(t)
        nl.store(out, nl.matmul(tile, tile, transpose_x=True))
        return out

    np.testing.assert_allclose(
        kernel(x).astype(np.float64), x.T.astype(np.float64) @ x, rtol=2**-8, atol=1e-3
    )


def test_transposes(run, rng):
    x = rng.standard_normal((40, 24)).astype(np.float32)
    np.testing.assert_array_equal(run(nl.transpose, x), x.T)

    @nki.jit
    def kernel(t):
        out = nl.ndarray((24, 40), dtype=t.dtype, buffer=nl.shared_hbm)
        i, j = nl.mgrid[0:40, 0:24]
        first = nl.load_transpose2d(t[i, j])
        nl.store(out[0:12], first[0:12])
        nl.store(out[j, i], nl.load(t))
        return out

    np.testing.assert_array_equal(kernel(x), x.T)


def test_transpose_of_a_bounded_matrix(rng):
    x = rng.standard_normal((40, 24)).astype(np.float32)

    @nki.jit
    def kernel(t):
        i, j = nl.mgrid[0:64, 0:24]
        out = nl.full((24, 64), -1.0, nl.float32)
        out[...] = nl.load_transpose2d(t[i, j], mask=i < 40)
        return out

    found = kernel(x)
    np.testing.assert_array_equal(found[:, :40], x.T)
    assert (found[:, 40:] == -1).all()


def test_broadcast_views_and_shapes(run, rng):
    x = rng.standard_normal((1, 12)).astype(np.float32)
    np.testing.assert_array_equal(run(lambda t: nl.broadcast_to(t, shape=(8, 12)), x), np.repeat(x, 8, 0))
    y = rng.standard_normal((8, 12)).astype(np.float32)
    np.testing.assert_array_equal(run(lambda t: t.reshape((8, 3, 4))[:, 1, :], y), y.reshape(8, 3, 4)[:, 1])
    assert run(lambda t: nl.expand_dims(t, 2) * 1.0, y).shape == (8, 12, 1)
    assert run(lambda t: t.expand_dims([2, 3]) * 1.0, y).shape == (8, 12, 1, 1)
    np.testing.assert_array_equal(run(lambda t: t.view(nl.int32), y), y.view(np.int32))
    column = y[:, :1]
    np.testing.assert_array_equal(
        run(lambda t: t[:, 0:1].broadcast_to((8, 5)) + 0.0, y), np.repeat(column, 5, 1)
    )
    assert run(lambda t: t.assert_shape((8, 12)), y).shape == (8, 12)
    with pytest.raises(SimulationError, match=r"its shape must be \[4, 12\]"):
        run(lambda t: t.assert_shape((4, 12)), y)


def test_properties(run, rng):
    def body(t):
        found.append((t.ndim, t.itemsize, t.shape, t.dtype == np.float16, t.buffer == nl.sbuf, len(t)))
        found.append(isinstance(t, nki.tensor))
        return t

    found = []
    run(body, np.zeros((4, 6), np.float16))
    assert found == [(2, 2, (4, 6), True, True, 4), True]


def test_on_chip_integer_indexes_keep_two_dimensions(run, rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)
    np.testing.assert_array_equal(run(lambda t: t[:, 3], x), x[:, 3:4])
    np.testing.assert_array_equal(run(lambda t: t[3], x), x[3:4])
    np.testing.assert_array_equal(run(lambda t: t[3, -2], x), x[3:4, -2:-1])
    cube = rng.standard_normal((8, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(run(lambda t: t[:, 1], cube), cube[:, 1])
    np.testing.assert_array_equal(run(lambda t: t[..., 1], cube), cube[..., 1])
    np.testing.assert_array_equal(run(lambda t: t[2:5, None, 1], cube), cube[2:5, None, 1])


def test_indirect_loads_and_stores(rng):
    x = rng.standard_normal((64, 12)).astype(np.float32)
    rows = rng.permutation(64)[:16].astype(np.int32)[:, None]

    @nki.jit
    def kernel(table, index):
        out = nl.zeros(table.shape, table.dtype, buffer=nl.shared_hbm)
        places = nl.load(index)
        j = nl.arange(12)[None, :]
        tile = nl.load(table[places, j])
        nl.store(out[places, j], tile * 2.0)
        return out

    expected = np.zeros_like(x)
    expected[rows[:, 0]] = x[rows[:, 0]] * 2
    np.testing.assert_array_equal(kernel(x, rows), expected)


def test_indexes_out_of_range(rng):
    x = rng.standard_normal((16, 4)).astype(np.float32)

    def kernel(mode):
        @nki.jit
        def body(table):
            index = nisa.iota(nl.arange(8)[:, None] * 3, dtype=nl.int32)
            out = nisa.memset((8, 4), -1.0, nl.float32)
            nisa.dma_copy(dst=out, src=table[index, nl.arange(4)[None, :]], oob_mode=mode)
            return out

        return body

    expected = np.full((8, 4), -1, np.float32)
    expected[:6] = x[0:16:3]
    np.testing.assert_array_equal(kernel(nisa.oob_mode.skip)(x), expected)
    with pytest.raises(IndexError, match=r"index 21 is out of bounds: dimension 0 of .* has 16"):
        kernel(nisa.oob_mode.error)(x)


@pytest.mark.parametrize("how", ["atomic_rmw", "dma_copy"])
def test_adding_at_indexes_that_repeat(how, rng):
    start = rng.standard_normal((10, 6)).astype(np.float32)
    values = rng.standard_normal((8, 6)).astype(np.float32)
    rows = np.array([1, 3, 1, 9, 9, 0, 1, 5], np.int32)[:, None]

    @nki.jit
    def kernel(t, v, index):
        out = nl.ndarray(t.shape, t.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(t))
        place = out[nl.load(index), nl.arange(6)[None, :]]
        if how == "atomic_rmw":
            nl.atomic_rmw(place, value=nl.load(v), op=np.add)
        else:
            nisa.dma_copy(dst=place, src=nl.load(v), dst_rmw_op=np.add)
        return out

    expected = start.astype(np.float64)
    np.add.at(expected, rows[:, 0], values)
    np.testing.assert_allclose(kernel(start, values, rows), expected, rtol=1e-6, atol=1e-6)


def test_gather_flattened(run, rng):
    x = rng.standard_normal((8, 3, 4)).astype(np.float32)
    index = rng.integers(0, 12, (8, 5)).astype(np.uint32)
    expected = np.take_along_axis(x.reshape(8, 12), index.astype(np.int64), 1)
    np.testing.assert_array_equal(run(nl.gather_flattened, x, index), expected)
    found = run(lambda t, u: nl.gather_flattened(t, u, dtype=nl.bfloat16), x, index.astype(np.int32))
    np.testing.assert_array_equal(found, expected.astype(ml_dtypes.bfloat16))


def test_where(run, rng):
    x, y = (rng.standard_normal((8, 12)).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal(run(lambda a, b: nl.where(a > b, a, b), x, y), np.maximum(x, y))
    np.testing.assert_array_equal(run(lambda a: nl.where(a > 0, a, 0.0), x), np.maximum(x, 0))
    np.testing.assert_array_equal(
        run(lambda a: nl.where(a > 0, 1.0, a), x), np.where(x > 0, np.float32(1), x)
    )
    np.testing.assert_array_equal(
        run(lambda a, b: nl.where(a > 0, a, b[:, 0:1]), x, y), np.where(x > 0, x, y[:, :1])
    )


def test_copies_between_types_and_memories(run, rng):
    x = rng.uniform(-100, 100, (8, 12)).astype(np.float32)
    np.testing.assert_array_equal(run(lambda t: nl.copy(t, dtype=nl.int8), x), np.rint(x).astype(np.int8))
    np.testing.assert_array_equal(
        run(lambda t: nl.static_cast(t, nl.bfloat16), x), x.astype(ml_dtypes.bfloat16)
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (lambda x, t: nl.store(t, t), r"nl\.store: dst is a sbuf tensor.*must be in HBM"),
        (lambda x, t: nl.store(x, 3.0), r"nl\.store: value must be a tensor or a tile, it is a float"),
        (lambda x, t: nl.load(np.zeros(3)), r"nl\.load: src must be a tensor or a tile, it is a ndarray"),
        (lambda x, t: x.__setitem__(0, t), r"lies in HBM: write it with nl\.store"),
        (lambda x, t: nl.load(x[0:2, 0:99]), r"index 99 is out of bounds: dimension 1 of .* has 6"),
        (lambda x, t: x[0, 0, 0], r"too many indexes"),
        (
            lambda x, t: t[nl.arange(4)[None, :], nl.arange(4)[:, None]],
            r"dimension 0 of .* lies on the partitions",
        ),
        (lambda x, t: t["a"], r"is no index"),
        (lambda x, t: nl.atomic_rmw(x[nl.arange(4)[:, None], 0:6], t, np.max), r"only np\.add"),
        (
            lambda x, t: nisa.dma_copy(dst=x, src=nl.matmul(t, t, transpose_x=True)),
            r"DMA engines do not reach PSUM",
        ),
    ],
)
def test_errors(body, text):
    @nki.jit
    def kernel(x):
        body(x, nl.load(x))

    with pytest.raises(SimulationError, match=rf"test_movement\.py:\d+: .*{text}"):
        kernel(np.zeros((4, 6), np.float32))
