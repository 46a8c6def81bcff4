"""Products and transposes: accumulation, masks, types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.core.errors import SimulationError


@pytest.fixture
def operands(rng):
    return rng.standard_normal((32, 24)).astype(np.float32), rng.standard_normal((32, 40)).astype(np.float32)


def exact(a, b):
    return a.T.astype(np.float64) @ b


def test_results_are_new_tiles_in_psum(run, operands):
    def body(a, b):
        product = nisa.nc_matmul(a, b)
        found.append((product.buffer, product.dtype == nl.float32, product.shape))
        return nl.copy(product)

    found = []
    np.testing.assert_allclose(run(body, *operands), exact(*operands), rtol=1e-5, atol=1e-5)
    assert found == [("psum", True, (24, 40))]


def test_assigning_overwrites_and_adding_accumulates(run, operands):
    def body(a, b):
        out = nl.ndarray((24, 40), nl.float32, buffer=nl.psum)
        out[...] = nisa.nc_matmul(a, b)
        out[...] = nisa.nc_matmul(a, b)
        out += nisa.nc_matmul(a, b)
        i, j = nl.mgrid[0:24, 0:40]
        out[i, j] += nisa.nc_matmul(a, b)
        return out

    np.testing.assert_allclose(run(body, *operands), 3 * exact(*operands), rtol=1e-5, atol=1e-4)


def test_the_first_addition_to_unwritten_psum_overwrites(run, operands):
    def body(a, b):
        out = nl.ndarray((2, nl.par_dim(24), 40), nl.float32, buffer=nl.psum)
        for _ in nl.affine_range(3):
            out[1] += nisa.nc_matmul(a, b)
            out[0, :, 10:30] += nisa.nc_matmul(a, b[:, 10:30])
        result = nl.zeros((24, 80), nl.float32)
        result[:, 0:40] = out[1]
        result[:, 40:60] = out[0, :, 10:30]
        return result

    found, expected = run(body, *operands), 3 * exact(*operands)
    np.testing.assert_allclose(found[:, :40], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found[:, 40:60], expected[:, 10:30], rtol=1e-5, atol=1e-4)


def test_adding_zeros_in_sbuf_is_an_addition(run, operands):
    def body(a, b):
        total = nl.zeros((24, 40), nl.bfloat16)
        total += nisa.nc_matmul(a, b)
        return total

    expected = exact(*operands).astype(np.float32)
    np.testing.assert_allclose(run(body, *operands).astype(np.float32), expected, rtol=2**-8, atol=1e-5)


def test_nl_matmul_transposes_and_copies(run, operands):
    a, b = operands
    found = run(lambda t, u: nl.matmul(t, u, transpose_x=True), a, b)
    np.testing.assert_allclose(found, exact(a, b), rtol=1e-5, atol=1e-5)
    square = run(lambda t, u: nl.matmul(nl.matmul(t, t, transpose_x=True), u[0:24]), a, b)
    np.testing.assert_allclose(square, exact(a, a) @ b[:24], rtol=1e-4, atol=1e-3)


def test_contraction_masks(run, operands):
    a, b = operands
    i = nl.arange(32)[:, None]
    found = run(lambda t, u: nisa.nc_matmul(t, u, mask=i < 10), a, b)
    np.testing.assert_allclose(found, exact(a[:10], b[:10]), rtol=1e-5, atol=1e-5)


def test_masks_of_operands(run, operands):
    a, b = operands
    i, m, n = nl.arange(32)[:, None], nl.arange(24)[None, :], nl.arange(40)[None, :]
    found = run(lambda t, u: nl.matmul(t[m < 5], u[(n >= 30) & (i < 20)], transpose_x=True), a, b)
    np.testing.assert_allclose(found[:5, 30:], exact(a[:20, :5], b[:20, 30:]), rtol=1e-5, atol=1e-5)
    assert np.isnan(found[5:]).all()
    assert np.isnan(found[:, :30]).all()
    found = run(lambda t, u: nisa.nc_matmul(t[i >= m], u), a, b)
    np.testing.assert_allclose(found, exact(np.tril(a), b), rtol=1e-5, atol=1e-5)


def test_masks_of_three_axes(run, operands):
    a, b = operands
    k, m, n = nl.arange(32)[:, None, None], nl.arange(24)[None, :, None], nl.arange(40)[None, None, :]
    found = run(lambda t, u: nisa.nc_matmul(t, u, mask=(k < 8) & (m < 3) & (n < 7)), a, b)
    np.testing.assert_allclose(found[:3, :7], exact(a[:8, :3], b[:8, :7]), rtol=1e-5, atol=1e-5)
    assert np.isnan(found[3:]).all()


def test_skipped_products(run, operands):
    def body(a, b):
        total = nl.zeros((24, 40), nl.float32, buffer=nl.psum)
        for step in nl.affine_range(4):
            total += nisa.nc_matmul(a, b, mask=step < 2)
        return total

    np.testing.assert_allclose(run(body, *operands), 2 * exact(*operands), rtol=1e-5, atol=1e-4)


def test_ambiguous_masks(run, operands):
    j = nl.arange(24)[None, :]
    with pytest.raises(
        SimulationError, match=r"test_matmul\.py:\d+: nisa\.nc_matmul: the mask bounds a free axis"
    ):
        run(lambda t, u: nisa.nc_matmul(t, u, mask=j < 3), *operands)


def test_limits_are_the_hardware_s(run, rng):
    wide = rng.standard_normal((32, 600)).astype(np.float32)
    with pytest.raises(SimulationError, match=r"moving has 600 elements in a partition, the most is 512"):
        run(lambda t: nisa.nc_matmul(t[:, 0:24], t), wide)


def test_operands_in_psum_are_copied(run, rng):
    x = rng.standard_normal((32, 48)).astype(np.float32)

    def from_psum(t):
        return nisa.nc_matmul(nisa.nc_transpose(t), nisa.nc_transpose(t))

    exact = x.astype(np.float64) @ x.T
    np.testing.assert_allclose(run(from_psum, x), exact, rtol=1e-5, atol=1e-4)


def test_double_row(rng):
    a, b = (rng.uniform(-2, 2, (16, 2, n)).astype(ml_dtypes.float8_e5m2) for n in (8, 12))

    @nki.jit
    def kernel(x, y):
        out = nl.ndarray((8, 12), nl.float32, buffer=nl.shared_hbm)
        nl.store(out, nisa.nc_matmul(nl.load(x), nl.load(y), perf_mode="double_row_gen3"))
        return out

    expected = np.einsum("kim,kin->mn", a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose(kernel(a, b), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "buffer"), [((100, 60), "psum"), ((32, 20), "psum")])
def test_nc_transpose(shape, buffer, run, rng):
    x = rng.standard_normal(shape).astype(np.float32)

    def body(t):
        found.append(nisa.nc_transpose(t).buffer)
        return nisa.nc_transpose(t)

    found = []
    np.testing.assert_array_equal(run(body, x), x.T)
    assert found == [buffer]
    low = run(lambda t: nisa.nc_transpose(t, dtype=nl.bfloat16), x)
    np.testing.assert_array_equal(low, x.T.astype(ml_dtypes.bfloat16))
    if max(shape) <= 32:
        np.testing.assert_array_equal(run(lambda t: nisa.nc_transpose(t, engine=nisa.vector_engine), x), x.T)
    cube = x[:, :20].reshape(-1, 4, 5)
    np.testing.assert_array_equal(run(nisa.nc_transpose, cube), cube.reshape(-1, 20).T)


@pytest.mark.parametrize("bounded", [lambda i, j: i >= j, lambda i, j: i < 9])
def test_products_are_added_to_what_a_mask_has_written(run, operands, bounded):
    a, b = operands

    def body(t, u):
        i, j = nl.arange(24)[:, None], nl.arange(40)[None, :]
        total = nl.ndarray((24, 40), dtype=nl.float32, buffer=nl.psum)
        total[i, j] = nl.copy(u[0:24], mask=bounded(i, j))
        total[i, j] += nisa.nc_matmul(t, u)
        return total

    lanes = np.broadcast_to(bounded(np.arange(24)[:, None], np.arange(40)[None, :]), (24, 40))
    expected = exact(a, b) + np.where(lanes, b[:24], 0)
    np.testing.assert_allclose(run(body, a, b), expected, rtol=1e-5, atol=1e-5)
