"""``NKI_PRECISE_FP=0``: results as accurate as float32, sizes and addresses those of the element types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import nkisim
import nkisim.isa as nisa
import nkisim.language as nl
import nkisim.tensor as ntensor
from nkisim import SimulationError
from nkisim.core.dtypes import ALL
from nkisim.core.memory import SBUF_BYTES

RNG = np.random.default_rng(0)
BFLOAT16 = ml_dtypes.bfloat16


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("NKI_PRECISE_FP", "0")


def normalised_product(x, w, kind):
    """``softmax(x) · w`` with every tile in ``kind``, [128, 64] and [64, 32]."""
    tile = nl.ndarray(x.shape, dtype=kind, buffer=nl.sbuf)
    weights = nl.ndarray(w.shape, dtype=kind, buffer=nl.sbuf)
    total = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.dma_copy(dst=weights, src=w)
    nisa.activation_reduce(dst=tile, op=nl.exp, data=tile, reduce_op=nl.add, reduce_res=total)
    nisa.reciprocal(dst=total, data=total)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=total)
    flipped = nl.ndarray((64, 128), dtype=kind, buffer=nl.psum)
    nisa.nc_transpose(dst=flipped, data=tile)
    moved = nl.ndarray((64, 128), dtype=kind, buffer=nl.sbuf)
    nisa.tensor_copy(dst=moved, src=flipped)
    product = nl.ndarray((128, 32), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=product, stationary=moved, moving=weights)
    result = nl.ndarray((128, 32), dtype=kind, buffer=nl.sbuf)
    nisa.tensor_copy(dst=result, src=product)
    out = nl.ndarray((128, 32), dtype=kind, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=result)
    return out


def softmax_product(x, w):
    e = np.exp(x.astype(np.float64))
    return e / e.sum(axis=1, keepdims=True) @ w.astype(np.float64)


def error(kind):
    x = RNG.standard_normal((128, 64)).astype(np.float32)
    w = RNG.standard_normal((64, 32)).astype(np.float32)
    result = np.asarray(nkisim.jit(normalised_product)(x, w, kind)).astype(np.float64)
    expected = softmax_product(x, w)
    return np.abs(result - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("kind", [nl.bfloat16, nl.float16, nl.float8_e4m3, nl.float8_e5m2])
def test_results_are_as_accurate_as_float32(wide, kind):
    assert error(kind) < 2e-6


@pytest.mark.parametrize(("kind", "least"), [(nl.bfloat16, 1e-3), (nl.float16, 1e-4), (nl.float8_e4m3, 1e-2)])
def test_without_it_they_are_not(kind, least):
    assert error(kind) > least


def test_types_and_results(wide):
    def kernel(x):
        assert x.dtype == nl.bfloat16
        assert (x.dtype.itemsize, nl.float8_e4m3.itemsize) == (2, 1)
        constant = nl.shared_constant(ntensor.identity(4, nl.bfloat16))
        assert constant.dtype == nl.bfloat16
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=out, src=x)
        return out, constant

    x = np.arange(8).reshape(2, 4).astype(BFLOAT16)
    result, constant = nkisim.jit(kernel)(x)
    assert result.dtype == constant.dtype == np.float32
    assert np.array_equal(result, np.arange(8).reshape(2, 4))
    assert np.array_equal(constant, np.eye(4))
    assert all((d.stored, d.numpy) == (d.itemsize, d.native) for d in ALL)


def test_parameters_are_updated_in_place(wide):
    def kernel(x):
        tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
        nisa.memset(dst=tile, value=3.0)
        nisa.dma_copy(dst=x, src=tile)

    x = np.zeros((2, 4), BFLOAT16)
    nkisim.jit(kernel)(x)
    assert (x == 3).all()


def addressed(kind, second, at):
    """A whole row of 8 elements at byte 64, and 4 elements ``at`` elements into it, of type ``second``."""
    first = nl.ndarray((128, 8), dtype=kind, buffer=nl.sbuf, address=(0, 64))
    part = nl.ndarray((128, 4), dtype=second, buffer=nl.sbuf, address=(0, 64 + at * kind.itemsize))
    nisa.memset(dst=first, value=1.0)
    nisa.memset(dst=part, value=2.0)
    out = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    copy = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=copy, src=first)
    nisa.dma_copy(dst=out, src=copy)
    return out


@pytest.mark.parametrize("kind", [nl.bfloat16, nl.float8_e5m2, nl.float32])
@pytest.mark.parametrize("precise", ["0", "1"])
def test_tensors_at_overlapping_addresses_share_elements(monkeypatch, kind, precise):
    monkeypatch.setenv("NKI_PRECISE_FP", precise)
    expected = np.repeat([[1, 1, 1, 2, 2, 2, 2, 1]], 128, axis=0)
    assert np.array_equal(nkisim.jit(addressed)(kind, kind, 3), expected)


@pytest.mark.parametrize("precise", ["0", "1"])
def test_neighbours_do_not_overlap(monkeypatch, precise):
    monkeypatch.setenv("NKI_PRECISE_FP", precise)
    assert (nkisim.jit(addressed)(nl.bfloat16, nl.float32, 8) == 1).all()
    assert (nkisim.jit(addressed)(nl.float8_e4m3, nl.bfloat16, 8) == 1).all()


def test_capacity_is_that_of_the_element_types(wide):
    def kernel(count, address):
        nl.ndarray((128, count), dtype=nl.bfloat16, buffer=nl.sbuf, address=address)

    most = SBUF_BYTES[3] // 2
    for address in (None, (0, 0)):
        nkisim.jit(kernel)(most, address)
        with pytest.raises(SimulationError, match="bytes in a partition"):
            nkisim.jit(kernel)(most + 1, address)
    with pytest.raises(SimulationError, match="past the end"):
        nkisim.jit(kernel)(most, (0, 2))


def test_high_water_is_that_of_the_element_types(wide):
    with nkisim.trace() as trace:
        nkisim.jit(lambda: nl.ndarray((128, 100), dtype=nl.bfloat16, buffer=nl.sbuf).shape)()
    assert trace.high_water["sbuf"] == 200


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda t: t.view(nl.uint16), "bytes of bfloat16 cannot be read as another type"),
        (lambda t: t.ap(pattern=[[4, 128], [1, 4]], offset=0, dtype=nl.float16), "cannot be read"),
        (lambda t: nl.ndarray((128, 4), dtype=nl.int16, buffer=nl.sbuf).view(nl.bfloat16), "cannot be read"),
        (lambda t: nl.ndarray((128, 4), dtype=nl.float8_e4m3fn_x4, buffer=nl.sbuf), "packs four values"),
    ],
)
def test_what_is_refused(wide, use, text):
    def kernel():
        use(nl.ndarray((128, 4), dtype=nl.bfloat16, buffer=nl.sbuf))

    with pytest.raises(SimulationError, match=f"{text}.*NKI_PRECISE_FP=0"):
        nkisim.jit(kernel)()


def test_bytes_of_other_types_can_still_be_read(wide):
    def kernel(x):
        out = nl.ndarray((2, 4), dtype=nl.uint32, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=out, src=x.view(nl.uint32))
        return out

    x = RNG.standard_normal((2, 4)).astype(np.float32)
    assert np.array_equal(nkisim.jit(kernel)(x), x.view(np.uint32))


def test_patterns_gathers_and_integers(wide):
    def kernel(x):
        rows = nl.ndarray((4, 1), dtype=nl.int32, buffer=nl.sbuf)
        tile = nl.ndarray((4, 3), dtype=nl.bfloat16, buffer=nl.sbuf)
        out = nl.ndarray((4, 3), dtype=nl.float8_e4m3, buffer=nl.shared_hbm)
        nisa.iota(dst=rows, pattern=[[0, 1]], offset=7, channel_multiplier=-2)
        nisa.dma_copy(
            dst=tile, src=x.ap(pattern=[[6, 4], [2, 3]], offset=1, vector_offset=rows, indirect_dim=0)
        )
        nisa.dma_copy(dst=out, src=tile)
        return out

    x = (1000 * RNG.standard_normal((8, 6))).astype(np.float32)
    stored = x.astype(BFLOAT16)
    assert np.array_equal(nkisim.jit(kernel)(stored), stored.astype(np.float32)[[7, 5, 3, 1], 1::2])


def test_strict_mode_too(wide):
    with nkisim.strict():
        assert error(nl.bfloat16) < 2e-6
